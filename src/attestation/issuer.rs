//! An issuer whose bearer tokens are taken: what they must say, and whom they make.
//!
//! Promises: a token is admitted when its issuer's key signed it, it is for protem alone, it is
//! within its time, every required claim has its exact value, and the claims make one subject. The
//! mapping is total and one to one in its parts: each placeholder is a fixed number of segments, so
//! no claim can spill into its neighbour (assurance T5 to T8, T10).
//! Refuses: tokens without `exp` or `iat`, with times that are not whole seconds, with several
//! audiences, for another client; claims that are no path segments; reserved parts of a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use crate::attestation::jws::{Jws, JwsAlgorithm};
use crate::attestation::key_set::KeySet;
use crate::attestation::strict_json::object;
use crate::attestation::token_error::TokenError;
use crate::id::hex;
use crate::identity::{SpiffeId, Subject, TrustDomain};
use crate::time::{Seconds, Timestamp};

/// An issuer with its rules, all within their bounds.
#[derive(Clone, Debug)]
pub struct TokenIssuer {
    terms: IssuerTerms,
    template: Vec<Part>,
    served: TrustDomain,
}

/// What is configured of an issuer.
#[derive(Clone, Debug)]
pub struct IssuerTerms {
    /// What `iss` must be, byte for byte.
    pub issuer: String,
    /// What `aud` must be.
    pub audience: String,
    /// What its tokens may be signed with.
    pub algorithms: Vec<JwsAlgorithm>,
    /// The longest time from `iat` to `exp`.
    pub life_max: Seconds,
    /// How far the clocks may be apart.
    pub leeway: Seconds,
    /// Claims and the values that they must have; `a>b` is the claim `b` inside of `a`.
    pub require: BTreeMap<String, String>,
    /// The path of the subject, with placeholders: `/ci/{repository:2}`.
    pub subject: String,
}

/// Whoever holds a token that an issuer signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Whose token it is.
    pub issuer: Arc<str>,
    /// Whom its claims make.
    pub subject: Subject,
    /// `jti-sha256:` and the hash of the token's id, or `jws-sha256:` and that of what was signed.
    pub token: String,
}

/// Why an issuer cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// None are pinned.
    #[error("`algorithms` is empty: name those of the issuer's keys, such as `RS256`")]
    Algorithms,
    /// No audience.
    #[error("`audience` must be 1 to {TEXT_BYTES_MAX} bytes")]
    Audience,
    /// Whoever the issuer knows would be let in as one and the same.
    #[error("`subject` has no placeholder and nothing is in `require`: every token would do")]
    Everybody,
    /// No URL.
    #[error("`issuer` must begin with `https://`, without query and fragment")]
    Issuer,
    /// Too much leeway.
    #[error("`leeway` is more than {LEEWAY_MAX}")]
    Leeway,
    /// Too short or too long.
    #[error("`life_max` must be 1s to {TOKEN_LIFE_MAX}")]
    LifeMax,
    /// No path with placeholders.
    #[error("`subject` must be a path of names and placeholders such as `/ci/{{repository:2}}`")]
    Template,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// One segment as it stands.
    Name(String),
    /// So many segments, from this claim.
    Claim(String, usize),
}

