//! A small DER writer for hostile input: it writes what it is told, valid or not.
//!
//! It shares no code with the parsers under test and checks nothing.

/// One value: tag, shortest length, content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(short as u8),
        long => {
            let octets = long.to_be_bytes();
            let used = &octets[octets.iter().position(|octet| *octet != 0).unwrap()..];
            out.push(0x80 | used.len() as u8);
            out.extend_from_slice(used);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of these values.
pub(crate) fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A SET of these values, in the order given.
pub(crate) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// An OBJECT IDENTIFIER; arcs of up to 128 bits.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u128> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups = (1..19).take_while(|group| arc >> (7 * group) != 0).count();
        for group in (0..=groups).rev() {
            let more = if group == 0 { 0 } else { 0x80 };
            content.push(more | (arc >> (7 * group)) as u8 & 0x7f);
        }
    }
    tlv(6, &content)
}

/// An INTEGER of these content octets.
pub(crate) fn int(octets: &[u8]) -> Vec<u8> {
    tlv(2, octets)
}

/// A BIT STRING of whole octets.
pub(crate) fn bits(octets: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], octets].concat())
}

/// An OCTET STRING.
pub(crate) fn octets(octets: &[u8]) -> Vec<u8> {
    tlv(4, octets)
}

/// NULL.
pub(crate) fn null() -> Vec<u8> {
    tlv(5, b"")
}

/// A name with one common name, or an empty one.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return seq(&[]);
    }
    let part = seq(&[oid("2.5.4.3"), tlv(0x0c, common_name.as_bytes())]);
    seq(&[set(&[part])])
}

/// An extension; `critical` is left out where false, as DER wants it.
pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical {
        tlv(1, &[0xff])
    } else {
        Vec::new()
    };
    seq(&[oid(id), flag, octets(value)])
}

/// `subjectAltName` of these (implicit tag number, content) pairs.
pub(crate) fn alt_names(critical: bool, names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<_> = names
        .iter()
        .map(|(tag, text)| tlv(0x80 | tag, text))
        .collect();
    extension("2.5.29.17", critical, &seq(&names))
}
