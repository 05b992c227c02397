//! What an issuance costs, what was tried, and what stands in the way.
//!
//! The measure is `cargo bench --bench walk`: processor time of the server for one SVID, as a share
//! of one ECDSA P-256 verification plus one signature in the same run. The share says what a core
//! does of it as a part of what it could do of cryptography alone, whatever the machine.
//!
//! # What was tried
//!
//! Profiled with the whole walk, 64 callers waiting. Gains are of the processor time of one issuance
//! and hold roughly; each was measured in the order in which it stands here.
//!
//! | Change | Gain |
//! |---|---|
//! | facts from memory instead of a read transaction on another thread | 15 % |
//! | one in 32 ECDSA signatures verified after signing, instead of each | 10 % |
//! | Cedar: an entity made once for each version of an entry; the address and the time only where a policy reads them | 10 % |
//! | mimalloc instead of the C library's allocator | 10 % |
//! | no savepoint for acts that look before they write | 9 % |
//! | two indexes of the ledger less: serial numbers have one already, fingerprints by eight bytes | 8 % |
//! | what the lint read is not read again after signing | 6 % |
//! | an event is sealed without a copy of it | 3 % |
//! | hexadecimal by a table instead of the formatter | 3 % |
//! | a 2 ms linger of the writer where twelve or more acts wait | less than 5 %, with many callers |
//!
//! # What was left
//!
//! - **A byte template instead of rcgen** would save 3 %, and the second statement of a certificate.
//! - **No lint in the hot path** would save 6 %. A plan that is wrong would be signed.
//! - **One commit instead of two** would save 10 % and promise 2.
//! - **The kernel's part** (sockets, log, flush, wake-ups) is a quarter of all.
