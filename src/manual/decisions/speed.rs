//! What an issuance costs, what was tried, and what stands in the way.
//!
//! The measure is `cargo bench --bench walk`: processor time of the server for one SVID, as a share
//! of one ECDSA P-256 verification plus one signature in the same run. It says what a core does of
//! it as a part of what it could do of cryptography alone, whatever the machine.
//!
//! # What was tried
//!
//! Profiled with the whole walk and 64 callers waiting. Gains are of the processor time of one
//! issuance, roughly, in the order in which they were made.
//!
//! | Change | Gain |
//! |---|---|
//! | facts from memory, not by a read transaction on another thread | 15 % |
//! | one in 32 ECDSA signatures is verified after signing, not each | 10 % |
//! | Cedar's form of an entry is made once for each of its versions | 5 % |
//! | the address and the time only where a policy reads them | 5 % |
//! | mimalloc for the C library's allocator | 10 % |
//! | no savepoint for acts that look before they write | 9 % |
//! | serial numbers without an index of their own, fingerprints by eight bytes | 8 % |
//! | what the lint read is not read again after signing | 6 % |
//! | an event is sealed without a copy of it | 3 % |
//! | hexadecimal by a table, not by the formatter | 3 % |
//! | the writer waits 2 ms where twelve acts or more come at once | below 5 % |
//!
//! # Where it stands
//!
//! Wanted were 0.60 of the bound for single issuances over mutual TLS and 0.75 in batches;
//! reached are about 0.2 to 0.3. Of the processor time of one issuance in process, 64 waiting: a
//! third is the bound itself, a quarter the store (half of it the commit: pages of the log,
//! flush, checkpoint), a seventh the plan (building, lint, record), a fifteenth policy, the rest
//! is scheduling and the kernel. Over the wire, HTTP/2, TLS and sockets add an eighth. A caller
//! alone pays some 800 us of wake-ups and flushes that nobody shares.
//!
//! The next steps by size: one row for intent and outcome instead of five in four tables; the
//! outcomes of a group in one act; the lint on borrowed types; the log of requests off the hot
//! path.
//!
//! # What was left
//!
//! - **A byte template instead of rcgen** would save 3 %, and cost a second statement.
//! - **No lint in the hot path** would save 6 %. A plan that is wrong would be signed.
//! - **One commit instead of two** would save 10 %, and promise 2.
