//! Certificates from an independent writer: read, verified, chained and linted.
//!
//! The writer below shares no code with the reader, so that both are tested against the standard
//! and not against each other.

mod draft;

use proptest::prelude::*;
use protem::x509::{
    ACTIVATION_INDEX_BYTES, Certificate, CertificateError, ChainError, Evidence, Finding, KeyError,
    KeyKind, KeyUse, NameConstraints, PrivateKey, Role, Subtree, activation_index_offset,
    check_issuer_chain, lint, read_chain, write_chain,
};

use crate::certificates::draft::{
    DIGITAL, Draft, EVIDENCE, NOT_AFTER, NOT_BEFORE, SERIAL, URI, at, both_uses, evidence,
    evidence_der, expected,
};
use crate::der::{alt_names, extension, int, name, null, octets, oid, seq, tlv};

#[test]
fn a_leaf_is_read_back_in_every_part() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let leaf = Draft::leaf();
    let certificate = leaf.signed_by(&ca);
    let tbs = certificate.tbs();
    assert_eq!(certificate.tbs_der(), leaf.tbs(&ca));
    assert_eq!(tbs.serial, SERIAL);
    assert_eq!(tbs.issuer.text(), "CN=issuer");
    assert_eq!(tbs.subject.text(), "");
    assert_eq!(
        (tbs.not_before, tbs.not_after),
        (at(NOT_BEFORE), at(NOT_AFTER))
    );
    assert_eq!(&tbs.public_key, leaf.key.public_key());
    assert_eq!(tbs.alt_names.as_ref().unwrap().uris, [URI]);
    assert_eq!(
        tbs.key_usage.as_deref(),
        Some(&[KeyUse::DigitalSignature][..])
    );
    assert_eq!(tbs.evidence, Some(evidence()));
    assert!(!tbs.is_ca());
    assert!(
        certificate.der().len() <= 1024,
        "{}",
        certificate.der().len()
    );
    let again = Certificate::assemble(certificate.tbs_der(), certificate.signature()).unwrap();
    assert_eq!(again, certificate.der());
}

#[test]
fn both_verifiers_agree_for_every_kind_of_issuer() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa] {
        let [ca, other] = [(); 2].map(|()| PrivateKey::generate(kind).unwrap());
        let certificate = Draft::leaf().signed_by(&ca);
        assert_eq!(certificate.verify_signed_by(ca.public_key()), Ok(()));
        assert_eq!(certificate.verify_signature_fast(ca.public_key()), Ok(()));
        let refused = Err(KeyError::SignatureInvalid);
        assert_eq!(certificate.verify_signed_by(other.public_key()), refused);
        assert_eq!(
            certificate.verify_signature_fast(other.public_key()),
            refused
        );
    }
}

#[test]
fn malformed_certificates_are_told_apart() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let error = |draft: Draft| Certificate::parse(&draft.der(&ca)).unwrap_err();
    let with = |extension| error(Draft::leaf().with(extension));
    let nul = alt_names(true, &[(6, b"spiffe://a/b\0c")]);
    assert_eq!(
        error(Draft::leaf().replace(0, nul)),
        CertificateError::NameCharacter
    );
    let twice = extension("2.5.29.15", true, &tlv(3, &[7, 0x80]));
    assert_eq!(
        with(twice),
        CertificateError::ExtensionTwice("2.5.29.15".into())
    );
    let evidence = extension(EVIDENCE, false, &seq(&[int(&[2])]));
    assert!(matches!(
        error(Draft::leaf().replace(6, evidence)),
        CertificateError::Evidence(_)
    ));
    let torn = extension("2.5.29.30", true, b"\x30\x01");
    assert!(matches!(with(torn), CertificateError::Extension { .. }));
    assert_eq!(
        error(Draft {
            serial: vec![0],
            ..Draft::leaf()
        }),
        CertificateError::Serial
    );
    assert_eq!(
        error(Draft {
            serial: vec![0x80],
            ..Draft::leaf()
        }),
        CertificateError::Serial
    );
    assert_eq!(
        error(Draft {
            version: 1,
            ..Draft::leaf()
        }),
        CertificateError::Version
    );
    let spelled = seq(&[oid("1.2.3"), tlv(1, &[0]), octets(b"")]);
    assert_eq!(with(spelled), CertificateError::NotCanonical);

    let tbs = Draft::leaf().tbs(&ca);
    let mut signature = PrivateKey::generate(KeyKind::P384)
        .unwrap()
        .sign(&tbs)
        .unwrap();
    let other = Certificate::assemble(&tbs, &signature).unwrap();
    assert_eq!(
        Certificate::parse(&other),
        Err(CertificateError::AlgorithmsDiffer)
    );
    signature.bytes = vec![0; 20_000];
    let large = Certificate::assemble(&tbs, &signature).unwrap();
    assert!(matches!(
        Certificate::parse(&large),
        Err(CertificateError::TooLarge { .. })
    ));
}

