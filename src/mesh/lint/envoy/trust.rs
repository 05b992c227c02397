//! Rules on validation contexts: which certificates are believed.

use crate::mesh::lint::Named;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name;
use crate::mesh::lint::principal::{Form, Reads, reads, string_match};
use crate::mesh::lint::rule::trust::{
    CRL_CHAIN, EXPIRED, SAN_LOOSE, SAN_OR, SPIFFE_CRL, SPIFFE_DNS, UNTRUSTED,
};
use crate::mesh::lint::tree::At;

/// Looks at a map, if it is a validation context.
pub(super) fn lint<'a>(at: At<'a>, findings: &mut Findings, named: &mut Named<'a>) {
    if !matches!(
        at.key(),
        Some(
            "validation_context"
                | "validationContext"
                | "default_validation_context"
                | "defaultValidationContext"
        )
    ) {
        return;
    }
    if let Some(verification) = at.field("trust_chain_verification")
        && matches!(verification.text(), Some("ACCEPT_UNTRUSTED" | "1"))
    {
        let words = "`trust_chain_verification` is `ACCEPT_UNTRUSTED`";
        findings.tell(&UNTRUSTED, verification, words);
    }
    if at.is_on("allow_expired_certificate")
        && let Some(expired) = at.field("allow_expired_certificate")
    {
        findings.tell(&EXPIRED, expired, "`allow_expired_certificate` is `true`");
    }
    let spiffe = is_spiffe(at);
    if let Some(crl) = at.field("crl") {
        if spiffe {
            findings.tell(&SPIFFE_CRL, crl, "`crl` beside the SPIFFE validator");
        } else if !at.is_on("only_verify_leaf_cert_crl") {
            let words = "`only_verify_leaf_cert_crl: true` is missing beside `crl`";
            findings.tell(&CRL_CHAIN, crl, words);
        }
    }
    names(at, spiffe, findings, named);
}

fn names<'a>(at: At<'a>, spiffe: bool, findings: &mut Findings, named: &mut Named<'a>) {
    let mut identities = 0_usize;
    let mut scopes = None;
    for san in at.list("match_typed_subject_alt_names") {
        let kind = reads(san);
        let Some((form, place, text)) = san.field("matcher").and_then(string_match) else {
            continue;
        };
        if spiffe && kind == Reads::Dns {
            let words = format!("DNS name `{text}` under the SPIFFE validator");
            findings.tell(&SPIFFE_DNS, place, words);
        }
        loose(form, place, text, findings);
        let elevated = name::elevated(text);
        match (kind, name::speaks_of_scope(text)) {
            (Reads::Dns, true) => scopes = scopes.or(Some(san)),
            (Reads::Uri, false) => identities += 1,
            _ => {}
        }
        if form == Form::Exact {
            named.extend(elevated.map(|elevated| (elevated, place)));
        }
    }
    for old in at.list("match_subject_alt_names") {
        if let Some((form, place, text)) = string_match(old) {
            loose(form, place, text, findings);
        }
    }
    if let Some(scope) = scopes
        && 0 < identities
    {
        let words = "an identity and a scope stand in one list";
        findings.tell(&SAN_OR, scope, words);
    }
}

fn loose(form: Form, place: At<'_>, text: &str, findings: &mut Findings) {
    if form != Form::Exact {
        let words = format!("SANs are matched by {}: `{text}`", how(form));
        findings.tell(&SAN_LOOSE, place, words);
    }
}

/// The word for a way to match.
pub(super) const fn how(form: Form) -> &'static str {
    match form {
        Form::Contains => "a part",
        Form::Exact => "the whole",
        Form::Prefix => "their beginning",
        Form::Regex => "a pattern",
        Form::Suffix => "their end",
    }
}

fn is_spiffe(at: At<'_>) -> bool {
    let validator = at.field("custom_validator_config");
    let of = |validator: At<'_>| {
        let named = validator
            .word("name")
            .is_some_and(|name| name.contains("spiffe"));
        let typed = validator
            .fields(&["typed_config", "@type"])
            .and_then(At::text)
            .is_some_and(|kind| kind.ends_with("SPIFFECertValidatorConfig"));
        named || typed
    };
    validator.is_some_and(of)
}
