//! Profiles: what a kind of certificate may look like, read from TOML into valid types.
//!
//! Promises: a [`Profile`] that exists is coherent: its lives are in order, its usages fit what
//! it is for. The law is enforced once, at start.
//! Refuses: unknown keys, unknown words, a leaf that could sign certificates, an authority that
//! could serve (boulder's validated profiles are the example).

use serde::Deserialize;

use crate::time::{Seconds, TimeError};
use crate::x509::{ExtendedKeyUse, KeyKind, KeyUse};

/// The kinds of certificate that protem makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileName {
    /// A workload's ordinary identity.
    Base,
    /// A workload's identity for one scope.
    Elevated,
    /// An issuer below the root.
    Intermediate,
    /// The root.
    Root,
    /// protem's own server names.
    Service,
}

/// Which key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssuerName {
    /// Signs base SVIDs.
    Base,
    /// Signs elevated SVIDs.
    Elevated,
    /// The root, or the issuer that an operator brought.
    Root,
    /// Signs protem's own server names.
    Service,
}

/// A valid profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Which kind of certificate.
    pub name: ProfileName,
    /// The life without another wish.
    pub life: Seconds,
    /// The shortest life that may be wished.
    pub life_shortest: Seconds,
    /// The longest life that may be wished.
    pub life_longest: Seconds,
    /// How far before now a certificate begins.
    pub backdate: Seconds,
    /// The kinds of key that may be certified.
    pub keys: Vec<KeyKind>,
    /// Key usages, in the standard's order.
    pub key_usage: Vec<KeyUse>,
    /// Extended key usages; none means the extension is absent.
    pub extended_key_usage: Vec<ExtendedKeyUse>,
    /// Whether a request for more than the key's certification is refused instead of ignored.
    pub strict_csr: bool,
}

/// The profiles of one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    /// For workloads.
    pub base: Profile,
    /// For workloads with a scope.
    pub elevated: Profile,
    /// For issuers.
    pub intermediate: Profile,
    /// For an own root.
    pub root: Profile,
    /// For protem's servers.
    pub service: Profile,
}