impl TokenIssuer {
    /// The issuer, for subjects of this trust domain.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn new(terms: IssuerTerms, served: TrustDomain) -> Result<Self, IssuerError> {
        let url = terms.issuer.strip_prefix("https://");
        let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
        if !url.is_some_and(plain)
            || terms.issuer.contains(['?', '#'])
            || TEXT_BYTES_MAX < terms.issuer.len()
        {
            return Err(IssuerError::Issuer);
        }
        if !(1..=TEXT_BYTES_MAX).contains(&terms.audience.len()) {
            return Err(IssuerError::Audience);
        }
        if terms.algorithms.is_empty() {
            return Err(IssuerError::Algorithms);
        }
        if LEEWAY_MAX < terms.leeway {
            return Err(IssuerError::Leeway);
        }
        if terms.life_max < Seconds::new(1) || TOKEN_LIFE_MAX < terms.life_max {
            return Err(IssuerError::LifeMax);
        }
        let template = read_template(&terms.subject, &served).ok_or(IssuerError::Template)?;
        let named = template.iter().any(|part| matches!(part, Part::Claim(..)));
        if !named && terms.require.is_empty() {
            return Err(IssuerError::Everybody);
        }
        Ok(Self {
            terms,
            template,
            served,
        })
    }

    /// What was configured.
    #[must_use]
    pub const fn terms(&self) -> &IssuerTerms {
        &self.terms
    }

    /// Whom the token makes, at this moment.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn admit(&self, jws: &Jws, keys: &KeySet, now: Timestamp) -> Result<Claimant, TokenError> {
        let payload = jws.verified(keys, &self.terms.algorithms)?;
        let claims = object(payload).ok_or(TokenError::Claims)?;
        if claims.get("iss").and_then(Value::as_str) != Some(self.terms.issuer.as_str()) {
            return Err(TokenError::UnknownIssuer);
        }
        self.check_audience(&claims)?;
        self.check_times(&claims, now)?;
        for (name, value) in &self.terms.require {
            if claim(&claims, name).and_then(Value::as_str) != Some(value) {
                return Err(TokenError::Required(name.clone()));
            }
        }
        Ok(Claimant {
            issuer: self.terms.issuer.as_str().into(),
            subject: self.subject(&claims)?,
            token: token_id(&claims, jws)?,
        })
    }

    /// For protem alone: whoever else a token is for could present it here (RFC 7519 4.1.3).
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let wanted = self.terms.audience.as_str();
        let audience = match claims.get("aud") {
            Some(Value::String(one)) => Some(one.as_str()),
            Some(Value::Array(list)) => match list.as_slice() {
                [one] => one.as_str(),
                _ => None,
            },
            Some(_) | None => None,
        };
        if audience != Some(wanted) {
            return Err(TokenError::Audience(wanted.to_owned()));
        }
        match claims.get("azp") {
            None => Ok(()),
            Some(party) if party == wanted => Ok(()),
            // Its value is compared with the other requirements.
            Some(_) if self.terms.require.contains_key("azp") => Ok(()),
            Some(_) => Err(TokenError::AuthorizedParty),
        }
    }

    fn check_times(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenError> {
        let time = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            // Whole seconds; a text, a fraction or milliseconds are none.
            Some(value) => value
                .as_i64()
                .and_then(|unix_s| Timestamp::from_unix_s(unix_s).ok())
                .map(Some)
                .ok_or(TokenError::Claim(name)),
        };
        let end = time("exp")?.ok_or(TokenError::Claim("exp"))?;
        let made = time("iat")?.ok_or(TokenError::Claim("iat"))?;
        let latest = now.plus(self.terms.leeway);
        if end.plus(self.terms.leeway) <= now {
            return Err(TokenError::Ended);
        }
        if latest < made || time("nbf")?.is_some_and(|start| latest < start) {
            return Err(TokenError::NotYet);
        }
        if made.plus(self.terms.life_max) < end {
            return Err(TokenError::LivesTooLong);
        }
        Ok(())
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<Subject, TokenError> {
        let mut path = String::new();
        for part in &self.template {
            let text = match part {
                Part::Name(name) => name,
                Part::Claim(name, segments) => match claim(claims, name) {
                    Some(Value::String(text)) if text.split('/').count() == *segments => text,
                    Some(_) | None => return Err(TokenError::Subject(name.clone())),
                },
            };
            path.push('/');
            path.push_str(text);
        }
        let id = SpiffeId::new(&self.served, &path);
        id.and_then(Subject::try_from)
            .map_err(|_| TokenError::Subject(self.terms.subject.clone()))
    }
}

/// A claim by its name, or by the names on the way to it: `kubernetes.io>namespace`.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut names = name.split('>');
    let first = claims.get(names.next()?);
    names.fold(first, |found, name| found?.as_object()?.get(name))
}

/// How the ledger tells one token from another without holding it.
fn token_id(claims: &Map<String, Value>, jws: &Jws) -> Result<String, TokenError> {
    let (kind, bytes) = match claims.get("jti") {
        Some(Value::String(id)) => ("jti", id.as_bytes()),
        Some(_) => return Err(TokenError::Claim("jti")),
        None => ("jws", jws.signed()),
    };
    let hash = hex::text(digest(&SHA256, bytes).as_ref());
    Ok(format!("{kind}-sha256:{hash}"))
}

fn read_template(text: &str, served: &TrustDomain) -> Option<Vec<Part>> {
    let segments = text.strip_prefix('/')?.split('/');
    let parts: Option<Vec<_>> = segments.map(read_part).collect();
    let parts = parts?;
    // With any claims it must be able to make a subject.
    let sample = |part: &Part| match part {
        Part::Name(name) => format!("/{name}"),
        Part::Claim(_, segments) => "/x".repeat(*segments),
    };
    let path: String = parts.iter().map(sample).collect();
    let id = SpiffeId::new(served, &path).ok()?;
    Subject::try_from(id).ok()?;
    Some(parts)
}

fn read_part(text: &str) -> Option<Part> {
    let Some(inner) = text.strip_prefix('{') else {
        return Some(Part::Name(text.to_owned()));
    };
    let inner = inner.strip_suffix('}')?;
    let (name, segments) = match inner.split_once(':') {
        None => (inner, 1),
        Some((name, count)) => (name, count.parse().ok()?),
    };
    let legal = !name.is_empty() && (1..=CLAIM_SEGMENTS_MAX).contains(&segments);
    legal.then(|| Part::Claim(name.to_owned(), segments))
}

/// The most leeway that may be configured.
pub const LEEWAY_MAX: Seconds = Seconds::new(30);
/// The longest life that tokens of an issuer may be allowed.
pub const TOKEN_LIFE_MAX: Seconds = Seconds::new(86_400);
const TEXT_BYTES_MAX: usize = 1_024;
/// The most path segments that one claim may fill.
const CLAIM_SEGMENTS_MAX: usize = 8;
