//! What Envoy tells of a peer's certificate.
//!
//! Promises: one form, `NOT_AFTER DIGEST`; whatever else stands there is nothing.
//! Refuses: to guess: a certificate without a readable end is as good as none.

/// The filter state that `set_filter_state` must write:
/// `%DOWNSTREAM_PEER_CERT_V_END(%s)% %DOWNSTREAM_PEER_FINGERPRINT_256%`.
pub(crate) const KEY: &str = "protem.peer";

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

/// A peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// notAfter in Unix seconds. From this second on it is ended.
    pub(crate) end_s: u64,
    pub(crate) digest: Digest,
}

impl Certificate {
    /// Reads the filter state.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (end, digest) = str::from_utf8(text).ok()?.split_once(' ')?;
        // Before 1970, which is ended as well, stands a minus.
        let end_s = if end.strip_prefix('-').is_some_and(is_number) {
            0
        } else {
            end.parse().ok().filter(|_| is_number(end))?
        };
        let digest = Digest::parse(digest)?;
        Some(Self { end_s, digest })
    }
}

impl Digest {
    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut digits = text.bytes().map(nibble);
        let mut digest = [0; 32];
        for byte in &mut digest {
            *byte = (digits.next()?? << 4) | digits.next()??;
        }
        digits.next().is_none().then_some(Self(digest))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_is_read_and_nothing_else() {
        let digest = "0aB1".repeat(16);
        let read = |end: &str| Certificate::parse(format!("{end} {digest}").as_bytes());
        assert_eq!(read("1784000000").unwrap().end_s, 1_784_000_000);
        assert_eq!(read("-5").unwrap().end_s, 0, "long ended");
        let shown = read("1").unwrap().digest.to_string();
        assert_eq!(shown, digest.to_lowercase());
        for end in [
            "",
            "-",
            "+5",
            "1.5",
            "1 ",
            "99999999999999999999",
            "0x10",
            "--5",
        ] {
            assert_eq!(read(end), None, "{end}");
        }
        for digest in [
            "",
            "-",
            &"0a".repeat(31),
            &"0a".repeat(33),
            &"0g".repeat(32),
        ] {
            let text = format!("1784000000 {digest}");
            assert_eq!(Certificate::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Certificate::parse(b"\xff 00"), None);
        assert_eq!(Certificate::parse(b"1784000000"), None);
    }
}
