//! Agents at the server: whom they speak for, what they are told, and what nobody else is.

mod expelled;
mod holders;
mod image;
mod refusals;
mod storm;
mod watch;
