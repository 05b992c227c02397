//! The head of an HTTP/1.1 request, judged before anybody reads it.
//!
//! Promises: a head that passes has one reading (RFC 9112): lines end with CR LF and nothing else,
//! the request line has three parts, no name is followed by space, no line goes on in the next, and
//! the body's length is stated once, in digits. So this door and whatever stands before it agree
//! where a request ends (assurance H2).
//! Refuses: bodies in chunks, versions other than 1.0 and 1.1, and heads beyond the limits.

use std::fmt;

use http::Uri;

use crate::api::listener::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// What a head that passed says about its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// With the empty line, in bytes.
    pub head_bytes: usize,
    /// What follows and belongs to the same request, in bytes.
    pub body_bytes: u64,
}

/// Why a head does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// The body is sent in chunks.
    Chunked,
    /// A header line is none: a name without token characters, a folded line, a control character.
    Header,
    /// The stated length is no number.
    Length,
    /// A line ends with LF or CR alone (RFC 9112 2.2).
    LineEnd,
    /// The first line is not method, target and version with single spaces.
    RequestLine,
    /// The target is no URI, or has a fragment.
    Target,
    /// More bytes than a head may have.
    TooLarge,
    /// More header lines than a head may have.
    TooMany,
    /// The length is stated more than once, or once and in chunks (RFC 9112 6.3).
    TwoLengths,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
}

impl Head {
    /// The head that `bytes` begin with; none while it is not whole. The first `seen` bytes were
    /// looked at before.
    ///
    /// # Errors
    /// The first fault, at the earliest when it is seen.
    pub fn read(bytes: &[u8], seen: usize) -> Result<Option<Self>, HeadFault> {
        let Some(head_bytes) = end(bytes, seen)? else {
            let fits = bytes.len() < HEAD_BYTES_MAX;
            return if fits {
                Ok(None)
            } else {
                Err(HeadFault::TooLarge)
            };
        };
        if HEAD_BYTES_MAX < head_bytes {
            return Err(HeadFault::TooLarge);
        }
        let head = bytes.get(..head_bytes).unwrap_or_default();
        let mut lines = head
            .strip_suffix(b"\r\n\r\n")
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        request_line(lines.next().unwrap_or_default())?;
        let body_bytes = headers(lines)?;
        Ok(Some(Self {
            head_bytes,
            body_bytes,
        }))
    }
}

impl HeadFault {
    /// Every fault, in the order of their words.
    pub const ALL: [Self; 10] = [
        Self::Chunked,
        Self::Header,
        Self::Length,
        Self::LineEnd,
        Self::RequestLine,
        Self::Target,
        Self::TooLarge,
        Self::TooMany,
        Self::TwoLengths,
        Self::Version,
    ];

    /// A stable word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chunked => "transfer_encoding",
            Self::Header => "header_invalid",
            Self::Length => "length_invalid",
            Self::LineEnd => "line_end",
            Self::RequestLine => "request_line",
            Self::Target => "target_invalid",
            Self::TooLarge => "head_too_large",
            Self::TooMany => "headers_too_many",
            Self::TwoLengths => "two_lengths",
            Self::Version => "version",
        }
    }

    /// The fault of this word.
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.word().as_bytes() == word)
    }
}

/// For the caller.
impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chunked => f.write_str("request bodies are not read in chunks"),
            Self::Header => f.write_str("a header line is not `Name: value`"),
            Self::Length => f.write_str("`Content-Length` is not a number in digits"),
            Self::LineEnd => f.write_str("a line of the head does not end with CR LF"),
            Self::RequestLine => f.write_str("the first line is not `METHOD target HTTP/1.1`"),
            Self::Target => f.write_str("the request's target is no URI"),
            Self::TooLarge => write!(f, "the head has more than {HEAD_BYTES_MAX} bytes"),
            Self::TooMany => write!(f, "there are more than {HEADERS_MAX} header lines"),
            Self::TwoLengths => f.write_str("the length of the body is stated in two ways"),
            Self::Version => f.write_str("the version is neither HTTP/1.1 nor HTTP/1.0"),
        }
    }
}

/// Where the head ends; none while its empty line has not come.
fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, HeadFault> {
    if bytes.first() == Some(&b'\n') {
        return Err(HeadFault::LineEnd);
    }
    // The last three bytes may be part of an empty line that is whole now.
    let pairs = bytes.windows(2).enumerate().skip(seen.saturating_sub(3));
    for (at, pair) in pairs {
        match pair {
            b"\r\n" => {
                let rest = bytes.get(at..).unwrap_or_default();
                if rest.starts_with(b"\r\n\r\n") {
                    return Ok(Some(at.saturating_add(4)));
                }
            }
            [_, b'\n'] | [b'\r', _] => return Err(HeadFault::LineEnd),
            _ => {}
        }
    }
    Ok(None)
}

fn request_line(line: &[u8]) -> Result<(), HeadFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = parts else {
        return Err(HeadFault::RequestLine);
    };
    if !is_token(method) {
        return Err(HeadFault::RequestLine);
    }
    let plain = target.iter().all(u8::is_ascii_graphic) && !target.contains(&b'#');
    if !plain || Uri::try_from(target).is_err() {
        return Err(HeadFault::Target);
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(()),
        _ => Err(HeadFault::Version),
    }
}

