//! The version of one resource, or of a set of them.
//!
//! Promises: written `<rank>-<digest>`. The same content keeps its version, other content has
//! another one, and for one client ranks only rise: what follows stands above what was told
//! before, also where an older thing takes the place of a newer one.
//! Refuses: to read more into a client's version than which content he holds.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

use crate::agent::holdings::Generation;
use crate::id::hex;

/// What a client was told a resource's version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    rank: u64,
    digest: Digest,
}

/// Which content it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; DIGEST_BYTES]);

/// Not a version that was written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForeignVersion;

impl Version {
    /// The version of a content that was made at `generation`, for a client who held `before`.
    pub(crate) fn after(before: Option<Self>, generation: Generation, digest: Digest) -> Self {
        match before {
            Some(before) if before.digest == digest => before,
            Some(before) => Self {
                rank: generation.0.max(before.rank.saturating_add(1)),
                digest,
            },
            None => Self {
                rank: generation.0,
                digest,
            },
        }
    }

    /// Which content it is.
    pub(crate) const fn digest(self) -> Digest {
        self.digest
    }

    /// Its place among others, for the version of a set.
    pub(crate) const fn rank(self) -> Generation {
        Generation(self.rank)
    }
}

impl Digest {
    /// Of parts, each with its length, so that no two lists of parts have the same.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        let mut short = [0; DIGEST_BYTES];
        for (to, from) in short.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(short)
    }

    /// For the digest of a whole.
    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.rank)?;
        hex::write(&self.digest.0, f)
    }
}

impl FromStr for Version {
    type Err = ForeignVersion;

    fn from_str(text: &str) -> Result<Self, ForeignVersion> {
        let (rank, digest) = text.split_once('-').ok_or(ForeignVersion)?;
        if rank.len() > RANK_DIGITS_MAX || !rank.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ForeignVersion);
        }
        Ok(Self {
            rank: rank.parse().map_err(|_| ForeignVersion)?,
            digest: Digest(hex::read(digest).ok_or(ForeignVersion)?),
        })
    }
}

/// Enough that no two contents that one client is given are taken for each other by accident.
/// Nobody gains by making two on purpose: both would be his own.
const DIGEST_BYTES: usize = 8;
const RANK_DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn digest(of: u8) -> Digest {
        Digest::of([[of].as_slice()])
    }

    #[test]
    fn the_same_content_keeps_its_version_and_another_rises() {
        let first = Version::after(None, Generation(17), digest(1));
        assert_eq!(
            Version::after(Some(first), Generation(40), digest(1)),
            first
        );
        // An older thing in the place of a newer one: the base SVID after an elevated one.
        let second = Version::after(Some(first), Generation(12), digest(2));
        assert_eq!(second.rank(), Generation(18));
        let third = Version::after(Some(second), Generation(30), digest(3));
        assert_eq!(third.rank(), Generation(30));
    }

    #[test]
    fn what_others_wrote_is_no_version() {
        for text in [
            "",
            "7",
            "7-",
            "-0011223344556677",
            "+7-0011223344556677",
            "7-001122334455667",
            "7-00112233445566GG",
            "99999999999999999999-0011223344556677",
            "0000000000000000000007-0011223344556677",
        ] {
            assert_eq!(text.parse::<Version>(), Err(ForeignVersion), "{text}");
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| Digest::of(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }

    proptest! {
        #[test]
        fn versions_print_and_parse_back(rank in any::<u64>(), of in any::<u8>()) {
            let version = Version { rank, digest: digest(of) };
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
        }

        #[test]
        fn ranks_never_fall(steps in proptest::collection::vec((0..50_u64, 0..4_u8), 1..40)) {
            let mut before = None;
            for (generation, of) in steps {
                let version = Version::after(before, Generation(generation), digest(of));
                if let Some(earlier) = before {
                    prop_assert!(version == earlier || earlier.rank < version.rank);
                }
                before = Some(version);
            }
        }
    }
}