#[test]
fn an_identifier_of_128_bits_is_refused_which_is_why_ours_is_cut() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let uuid = extension(
        "2.25.14255776575112048635324070244172474579",
        false,
        &null(),
    );
    assert!(Certificate::parse(&Draft::leaf().with(uuid).der(&ca)).is_err());
}

#[test]
fn the_activation_index_is_patched_in_finished_bytes() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let mut tbs = Draft::leaf().tbs(&ca);
    let at = activation_index_offset(&tbs).unwrap();
    tbs[at..at + ACTIVATION_INDEX_BYTES].copy_from_slice(&u64::MAX.to_be_bytes());
    let der = Certificate::assemble(&tbs, &ca.sign(&tbs).unwrap()).unwrap();
    let patched = Evidence {
        activation_index: u64::MAX,
        ..evidence()
    };
    assert_eq!(
        Certificate::parse(&der).unwrap().tbs().evidence,
        Some(patched)
    );
    let base = Draft::leaf().without(6).tbs(&ca);
    assert_eq!(activation_index_offset(&base), None);
}

#[test]
fn what_is_meant_and_written_passes_the_lint() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let leaf = Draft::leaf();
    lint(&leaf.tbs(&ca), &expected(&leaf, &ca)).unwrap();
    let authority = Draft::authority("intermediate", Some(0));
    let mut meant = expected(&authority, &ca);
    meant.role = Role::Authority { path_len: Some(0) };
    meant.subject = name("intermediate");
    (meant.uris, meant.evidence) = (Vec::new(), None);
    meant.key_usage = vec![KeyUse::KeyCertSign, KeyUse::CrlSign];
    meant.extended_key_usage = Vec::new();
    lint(&authority.tbs(&ca), &meant).unwrap();
}

