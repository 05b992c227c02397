//! Fuzzing of every parser of outside bytes.
//!
//! Each target is one file beside this one, feeds one parser, and asserts more than that nothing
//! panics: what is accepted must print and parse back to the same value. Targets see only the
//! public surface. An input that once failed becomes a named test beside the parser, not a file
//! here.
