//! The query of a target, read strictly.
//!
//! Promises: a problem names the key.
//! Refuses: unknown and double keys, and queries of more than [`QUERY_BYTES_MAX`].

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// The query of a request.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(
    /// What was read.
    pub T,
);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wrong = |code, detail: String| Problem::new(ProblemKind::Malformed, code, detail);
        if QUERY_BYTES_MAX < parts.uri.query().unwrap_or_default().len() {
            let detail = format!("the query has more than {QUERY_BYTES_MAX} bytes");
            return Err(wrong("query_too_long", detail));
        }
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| wrong("query", error.body_text()))
    }
}

/// The longest query, in bytes.
const QUERY_BYTES_MAX: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::EventQuery;

    async fn read(query: &str) -> Result<EventQuery, Problem> {
        let request = http::Request::get(format!("/v1/events?{query}")).body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        let query = Query::from_request_parts(&mut parts, &()).await?;
        Ok(query.0)
    }

    #[tokio::test]
    async fn each_wrong_query_names_its_key() {
        for (query, word) in [
            ("root=1", "unknown field `root`"),
            ("scope=a&scope=b", "duplicate field `scope`"),
            ("after=-1", "after"),
            ("after=1e3", "after"),
            ("limit=", "limit"),
        ] {
            let words = format!("{:?}", read(query).await.unwrap_err());
            assert!(words.contains(word), "{query}: {words}");
        }
        let long = format!("scope={}", "a".repeat(QUERY_BYTES_MAX));
        assert_eq!(read(&long).await.unwrap_err().code(), "query_too_long");
    }

    #[tokio::test]
    async fn a_query_reads_texts_and_numbers() {
        let query = read("scope=db.read&subject=spiffe%3A%2F%2Ftd%2Fweb&after=7")
            .await
            .unwrap();
        assert_eq!(query.scope.as_deref(), Some("db.read"));
        assert_eq!(query.subject.as_deref(), Some("spiffe://td/web"));
        assert_eq!(query.after, Some(7));
        assert_eq!(read("").await.unwrap(), EventQuery::default());
    }
}
