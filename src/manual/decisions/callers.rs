//! Decisions about callers: doors, tokens, instances, proxies.
//!
//! # An instance is the hash of the key that calls
//!
//! For a direct caller. Two processes of one subject are two instances as long as they hold two
//! keys; no agent is needed to tell them apart. Price: a process with a new key is a new instance,
//! and an elevation bound to the old key does not serve it.
//!
//! # A leaf key is kept over renewals
//!
//! `protem svid write` renews with the same key, also over a restart while the SVID lives, because
//! elevations are bound to that key. Price: a stolen key stays useful for as long as it is renewed,
//! not for one life. Alternative: a new key at each renewal, and a way to carry the binding over.
//!
//! # The folder of an elevated SVID is another one
//!
//! `protem elevate` refuses the folder of the base SVID, and clears its own at the end. So a failed
//! elevation never disturbs the ordinary identity.
//!
//! # One proof for each request
//!
//! A certificate or a bearer secret, never both: two would be two callers, and some code would pick
//! one.
//!
//! # A join token only mints
//!
//! It obtains one base SVID and reads nothing. Price: a workload calls twice before it sees
//! anything.
//!
//! # The first operator is made by the server
//!
//! At the first start, written to `operator.token` with mode 0600. It is the one credential that no
//! policy gave. Price: whoever reads that file is an operator. It never ends; see the threats.
//!
//! # The offline desk lives in `server`
//!
//! Checking, testing and explaining a bundle, backup and restore need no running server, but they
//! need policy and store. The command line is a client and may import neither. So these functions
//! stand in `server`, where the parts meet. Price: a room with two faces.
//!
//! # Acts outlive their callers
//!
//! A POST runs on a tracker and not on its connection: stopped between record and signature it
//! would wait for the next start. Reading ends with its reader.
//!
//! # No chunked requests, no compression
//!
//! Two ways to say how long a body is are how requests are smuggled, and unpacking undoes a bound.
//! Price: a client must know the length before it sends.
//!
//! # HTTP/1.1 heads are judged before HTTP's own reader sees them
//!
//! The library under the door takes bare LF for a line's end and answers other faults without a
//! document. A reader of a few lines stands before it, hands on whole heads with one reading, and
//! puts a head that names the fault in place of one without. So a refusal has its document, its log
//! line and its place after earlier answers. Price: one copy of what comes over HTTP/1.1, and some
//! heads that RFC 9112 would forgive, such as an empty line in front. HTTP/2 pays nothing.
//! Alternative: to break the connection without a word.
//!
//! # An HTTP/2 stream that makes no step is reset
//!
//! After 90 s, which is longer than any wait of a handler. A peer that opens no window for its
//! answer would hold it for as long as the connection lives. Price: a timer for each stream.
//!
//! # The status of a problem is chosen in one place
//!
//! `api::problem` maps closed lists without wildcard: a new way to be refused does not compile
//! until it has a status.
//!
//! # Every page of an audit query is recorded
//!
//! A cursor is no way around the record. Price: a long export by pages is as many events as pages;
//! the stream is one.
//!
//! # Envoy's recipe has two filters, not three
//!
//! The recipe that we began from compared `request.time` with notAfter, and `request.time` is the
//! first byte of the head. A head that begins before notAfter and ends after it was served. Now one
//! filter writes the milliseconds that are left at `%EMIT_TIME%` into the header that also limits
//! the stream, and RBAC asks whether that number is at least 1. One filter fewer, and the hole is
//! closed; the check `slow_head` of `tests/envoy/drive.py` tries it.
//!
//! Price: the header must be written by `OVERWRITE`, and an expression that fails leaves no number,
//! which denies.
//!
//! # The cluster's `max_connections` is out of reach
//!
//! A stream's limit starts when its upstream connection is there. With Envoy's default of 1,024 a
//! holder could fill the line before notAfter and be served from it afterwards. So no request may
//! wait for a connection; `max_requests` bounds the load. Price: an upstream without HTTP/2 may see
//! many connections.
//!
//! # TLS 1.3 only, and both resumption switches off
//!
//! A resumed session does not look at the peer's certificate again. rustls and Envoy both resume by
//! default. Price: a full handshake each time, about 1,500 a second for each core.
//!
//! # No reload of the configuration
//!
//! What a server does is in its file at the start. Price: a restart. Base SVIDs live an hour, so
//! that protem may be away for half of it.
