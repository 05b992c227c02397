//! A JSON body, read strictly.
//!
//! Promises: a problem names the field and the place; depth is bounded by the reader (128 levels).
//! Refuses: a list where an object belongs, unknown and double keys, NaN, text after the document,
//! and anything that is not UTF-8.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::api::extract::body::{BODY_BYTES_MAX, Raw};
use crate::api::extract::media::MediaType;
use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// A JSON body of at most `BYTES_MAX` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Json<T, const BYTES_MAX: usize = BODY_BYTES_MAX>(
    /// What was read.
    pub T,
);

impl<T, S, const BYTES_MAX: usize> FromRequest<S> for Json<T, BYTES_MAX>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Raw::<BYTES_MAX>::from_request(request, state)
            .await?
            .json()
            .map(Self)
    }
}

impl<const BYTES_MAX: usize> Raw<BYTES_MAX> {
    /// The body as JSON.
    ///
    /// # Errors
    /// A problem that names field, line and column.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.media_type != MediaType::Json {
            return Err(Problem::new(
                ProblemKind::UnsupportedMediaType,
                "content_type",
                "this body must be `application/json`",
            ));
        }
        if self.bytes.trim_ascii_start().first() == Some(&b'[') {
            // The reader would take a list for the fields in their order.
            return Err(Problem::new(
                ProblemKind::Unprocessable,
                "json_value",
                "the body: a list, expected an object",
            ));
        }
        read(&self.bytes)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        problem(error.inner(), &path)
    })?;
    reader.end().map_err(|error| problem(&error, "."))?;
    Ok(value)
}

fn problem(error: &serde_json::Error, path: &str) -> Problem {
    let text: String = error.to_string().chars().take(TEXT_SHOWN_MAX).collect();
    let detail = match path {
        "." => format!("the body: {text}"),
        field => format!("`{field}`: {text}"),
    };
    match error.classify() {
        Category::Data => Problem::new(ProblemKind::Unprocessable, "json_value", detail),
        Category::Eof | Category::Io | Category::Syntax => {
            Problem::new(ProblemKind::Malformed, "json_syntax", detail)
        }
    }
}

/// How much of the reader's words a problem repeats, in characters; they may quote the body.
const TEXT_SHOWN_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::wire::elevation::ElevationRequest;
    use crate::wire::policy::PolicyRequest;

    fn refused(body: &str) -> (u16, String) {
        let problem = read::<ElevationRequest>(body.as_bytes()).unwrap_err();
        let words = format!("{problem:?}");
        (problem.into_response().status().as_u16(), words)
    }

    #[test]
    fn each_wrong_body_is_told_its_place() {
        for (body, status, word) in [
            ("", 400, "json_syntax"),
            ("{", 400, "line 1 column 1"),
            ("{\"scope\": NaN}", 400, "column 11"),
            ("{\"scope\":\"a\"} x", 400, "trailing characters"),
            ("{\"scope\":\"a\",}", 400, "trailing comma"),
            ("{\"scope\":\"\\ud800\"}", 400, "scope"),
            ("null", 422, "invalid type"),
            ("{}", 422, "missing field `scope`"),
            ("{\"scope\":5}", 422, "`scope`: invalid type: integer `5`"),
            (
                "{\"scope\":\"a\",\"scope\":\"b\"}",
                422,
                "duplicate field `scope`",
            ),
            (
                "{\"scope\":\"a\",\n\"Scope\":\"b\"}",
                422,
                "unknown field `Scope`",
            ),
            ("{\"scope\":\"a\",\n\"root\":1}", 422, "line 2"),
            ("{\"scope\":\"a\",\"instances\":-1}", 422, "`instances`"),
            (
                "{\"scope\":\"a\",\"instances\":{\"one\":1}}",
                422,
                "`instances`",
            ),
        ] {
            let (got, words) = refused(body);
            assert_eq!(got, status, "{body}: {words}");
            assert!(words.contains(word), "{body}: {words}");
        }
    }

    #[test]
    fn a_list_is_not_taken_for_fields_in_their_order() {
        let body = |text: &'static str| Raw::<64> {
            media_type: MediaType::Json,
            bytes: text.into(),
        };
        assert!(body("{\"scope\":\"a\"}").json::<ElevationRequest>().is_ok());
        let refused = body(" [\"a\"]").json::<ElevationRequest>().unwrap_err();
        assert_eq!(refused.code(), "json_value");
    }

    #[test]
    fn a_deep_body_is_refused_before_the_stack_is_spent() {
        let deep = format!("{{\"files\":{}", "[".repeat(60_000));
        assert!(read::<PolicyRequest>(deep.as_bytes()).is_err());
        let deep = "[".repeat(60_000);
        let problem = read::<serde_json::Value>(deep.as_bytes()).unwrap_err();
        assert!(format!("{problem:?}").contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = read::<ElevationRequest>(&bytes);
        }
    }
}
