//! The doors for HTTP: what comes in is parsed here, what goes out is worded here.
//!
//! Promises: every request passes the same way: a connection within limits ([`listener`]), a
//! request that is what it says ([`request`]), values that parse ([`extract`]), and every refusal
//! is a problem document ([`problem`]).
//! Refuses: decisions. A handler extracts, converts, calls one walk and converts back.

pub mod extract;
pub mod grpc;
pub mod health;
pub mod http;
pub mod listener;
pub mod problem;
pub mod request;
pub mod traffic;
