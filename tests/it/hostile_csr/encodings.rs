//! Hostile requests: sizes, DER and PEM.

use protem::x509::CSR_BYTES_MAX;

use crate::der::{alt_names, bits, int, name, null, octets, oid, seq, tlv};
use crate::hostile_csr::{
    Ask, Case, challenge_password, extension_request, ignored, pem, refused, sorted,
};

pub(super) fn sizes() -> Vec<Case> {
    let uri = |bytes: usize| [b"spiffe://a/".to_vec(), vec![b'x'; bytes]].concat();
    let names = |count: usize, uri: &[u8]| {
        Ask::new().extensions(&[alt_names(false, &vec![(6, uri); count])])
    };
    let padded = |bytes: usize| [vec![b'\n'; bytes], Ask::new().pem().into_bytes()].concat();
    let fitting = CSR_BYTES_MAX - Ask::new().pem().len() - 16;
    vec![
        refused(
            "C15",
            "10,000 names",
            names(10_000, b"spiffe://a/b").der(),
            "csr_too_large",
        ),
        ignored(
            "C15",
            "a URI of 5 KB",
            names(1, &uri(5000)),
            "accepted subject_alt_name",
        ),
        refused(
            "C15",
            "a subject of 1 MB",
            Ask::new().subject(name(&"x".repeat(1 << 20))).der(),
            "csr_too_large",
        ),
        refused(
            "C15",
            "one byte over the bound",
            vec![0x30; CSR_BYTES_MAX + 1],
            "csr_too_large",
        ),
        refused(
            "C15",
            "the bound in noise",
            vec![0x30; CSR_BYTES_MAX],
            "csr_malformed",
        ),
        refused(
            "C17",
            "8 KiB of white space before PEM",
            padded(CSR_BYTES_MAX),
            "csr_too_large",
        ),
        refused(
            "C17",
            "as much white space as fits",
            padded(fitting),
            "accepted",
        ),
    ]
}

pub(super) fn encodings() -> Vec<Case> {
    let good = Ask::new().der();
    let malformed = |attack, bytes: Vec<u8>| refused("C16", attack, bytes, "csr_malformed");
    let slack = |attack, bytes: Vec<u8>| refused("C16", attack, bytes, "csr_not_canonical");
    let body = &good[good.len() - inner_len(&good)..];
    let long = |length: &[u8], tail: &[u8]| [&[0x30], length, body, tail].concat();
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let san = || alt_names(false, &[(6, b"a:b")]);
    vec![
        refused("C16", "nothing", Vec::new(), "csr_empty"),
        malformed("one byte", vec![0x30]),
        malformed("an empty SEQUENCE", vec![0x30, 0]),
        malformed("indefinite length", long(&[0x80], &[0, 0])),
        malformed(
            "a length one octet too wide",
            long(&[0x83, 0, len[0], len[1]], b""),
        ),
        malformed(
            "a length of 2^32 - 1",
            long(&[0x84, 0xff, 0xff, 0xff, 0xff], b""),
        ),
        malformed("a trailing byte", [&good[..], &[0]].concat()),
        malformed("a trailing request", good.repeat(2)),
        malformed("truncated by one", good[..good.len() - 1].to_vec()),
        malformed("truncated by half", good[..good.len() / 2].to_vec()),
        malformed("deep nesting", nested(2000)),
        malformed(
            "a certificate",
            seq(&[seq(&[tlv(0xa0, &int(&[2]))]), seq(&[]), bits(b"")]),
        ),
        malformed(
            "no attributes field",
            Ask {
                attributes: Vec::new(),
                ..Ask::new()
            }
            .der(),
        ),
        malformed(
            "attributes in another tag",
            Ask {
                attributes: tlv(0xa1, b""),
                ..Ask::new()
            }
            .der(),
        ),
        malformed("one field too many", {
            Ask {
                attributes: [tlv(0xa0, b""), null()].concat(),
                ..Ask::new()
            }
            .der()
        }),
        malformed(
            "a subject that is no list",
            Ask::new().subject(int(&[1])).der(),
        ),
        malformed("unused bits in the signature", {
            let at = good.len() - tail_bits(&good);
            [&good[..at], &[1], &good[at + 1..]].concat()
        }),
        refused(
            "C16",
            "version 1",
            Ask::new().version(int(&[1])).der(),
            "csr_version",
        ),
        refused(
            "C16",
            "version 2",
            Ask::new().version(int(&[2])).der(),
            "csr_version",
        ),
        refused(
            "C16",
            "version -1",
            Ask::new().version(int(&[0xff])).der(),
            "csr_version",
        ),
        refused(
            "C16",
            "version 2^64",
            Ask::new().version(int(&[1, 0, 0, 0, 0, 0, 0, 0, 0])).der(),
            "csr_version",
        ),
        slack(
            "version in two octets",
            Ask::new().version(int(&[0, 0])).der(),
        ),
        slack("critical FALSE spelled out", {
            let value = seq(&[tlv(0x86, b"a:b")]);
            let spelled = seq(&[oid("2.5.29.17"), tlv(1, &[0]), octets(&value)]);
            Ask::new().extensions(&[spelled]).der()
        }),
        slack("attributes out of order", {
            let mut attributes = sorted([extension_request(&[san()]), challenge_password()]);
            attributes.reverse();
            Ask::new().attributes(&attributes).der()
        }),
        refused(
            "C16",
            "critical TRUE as 1",
            {
                let value = seq(&[tlv(0x86, b"a:b")]);
                let spelled = seq(&[oid("2.5.29.17"), tlv(1, &[1]), octets(&value)]);
                Ask::new().extensions(&[spelled]).der()
            },
            "csr_not_canonical",
        ),
    ]
}