/// The length of the body, from the lines after the first.
fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<u64, HeadFault> {
    let (mut length, mut chunked) = (None, false);
    for (count, line) in lines.enumerate() {
        if HEADERS_MAX <= count {
            return Err(HeadFault::TooMany);
        }
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") && length.replace(digits(value)?).is_some()
        {
            return Err(HeadFault::TwoLengths);
        }
        chunked |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    match (length, chunked) {
        (Some(_), true) => Err(HeadFault::TwoLengths),
        (None, true) => Err(HeadFault::Chunked),
        (length, false) => Ok(length.unwrap_or(0)),
    }
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), HeadFault> {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
        return Err(HeadFault::Header);
    };
    let printable = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if is_token(name) && value.iter().all(printable) {
        Ok((name, value.trim_ascii()))
    } else {
        Err(HeadFault::Header)
    }
}

fn digits(value: &[u8]) -> Result<u64, HeadFault> {
    let text = str::from_utf8(value).unwrap_or_default();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or(HeadFault::Length)
}

/// RFC 9110 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(of_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Option<Head>, HeadFault> {
        Head::read(head.as_bytes(), 0)
    }

    #[test]
    fn a_head_says_where_its_request_ends() {
        let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: \t12 \r\n\r\n";
        let body = format!("{head}0123456789abGET");
        let whole = Head {
            head_bytes: head.len(),
            body_bytes: 12,
        };
        assert_eq!(read(&body), Ok(Some(whole)));
        for cut in 0..head.len() {
            assert_eq!(Head::read(&head.as_bytes()[..cut], 0), Ok(None), "{cut}");
            let whole = Head::read(head.as_bytes(), cut).unwrap();
            assert_eq!(whole.map(|head| head.head_bytes), Some(head.len()), "{cut}");
        }
    }

    #[test]
    fn each_wrong_head_has_its_fault() {
        use HeadFault::{
            Chunked, Header, Length, LineEnd, RequestLine, Target, TooLarge, TooMany, TwoLengths,
            Version,
        };
        let many = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(matches!(read(&many(HEADERS_MAX)), Ok(Some(_))));
        let get = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n");
        for (head, fault) in [
            ("GET / HTTP/1.1\nhost: a\n\n".to_owned(), LineEnd),
            ("GET / HTTP/1.1\r\nhost: a\n".to_owned(), LineEnd),
            ("GET / HTTP/1.1\r\nhost: a\r\n\n".to_owned(), LineEnd),
            ("GET / HTTP/1.1\rhost: a".to_owned(), LineEnd),
            ("\nGET / HTTP/1.1\r\n\r\n".to_owned(), LineEnd),
            ("\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), RequestLine),
            ("GET  / HTTP/1.1\r\n\r\n".to_owned(), RequestLine),
            ("GET /\r\n\r\n".to_owned(), RequestLine),
            ("G(T / HTTP/1.1\r\n\r\n".to_owned(), RequestLine),
            ("GET / HTTP/1.1 \r\n\r\n".to_owned(), RequestLine),
            ("GET /\u{e9} HTTP/1.1\r\n\r\n".to_owned(), Target),
            ("GET /a#b HTTP/1.1\r\n\r\n".to_owned(), Target),
            ("GET \\ HTTP/1.1\r\n\r\n".to_owned(), Target),
            ("GET / HTTP/2.0\r\n\r\n".to_owned(), Version),
            ("GET / http/1.1\r\n\r\n".to_owned(), Version),
            (get(" a: b\r\n"), Header),
            (get("a : b\r\n"), Header),
            (get("a: b\r\n c\r\n"), Header),
            (get("a\r\n"), Header),
            (get(": b\r\n"), Header),
            (get("a: \0\r\n"), Header),
            (get("a: \u{7f}\r\n"), Header),
            (get("content-length: +1\r\n"), Length),
            (get("content-length: 1, 1\r\n"), Length),
            (get("content-length:\r\n"), Length),
            (get("content-length: 18446744073709551616\r\n"), Length),
            (
                get("content-length: 1\r\nContent-Length: 1\r\n"),
                TwoLengths,
            ),
            (
                get("content-length: 1\r\ntransfer-encoding: chunked\r\n"),
                TwoLengths,
            ),
            (get("Transfer-Encoding: identity\r\n"), Chunked),
            (many(HEADERS_MAX + 1), TooMany),
            (
                get(&format!("a: {}\r\n", "b".repeat(HEAD_BYTES_MAX))),
                TooLarge,
            ),
            ("a".repeat(HEAD_BYTES_MAX), TooLarge),
        ] {
            assert_eq!(read(&head), Err(fault), "{head:?}");
        }
    }

    #[test]
    fn every_fault_has_a_word_of_its_own() {
        for fault in HeadFault::ALL {
            assert_eq!(HeadFault::of(fault.word().as_bytes()), Some(fault));
            assert!(!fault.to_string().is_empty());
        }
    }
}
