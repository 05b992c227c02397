//! Decisions about agents: local callers, sockets, Envoy's protocols, uses.
//!
//! # One stream tells, REST acts
//!
//! Agents hear of changes over one gRPC stream, and mint, elevate and report over the same REST
//! endpoints as everybody. So there is one place for each act, one set of limits, one record.
//! Price: a connection for each call of an agent; it always carries the agent's newest SVID.
//!
//! # Changes name what to look at, and carry no state
//!
//! Who watches reads it as it stands. Price: one read for each relevant change. Otherwise two
//! changes told in the wrong order would leave a removed entry alive. Who is too slow is told
//! everything anew in the same stream, not by a new connection: the kill switch would else make
//! every agent shake hands at once. Not measured: every watcher wakes for every change; with
//! thousands of agents, routing by subject would be the remedy.
//!
//! # A holder is the agent's word, an instance the server's
//!
//! What tells processes apart is known on the host alone. The agent names a holder, and the server
//! hashes it together with the agent's own SPIFFE ID, so that no agent can speak for a holder of
//! another. The usual holder is `host`: every process of a subject at one agent, because an
//! application, its Envoy and the person at its shell are one workload there. `this_process`
//! narrows it to one.
//!
//! # The agent's own key is new with every renewal
//!
//! Elevations bind to holders, not to the agent's key, so nothing is lost by it. Certificate and
//! key are replaced together by the rename of one link; the old key is deleted.
//!
//! # The default identity is chosen by rule
//!
//! The hint `default`, else the first in the order of SPIFFE IDs. An identity never takes the place
//! of a default that is not minted yet: the stream waits, and ends as unavailable after five
//! seconds. Order of creation would move the default with a restore; a random one is how others
//! made every proxy change its name.
//!
//! # An entry without selectors fits nobody
//!
//! An entry that was registered before agents says nothing of local callers. Were it to fit
//! everybody, naming an agent in it would give it to every process of the host.
//!
//! # A right at the moment of use is opened by demand alone
//!
//! Once for each time that somebody begins to ask for a name. What ended by time is not opened
//! again by a subscription that still stands, and what a person ended or refused is not asked for
//! again for a minute. Price: a state-of-the-world subscription, which never ends, opens once in
//! its life.
//!
//! # What a request opened gives way before its end
//!
//! A proxy's pooled connection shows the certificate that it was made with, and nothing in the
//! protocol ends it: where a right simply ended, requests were refused until the pool's own bound,
//! though the next right was to be had for the asking. So with the last certificate of a right that
//! a request opened, whoever asks at the moment of use (by delta) is told that it is gone; his next
//! connection asks anew, and that elevation names the one that it continues. Where asking comes to
//! nothing, because policy or the server has another word now, he is given what is left. Price: for
//! the life of one certificate a subject may have two elevations for a scope, and a policy that
//! counts them sees both. Not for what people gave: that lives to its end, and nobody is asked for
//! another without a word of his.
//!
//! # In the last seconds of a right nothing is minted
//!
//! A certificate ends up to three seconds before its right (times are cut to seconds, and the last
//! one is inclusive) and is told until a second before that: what is minted in the last five would
//! never be told. It was, again and again, in the last second of each right.
//!
//! # Certificates that were given back give way to revoked ones
//!
//! At the server, at the agent (16,384) and in a filter (4,096, which Envoy compares one by one for
//! each request), in that order. Else a holder pushes a revocation off the list by elevating and
//! withdrawing. Price: a thief who gives back what he stole has a filter that may forget it.
//!
//! # A module ends connections that Envoy would keep
//!
//! Nothing in Envoy's configuration knows notAfter for a connection as such, and a filter that
//! comes by ECDS reaches new connections only. `deploy/envoy` is a library that Envoy loads: it
//! compares the clock with notAfter for each piece of data, closes idle connections by a timer, and
//! keeps one deny list for the process, which the agent brings as the configuration of a filter. So
//! there is no file to watch and no second way for a list to come. Envoy's own filter for filter
//! state tells the module what it must know of a certificate, because the interface shows no
//! notAfter and numbers its attributes anew with each version. Closing is Envoy's `Abort`: its
//! `NoFlush` still writes what is pending, and sent a waiting greeting to a holder who was not let
//! in (measured).
//!
//! Price: native code inside of the proxy, one build for each minor version of Envoy, and one file
//! of unsafe declarations, written by hand because no registry has Envoy's own kit for this
//! version. A request on its way at the cut must be tried again by its client. Alternatives:
//! greatest ages, which know a connection's beginning and not its end; changing the filter chain,
//! which closes everybody's connections; an Envoy of our own making.
//!
//! # What waits is judged anew when a policy comes into force
//!
//! And when minting is released, and at a start: with nobody as the speaker, the subject's own
//! question, without an address. What is permitted becomes approved, so that agents hear of it;
//! what is not waits on and lapses by its own clock. A mint asks again with the caller's facts, so
//! that an approval by itself opens nothing.
//!
//! # An agent that has just started takes nothing away
//!
//! From a client that comes back: it does not know yet what that client may hold. An elevated SVID
//! is removed only when the server has told that nothing is open for it.
//!
//! # A denial never ends before its time
//!
//! What a server that has just started does not tell is not taken for lifted. A message that cannot
//! be understood takes away what it is about: nothing older and wider may stay.
//!
//! # The last certificate of a right is not renewed
//!
//! Where what is held ends within two seconds of the right, a successor would live no longer.
//!
//! # Who may connect, and what a connection is worth
//!
//! Both sockets are 0666: attestation decides, a mode would be a second fence. The connection ends
//! with the process that made it, also in the hands of another. A caller whose effective user or
//! group differs from when he connected has no selectors: otherwise he could give his connection
//! away, run a set-user-ID program and let the other act as root. Price: a process that drops
//! privileges connects again.
//!
//! `unix:path` is told only where the path leads the agent to the very file that runs: any user can
//! make a mount namespace with his own `/usr/bin/payments`. Price: none for containers, nor after a
//! package upgrade until the restart. No `unix:sha256` for files on FUSE, whose owner answers each
//! read as he likes. `systemd:id` is the outermost unit; `container:id` counts only below groups
//! that root's runtimes make, so rootless containers are not told apart.
//!
//! On kernels without `SO_PEERPIDFD` (before 6.5) processes younger than 100 ms at accept are
//! refused, because their number may have had another owner when they connected; clients come
//! again.
//!
//! # A call sits before it is read, and no user has more than a quarter
//!
//! Each call takes a seat of its process and its user when its headers are there, keeps it until
//! its answer has left, and its one message is whole within ten seconds. Before, whoever sent
//! headers and nothing more was counted nowhere: 57 connections filled the agent. Single calls of
//! discovery, calls of the Workload API that are not answered yet, access logs and probes have
//! pools of their own, so that half a call never takes the place of a stream. Of each pool one user
//! has a quarter, and root of the host all: whether root is the host's is read from its control
//! groups when it connects. Price: an Envoy's user has 5,000 streams, not 10,000, and four users
//! who mean harm together can still fill a pool. Alternative: seats for those alone whom an entry
//! fits; that is known only after an attestation, which is what they would fill then. Whom no entry
//! fits has 64 streams for a minute, of the deny list too, and all such users 1,024.
//!
//! An answer hands on no next piece while 16 KiB of it wait to leave: the HTTP/2 library would keep
//! 400 KiB of each for who does not read. Price: a counter at each piece.
//!
//! # Names are few bytes
//!
//! 8 KiB of a stream, 1 MiB of all streams of a user, and what is echoed as removed the same; the
//! deny list's service keeps its two names. What is longer is cut before it meets a stream's
//! buffer, which never shrinks. Price: who asks for a name of more than 2 KiB, or for hundreds of
//! names, gets no word of those that are left out.
//!
//! # Callers cause few lines in the log
//!
//! One for each kind in ten seconds, with how many were kept back; metrics count them all. Price:
//! of many who are refused the log names one. What a caller shows is told to him and not logged.
//!
//! # Any authority over a Unix socket
//!
//! gRPC's C core sends the socket's path as `:authority`, which the HTTP/2 library refuses as RFC
//! 3986 has it. Over a Unix socket it means nothing, so `%` and `/` in that one value are replaced
//! before the library reads them. Price: a page of frame reading. Alternative: no Python, Ruby or
//! C++ client.
//!
//! # The validation context is plain roots
//!
//! Envoy's SPIFFE validator ignores CRLs and DNS matchers in silence. It is a switch, for those who
//! federate. A CRL is not offered: an issuer without a fresh one refuses everybody.
//!
//! # The deny list is memory made of the ledger
//!
//! Not a table: it is rebuilt at each start from the ends of the last sixteen minutes, the longest
//! life of an elevated SVID and one more. Bound 131,072 certificates; those that end first give
//! way, loudly. Before the server has told it, a filter is told nothing: an empty list would lift
//! the one that an Envoy has.
//!
//! # Silence counts only where somebody gives his word
//!
//! `idle_longest` of a scope is its author's word that the servers' access logs are reported. An
//! elevation falls idle when every agent that an entry names for every server of the scope gave its
//! word (a cover) from the beginning of the idle time to its end. A silent agent's cover stands
//! still, so nothing more ends. A reporter is believed about its own servers: a liar can keep an
//! idle elevation until `ends_at`, and hide uses at a server that could as well refuse them. A use
//! counts for every active elevation of its subject and scope, since a certificate's names do not
//! tell which. Covers live in memory, uses in the row. The idle time binds by the sweep alone, not
//! at the mint. Price: an agent that is named and gone holds the idle time up;
//! `protem_scopes_uncovered` shows it.
//!
//! # `x509` renews itself
//!
//! A first proof by an X.509-SVID of elsewhere obtains a base SVID that lives on without the other
//! authority. Price: what a thief obtained goes on until the entry is removed.
