//! Rules on names: whom a rule lets in beside those it means (`PM2xx`).
//!
//! Refuses: rules on one mesh alone; those are in `meshes`.

use super::{Rule, error, note, warning};

pub(in crate::mesh::lint) const RULES: [&Rule; 12] = [
    &SUFFIX,
    &PREFIX,
    &REGEX,
    &PRINCIPAL_NAME,
    &FIRST_SAN,
    &ESCAPES,
    &INHERITS,
    &DNS_ALONE,
    &ANYBODY,
    &UNGUARDED,
    &UNKNOWN_SCOPE,
    &ENCODED_OTHERWISE,
];

pub(in crate::mesh::lint) static SUFFIX: Rule = error(
    "PM201",
    "name matched by its end",
    "Any other workload with that scope, any other trust domain under the same roots, and with \
     `principal_name` a certificate with that text in its subject, get in.",
    "Write the whole SPIFFE ID, one exact match for each holder.",
);

pub(in crate::mesh::lint) static PREFIX: Rule = error(
    "PM202",
    "name matched by its beginning",
    "`sa/web` also means `sa/webx` and `sa/web_db.read`; `sa/web/` means every scope of that \
     workload, those of tomorrow too.",
    "Write the whole SPIFFE ID, one exact match for each name that is meant.",
);

pub(in crate::mesh::lint) static REGEX: Rule = error(
    "PM203",
    "name matched by a pattern",
    "A dot means any letter and an open end means any scope: other accounts, other trust domains \
     and scopes of tomorrow get in.",
    "Write the whole SPIFFE ID, one exact match for each name that is meant.",
);

pub(in crate::mesh::lint) static PRINCIPAL_NAME: Rule = warning(
    "PM204",
    "`principal_name` reads more than the SPIFFE ID",
    "It takes every URI SAN, then every DNS SAN, and the subject where there is none; and it takes \
     them of chains that were not verified.",
    "Use `mtls_authenticated` with `san_type: URI`, once both resumption switches are set.",
);

pub(in crate::mesh::lint) static FIRST_SAN: Rule = warning(
    "PM205",
    "expression over SANs",
    "CEL sees the first SAN of its kind only, and the matchers of xDS see all of them joined by \
     commas: a certificate with two names passes or fails by their order.",
    "Use `mtls_authenticated` with an exact URI.",
);

pub(in crate::mesh::lint) static ESCAPES: Rule = error(
    "PM206",
    "elevated name escapes what is denied to its base",
    "Under the `path` and `folded` encodings an elevated certificate has another name: whoever is \
     denied here takes any scope and is served.",
    "Deny by allowing: list exactly who may. Else deny each elevated name too.",
);

pub(in crate::mesh::lint) static INHERITS: Rule = note(
    "PM207",
    "elevated names inherit this base right",
    "Every elevated certificate of the workload has this right too, in any trust domain: a stolen \
     one opens more than its scope.",
    "Write exact `principals` where a scope shall open nothing else.",
);

pub(in crate::mesh::lint) static DNS_ALONE: Rule = error(
    "PM208",
    "scope is asked for without the identity",
    "Any workload that holds the scope gets in, whatever its identity and trust domain.",
    "Ask for the URI too: `and_ids` of two `mtls_authenticated`.",
);

pub(in crate::mesh::lint) static ANYBODY: Rule = error(
    "PM209",
    "everybody is allowed beside a scope",
    "The rule on the scope decides nothing: this one lets in every name.",
    "Remove it, or bind it to the paths that are meant for everybody.",
);

pub(in crate::mesh::lint) static UNGUARDED: Rule = warning(
    "PM210",
    "scope that nothing guards",
    "People decide about a right that opens no door, or the door stands open to all.",
    "Write a rule with the exact elevated SPIFFE ID, or drop the scope.",
);

pub(in crate::mesh::lint) static UNKNOWN_SCOPE: Rule = warning(
    "PM211",
    "rule on a scope that is not in the catalogue",
    "Nobody can hold it today; who adds the scope for another reason opens this door.",
    "Correct the name, or drop the rule.",
);

pub(in crate::mesh::lint) static ENCODED_OTHERWISE: Rule = warning(
    "PM212",
    "scope is written in another encoding than it is minted in",
    "The rule never matches: an allowed holder is refused, a denied one is served.",
    "Write it as the catalogue's `encoding` says.",
);
