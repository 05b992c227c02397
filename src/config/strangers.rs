//! Who else is let in: the tables `[[token_issuer]]` and `[[foreign_trust_domain]]`.
//!
//! Promises: what comes out is within its bounds; no two trust domains and no two issuers meet, so
//! that a name in this trust domain has one voucher of a kind.
//! Refuses: an issuer or trust domain twice, prefixes within each other, two sources of keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::attestation::{
    ForeignTrustDomain, ForeignTrustDomainError, IssuerError, IssuerTerms, TokenError, TokenIssuer,
};
use crate::identity::{SpiffeIdError, TrustDomain};
use crate::keyset::{KeySourceError, KeysFrom, Roots};
use crate::time::Seconds;

/// An issuer whose tokens are let in.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Its rules.
    pub issuer: TokenIssuer,
    /// Where its keys are.
    pub keys: KeysFrom,
    /// Under which roots its server must prove itself.
    pub roots: Roots,
    /// Whether its server may have an address that is not public.
    pub private_addresses: bool,
}

/// A trust domain whose SVIDs are let in.
#[derive(Clone, Debug)]
pub struct ForeignConfig {
    /// Its name, and where its subjects stand here.
    pub domain: ForeignTrustDomain,
    /// Its roots, PEM.
    pub bundle: Vec<PathBuf>,
}

