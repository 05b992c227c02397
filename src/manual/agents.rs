//! The agent on each host: who it serves, what it hands over, and what happens when something is
//! away.
//!
//! # Set it up
//!
//! ```text
//! protem entry put --subject spiffe://prod.example/agent/host-1 --obtained-by token --owner ops
//! protem token create spiffe://prod.example/agent/host-1
//! protem agent run --config agent.toml
//!
//! protem entry put --subject spiffe://prod.example/ns/shop/sa/web --owner shop --group shop \
//!     --obtained-by spiffe://prod.example/agent/host-1 \
//!     --selector unix:uid:1001 --selector unix:path:/usr/bin/web
//! ```
//!
//! `deploy/config/agent.toml` documents every setting, `deploy/systemd` has the unit. The token
//! works once; from then on the agent renews its own SVID by itself and keeps it with its key
//! (0600) in `state`, so that a restart needs no new token. A host that has an X.509-SVID of a
//! configured foreign trust domain needs no token at all: `svid` in `agent.toml`, and `x509` in the
//! `obtained_by` of the agent's entry.
//!
//! An agent obtains SVIDs only for entries that name it in `obtained_by`, and learns of no others.
//!
//! # Who calls
//!
//! A caller is told by the kernel when he connects (`SO_PEERCRED`, `SO_PEERPIDFD`), never by what
//! he says. He is given what his entries say: those whose selectors are all among his. An entry
//! without selectors fits nobody.
//!
//! | Selector | Is |
//! |---|---|
//! | `unix:uid:N`, `unix:gid:N` | user and group of the connection |
//! | `unix:user:NAME`, `unix:group:NAME` | the same by name |
//! | `unix:supplementary_gid:N`, `unix:supplementary_group:NAME` | further groups of the process |
//! | `unix:path:/usr/bin/web` | the program's path |
//! | `unix:sha256:HEX` | SHA-256 of the program that runs, not of what lies at its path now |
//! | `systemd:id:web.service` | the unit that the process is in |
//! | `container:id:HEX` | the container that the process is in |
//!
//! **Never `unix:path` or `unix:sha256` without a user, unit or container**: alone they fit every
//! local user who can run that file, and he can load his own code into it (`LD_PRELOAD`, `ptrace`
//! of his own child). `protem entry put` warns of such entries.
//!
//! A uid means the same in all containers that have no user namespace of their own: root of any of
//! them is `unix:uid:0`. Name the container, or give each its own users.
//!
//! What he shows is looked at again before an SVID is pushed, renewals too (of these once a second
//! for each connection): who has become another program since is given nothing of what the first
//! one had. His streams end with his process. *Limits:* who
//! hands his open socket to another process lends it his identity for as long as he himself lives;
//! two processes of one user can read each other's memory unless something else prevents it; a path
//! is worth what the rights of its folder are worth, `unix:sha256` is not.
//!
//! # What he is given
//!
//! | Socket | Serves |
//! |---|---|
//! | `workload_socket` | the SPIFFE Workload API (X.509), health, reflection, `protem agent` |
//! | `sds.socket` | Envoy: secrets (SDS, all three ways), deny list (ECDS), access log |
//!
//! His **default** is the entry with the hint `default`, else the one whose SPIFFE ID sorts first;
//! an elevated SVID never is. A base SVID is minted when somebody first asks for it and renewed at
//! a point between 45 and 55 % of its life, drawn once for each certificate. An elevated one is
//! minted when an elevation that serves him is open and somebody asked for its scope; each has a
//! key of its own, and policy is asked again for each renewal. A standing stream of the Workload
//! API asks for all that its caller may hold: it makes every approved elevation of its subject
//! active as soon as it is approved, and its time runs from then. That is by design; who wants a
//! right to begin at its first use opens it on demand.
//!
//! | Secret's name | Is |
//! |---|---|
//! | `default` | the default's base SVID |
//! | a SPIFFE ID of his | that SVID; under `dns` always the base SVID |
//! | `scope/db.read` | the default's elevated SVID for that scope |
//! | `ROOTCA`, `spiffe://TRUST_DOMAIN` | roots of his own trust domain, or of one he federates with |
//! | `ALL` | roots of his own and all that he federates with |
//! | any of these after `sds://` | the same, as Istio asks; `NAME-cacert` is his own roots |
//!
//! A name that is not his or does not exist disturbs no other: state-of-the-world leaves it out,
//! delta says that it is removed, and the stream goes on. It is answered as soon as it exists.
//! Where no entry fits the caller at all, the stream ends after a minute, the deny list's too;
//! Envoy connects again.
//!
//! # A right at the moment of use
//!
//! With Envoy's on-demand secret selector (`deploy/demo/client.yaml`) a request that names a scope
//! asks for the secret `scope/...` while it waits. Where `on_demand` of `agent.toml` and of the
//! scope both allow it, the agent opens an elevation: one for each subject and scope at a time,
//! bound to all of the subject's processes on this host. Policy sees that it is on demand.
//! Permitted, the request passes some milliseconds later. While people decide it is held for `hold`
//! and then refused; once they approved, or a policy came into force that permits it, the next
//! request passes (where one is held still, that one). A denial is remembered for a minute. The
//! same holds after somebody ended the right by hand: nothing opens it again within that minute. A
//! right that a request opened gives way before it ends by its time: with its last certificate the
//! secret is removed, and the next connection asks anew, while those that were made before come of
//! age (keep `max_connection_duration` below 0.4 of `svid_life`). So requests that come on and on
//! pass on and on, where policy says so each time. Where it does not, what is left is used to its
//! end. A restart of the agent forgets which rights were opened so: those simply end, and a
//! connection that Envoy still keeps answers 403 until it is too old.
//!
//! `protem elevate SCOPE --socket PATH --reason WHY` asks the same by hand, as the caller's own
//! subject.
//!
//! # How a right ends at a proxy
//!
//! By its notAfter, always. When it is ended before (`protem revoke`), the server tells the agent
//! at once, and nothing more is minted. The agent takes the SVID and its key away and tells its
//! Envoys: by delta the secret is removed, which new connections of an on-demand selector feel at
//! once; by state-of-the-world, which cannot remove, the base SVID takes its place. Envoy keeps
//! connections that are open: bound them (Envoy's max_connection_duration), and let the servers
//! subscribe to the deny list: filters `protem.deny_list` (HTTP) and `protem.deny_list.tcp` over
//! ECDS deny the next request of a denied certificate within milliseconds. For TCP it is the next
//! connection, at the first byte that its client sends: what a service says before that is said.
//! `protem.deny_list.module` is for the module of `deploy/envoy`, which cuts connections that live,
//! each one at its notAfter too, and closes new ones before a service is heard.
//!
//! A CRL is not offered by SDS: an issuer without a fresh one refuses everybody, the one for the
//! intermediate alone refuses everybody too, and the SPIFFE validator ignores it.
//!
//! # When something is away
//!
//! | What | Then |
//! |---|---|
//! | the server | what is held is handed over until it ends, renewals are tried on |
//! | the agent, for a restart | all go on with what they have and connect again; it mints anew |
//! | the agent, killed | the same; its sockets are taken over by the next start |
//! | the agent, longer than its own SVID lives | it needs a first proof again: a new join token |
//! | Envoy, for a restart | it is given what is current; an elevation of the host serves it |
//! | the workload's process | its streams end; what nobody follows is not renewed and forgotten |
//! | this machine, asleep | what has ended meanwhile is dropped before anything is handed over |
//! | this host's clock | the difference is shown (`protem agent status`), and logged from 2 s on |
//! | a socket's file | is told in the log, and made anew where its folder is still safe |
//!
//! An agent that has just started takes no elevated SVID away from an Envoy that comes back with
//! one, unless the server has told that the elevation is over.
//!
//! # Look at it
//!
//! `protem agent status` shows what is held, until when, who follows it, what went wrong last, and
//! for each stream of Envoy which version it took and what it refused. Root of the host and the
//! agent's own user see all, and what is wrong with the agent; everybody else, and everybody in a
//! container, his own. Metrics are at
//! `observe`; `deploy/observability/agent-metrics.md` has all.
//!
//! # Limits
//!
//! | At once | In all | Of one user | Of one process |
//! |---|---|---|---|
//! | connections, of each socket | 16,384 | 1,024 | 1,024 |
//! | streams of the Workload API | 65,536 | 16,384 | 64 |
//! | calls of it that are not answered yet | 16,384 | 4,096 | 128 |
//! | streams of Envoys (SDS, ECDS) | 20,000 | 5,000 | 10,000 |
//! | of these, whom no entry fits: for a minute each | 1,024 | 64 | 64 |
//! | single calls of SDS and ECDS | 1,024 | 256 | 64 |
//! | access logs | 2,048 | 512 | 512 |
//! | health and reflection | 4,096 | 1,024 | 16 |
//! | `protem agent` (elevate, wait, status) | 128 | 32 | 8 |
//!
//! Fewer connections where fewer files may be open. Root of the host has what is there in all, and
//! a part of each is kept for it; root of a container is a user like others, and so is root of an
//! agent's own container. A request's headers are at most 4 KiB, a single request is whole within
//! ten seconds; a stream of an Envoy names at most 64 names and 8 KiB of them, all of one user
//! 1 MiB. The status may be asked for ten times, then five times a second. A user of the host
//! cannot take the agent from others by himself; **four or more who mean harm together can
//! fill a pool**, and sixteen the connections: what is held lives on, but newcomers wait.
//! `MemoryMax` of the unit ends the agent before the host suffers.
//!
//! One host for one agent; X.509 only (JWT methods say so); Linux with `SO_PEERPIDFD` (6.5), or
//! older with a check of the process's start instead. The digest deny list tells everybody who
//! subscribes which certificates were ended early, as digests. An agent is trusted for the entries
//! that name it: who owns the host owns its identities.
//!
//! Two agents that run with copies of one `state` are not told apart: both have the agent's SVID,
//! and both are given what its entries say. An agent whose entry was removed is told nothing more
//! and gives nothing new; what its callers hold already ends by itself. An Envoy reports uses in
//! the name of its default identity, and they count at scopes that open that server.