#[test]
fn every_departure_is_a_finding() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let san = |names: &[(u8, &[u8])]| alt_names(true, names);
    let uri = URI.as_bytes();
    let ca_true = extension("2.5.29.19", true, &seq(&[tlv(1, &[0xff])]));
    let no_client = extension("2.5.29.37", false, &seq(&[oid("1.3.6.1.5.5.7.3.1")]));
    let leaf = Draft::leaf;
    let cases = [
        ("alternative names", leaf().without(0)),
        (
            "exactly one URI",
            leaf().replace(0, san(&[(2, b"a.example")])),
        ),
        (
            "more than one URI",
            leaf().replace(0, san(&[(6, uri), (6, uri)])),
        ),
        (
            "alternative names",
            leaf().replace(0, san(&[(6, uri), (2, b"a.example")])),
        ),
        (
            "IP address",
            leaf().replace(0, san(&[(6, uri), (7, &[1, 2, 3, 4])])),
        ),
        (
            "never issued",
            leaf().replace(0, san(&[(6, uri), (1, b"a@b")])),
        ),
        (
            "unprintable",
            leaf().replace(0, san(&[(6, b"spiffe://A/b")])),
        ),
        (
            "unprintable",
            leaf().replace(0, san(&[(6, b"spiffe://a/*")])),
        ),
        (
            "unprintable",
            leaf().replace(0, san(&[(6, b"spiffe://a/b,c")])),
        ),
        (
            "subject is empty",
            leaf().replace(0, alt_names(false, &[(6, uri)])),
        ),
        (
            "key usage is not critical",
            leaf().replace(1, extension("2.5.29.15", false, DIGITAL)),
        ),
        ("may sign certificates", {
            leaf().replace(1, extension("2.5.29.15", true, &tlv(3, &[2, 0x84])))
        }),
        ("extended key usage", leaf().replace(2, no_client)),
        ("extended key usage is critical", {
            leaf().replace(2, extension("2.5.29.37", true, &both_uses()))
        }),
        ("basic constraints", leaf().replace(3, ca_true)),
        ("basic constraints", leaf().without(3)),
        (
            "subject key id",
            leaf().replace(4, extension("2.5.29.14", false, &octets(&[1; 20]))),
        ),
        ("authority key id", leaf().without(5)),
        ("evidence", leaf().without(6)),
        (
            "evidence is critical",
            leaf().replace(6, extension(EVIDENCE, true, &evidence_der())),
        ),
        (
            "unknown extension",
            leaf().with(extension("1.2.3.4", false, b"")),
        ),
        (
            "too large",
            leaf().with(extension("1.2.3.4", false, &[0; 800])),
        ),
        (
            "serial",
            Draft {
                serial: vec![7; 16],
                ..leaf()
            },
        ),
        (
            "64 or more than 136 bits",
            Draft {
                serial: vec![7; 18],
                ..leaf()
            },
        ),
        (
            "64 or more than 136 bits",
            Draft {
                serial: vec![7; 7],
                ..leaf()
            },
        ),
        (
            "not after",
            Draft {
                not_after: "350101000001Z",
                ..leaf()
            },
        ),
        (
            "outlives its issuer",
            Draft {
                not_after: "350101000001Z",
                ..leaf()
            },
        ),
        (
            "not before",
            Draft {
                not_before: "250101000001Z",
                ..leaf()
            },
        ),
        (
            "ends before it starts",
            Draft {
                not_before: NOT_AFTER,
                ..leaf()
            },
        ),
        (
            "subject",
            Draft {
                subject: "payments",
                ..leaf()
            },
        ),
        (
            "issuer",
            Draft {
                issuer: "other",
                ..leaf()
            },
        ),
        (
            "public key",
            Draft {
                key: PrivateKey::generate(KeyKind::P256).unwrap(),
                ..leaf()
            },
        ),
        (
            "cannot be read back",
            Draft {
                version: 0,
                ..leaf()
            },
        ),
    ];
    for (finding, draft) in cases {
        let mut meant = expected(&leaf(), &ca);
        if finding != "public key" {
            meant.public_key = draft.key.public_key().clone();
        }
        let found = lint(&draft.tbs(&ca), &meant).unwrap_err();
        let told: Vec<_> = found.iter().map(Finding::to_string).collect();
        assert!(
            told.iter().any(|text| text.contains(finding)),
            "{finding}: {told:?}"
        );
    }
}