/// Why a table is refused.
#[derive(Debug, thiserror::Error)]
pub enum StrangersError {
    /// An algorithm that is not known.
    #[error("`algorithms`: `{0}` is not known; use `EdDSA`, `ES256`, `ES384`, `PS256` or `RS256`")]
    Algorithm(String, #[source] TokenError),
    /// No file.
    #[error("`bundle` is empty: name the file of its roots")]
    Bundle,
    /// Its rules.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// No URL.
    #[error("`jwks_url` is refused")]
    JwksUrl(#[source] KeySourceError),
    /// No span.
    #[error("`{0}` is no span such as `10m`")]
    Span(&'static str),
    /// No trust domain.
    #[error("`name` is refused")]
    Name(#[source] SpiffeIdError),
    /// Its own name or prefix.
    #[error(transparent)]
    Foreign(#[from] ForeignTrustDomainError),
    /// Two voices for one name.
    #[error("`{0}` and `{1}` meet: two of them could vouch for one subject")]
    Meet(String, String),
    /// Both sources.
    #[error("`jwks_url` and `jwks_file` are two sources; give one, or none for discovery")]
    TwoSources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    issuer: String,
    audience: String,
    algorithms: Vec<String>,
    subject: String,
    #[serde(default)]
    require: BTreeMap<String, String>,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    private_addresses: bool,
    #[serde(default = "hour")]
    life_max: String,
    #[serde(default = "ten_seconds")]
    leeway: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForeignFile {
    name: String,
    bundle: Vec<PathBuf>,
    prefix: Option<String>,
}

pub(super) fn issuers(
    files: Vec<IssuerFile>,
    served: &TrustDomain,
) -> Result<Vec<IssuerConfig>, StrangersError> {
    let mut issuers: Vec<IssuerConfig> = Vec::new();
    for file in files {
        let issuer = file.checked(served)?;
        let url = |one: &IssuerConfig| one.issuer.terms().issuer.clone();
        if issuers.iter().any(|other| url(other) == url(&issuer)) {
            return Err(StrangersError::Meet(url(&issuer), url(&issuer)));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

pub(super) fn foreign(
    files: Vec<ForeignFile>,
    served: &TrustDomain,
) -> Result<Vec<ForeignConfig>, StrangersError> {
    let mut all: Vec<ForeignConfig> = Vec::new();
    for file in files {
        let new = file.checked(served)?;
        let meets = |other: &&ForeignConfig| {
            let [one, two] = [&other.domain, &new.domain];
            let [above, below] = [one, two].map(|it| format!("{}/", it.prefix()));
            one.name() == two.name() || above.starts_with(&below) || below.starts_with(&above)
        };
        if let Some(other) = all.iter().find(meets) {
            let [one, two] = [other, &new].map(|it| it.domain.prefix().to_owned());
            return Err(StrangersError::Meet(one, two));
        }
        all.push(new);
    }
    Ok(all)
}

impl IssuerFile {
    fn checked(self, served: &TrustDomain) -> Result<IssuerConfig, StrangersError> {
        let keys = match (self.jwks_url, self.jwks_file) {
            (None, None) => KeysFrom::Discovery,
            (None, Some(path)) => KeysFrom::File(path),
            (Some(url), None) => KeysFrom::Url(url.parse().map_err(StrangersError::JwksUrl)?),
            (Some(_), Some(_)) => return Err(StrangersError::TwoSources),
        };
        let algorithm = |text: String| {
            let read = text.parse();
            read.map_err(|error| StrangersError::Algorithm(text, error))
        };
        let span = |name, text: &str| {
            text.parse::<Seconds>()
                .map_err(|_| StrangersError::Span(name))
        };
        let terms = IssuerTerms {
            issuer: self.issuer,
            audience: self.audience,
            algorithms: self
                .algorithms
                .into_iter()
                .map(algorithm)
                .collect::<Result<_, _>>()?,
            life_max: span("life_max", &self.life_max)?,
            leeway: span("leeway", &self.leeway)?,
            require: self.require,
            subject: self.subject,
        };
        Ok(IssuerConfig {
            issuer: TokenIssuer::new(terms, served.clone())?,
            keys,
            roots: self.ca_file.map_or(Roots::System, Roots::File),
            private_addresses: self.private_addresses,
        })
    }
}

impl ForeignFile {
    fn checked(self, served: &TrustDomain) -> Result<ForeignConfig, StrangersError> {
        let name: TrustDomain = self.name.parse().map_err(StrangersError::Name)?;
        let prefix = self.prefix.unwrap_or_else(|| format!("/foreign/{name}"));
        if self.bundle.is_empty() {
            return Err(StrangersError::Bundle);
        }
        Ok(ForeignConfig {
            domain: ForeignTrustDomain::new(name, prefix, served.clone())?,
            bundle: self.bundle,
        })
    }
}

fn hour() -> String {
    "1h".to_owned()
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> TrustDomain {
        "td.example".parse().unwrap()
    }

    fn issuer(more: &str) -> Result<IssuerConfig, String> {
        let text = format!(
            "issuer = \"https://idp.example\"\naudience = \"protem\"\nalgorithms = [\"ES256\"]\n\
             {more}"
        );
        let file: IssuerFile = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut read = issuers(vec![file], &served()).map_err(|error| error.to_string())?;
        Ok(read.remove(0))
    }

    #[test]
    fn an_issuer_is_read_with_its_rules_or_refused() {
        assert!(issuer("subject = \"/ci/{repository:2}/{environment}\"").is_ok());
        assert!(issuer("subject = \"/ci/fleet\"\nrequire = { azp = \"fleet\" }").is_ok());
        for more in [
            "subject = \"/ci/fleet\"",
            "subject = \"ci/{a}\"",
            "subject = \"/ci/{a\"",
            "subject = \"/ci/x{a}\"",
            "subject = \"/ci/{}\"",
            "subject = \"/ci/{a:0}\"",
            "subject = \"/ci/{a:9}\"",
            "subject = \"/scope/{a}\"",
            "subject = \"/{a}/ci_x\"",
            "subject = \"/ci/{a}\"\nleeway = \"31s\"",
            "subject = \"/ci/{a}\"\nlife_max = \"2d\"",
            "subject = \"/ci/{a}\"\nlife_max = \"x\"",
            "subject = \"/ci/{a}\"\njwks_url = \"http://idp.example/keys\"",
            "subject = \"/ci/{a}\"\njwks_url = \"https://a.example\"\njwks_file = \"b\"",
            "subject = \"/ci/{a}\"\nunknown = 1",
        ] {
            assert!(issuer(more).is_err(), "{more}");
        }
        let plain = "subject = \"/ci/{a}\"";
        let text = |from: &str, to: &str| {
            let text = format!(
                "issuer = \"https://idp.example\"\naudience = \"a\"\nalgorithms = [\"ES256\"]\n\
                 {plain}"
            );
            let file: Result<IssuerFile, _> = toml::from_str(&text.replace(from, to));
            issuers(vec![file.unwrap()], &served())
        };
        for (from, to) in [
            ("https://idp", "http://idp"),
            ("idp.example", "idp.example?a"),
            ("\"a\"", "\"\""),
            ("[\"ES256\"]", "[]"),
            ("ES256", "HS256"),
            ("ES256", "none"),
        ] {
            assert!(text(from, to).is_err(), "{to}");
        }
    }

    #[test]
    fn nobody_has_two_vouchers() {
        let read = |tables: &[(&str, &str)]| {
            let file = |(name, prefix): &(&str, &str)| ForeignFile {
                name: (*name).to_owned(),
                bundle: vec!["a.pem".into()],
                prefix: Some((*prefix).to_owned()),
            };
            foreign(tables.iter().map(file).collect(), &served())
        };
        assert!(read(&[("a.example", "/a"), ("b.example", "/ab")]).is_ok());
        for tables in [
            [("a.example", "/a"), ("a.example", "/b")],
            [("a.example", "/a"), ("b.example", "/a")],
            [("a.example", "/a"), ("b.example", "/a/b")],
            [("a.example", "/a/b"), ("b.example", "/a")],
            [("a.example", "/a"), ("td.example", "/b")],
        ] {
            assert!(read(&tables).is_err(), "{tables:?}");
        }
    }
}
