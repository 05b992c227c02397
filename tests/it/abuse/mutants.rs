//! Mutations of the hostile requests: new keys, and the same choices in every run.
//!
//! Promises: what is accepted has, byte for byte, the signed part of a request that its holder
//! made, so key and proof are his. A mutation may repair a request that was refused, such as one
//! with a trailing byte; it may not change what was signed. Nothing panics.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64ct::{Base64, Encoding as _};
use protem::x509::{CSR_BYTES_MAX, CsrRules, KeyKind, VerifiedCsr};

use crate::der::tlv;
use crate::hostile_csr::corpus;

#[test]
fn mutants_are_refused_or_keep_their_key() {
    let keys = [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into();
    let rules = CsrRules {
        strict: false,
        keys,
        blocked: BTreeSet::new(),
    };
    let seeds: Vec<Vec<u8>> = corpus()
        .into_iter()
        .map(|(_, _, bytes, _, _)| bytes)
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= CSR_BYTES_MAX)
        .collect();
    let accepts = |seed: &&Vec<u8>| VerifiedCsr::parse(seed, &rules).is_ok();
    let well: Vec<Vec<u8>> = seeds
        .iter()
        .filter(accepts)
        .map(|seed| signed(seed))
        .collect();
    assert!(15 <= well.len(), "{} requests are well", well.len());
    // Signed by its holder: in an accepted request, or whole within one that is refused for what
    // stands around it.
    let made = |content: &[u8]| {
        let within = |seed: &Vec<u8>| seed.windows(content.len()).any(|part| part == content);
        well.iter().any(|one| one == content) || seeds.iter().any(within)
    };
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut seen, mut accepted) = (BTreeSet::new(), 0);
    while seen.len() < MUTANTS {
        for seed in &seeds {
            let other = &seeds[chance.below(seeds.len())];
            let mutant = chance.mutate(seed.clone(), other);
            let mut hasher = DefaultHasher::new();
            mutant.hash(&mut hasher);
            if mutant == *seed || !seen.insert(hasher.finish()) {
                continue;
            }
            if let Ok(csr) = VerifiedCsr::parse(&mutant, &rules) {
                accepted += 1;
                assert!(made(&signed(&mutant)), "{csr:?} from {mutant:02x?}");
            }
        }
    }
    // White space around armour, and signatures that say the same, are no lie.
    assert!(
        accepted * 20 < MUTANTS,
        "{accepted} of {MUTANTS} mutants were accepted"
    );
}

/// What a request signs: the first element of its SEQUENCE. Reads only what was accepted.
fn signed(request: &[u8]) -> Vec<u8> {
    let der = match str::from_utf8(request) {
        Ok(text) if text.contains("-----BEGIN") => {
            let body = text.lines().filter(|line| !line.contains("-----"));
            Base64::decode_vec(&body.flat_map(str::split_whitespace).collect::<String>()).unwrap()
        }
        _ => request.to_vec(),
    };
    let inner = &der[content_at(&der)..];
    let content = content_at(inner);
    let length = match inner[1] {
        short @ 0..=127 => usize::from(short),
        long => inner[2..2 + usize::from(long & 0x7f)]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    inner[..content + length].to_vec()
}

/// Where the content of the value begins.
fn content_at(der: &[u8]) -> usize {
    match der[1] {
        0..=127 => 2,
        long => 2 + usize::from(long & 0x7f),
    }
}

/// Numbers that look like chance and are the same in every run (xorshift64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One to three changes of bits, bytes or values.
    fn mutate(&mut self, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let span = at..(at + 1 + self.below(16)).min(bytes.len());
            match self.below(9) {
                _ if bytes.is_empty() => bytes.push(self.next() as u8),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.next() as u8,
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x31, 0x03][self.below(8)],
                3 => drop(bytes.drain(span)),
                4 => drop(bytes.splice(at..at, bytes[span].to_vec())),
                5 => drop(bytes.splice(span, other[self.below(other.len())..].to_vec())),
                6 => bytes.truncate(at),
                7 => {
                    // A value within another of the same length and more.
                    let inner = tlv(
                        [0x30, 0x31, 0xa0, 0x04][self.below(4)],
                        &bytes[span.clone()],
                    );
                    drop(bytes.splice(span, inner));
                }
                _ => {
                    let to = self.below(bytes.len());
                    bytes.swap(at, to);
                }
            }
        }
        bytes
    }
}

const MUTANTS: usize = 50_000;