#[test]
fn an_issuer_chain_is_accepted_only_whole_and_fit() {
    let [root_key, key, other] = [(); 3].map(|()| PrivateKey::generate(KeyKind::P256).unwrap());
    let root = |path| Draft::authority_of("root", path, &root_key).issued_by("root", &root_key);
    let issuer = |path| Draft::authority_of("issuer", path, &key).issued_by("root", &root_key);
    let check = |chain: [Draft; 2], now: &str, below| {
        check_issuer_chain(
            &chain.map(|draft| draft.signed_by(&root_key)),
            at(now),
            below,
        )
    };
    let now = "300101000000Z";
    assert_eq!(check([issuer(Some(1)), root(None)], now, 1), Ok(()));
    assert_eq!(check([issuer(None), root(Some(2))], now, 1), Ok(()));
    assert_eq!(
        check([issuer(Some(0)), root(None)], now, 1),
        Err(ChainError::PathLen {
            place: 0,
            allowed: 0,
            needed: 1
        })
    );
    assert_eq!(
        check([issuer(None), root(Some(1))], now, 1),
        Err(ChainError::PathLen {
            place: 1,
            allowed: 1,
            needed: 2
        })
    );
    assert_eq!(
        check([root(None), issuer(None)], now, 1),
        Err(ChainError::NoRoot)
    );
    let early = "241231235959Z";
    assert_eq!(
        check([issuer(None), root(None)], early, 1),
        Err(ChainError::NotYetValid { place: 0 })
    );
    assert_eq!(check([issuer(None), root(None)], NOT_AFTER, 1), Ok(()));
    let late = "350101000001Z";
    assert_eq!(
        check([issuer(None), root(None)], late, 1),
        Err(ChainError::Expired { place: 0 })
    );
    let leaf = Draft::leaf().issued_by("root", &root_key);
    assert_eq!(
        check([leaf, root(None)], now, 1),
        Err(ChainError::NotAuthority { place: 0 })
    );
    let elsewhere = issuer(None).issued_by("elsewhere", &root_key);
    assert_eq!(
        check([elsewhere, root(None)], now, 1),
        Err(ChainError::Order { place: 0 })
    );
    let tree = tlv(0xa0, &seq(&[tlv(0x86, b"prod.example")]));
    let constrained = issuer(None).with(extension("2.5.29.30", true, &seq(&[tree])));
    assert_eq!(
        check([constrained, root(None)], now, 1),
        Err(ChainError::UriConstraint { place: 0 })
    );
    let unknown = issuer(None).with(extension("1.2.3.4", true, &null()));
    let id = "1.2.3.4".to_owned();
    assert_eq!(
        check([unknown, root(None)], now, 1),
        Err(ChainError::UnknownCritical { place: 0, id })
    );
    let server = seq(&[oid("1.3.6.1.5.5.7.3.1")]);
    let server = issuer(None).with(extension("2.5.29.37", false, &server));
    assert_eq!(
        check([server, root(None)], now, 1),
        Err(ChainError::ExtendedKeyUsage { place: 0 })
    );
    let forged = [
        issuer(None).signed_by(&other),
        root(None).signed_by(&root_key),
    ];
    let invalid = ChainError::Signature {
        place: 0,
        source: KeyError::SignatureInvalid,
    };
    assert_eq!(check_issuer_chain(&forged, at(now), 1), Err(invalid));
    assert_eq!(check_issuer_chain(&[], at(now), 1), Err(ChainError::Empty));
    assert_eq!(
        check_issuer_chain(&[root(Some(1)).signed_by(&root_key)], at(now), 1),
        Ok(())
    );
}

#[test]
fn name_constraints_are_read() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let trees = [seq(&[tlv(0x82, b"")]), seq(&[tlv(0x87, &[0; 8])])];
    let value = seq(&[tlv(0xa1, &trees.concat())]);
    let draft = Draft::authority("a", None).with(extension("2.5.29.30", true, &value));
    let excluded = vec![Subtree::Dns(String::new()), Subtree::Ip(vec![0; 8])];
    assert_eq!(
        draft.signed_by(&ca).tbs().name_constraints,
        Some(NameConstraints {
            permitted: Vec::new(),
            excluded
        })
    );
}

#[test]
fn chains_are_written_and_read_within_their_bounds() {
    let ca = PrivateKey::generate(KeyKind::P256).unwrap();
    let chain: Vec<_> = (0..8).map(|_| Draft::leaf().signed_by(&ca)).collect();
    let text = write_chain(&chain);
    assert_eq!(read_chain(text.as_bytes()), Ok(chain));
    let nine = [
        text.as_bytes(),
        Draft::leaf().signed_by(&ca).to_pem().as_bytes(),
    ]
    .concat();
    assert!(matches!(read_chain(&nine), Err(CertificateError::Pem(_))));
    let key = ca.to_pkcs8_pem().unwrap();
    assert_eq!(read_chain(key.as_bytes()), Err(CertificateError::Label));
}

proptest! {
    #[test]
    fn a_changed_certificate_is_refused_or_not_signed(
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let ca = PrivateKey::generate(KeyKind::P256).unwrap();
        let mut der = Draft::leaf().der(&ca);
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        if let Ok(certificate) = Certificate::parse(&der) {
            prop_assert!(certificate.verify_signed_by(ca.public_key()).is_err());
            prop_assert!(certificate.verify_signature_fast(ca.public_key()).is_err());
        }
    }
}