/// Why a profile is refused.
#[derive(Debug, thiserror::Error)]
#[error("profile `{profile}`: {fault}")]
pub struct ProfileError {
    profile: &'static str,
    #[source]
    fault: ProfileFault,
}

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileFault {
    /// The profile is signed by the wrong issuer for its kind.
    #[error("issuer must be `{0}`")]
    Issuer(&'static str),
    /// No kind of key could ever be certified.
    #[error("keys is empty")]
    NoKeys,
    /// Lives out of order or above the ceiling.
    #[error("lives must be `life_shortest` <= `life` <= `life_longest` <= {0}")]
    Lives(Seconds),
    /// A span that is none.
    #[error("a span cannot be read")]
    Span(#[from] TimeError),
    /// Not the TOML of a profile.
    #[error("the file cannot be read")]
    Toml(#[from] toml::de::Error),
    /// The backdate reaches into the usable life.
    #[error("backdate must be at most 2m and at most half of `life_shortest`")]
    Backdate,
    /// Usages that do not belong to this kind of certificate.
    #[error("key_usage and extended_key_usage must be {0}")]
    Usages(&'static str),
    /// A word that is not in the list.
    #[error("`{0}` is unknown; use one of {1}")]
    Word(String, &'static str),
}

impl Profiles {
    /// The profiles that protem ships, in `pki/profiles/`.
    ///
    /// # Errors
    /// None in a released protem: a test reads them.
    pub fn shipped() -> Result<Self, ProfileError> {
        Self::read(|name| match name {
            ProfileName::Base => include_str!("../../pki/profiles/base.toml").to_owned(),
            ProfileName::Elevated => include_str!("../../pki/profiles/elevated.toml").to_owned(),
            ProfileName::Intermediate => {
                include_str!("../../pki/profiles/intermediate.toml").to_owned()
            }
            ProfileName::Root => include_str!("../../pki/profiles/root.toml").to_owned(),
            ProfileName::Service => include_str!("../../pki/profiles/service.toml").to_owned(),
        })
    }

    /// Profiles from texts.
    ///
    /// # Errors
    /// The first profile that is refused, and why.
    pub fn read(text: impl Fn(ProfileName) -> String) -> Result<Self, ProfileError> {
        let one = |name: ProfileName| {
            Profile::parse(name, &text(name)).map_err(|fault| ProfileError {
                profile: name.as_str(),
                fault,
            })
        };
        Ok(Self {
            base: one(ProfileName::Base)?,
            elevated: one(ProfileName::Elevated)?,
            intermediate: one(ProfileName::Intermediate)?,
            root: one(ProfileName::Root)?,
            service: one(ProfileName::Service)?,
        })
    }
}

impl Profile {
    /// Reads a profile of a kind.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(name: ProfileName, text: &str) -> Result<Self, ProfileFault> {
        let file: ProfileFile = toml::from_str(text)?;
        let issuer = name.issuer().as_str();
        if file.issuer != issuer {
            return Err(ProfileFault::Issuer(issuer));
        }
        let keys = file.keys.iter().map(|word| {
            word.parse()
                .map_err(|_| ProfileFault::Word(word.clone(), KEY_WORDS))
        });
        let profile = Self {
            name,
            life: file.life.parse()?,
            life_shortest: file.life_shortest.parse()?,
            life_longest: file.life_longest.parse()?,
            backdate: file.backdate.parse()?,
            keys: keys.collect::<Result<_, _>>()?,
            key_usage: file
                .key_usage
                .iter()
                .map(|word| usage(word))
                .collect::<Result<_, _>>()?,
            extended_key_usage: file
                .extended_key_usage
                .iter()
                .map(|word| extended_usage(word))
                .collect::<Result<_, _>>()?,
            strict_csr: file.strict_csr,
        };
        profile.check()?;
        Ok(profile)
    }

    /// A wished life, drawn into the profile's bounds.
    #[must_use]
    pub fn life_for(&self, wish: Option<Seconds>) -> Seconds {
        wish.unwrap_or(self.life)
            .clamp(self.life_shortest, self.life_longest)
    }

    fn check(&self) -> Result<(), ProfileFault> {
        let ceiling = self.name.life_ceiling();
        let ordered = self.life_shortest <= self.life
            && self.life <= self.life_longest
            && self.life_longest <= ceiling
            && Seconds::default() < self.life_shortest;
        if !ordered {
            return Err(ProfileFault::Lives(ceiling));
        }
        let half = self.life_shortest.count() / 2;
        if BACKDATE_MAX < self.backdate || half < self.backdate.count() {
            return Err(ProfileFault::Backdate);
        }
        if self.keys.is_empty() {
            return Err(ProfileFault::NoKeys);
        }
        self.check_usages()
    }

    fn check_usages(&self) -> Result<(), ProfileFault> {
        let both = [ExtendedKeyUse::ServerAuth, ExtendedKeyUse::ClientAuth];
        let (usages, extended, words): (&[KeyUse], &[ExtendedKeyUse], _) = match self.name {
            ProfileName::Base | ProfileName::Elevated => (
                &[KeyUse::DigitalSignature],
                &both,
                "`digital_signature` with `server_auth` and `client_auth`",
            ),
            ProfileName::Service => (
                &[KeyUse::DigitalSignature],
                &[ExtendedKeyUse::ServerAuth],
                "`digital_signature` with `server_auth` alone",
            ),
            ProfileName::Intermediate | ProfileName::Root => (
                &[KeyUse::KeyCertSign, KeyUse::CrlSign],
                &[],
                "`key_cert_sign` and `crl_sign` with none",
            ),
        };
        if self.key_usage == usages && self.extended_key_usage == extended {
            Ok(())
        } else {
            Err(ProfileFault::Usages(words))
        }
    }
}

impl ProfileName {
    /// The word in file names and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Elevated => "elevated",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
            Self::Service => "service",
        }
    }

    /// Which key signs certificates of this kind.
    #[must_use]
    pub const fn issuer(self) -> IssuerName {
        match self {
            Self::Base => IssuerName::Base,
            Self::Elevated => IssuerName::Elevated,
            Self::Intermediate | Self::Root => IssuerName::Root,
            Self::Service => IssuerName::Service,
        }
    }

    /// DESIGN section 6: what no configuration may exceed.
    const fn life_ceiling(self) -> Seconds {
        match self {
            Self::Base | Self::Service => Seconds::new(86_400),
            Self::Elevated => Seconds::new(900),
            Self::Intermediate => Seconds::new(30 * 86_400),
            Self::Root => Seconds::new(3_650 * 86_400),
        }
    }
}

impl IssuerName {
    /// The issuers below the root.
    pub const INTERMEDIATES: [Self; 3] = [Self::Base, Self::Elevated, Self::Service];

    /// The word in file names and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Elevated => "elevated",
            Self::Root => "root",
            Self::Service => "service",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    issuer: String,
    life: String,
    life_shortest: String,
    life_longest: String,
    backdate: String,
    keys: Vec<String>,
    key_usage: Vec<String>,
    extended_key_usage: Vec<String>,
    strict_csr: bool,
}

fn usage(word: &str) -> Result<KeyUse, ProfileFault> {
    match word {
        "digital_signature" => Ok(KeyUse::DigitalSignature),
        "key_cert_sign" => Ok(KeyUse::KeyCertSign),
        "crl_sign" => Ok(KeyUse::CrlSign),
        _ => Err(ProfileFault::Word(word.to_owned(), USAGE_WORDS)),
    }
}

fn extended_usage(word: &str) -> Result<ExtendedKeyUse, ProfileFault> {
    match word {
        "client_auth" => Ok(ExtendedKeyUse::ClientAuth),
        "server_auth" => Ok(ExtendedKeyUse::ServerAuth),
        _ => Err(ProfileFault::Word(word.to_owned(), EXTENDED_WORDS)),
    }
}

const KEY_WORDS: &str = "`p256`, `p384`, `ed25519`, `rsa`";
const USAGE_WORDS: &str = "`digital_signature`, `key_cert_sign`, `crl_sign`";
const EXTENDED_WORDS: &str = "`client_auth`, `server_auth`";
/// assurance 5.5: more would eat the usable life of short certificates.
const BACKDATE_MAX: Seconds = Seconds::new(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_profiles_are_valid() {
        let profiles = Profiles::shipped().unwrap();
        assert_eq!(profiles.elevated.life_longest, Seconds::new(900));
        assert_eq!(
            profiles.base.life_for(Some(Seconds::new(5))),
            Seconds::new(60)
        );
        assert_eq!(profiles.base.life_for(None), Seconds::new(3_600));
    }

    #[test]
    fn a_profile_that_breaks_a_rule_is_refused() {
        let shipped = include_str!("../../pki/profiles/base.toml");
        for (from, to) in [
            ("life = \"1h\"", "life = \"1w\""),
            ("life = \"1h\"", "life = \"30s\""),
            ("life_longest = \"24h\"", "life_longest = \"25h\""),
            ("backdate = \"30s\"", "backdate = \"31s\""),
            ("issuer = \"base\"", "issuer = \"service\""),
            (
                "[\"digital_signature\"]",
                "[\"digital_signature\", \"key_cert_sign\"]",
            ),
            ("[\"server_auth\", \"client_auth\"]", "[\"client_auth\"]"),
            (
                "keys = [\"p256\", \"p384\", \"ed25519\", \"rsa\"]",
                "keys = []",
            ),
            ("\"rsa\"", "\"dsa\""),
            ("strict_csr = false", "strict_csr = false\nother = 1"),
        ] {
            let text = shipped.replace(from, to);
            assert_ne!(text, shipped, "{from}");
            assert!(Profile::parse(ProfileName::Base, &text).is_err(), "{to}");
        }
    }
}
