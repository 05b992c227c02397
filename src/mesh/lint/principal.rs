//! The matchers on names that stand in an RBAC rule of Envoy.
//!
//! Promises: every matcher on an identity in a rule is found, however deep under `and`, `or` and
//! `not`, with whether a match lets in or keeps out.
//! Refuses: matchers on addresses, headers and metadata: they tell nothing of a certificate.

use crate::mesh::lint::name;
use crate::mesh::lint::tree::At;

/// One matcher on names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matcher<'a> {
    pub(super) form: Form,
    pub(super) text: &'a str,
    pub(super) reads: Reads,
    /// Whether it stands under an odd number of `not`.
    pub(super) negated: bool,
    /// Whether an exact match of a URI must hold beside it.
    pub(super) beside_uri: bool,
    pub(super) at: At<'a>,
}

/// How a text is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Contains,
    Exact,
    Prefix,
    Regex,
    Suffix,
}

/// What is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// DNS SANs.
    Dns,
    /// URI SANs, then DNS SANs, else the subject.
    Name,
    /// Another SAN.
    Other,
    /// What an ambient mesh saw.
    State,
    /// URI SANs.
    Uri,
}

impl Matcher<'_> {
    /// Whether it speaks of a scope.
    pub(super) fn speaks_of_scope(&self) -> bool {
        name::speaks_of_scope(self.text)
    }
}

/// The matchers of a principal.
pub(super) fn matchers(principal: At<'_>) -> Vec<Matcher<'_>> {
    let mut found = Vec::new();
    collect(principal, false, false, &mut found);
    found
}

/// Whether a principal, or one of those it chooses from, is anybody.
pub(super) fn is_anybody(principal: At<'_>) -> bool {
    if principal.is_on("any") {
        return true;
    }
    if let Some(authenticated) = principal.field("authenticated") {
        return authenticated.field("principal_name").is_none();
    }
    let custom = principal.fields(&["custom", "typed_config"]);
    if custom.is_some_and(|custom| custom.field("any_validated_client_certificate").is_some()) {
        return true;
    }
    let mut choices = principal.field("or_ids").into_iter();
    choices.any(|or| or.list("ids").any(is_anybody))
}

fn collect<'a>(principal: At<'a>, negated: bool, beside: bool, found: &mut Vec<Matcher<'a>>) {
    let mut add = |matcher: At<'a>, reads| {
        if let Some((form, at, text)) = string_match(matcher) {
            found.push(Matcher {
                form,
                text,
                reads,
                negated,
                beside_uri: beside,
                at,
            });
        }
    };
    if let Some(name) = principal.fields(&["authenticated", "principal_name"]) {
        add(name, Reads::Name);
    }
    if let Some(state) = principal.field("filter_state")
        && let Some(matcher) = state.field("string_match")
    {
        add(matcher, Reads::State);
    }
    if let Some(san) = principal.fields(&["custom", "typed_config", "san_matcher"])
        && let Some(matcher) = san.field("matcher")
    {
        add(matcher, reads(san));
    }
    if let Some(not) = principal.field("not_id") {
        collect(not, !negated, beside, found);
    }
    for id in principal
        .field("or_ids")
        .into_iter()
        .flat_map(|or| or.list("ids"))
    {
        collect(id, negated, beside, found);
    }
    let and: Vec<At<'a>> = principal
        .field("and_ids")
        .into_iter()
        .flat_map(|and| and.list("ids"))
        .collect();
    let exact: Vec<bool> = and.iter().map(|id| is_exact_uri(*id)).collect();
    let all = exact.iter().filter(|exact| **exact).count();
    for (id, exact) in and.iter().zip(&exact) {
        let held = usize::from(*exact) < all;
        collect(*id, negated, beside || held, found);
    }
}

/// Whether a principal holds only where the URI is exactly one that it names. It goes its own way
/// down: asked of each part by [`collect`], a walk through that would double with each level.
fn is_exact_uri(principal: At<'_>) -> bool {
    if let Some(or) = principal.field("or_ids") {
        return or.list("ids").all(is_exact_uri);
    }
    if let Some(and) = principal.field("and_ids") {
        return and.list("ids").any(is_exact_uri);
    }
    let name = principal.fields(&["authenticated", "principal_name"]);
    let san = principal.fields(&["custom", "typed_config", "san_matcher"]);
    let san = san.filter(|san| reads(*san) == Reads::Uri);
    let matcher = name.or_else(|| san?.field("matcher"));
    matcher
        .and_then(string_match)
        .is_some_and(|(form, _, text)| form == Form::Exact && text.starts_with("spiffe://"))
}

/// What a typed SAN matcher reads.
pub(super) fn reads(san: At<'_>) -> Reads {
    match san.word("san_type") {
        Some("URI" | "3") => Reads::Uri,
        Some("DNS" | "2") => Reads::Dns,
        _ => Reads::Other,
    }
}

/// How a `StringMatcher` matches, where it says so, and what.
pub(super) fn string_match(matcher: At<'_>) -> Option<(Form, At<'_>, &str)> {
    for (name, form) in [
        ("exact", Form::Exact),
        ("prefix", Form::Prefix),
        ("suffix", Form::Suffix),
        ("contains", Form::Contains),
    ] {
        if let Some(at) = matcher.field(name) {
            return Some((form, at, at.text()?));
        }
    }
    let at = matcher.fields(&["safe_regex", "regex"])?;
    Some((Form::Regex, at, at.text()?))
}
