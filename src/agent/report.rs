//! The reporter: what Envoys logged of elevated SVIDs, brought to the server.
//!
//! Promises: what could not be reported is kept and brought with the next round; a report goes out
//! every [`REPORT_EVERY`], also an empty one: the server is to know that this agent looks.
//! Refuses: to report what no access log said.
