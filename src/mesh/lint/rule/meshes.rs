//! Rules on Istio (`PM5xx`), Linkerd (`PM6xx`) and Consul (`PM7xx`).

use super::{Rule, error, warning};

pub(in crate::mesh::lint) const RULES: [&Rule; 22] = [
    &PERMISSIVE,
    &NOT_STRICT,
    &NO_SELECTOR,
    &NO_BOUND,
    &NO_SERVER_NAME,
    &SCHEME,
    &ALIAS,
    &ISTIO_RESUMES,
    &ISTIO_NO_RECIPE,
    &AMBIENT,
    &UNVERIFIED,
    &ALLOW_ALL,
    &AUDIT_ONLY,
    &EVERY_IDENTITY,
    &DNS_PATTERN,
    &NEVER_FIRST,
    &UNAUTHENTICATED,
    &OPEN_SERVER,
    &UNMATCHABLE,
    &ANY_SOURCE,
    &CONSUL_PERMISSIVE,
    &BELOW_THE_FLOOR,
];

pub(in crate::mesh::lint) static PERMISSIVE: Rule = error(
    "PM501",
    "PERMISSIVE server behind a MUTUAL client",
    "MUTUAL does not say Istio's ALPN: a PERMISSIVE server takes the connection for opaque TLS and \
     asks no identity. Plain text is let in as well.",
    "Set `mtls: {mode: STRICT}`.",
);

pub(in crate::mesh::lint) static NOT_STRICT: Rule = warning(
    "PM502",
    "no PeerAuthentication makes the server STRICT",
    "Istio's default is PERMISSIVE: it takes a MUTUAL connection for opaque TLS and asks no \
     identity.",
    "Add a PeerAuthentication with `mtls: {mode: STRICT}` in the server's namespace.",
);

pub(in crate::mesh::lint) static NO_SELECTOR: Rule = error(
    "PM503",
    "credential without workloadSelector is not read by sidecars",
    "The sidecar goes out with its base identity, or with none; a gateway that reads it goes out \
     elevated for all of its clients.",
    "Add `workloadSelector`.",
);

pub(in crate::mesh::lint) static NO_BOUND: Rule = error(
    "PM504",
    "elevated connections have no longest life",
    "The pool keeps the connection, and with it the old certificate, for ever.",
    "Set `connectionPool: {tcp: {maxConnectionDuration: 120s}}`.",
);

pub(in crate::mesh::lint) static NO_SERVER_NAME: Rule = error(
    "PM505",
    "any workload can play the server",
    "With a credential of your own Istio checks no name: whoever holds any certificate of the \
     roots receives the elevated requests.",
    "Set `subjectAltNames` to the server's whole SPIFFE ID.",
);

pub(in crate::mesh::lint) static SCHEME: Rule = error(
    "PM506",
    "principal with a scheme never matches",
    "Istio puts `spiffe://` before it once more: who is allowed is refused, who is denied is \
     served.",
    "Leave `spiffe://` out.",
);

pub(in crate::mesh::lint) static ALIAS: Rule = warning(
    "PM507",
    "`cluster.local` is not replaced in an elevated name",
    "Aliases are applied to names of five parts only: the rule never matches.",
    "Write the real trust domain.",
);

pub(in crate::mesh::lint) static ISTIO_RESUMES: Rule = warning(
    "PM508",
    "sidecar resumes sessions",
    "Istio sets no resumption switch: a client whose certificate has ended opens new connections \
     with an old ticket.",
    "Add an EnvoyFilter that sets both switches on inbound listeners.",
);

pub(in crate::mesh::lint) static ISTIO_NO_RECIPE: Rule = warning(
    "PM509",
    "nothing ends requests at notAfter in the sidecar",
    "A live connection is served long after the certificate's end.",
    "Add an EnvoyFilter with the expiry recipe before RBAC.",
);

pub(in crate::mesh::lint) static AMBIENT: Rule = error(
    "PM510",
    "ambient mesh cannot read this name",
    "ztunnel knows names of five parts only: it refuses the handshake of a `path` name, and a \
     waypoint never sees it.",
    "Mint the scope with the `folded` encoding and write `sa/web_db.read`.",
);

pub(in crate::mesh::lint) static UNVERIFIED: Rule = error(
    "PM511",
    "server is not verified",
    "With `insecureSkipVerify` anybody on the way receives the elevated requests.",
    "Remove it.",
);

pub(in crate::mesh::lint) static ALLOW_ALL: Rule = error(
    "PM512",
    "rule that allows everything beside a scope",
    "Rules that allow are an OR: the one on the scope decides nothing.",
    "Give it a `from`, or a `to` that leaves out what the scope guards.",
);

pub(in crate::mesh::lint) static AUDIT_ONLY: Rule = error(
    "PM513",
    "rule on a scope that enforces nothing",
    "A dry run logs and lets everybody in.",
    "Remove the annotation `istio.io/dry-run`.",
);

pub(in crate::mesh::lint) static EVERY_IDENTITY: Rule = error(
    "PM601",
    "every identity of the mesh is let in",
    "`*` means every workload with any certificate of the mesh, elevated or not.",
    "Write each SPIFFE ID whole.",
);

pub(in crate::mesh::lint) static DNS_PATTERN: Rule = error(
    "PM602",
    "identity with a wildcard",
    "A wildcard in a DNS identity lets in accounts that nobody thought of; in a SPIFFE ID it \
     matches nothing at all.",
    "Write each identity whole.",
);

pub(in crate::mesh::lint) static NEVER_FIRST: Rule = error(
    "PM603",
    "Linkerd reads the first SAN only",
    "The URI comes first in what protem mints: a DNS name for the scope never matches.",
    "Mint the scope with the `path` encoding and write the whole SPIFFE ID.",
);

pub(in crate::mesh::lint) static UNAUTHENTICATED: Rule = error(
    "PM604",
    "clients without an identity are let in",
    "Anybody who reaches the port is served, in plain text.",
    "Ask for `meshTLS` identities.",
);

pub(in crate::mesh::lint) static OPEN_SERVER: Rule = error(
    "PM605",
    "server is open where no policy speaks",
    "A port whose policies are removed, or never came, is served to everybody.",
    "Set `accessPolicy: deny`.",
);

pub(in crate::mesh::lint) static UNMATCHABLE: Rule = error(
    "PM701",
    "intention cannot match a name with a path",
    "Consul's pattern ends after the service: a `path` name matches no intention, neither one \
     that allows nor one that denies.",
    "Mint the scope with the `folded` encoding and write `web_db.read` as the source.",
);

pub(in crate::mesh::lint) static ANY_SOURCE: Rule = error(
    "PM702",
    "every service is allowed beside a scope",
    "The intention on the scope decides nothing: `*` lets in every service that no other names.",
    "Deny `*`.",
);

pub(in crate::mesh::lint) static CONSUL_PERMISSIVE: Rule = error(
    "PM703",
    "proxy takes plain text",
    "With `permissive` mutual TLS a connection without a certificate is asked no intention.",
    "Set `MutualTLSMode: strict`.",
);

pub(in crate::mesh::lint) static BELOW_THE_FLOOR: Rule = warning(
    "PM704",
    "Consul mints no leaf below an hour",
    "The life is raised or refused: a right of minutes lasts an hour.",
    "Let protem mint the elevated SVIDs, with its roots in the bundle.",
);
