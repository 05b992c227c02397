//! Chance, as an argument: the operating system's, or a seed in tests.
//!
//! Promises: this file alone draws random bytes for ids, serials, salts and secrets; a seeded
//! source gives the same bytes for the same seed. Key material never comes from here: the
//! cryptographic library draws its own.
//! Refuses: to go on without randomness. The system source does not fail once it is initialised;
//! should it ever, the only safe answer is to stop.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// A source of random bytes.
pub struct Entropy(Source);

enum Source {
    Seeded { seed: u64, drawn: AtomicU64 },
    System(SystemRandom),
}

impl Entropy {
    /// The operating system's source.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file owns chance")]
    pub fn system() -> Self {
        Self(Source::System(SystemRandom::new()))
    }

    /// A repeatable source for tests; never for anything a stranger must not guess.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(Source::Seeded {
            seed,
            drawn: AtomicU64::new(0),
        })
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system refuses randomness; nothing that protem does is safe then.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no answer is safe; see above"
    )]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System(random) => {
                random
                    .fill(&mut bytes)
                    .expect("the operating system gives randomness");
            }
            Source::Seeded { seed, drawn } => {
                for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
                    let mut input = seed.to_be_bytes().to_vec();
                    input.extend(drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                    let block = digest::digest(&digest::SHA256, &input);
                    chunk
                        .iter_mut()
                        .zip(block.as_ref())
                        .for_each(|(to, from)| *to = *from);
                }
            }
        }
        bytes
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Seeded { .. } => "Entropy(seeded)",
            Source::System(_) => "Entropy(system)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        assert_eq!(
            Entropy::seeded(7).bytes::<40>(),
            Entropy::seeded(7).bytes::<40>()
        );
        assert_ne!(
            Entropy::seeded(7).bytes::<40>(),
            Entropy::seeded(8).bytes::<40>()
        );
        let system = Entropy::system();
        assert_ne!(system.bytes::<16>(), system.bytes::<16>());
    }
}
