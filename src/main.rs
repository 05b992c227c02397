//! The `protem` binary.
fn main() {}
