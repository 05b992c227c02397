//! PEM (RFC 7468), read more strictly than the standard asks.
//!
//! A text is blocks and white space, nothing else: no headers, no text around blocks, no byte order
//! mark, no slack bits in the base64. Line width and line ends are free, because tools differ in
//! them and nothing hides there. Sizes and numbers are bounded by the caller before anything is
//! decoded; what is decoded is wiped when dropped, since it may be a key.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// One block.
pub(crate) struct PemBlock {
    /// What stands between `BEGIN` and the dashes.
    pub(crate) label: String,
    /// The decoded content.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Why a text is no PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The content of a block is no strict base64.
    #[error("the block that ends in line {line} is not strict base64")]
    Base64 {
        /// Of its `END`, counted from one.
        line: usize,
    },
    /// A byte order mark at the start.
    #[error("the text starts with a byte order mark; save it without")]
    ByteOrderMark,
    /// No block at all.
    #[error("there is no PEM block")]
    Empty,
    /// `Name: value` inside a block (RFC 1421 encapsulated headers).
    #[error("line {line} is a header; blocks have none")]
    Header {
        /// Counted from one.
        line: usize,
    },
    /// `END` names another label than `BEGIN`, or is missing.
    #[error("the block of line {line} is not ended by its own `END` line")]
    Unended {
        /// Of its `BEGIN`, counted from one.
        line: usize,
    },
    /// Something other than white space outside of blocks.
    #[error("line {line} is outside of any block; only white space may be there")]
    Outside {
        /// Counted from one.
        line: usize,
    },
    /// More text than is read.
    #[error("the text has {bytes} bytes; at most {bytes_max} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// More blocks than are read.
    #[error("there are more than {blocks_max} PEM blocks")]
    TooMany {
        /// The bound.
        blocks_max: usize,
    },
}

impl PemError {
    /// The stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Base64 { .. } => "pem_base64",
            Self::ByteOrderMark => "pem_byte_order_mark",
            Self::Empty => "pem_empty",
            Self::Header { .. } => "pem_header",
            Self::Unended { .. } => "pem_unended",
            Self::Outside { .. } => "pem_outside",
            Self::TooLarge { .. } => "pem_too_large",
            Self::TooMany { .. } => "pem_too_many",
        }
    }
}

/// Reads at least one and at most `blocks_max` blocks.
pub(crate) fn read_pem(
    text: &[u8],
    bytes_max: usize,
    blocks_max: usize,
) -> Result<Vec<PemBlock>, PemError> {
    if text.len() > bytes_max {
        return Err(PemError::TooLarge {
            bytes: text.len(),
            bytes_max,
        });
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(PemError::ByteOrderMark);
    }
    let mut blocks = Vec::new();
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let label = label_of(line, b"-----BEGIN ").ok_or(PemError::Outside { line: number })?;
        if blocks.len() == blocks_max {
            return Err(PemError::TooMany { blocks_max });
        }
        blocks.push(read_block(label, number, text.len(), &mut lines)?);
    }
    if blocks.is_empty() {
        Err(PemError::Empty)
    } else {
        Ok(blocks)
    }
}

/// Writes one block with lines of 64 characters and `\n` ends.
pub(crate) fn write_pem(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(Base64::encode_string(der));
    let mut text = String::with_capacity(2 * (label.len() + 32) + base64.len() + der.len() / 32);
    for part in ["-----BEGIN ", label, "-----"] {
        text.push_str(part);
    }
    for (at, character) in base64.chars().enumerate() {
        if at % LINE_CHARACTERS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    for part in ["\n-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

fn read_block<'a>(
    label: &str,
    begin: usize,
    bytes_max: usize,
    lines: &mut impl Iterator<Item = (&'a [u8], usize)>,
) -> Result<PemBlock, PemError> {
    // Room for all of it from the start: growing would leave copies of a key behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(bytes_max));
    for (line, number) in lines {
        if let Some(end) = label_of(line, b"-----END ") {
            if end != label {
                break;
            }
            let der = std::str::from_utf8(&base64)
                .ok()
                .filter(|base64| !base64.is_empty())
                .and_then(|base64| Base64::decode_vec(base64).ok())
                .ok_or(PemError::Base64 { line: number })?;
            return Ok(PemBlock {
                label: label.to_owned(),
                der: Zeroizing::new(der),
            });
        }
        if line.contains(&b':') {
            return Err(PemError::Header { line: number });
        }
        if line.starts_with(b"-----") {
            break;
        }
        base64.extend_from_slice(line);
    }
    Err(PemError::Unended { line: begin })
}

/// The label of a `BEGIN` or `END` line: upper-case words (RFC 7468 section 3 allows more).
fn label_of<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(start)?.strip_suffix(b"-----")?;
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let plain = !label.is_empty() && label.len() <= LABEL_BYTES_MAX && label.iter().all(plain);
    std::str::from_utf8(label).ok().filter(|_| plain)
}

const LINE_CHARACTERS: usize = 64;
const LABEL_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        read_pem(text.as_bytes(), 1000, 2).map_or_else(|error| error.code(), |_| "read")
    }

    #[test]
    fn only_blocks_and_white_space_are_read() {
        let block = write_pem("THING", b"content");
        assert_eq!(code(&block), "read");
        assert_eq!(
            code(&format!("\r\n \t\n{}\n\n", block.replace('\n', "\r\n"))),
            "read"
        );
        assert_eq!(code(&block.repeat(2)), "read");
        assert_eq!(code(&block.repeat(3)), "pem_too_many");
        assert_eq!(code(&block.repeat(30)), "pem_too_large");
        assert_eq!(code(" \n"), "pem_empty");
        assert_eq!(code(&format!("\u{feff}{block}")), "pem_byte_order_mark");
        assert_eq!(code(&format!("subject=x\n{block}")), "pem_outside");
        assert_eq!(
            code(&block.replace("THING-----\nY", "THING-----\nA: b\n\nY")),
            "pem_header"
        );
        assert_eq!(
            code(&block.replace("END THING", "END THONG")),
            "pem_unended"
        );
        assert_eq!(code(block.split("-----END").next().unwrap()), "pem_unended");
        assert_eq!(code(&block.replace('=', "")), "pem_base64");
        assert_eq!(code("-----BEGIN A-----\n-----END A-----"), "pem_base64");
    }

    #[test]
    fn slack_bits_in_base64_are_refused() {
        let text = write_pem("A", b"x"); // "eA=="
        assert_eq!(code(&text.replace("eA==", "eB==")), "pem_base64");
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_one_round_trip(
            der in proptest::collection::vec(any::<u8>(), 1..500)
        ) {
            let blocks = read_pem(write_pem("SOME LABEL", &der).as_bytes(), 4000, 1).unwrap();
            prop_assert_eq!(blocks.len(), 1);
            prop_assert_eq!(&blocks[0].label, "SOME LABEL");
            prop_assert_eq!(&*blocks[0].der, &der);
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_pem(&text, 200, 1);
        }
    }
}
