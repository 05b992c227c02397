//! What a configuration reaches, in words, at the head of each text.
//!
//! | Tier | Access can outlive notAfter by |
//! |---|---|
//! | 0 | no bound |
//! | 1 | the age of connections and streams |
//! | 2 | 50 ms for HTTP |
//! | 3 | 10 ms for everything; needs the module of `deploy/envoy`, which no text has yet |
//!
//! Promises: the number is computed from what is printed below it.
//! Refuses: to leave out what is not enforced.

use std::fmt::Write as _;

use crate::mesh::bounds::Span;
use crate::mesh::right::Right;
use crate::mesh::template::{comment, comment_point};
use crate::scope::Encoding;

/// How well an end is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Nothing ends what has begun.
    Open,
    /// The age of connections and streams ends it.
    Bounded,
    /// The certificate's own notAfter ends each request and stream.
    Cut,
    /// The certificate's own notAfter ends each connection.
    Closed,
}

/// By how much access can outlive notAfter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlives {
    /// By so many milliseconds.
    Ms(u64),
    /// A connection goes on for as long as both ends like; new ones are refused.
    Unbounded,
}

/// What a text says of itself.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Which tier.
    pub tier: Tier,
    /// The number.
    pub outlives: Outlives,
    /// How the number comes about.
    pub because: String,
    /// What nothing below takes care of.
    pub not_enforced: Vec<String>,
}

impl Tier {
    /// As the facts number them.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Bounded => 1,
            Self::Cut => 2,
            Self::Closed => 3,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Open => "nothing ends a connection that has begun",
            Self::Bounded => "connections and streams end by their age, not by the certificate",
            Self::Cut => "each request and each stream ends with the certificate",
            Self::Closed => "each connection ends with the certificate",
        }
    }
}

impl Promise {
    /// The comment at the head of a text.
    pub(crate) fn head(&self, title: &str, right: &Right) -> String {
        let mut text = comment(title);
        text.push_str("#\n");
        text.push_str(&comment(&format!(
            "Tier {} of 3: {}.",
            self.tier.number(),
            self.tier.words()
        )));
        let outlives = match self.outlives {
            Outlives::Ms(ms) => format!("at most {}", Span { ms }),
            Outlives::Unbounded => "any time, on connections that are open".to_owned(),
        };
        let words = format!(
            "Access can outlive notAfter by: {outlives}. {}",
            self.because
        );
        text.push_str(&comment(&words));
        text.push_str("# Not enforced:\n");
        for what in &self.not_enforced {
            text.push_str(&comment_point(what));
        }
        text.push_str(&rights(right));
        text
    }
}

/// Who may, who may with the base SVID, and what an elevated identity inherits or loses.
fn rights(right: &Right) -> String {
    let mut text = format!("# Who may, elevated for `{}`:\n", right.scope());
    for holder in right.holders() {
        let dns = holder.sans.dns.as_deref();
        let dns = dns.map_or(String::new(), |name| format!(" and DNS:{name}"));
        let _ = writeln!(text, "# - {}{dns}", holder.sans.uri);
    }
    if right.base().is_empty() {
        text.push_str("# Who may with a base SVID: nobody.\n");
    } else {
        text.push_str("# Who may with a base SVID (--base-rights):\n");
        for subject in right.base() {
            let _ = writeln!(text, "# - {subject}");
        }
    }
    text.push_str(&comment(match right.encoding() {
        Encoding::Dns => {
            "What an elevated identity keeps: it shows its base SPIFFE ID too, so every rule for \
             that one still lets it in, whatever scope it is elevated for."
        }
        Encoding::Folded => {
            "What an elevated identity loses: it is another service's name, so no rule for the \
             base SPIFFE ID or its service account lets it in. What it may do here is what this \
             scope opens."
        }
        Encoding::Path => {
            "What an elevated identity loses: it is another SPIFFE ID, so no exact rule for the \
             base SPIFFE ID lets it in. Rules by prefix, namespace or service account (Istio) \
             still do."
        }
    }));
    text
}

/// What the recipe was measured to be late by, at most.
pub(crate) const RECIPE_MS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_numbered_as_they_get_better() {
        let tiers = [Tier::Open, Tier::Bounded, Tier::Cut, Tier::Closed];
        assert!(tiers.is_sorted());
        assert!(tiers.iter().zip(0..).all(|(tier, n)| tier.number() == n));
    }
}
