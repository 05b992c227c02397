//! Rules on time: what ends a connection that outlives its certificate (`PM3xx`).

use super::{Rule, error, note, warning};

pub(in crate::mesh::lint) const RULES: [&Rule; 11] = [
    &CONNECTION,
    &STREAM,
    &DRAIN,
    &HTTP1_SAFE,
    &TCP,
    &NO_RECIPE,
    &RECIPE_UNASKED,
    &RECIPE_EARLY,
    &RECIPE_APPENDS,
    &RETRIES,
    &EDGE,
];

pub(in crate::mesh::lint) static CONNECTION: Rule = warning(
    "PM301",
    "HTTP connection without a longest life",
    "Where the expiry recipe is lost in an edit, requests on a live connection are served long \
     after notAfter.",
    "Set `common_http_protocol_options: {max_connection_duration: 300s}`.",
);

pub(in crate::mesh::lint) static STREAM: Rule = warning(
    "PM302",
    "HTTP stream without a longest life",
    "`max_connection_duration` never cuts a running stream: a download or a WebSocket runs on.",
    "Set `max_stream_duration` beside `max_connection_duration`.",
);

pub(in crate::mesh::lint) static DRAIN: Rule = note(
    "PM303",
    "connection is served on while it drains",
    "After `max_connection_duration` requests are still served for `drain_timeout`: 5 s when left \
     out.",
    "Set `drain_timeout: 1s`.",
);

pub(in crate::mesh::lint) static HTTP1_SAFE: Rule = error(
    "PM304",
    "HTTP/1.1 connection gets one request more",
    "An idle connection is served once more, however late: at age 8 s where 5 s were set.",
    "Remove `http1_safe_max_connection_duration`.",
);

pub(in crate::mesh::lint) static TCP: Rule = error(
    "PM305",
    "TCP connection without a longest life",
    "Nothing in Envoy's configuration looks at notAfter of a raw connection: it is served for as \
     long as both ends like.",
    "Set `max_downstream_connection_duration`, or load protem's expiry module.",
);

pub(in crate::mesh::lint) static NO_RECIPE: Rule = error(
    "PM306",
    "nothing ends requests at notAfter",
    "TLS looks at notAfter in the handshake only: a live connection is served for ever after.",
    "Put the expiry recipe before RBAC (`deploy/demo/server.yaml`), or load the expiry module.",
);

pub(in crate::mesh::lint) static RECIPE_UNASKED: Rule = error(
    "PM307",
    "the rule does not ask how much time is left",
    "The stream's limit of an ended certificate is no number, so it limits nothing: the request is \
     served.",
    "Permit only `x-envoy-upstream-stream-duration-ms` in `range_match: {start: 1, end: 900001}`.",
);

pub(in crate::mesh::lint) static RECIPE_EARLY: Rule = warning(
    "PM308",
    "time is taken at the first byte of the request",
    "A client sends the first byte before notAfter and the rest when it likes, and is served.",
    "Take the time with `%EMIT_TIME(%s%3f)%`.",
);

pub(in crate::mesh::lint) static RECIPE_APPENDS: Rule = error(
    "PM309",
    "what the client sends counts as the time that is left",
    "The default appends to the client's own header: it says how long its certificate lives.",
    "Set `append_action: OVERWRITE_IF_EXISTS_OR_ADD`.",
);

pub(in crate::mesh::lint) static RETRIES: Rule = warning(
    "PM310",
    "a retry starts the stream's limit anew",
    "A stream that was to end at notAfter is tried again with the whole limit.",
    "Remove `retry_policy` where the limit comes from the certificate.",
);

pub(in crate::mesh::lint) static EDGE: Rule = warning(
    "PM311",
    "clients may send Envoy's own headers",
    "A client's `x-envoy-retry-on` starts a new upstream stream with a new limit.",
    "Set `use_remote_address: true`.",
);
