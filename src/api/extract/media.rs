//! Media types: what a body is, and what an answer should be.
//!
//! Promises: a closed set; where a caller weighs several with `q`, the heaviest that is offered
//! wins (RFC 9110 12.5.1).
//! Refuses: a body of unknown type, and a charset other than UTF-8.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;

use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// A media type that protem reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    /// `application/x-ndjson`: one JSON document on each line.
    Ndjson,
    /// `application/pem-certificate-chain` (RFC 8555 9.1).
    PemChain,
    /// `application/x-pem-file`: anything in PEM.
    PemFile,
    /// `application/pkcs10`: a certificate signing request (RFC 5967).
    Pkcs10,
}

/// What a caller would have as an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept(Option<String>);

impl MediaType {
    const ALL: [Self; 5] = [
        Self::Json,
        Self::Ndjson,
        Self::PemChain,
        Self::PemFile,
        Self::Pkcs10,
    ];

    /// The type as headers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::PemChain => "application/pem-certificate-chain",
            Self::PemFile => "application/x-pem-file",
            Self::Pkcs10 => "application/pkcs10",
        }
    }

    fn read(essence: &str) -> Option<Self> {
        let is = |kind: &Self| essence.eq_ignore_ascii_case(kind.as_str());
        Self::ALL.into_iter().find(is)
    }
}

impl Accept {
    /// The first of `offers` that the caller likes best; the first of all without a wish.
    ///
    /// # Errors
    /// A problem that names the offers, when the caller wants none of them.
    pub fn choose(&self, offers: &[MediaType]) -> Result<MediaType, Problem> {
        let weigh = |offer: MediaType| self.weight(offer);
        let best = offers.iter().copied().map(weigh).max().unwrap_or(0);
        offers
            .iter()
            .copied()
            .find(|offer| 0 < best && weigh(*offer) == best)
            .ok_or_else(|| {
                let names: Vec<&str> = offers.iter().map(|offer| offer.as_str()).collect();
                let detail = format!("this answer comes as `{}`", names.join("` or `"));
                Problem::new(ProblemKind::NotAcceptable, "accept", detail)
            })
    }

    /// How much the caller wants it, in thousandths: the most exact range that covers it decides.
    fn weight(&self, offer: MediaType) -> u16 {
        let Some(accept) = &self.0 else { return 1_000 };
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let exactness = match parts.next()? {
                "*/*" => 0_u8,
                "application/*" => 1,
                essence if MediaType::read(essence) == Some(offer) => 2,
                _ => return None,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            Some((exactness, weight.map_or(1_000, thousandths)))
        });
        ranges.max().map_or(0, |(_, weight)| weight)
    }
}

impl<S: Sync> FromRequestParts<S> for Accept {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = parts.headers.get_all(ACCEPT).iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        Ok(Self((!lines.is_empty()).then(|| lines.join(","))))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the body is said to be.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let wrong =
        |detail: &str| Problem::new(ProblemKind::UnsupportedMediaType, "content_type", detail);
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(wrong("there must be one `Content-Type`"));
    };
    let mut parts = line.to_str().unwrap_or_default().split(';').map(str::trim);
    let media_type = parts.next().and_then(MediaType::read);
    let is_utf_8 = |part: &str| {
        part.is_empty()
            || part.eq_ignore_ascii_case("charset=utf-8")
            || part.eq_ignore_ascii_case("charset=\"utf-8\"")
    };
    if !parts.all(is_utf_8) {
        return Err(wrong(
            "the `Content-Type` has a parameter other than `charset=utf-8`",
        ));
    }
    media_type.ok_or_else(|| wrong("the body's `Content-Type` is not read here"))
}

/// A weight such as `0.8` (RFC 9110 12.4.2); what is none weighs nothing.
fn thousandths(weight: &str) -> u16 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if digits => 1_000,
        "0" if digits => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(accept: &str) -> Option<MediaType> {
        let offers = [MediaType::Json, MediaType::PemFile];
        Accept(Some(accept.to_owned())).choose(&offers).ok()
    }

    #[test]
    fn the_heaviest_offer_wins() {
        use MediaType::{Json, PemFile};
        assert_eq!(Accept(None).choose(&[Json]).unwrap(), Json);
        for (accept, chosen) in [
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/x-pem-file", Some(PemFile)),
            (
                "application/json;q=0.5, application/x-pem-file",
                Some(PemFile),
            ),
            ("application/json, application/x-pem-file;q=0.9", Some(Json)),
            ("*/*;q=0.1, application/json;q=0", Some(PemFile)),
            ("text/html, */*;q=0.001", Some(Json)),
            ("text/html", None),
            ("application/json;q=7", None),
            ("", None),
        ] {
            assert_eq!(choose(accept), chosen, "{accept}");
        }
    }

    #[test]
    fn a_body_says_what_it_is_in_one_way() {
        let read = |value: &str| {
            media_type(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                value.parse().unwrap(),
            )]))
            .ok()
        };
        assert_eq!(read("application/json"), Some(MediaType::Json));
        assert_eq!(
            read("Application/JSON; charset=UTF-8"),
            Some(MediaType::Json)
        );
        assert_eq!(read("application/json; charset=utf-16"), None);
        assert_eq!(read("text/plain"), None);
        assert!(media_type(&HeaderMap::new()).is_err());
    }
}
