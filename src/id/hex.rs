//! Lower-case hexadecimal, the one way in which protem writes binary ids and digests.
//!
//! Promises: one text for one value; reading takes exactly the text that writing gives.
//! Refuses: upper case, signs, white space and wrong lengths.

use std::fmt;

/// Reads exactly `N` bytes.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if Some(digits.len()) != N.checked_mul(2) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

/// Writes two digits for each byte.
pub(crate) fn write(bytes: &[u8], to: &mut impl fmt::Write) -> fmt::Result {
    to.write_str(&text(bytes))
}

/// The digits of `bytes`. By a table: the formatter of numbers takes ten times as long, and each
/// event has some hundred of them.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    text.extend(digits(bytes));
    text
}

fn digits(bytes: &[u8]) -> impl Iterator<Item = char> + '_ {
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble))
            .copied()
            .map_or('0', char::from)
    };
    bytes
        .iter()
        .flat_map(move |byte| [digit(byte >> 4), digit(byte & 0x0f)])
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
