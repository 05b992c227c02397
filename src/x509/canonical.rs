//! DER without slack: a value is accepted only in the one form in which it would be written.
//!
//! The decoder refuses most second spellings by itself (indefinite and non-minimal lengths, wide
//! integers, trailing bytes); writing the value again and comparing finds the rest, such as a
//! default spelled out or a set out of order (X.690 section 11).

use der::{Decode, Encode, ErrorKind, Tag};

/// Decodes, and refuses what would be written differently.
pub(crate) fn canonical<'a, T>(der: &'a [u8]) -> Result<T, der::Error>
where
    T: Decode<'a, Error = der::Error> + Encode,
{
    let value = T::from_der(der)?;
    same(&value, der)?;
    Ok(value)
}

/// Refuses a value that would be written differently.
pub(crate) fn same(value: &impl Encode, der: &[u8]) -> Result<(), der::Error> {
    if value.to_der()? == der {
        Ok(())
    } else {
        Err(NONCANONICAL.into())
    }
}

/// Whether the fault is a second spelling.
pub(crate) fn is_second_spelling(error: &der::Error) -> bool {
    matches!(error.kind(), ErrorKind::Noncanonical { .. })
}

const NONCANONICAL: ErrorKind = ErrorKind::Noncanonical { tag: Tag::Sequence };
