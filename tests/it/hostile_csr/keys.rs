//! Hostile requests: keys that are refused.

use protem::x509::{KeyKind, PrivateKey};

use crate::der::{int, null, oid, seq, tlv};
use crate::hostile_csr::{Ask, Case, refused, spki};

pub(super) fn rsa_and_foreign_keys() -> Vec<Case> {
    let key =
        |attack, spki: Vec<u8>, code| refused("C11", attack, Ask::new().spki(spki).der(), code);
    let rsa = |bits: usize, last: u8, exponent: &[u8]| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = if bits.is_multiple_of(8) {
            0xff
        } else {
            (1 << (bits % 8)) - 1
        };
        *modulus.last_mut().unwrap() = last;
        if bits.is_multiple_of(8) {
            modulus.insert(0, 0);
        }
        let content = seq(&[int(&modulus), int(exponent)]);
        spki(&[oid("1.2.840.113549.1.1.1"), null()], &content)
    };
    let curve = |id, bytes: usize| {
        spki(
            &[oid("1.2.840.10045.2.1"), oid(id)],
            &[vec![4], vec![1; 2 * bytes]].concat(),
        )
    };
    let f4: &[u8] = &[1, 0, 1];
    vec![
        key("RSA of 512 bits", rsa(512, 1, f4), "key_rsa_size"),
        key("RSA of 1024 bits", rsa(1024, 1, f4), "key_rsa_size"),
        key("RSA of 2047 bits", rsa(2047, 1, f4), "key_rsa_size"),
        key("RSA of 4104 bits", rsa(4104, 1, f4), "key_rsa_size"),
        key("RSA of 16384 bits", rsa(16384, 1, f4), "key_too_large"),
        key(
            "RSA with exponent 1",
            rsa(2048, 1, &[1]),
            "key_rsa_exponent",
        ),
        key(
            "RSA with exponent 3",
            rsa(2048, 1, &[3]),
            "key_rsa_exponent",
        ),
        key(
            "RSA with a huge exponent",
            rsa(2048, 1, &[0x7f; 64]),
            "key_rsa_exponent",
        ),
        key(
            "RSA with an even modulus",
            rsa(2048, 2, f4),
            "key_rsa_modulus",
        ),
        key(
            "RSA without NULL",
            spki(&[oid("1.2.840.113549.1.1.1")], &seq(&[int(&[1]), int(f4)])),
            "key_parameters",
        ),
        key(
            "RSA with a negative modulus",
            {
                let content = seq(&[int(&[0xff; 256]), int(f4)]);
                spki(&[oid("1.2.840.113549.1.1.1"), null()], &content)
            },
            "key_malformed",
        ),
        key(
            "an RSA-PSS key",
            spki(&[oid("1.2.840.113549.1.1.10")], &seq(&[int(&[1]), int(f4)])),
            "key_algorithm_unknown",
        ),
        key(
            "P-192",
            curve("1.2.840.10045.3.1.1", 24),
            "key_curve_unknown",
        ),
        key("P-224", curve("1.3.132.0.33", 28), "key_curve_unknown"),
        key("P-521", curve("1.3.132.0.35", 66), "key_curve_unknown"),
        key("secp256k1", curve("1.3.132.0.10", 32), "key_curve_unknown"),
        key(
            "brainpoolP256r1",
            curve("1.3.36.3.3.2.8.1.1.7", 32),
            "key_curve_unknown",
        ),
        key(
            "DSA",
            spki(&[oid("1.2.840.10040.4.1"), seq(&[])], &int(&[1])),
            "key_algorithm_unknown",
        ),
        key(
            "Ed448",
            spki(&[oid("1.3.101.113")], &[1; 57]),
            "key_algorithm_unknown",
        ),
        key(
            "X25519",
            spki(&[oid("1.3.101.110")], &[1; 32]),
            "key_algorithm_unknown",
        ),
    ]
}

pub(super) fn points() -> Vec<Case> {
    let key =
        |attack, spki: Vec<u8>, code| refused("C12", attack, Ask::new().spki(spki).der(), code);
    let p256 = |point: &[u8]| {
        spki(
            &[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")],
            point,
        )
    };
    let good = PrivateKey::generate(KeyKind::P256)
        .unwrap()
        .public_key()
        .spki_der()[26..]
        .to_vec();
    let with_first = |first: u8| [&[first], &good[1..]].concat();
    // The prime of P-256, and a key whose x is that prime: zero in another spelling.
    let p = b"\xff\xff\xff\xff\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\
        \xff\xff\xff\xff\xff\xff\xff\xff";
    let beyond = [&[4], &p[..], &good[33..]].concat();
    let off_curve = [&good[..64], &[good[64] ^ 1]].concat();
    let ed25519 = |point: &[u8]| spki(&[oid("1.3.101.112")], point);
    let mut one = [0; 32];
    one[0] = 1;
    vec![
        key("the point at infinity", p256(&[0]), "key_point_infinity"),
        key(
            "a compressed point",
            p256(&with_first(2)[..33]),
            "key_point_compressed",
        ),
        key("a hybrid point", p256(&with_first(6)), "key_point_invalid"),
        key(
            "a point off the curve",
            p256(&off_curve),
            "key_point_invalid",
        ),
        key(
            "zeros for a point",
            p256(&[&[4][..], &[0; 64]].concat()),
            "key_point_invalid",
        ),
        key("x is the prime", p256(&beyond), "key_point_invalid"),
        key("half a point", p256(&good[..33]), "key_point_invalid"),
        key("no point", p256(b""), "key_point_invalid"),
        key(
            "a P-256 point named P-384",
            spki(&[oid("1.2.840.10045.2.1"), oid("1.3.132.0.34")], &good),
            "key_point_invalid",
        ),
        key(
            "explicit parameters",
            {
                let field = seq(&[oid("1.2.840.10045.1.1"), int(&[&[0], &p[..]].concat())]);
                spki(&[oid("1.2.840.10045.2.1"), seq(&[int(&[1]), field])], &good)
            },
            "key_explicit_parameters",
        ),
        key(
            "implicit parameters",
            spki(&[oid("1.2.840.10045.2.1"), null()], &good),
            "key_explicit_parameters",
        ),
        key(
            "no curve",
            spki(&[oid("1.2.840.10045.2.1")], &good),
            "key_parameters",
        ),
        key(
            "unused bits in the key",
            {
                let algorithm = seq(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]);
                let mut even = good.clone();
                even[64] &= 0xfe;
                seq(&[algorithm, tlv(3, &[&[1], &even[..]].concat())])
            },
            "key_point_invalid",
        ),
        key(
            "Ed25519 with parameters",
            spki(&[oid("1.3.101.112"), null()], &[9; 32]),
            "key_parameters",
        ),
        key(
            "Ed25519 of 31 octets",
            ed25519(&[9; 31]),
            "key_point_invalid",
        ),
        key("Ed25519 zero", ed25519(&[0; 32]), "key_small_order"),
        key(
            "Ed25519 not reduced",
            ed25519(&[&[0xee][..], &[0xff; 30], &[0x7f]].concat()),
            "key_small_order",
        ),
        // Anyone can sign for the neutral element: R is the same point and S is zero.
        refused(
            "C12",
            "a forged proof for a small-order key",
            {
                let signature = [one, [0; 32]].concat();
                let algorithm = seq(&[oid("1.3.101.112")]);
                Ask::new()
                    .spki(ed25519(&one))
                    .algorithm(algorithm)
                    .signature(&signature)
                    .der()
            },
            "key_small_order",
        ),
    ]
}
