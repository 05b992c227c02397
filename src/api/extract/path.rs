//! The one changing segment of a path, parsed.
//!
//! Promises: a handler gets a typed id or number.
//! Refuses: anything that does not parse, in the words of the type.

use std::error::Error;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// The changing segment of the path.
#[derive(Clone, Copy, Debug)]
pub struct Segment<T>(
    /// What was read.
    pub T,
);

impl<T, S> FromRequestParts<S> for Segment<T>
where
    T: FromStr<Err: Error>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(ProblemKind::Malformed, "path", error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error| Problem::of(ProblemKind::Unprocessable, "path_value", &error))
    }
}
