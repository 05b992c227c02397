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
//! # A token of an issuer only mints, too
//!
//! Who holds it, a claimant, obtains the base SVID of the subject that the claims make, and asks
//! for rights with that. A bearer token has no key: an elevation that it opened could be bound to
//! nobody, and whoever read the token in a log could open one. Policy sees the subject as itself,
//! with its entry, as for every workload; which issuers may speak for it stands in the entry's
//! `obtained_by`. Every event that it causes names the issuer and the hash of the token's id.
//! Price: two calls where one would do.
//!
//! # A claimant's SVID does not renew itself
//!
//! Where an entry names token issuers alone, each base SVID costs a token: a CI job that is over
//! must not live on in its certificate. Price: a long job has to fetch a new token.
//! Alternative: an SVID that ends with its token; jobs of an hour would lose theirs after minutes.
//!
//! # A token can be shown again until it ends
//!
//! As the standard has it (RFC 7519). `life_max` bounds that time. Spending each `jti` once would
//! need a record that lasts as long as the token, for a proof that travels over TLS to one place.
//! Price: who steals a token has its base SVID for the minutes that the token lives.
//!
//! # For one audience, and for its own client
//!
//! A token for two audiences is refused, also where one is ours: the other reader could show it
//! here. `azp` must be the audience, or be named in `require`. Price: an issuer that always adds
//! an audience cannot be used.
//!
//! # Claims fill whole segments, a fixed number of them
//!
//! `{repository:2}` is two segments, no more and no fewer. Otherwise `a/b` and `c` would make the
//! same subject as `a` and `b/c`. Price: groups of any depth need the number of a project instead
//! of its path, which is better anyway: names are given away again.
//!
//! # Keys of issuers are kept for an hour
//!
//! Read every five minutes, and once in half a minute when a token names one that is not known.
//! When the issuer is away the last ones hold for an hour, then nobody is let in by them. Price: a
//! key that an issuer withdraws is believed for five minutes, or for an hour if he is away too.
//!
//! # A foreign workload has a name here
//!
//! A path below its trust domain's prefix, with an entry that says `foreign`. So policy, ledger and
//! certificates know one kind of subject, and what it is called outside stands in each event.
//! protem gives it no base SVID: two base identities would drift apart. Price: servers match the
//! mapped name. An elevation is bound to the key that asked, and SPIRE and Istio take a new key
//! with each renewal; ask again then, or ask for `all` instances.
//!
//! # Who vouched is told by the issuer's key identifier
//!
//! In the own trust domain, under `own_bundle`, a leaf of the mesh's and one of protem's name the
//! same subject. The door takes one that names an issuer of protem's only with that issuer's
//! signature, so the name suffices at each request. Price: a mesh that copied the identifier would
//! be refused.
//!
//! # Bundles are read again every two seconds
//!
//! Without a signal and without a restart: other programs write these files. A file that cannot be
//! used changes nothing and is told in the log, because one that is being written must not lock
//! everybody out. So removing a file distrusts nobody: write another bundle. Price: connections
//! that are open live on, at most an hour.
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
//! # Idempotency keys belong to an instance
//!
//! Two processes of one subject choose their keys without knowing of each other. Were the keys the
//! subject's, the second would be refused, or would get an elevation that serves the first alone.
//! Price: who asks again with a new leaf key asks for the first time. Join tokens and operators
//! have keys of their own, as before.
//!
//! # Refusals are bounded, grants are not
//!
//! The bucket that protects the ledger is taken from where a refusal would be recorded, not at the
//! door: a caller who floods with what he may not have still renews what he may. Price: each of his
//! requests is decided before it is refused; what it may cost is bounded by the bucket of requests.
//! Alternative: shutting him out for a while, with which one process could take its whole subject
//! down.
//!
//! # The line is ordered by the end of the caller's own certificate
//!
//! Not by arrival: whoever came first may have an hour, whoever came last a minute. The end is
//! known at the door without asking the store. Price: a renewal of an elevated SVID is ranked by
//! its holder's base SVID, not by the elevated one that ends sooner; the line is some seconds long,
//! and renewals begin at half of the life. One caller holds at most three quarters of the places,
//! so nearness to the end cannot be used to keep everybody else out.
//!
//! # A reserve of connections instead of a longer queue
//!
//! Who is an operator is known only after the handshake, so a few connections beyond the limit are
//! taken, asked, and served where an operator's credential comes with the request. Everybody else
//! there hears 503 with `Retry-After`. Beyond the reserve a peer gets a TLS alert before any
//! handshake: seven bytes, no task. Price: an alert may be lost with data that nobody reads.
//!
//! # An idle connection holds each part once
//!
//! The state of nested async functions holds what is passed down once for each step. Handshake and
//! serving are on the heap, the first is gone after its part, and what is served is pinned where it
//! is made. The task of a connection fell from 19 KiB to some hundred bytes, beside 8 KiB that
//! serve: 40 to 33 KiB of memory for each idle connection in a build without optimisation. What is
//! left is the buffers of HTTP/2 (16 KiB to write, 8 to read) and TLS, which cannot be set.
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
//!
//! # What a mesh is told is text, filled into templates
//!
//! `protem mesh` fills names and bounds into YAML that a person wrote, comments and all, rather
//! than building messages and printing them: the reason for each line is what an operator needs,
//! and no serializer keeps it. What is filled in is parsed first (SPIFFE IDs, scopes, addresses,
//! paths, labels), so that nothing ends a quotation. Price: only a run shows that the text is
//! right; golden files hold it still, and a real Envoy runs it. Alternative: a YAML library, and
//! comments elsewhere.
//!
//! # For raw TCP the names are asked twice
//!
//! In the handshake and by RBAC. Envoy's RBAC for TCP is asked at the client's first byte, and a
//! service that speaks first had spoken by then (found by a test: a base SVID read a greeting).
//! Price: a refusal is a failed handshake without a policy's name, and the `dns` encoding, whose
//! two names the handshake would take as alternatives, is refused for TCP. Alternative: to wait
//! for the client's first byte before the service is called, which no service that speaks first
//! survives.