pub(super) fn armour() -> Vec<Case> {
    let ask = Ask::new();
    let good = ask.pem();
    let text = |attack, text: String, code| refused("C17", attack, text.into_bytes(), code);
    let body = good.lines().nth(1).unwrap();
    vec![
        text("a plain block", good.clone(), "accepted"),
        text("CRLF", good.replace('\n', "\r\n"), "accepted"),
        text(
            "the older label",
            good.replace("CERTIFICATE R", "NEW CERTIFICATE R"),
            "accepted",
        ),
        text(
            "no newline at the end",
            good.trim_end().to_owned(),
            "accepted",
        ),
        text("two blocks", good.repeat(2), "pem_too_many"),
        text(
            "a header",
            good.replacen(body, &format!("Proc-Type: 4\n\n{body}"), 1),
            "pem_header",
        ),
        text(
            "a byte order mark",
            format!("\u{feff}{good}"),
            "pem_byte_order_mark",
        ),
        text(
            "text before",
            format!("Certificate Request:\n{good}"),
            "pem_outside",
        ),
        text("text after", format!("{good}x\n"), "pem_outside"),
        text("NUL after", format!("{good}\0"), "pem_outside"),
        text("no block", "hello".to_owned(), "pem_outside"),
        text("white space", " \r\n\t\n".to_owned(), "pem_empty"),
        text(
            "another end",
            good.replace("END CERTIFICATE REQUEST", "END REQUEST"),
            "pem_unended",
        ),
        text(
            "no end",
            good.replace("-----END CERTIFICATE REQUEST-----", ""),
            "pem_unended",
        ),
        text(
            "a foreign character",
            good.replacen(body, &body.replacen('A', "!", 1), 1),
            "pem_base64",
        ),
        text(
            "an empty block",
            pem("CERTIFICATE REQUEST", b""),
            "pem_base64",
        ),
        text("a certificate", pem("CERTIFICATE", &ask.der()), "pem_label"),
        text(
            "a private key",
            ask.key.to_pkcs8_pem().unwrap().to_string(),
            "private_key_sent",
        ),
        text(
            "an old private key",
            pem("EC PRIVATE KEY", b"x"),
            "private_key_sent",
        ),
        text(
            "a trailing byte inside",
            pem("CERTIFICATE REQUEST", &[&ask.der()[..], &[0]].concat()),
            "csr_malformed",
        ),
    ]
}

fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| tlv(0x30, &inner))
}

/// The length of the content of a value whose own length takes two octets.
fn inner_len(der: &[u8]) -> usize {
    match der[1] {
        0x81 => der.len() - 3,
        0x82 => der.len() - 4,
        _ => der.len() - 2,
    }
}

/// How far from the end the content of the last BIT STRING starts: its count of unused bits.
fn tail_bits(der: &[u8]) -> usize {
    let signature = der.windows(2).rposition(|pair| pair == [0, 0x30]).unwrap();
    der.len() - signature
}
