//! Rules on the side that shows an elevated SVID (`PM4xx`).

use super::{Rule, error, warning};

pub(in crate::mesh::lint) const RULES: [&Rule; 13] = [
    &NOT_HASHABLE,
    &NOT_SHARED,
    &KEY_UNSET,
    &POOL,
    &CLIENT_TLS,
    &CLIENT_SESSIONS,
    &ANY_SERVER,
    &HEADER_STAYS,
    &SILENT_REFUSAL,
    &PREFETCH,
    &CLIENT_RETRIES,
    &DEFAULT_ELEVATED,
    &POOL_LONG,
];

pub(in crate::mesh::lint) static NOT_HASHABLE: Rule = error(
    "PM401",
    "name of the secret is not part of the pool's key",
    "Base requests ride connections that were opened for a scope: no error, no log.",
    "Set `factory_key: envoy.hashable_string`.",
);

pub(in crate::mesh::lint) static NOT_SHARED: Rule = warning(
    "PM402",
    "name of the secret does not reach the upstream",
    "The mapper sees nothing, and elevated requests go out with the base SVID, in silence.",
    "Set `shared_with_upstream: ONCE`.",
);

pub(in crate::mesh::lint) static KEY_UNSET: Rule = warning(
    "PM403",
    "nothing sets the key that the mapper reads",
    "A key that is misspelt means the base SVID, in silence.",
    "Set `object_key: envoy.tls.certificate_mappers.on_demand_secret`.",
);

pub(in crate::mesh::lint) static POOL: Rule = error(
    "PM404",
    "pool keeps connections with an old certificate",
    "A new certificate changes nothing in an old pool: after notAfter the server refuses every \
     request, and where it does not, an ended right lives on.",
    "Set `max_connection_duration` of the cluster below life - point of renewal - a margin.",
);

pub(in crate::mesh::lint) static CLIENT_TLS: Rule = error(
    "PM405",
    "client shows a scope over TLS below 1.3",
    "As client Envoy takes TLS 1.2 when not told otherwise: the elevated certificate crosses the \
     network in clear.",
    "Set `tls_params: {tls_minimum_protocol_version: TLSv1_3}`.",
);

pub(in crate::mesh::lint) static CLIENT_SESSIONS: Rule = warning(
    "PM406",
    "client keeps sessions",
    "A session that is taken up again carries the identity it was opened with.",
    "Set `max_session_keys: 0`.",
);

pub(in crate::mesh::lint) static ANY_SERVER: Rule = error(
    "PM407",
    "any workload can play the server",
    "Whoever holds any certificate of the trust domain receives the elevated requests.",
    "Match the server's whole SPIFFE ID in `match_typed_subject_alt_names`.",
);

pub(in crate::mesh::lint) static HEADER_STAYS: Rule = warning(
    "PM408",
    "header that names the scope goes on to the server",
    "The next proxy may take it for its own and elevate in the name of another.",
    "Add it to `request_headers_to_remove`.",
);

pub(in crate::mesh::lint) static SILENT_REFUSAL: Rule = warning(
    "PM409",
    "a refusal of the agent is silence",
    "State of the world has no word for no: a refused request waits for `connect_timeout`.",
    "Set `api_type: DELTA_GRPC`.",
);

pub(in crate::mesh::lint) static PREFETCH: Rule = error(
    "PM410",
    "elevation is opened at the start of the proxy",
    "A right is held for which nobody has any use yet, for as long as the proxy runs.",
    "Prefetch `default` only.",
);

pub(in crate::mesh::lint) static CLIENT_RETRIES: Rule = warning(
    "PM411",
    "elevated calls are tried again",
    "Each try is a request of its own to people who decide.",
    "Remove `retry_policy` from routes that name a scope.",
);

pub(in crate::mesh::lint) static DEFAULT_ELEVATED: Rule = error(
    "PM412",
    "requests without a scope go out elevated",
    "Every request of the application carries the scope, asked for or not.",
    "Set `default_value: default`.",
);

pub(in crate::mesh::lint) static POOL_LONG: Rule = warning(
    "PM413",
    "pool keeps connections beyond the renewal of the certificate",
    "SVIDs are renewed at half of their life; a connection that lives longer shows one that has \
     ended: the server refuses every request on it, until it goes.",
    "Set `max_connection_duration` below half of the scope's `svid_life`.",
);
