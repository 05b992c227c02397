//! Rules on handshakes: who is let in to be asked at all (`PM1xx`).
//!
//! Refuses: rules on names; those are in `identity`.

use super::{Rule, error, note, warning};

pub(in crate::mesh::lint) const RULES: [&Rule; 14] = [
    &TICKETS,
    &SESSION_IDS,
    &NO_CLIENT_CERTIFICATE,
    &NO_RBAC,
    &UNTRUSTED,
    &EXPIRED,
    &SPIFFE_DNS,
    &SPIFFE_CRL,
    &SERVER_TLS,
    &SAN_LOOSE,
    &SAN_OR,
    &CRL_CHAIN,
    &IN_PLACE,
    &SHADOW,
];

pub(in crate::mesh::lint) static TICKETS: Rule = error(
    "PM101",
    "sessions resume by ticket",
    "A client whose certificate has ended opens new connections with an old ticket, for days: a \
     resumed session is not checked against notAfter.",
    "Set `disable_stateless_session_resumption: true` beside the other switch.",
);

pub(in crate::mesh::lint) static SESSION_IDS: Rule = error(
    "PM102",
    "sessions resume by id",
    "A client whose certificate has ended opens new TLS 1.2 connections with an old session id; \
     with this switch alone missing, tickets off or not.",
    "Set `disable_stateful_session_resumption: true` beside the other switch.",
);

pub(in crate::mesh::lint) static NO_CLIENT_CERTIFICATE: Rule = error(
    "PM103",
    "client certificate is optional where names decide",
    "A client that shows no certificate reaches the rules: those that deny by name do not see it, \
     and those that allow by `not` let it in.",
    "Set `require_client_certificate: true`.",
);

pub(in crate::mesh::lint) static NO_RBAC: Rule = warning(
    "PM104",
    "client certificate without a rule on names",
    "Every workload that any trusted CA has ever named is let in; a scope in the name decides \
     nothing.",
    "Add an RBAC filter with exact SPIFFE IDs and default deny.",
);

pub(in crate::mesh::lint) static UNTRUSTED: Rule = error(
    "PM105",
    "untrusted chains are accepted",
    "A certificate of any CA, made by the attacker and ended too, carries any name past \
     `principal_name` and CEL.",
    "Remove `trust_chain_verification: ACCEPT_UNTRUSTED`.",
);

pub(in crate::mesh::lint) static EXPIRED: Rule = error(
    "PM106",
    "certificates count after their end",
    "A right that was given for minutes lasts for ever; certificates of the future count too.",
    "Remove `allow_expired_certificate: true`.",
);

pub(in crate::mesh::lint) static SPIFFE_DNS: Rule = error(
    "PM107",
    "SPIFFE validator ignores this SAN matcher",
    "The SPIFFE validator looks at URI SANs only: a DNS matcher under it allows the whole trust \
     domain.",
    "Use the default validator, or match the URI.",
);

pub(in crate::mesh::lint) static SPIFFE_CRL: Rule = error(
    "PM108",
    "SPIFFE validator ignores this CRL",
    "A revoked certificate is served: the SPIFFE validator never reads `crl`.",
    "Use the default validator, or the deny list of the agent.",
);

pub(in crate::mesh::lint) static SERVER_TLS: Rule = warning(
    "PM109",
    "server speaks TLS below 1.3 with holders of scopes",
    "In TLS 1.2 the client certificate crosses the network in clear: who listens learns who holds \
     which scope.",
    "Set `tls_params: {tls_minimum_protocol_version: TLSv1_3}`.",
);

pub(in crate::mesh::lint) static SAN_LOOSE: Rule = error(
    "PM110",
    "SAN matcher is not exact",
    "A prefix, suffix or pattern over SANs lets in names that nobody thought of: `sa/webx` by \
     prefix, other service accounts and trust domains by suffix.",
    "Match the whole SPIFFE ID with `exact` and `san_type: URI`.",
);

pub(in crate::mesh::lint) static SAN_OR: Rule = error(
    "PM111",
    "list of SANs is an OR",
    "Of identity and scope, one is enough: any workload with the scope's DNS name gets in, and so \
     does the identity without the scope.",
    "Ask for both in an RBAC rule: `and_ids` of two `mtls_authenticated`.",
);

pub(in crate::mesh::lint) static CRL_CHAIN: Rule = note(
    "PM112",
    "CRL is asked of the whole chain",
    "With a list of the issuing CA alone every client is refused, and with a list that has ended \
     too.",
    "Set `only_verify_leaf_cert_crl: true`.",
);

pub(in crate::mesh::lint) static IN_PLACE: Rule = warning(
    "PM113",
    "secret file is not watched by folder",
    "A file that is written again in its place is never read again: the certificate in use ends, \
     and the revocation list never comes.",
    "Set `watched_directory` and rename the new file into place.",
);

pub(in crate::mesh::lint) static SHADOW: Rule = error(
    "PM114",
    "RBAC filter enforces nothing",
    "With `shadow_rules` alone, or with no rules, the filter logs and lets everybody in.",
    "Move the rules to `rules`.",
);
