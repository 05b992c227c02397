//! One call: built, sent, repeated where that is safe, and its answer read.
//!
//! Promises: a call is repeated at most [`ATTEMPTS_MAX`] times in all, after pauses that grow and
//! that chance spreads and never before the server wants it, and only when it cannot act twice:
//! nothing was sent, it only reads, it puts one state, or it carries an idempotency key.
//! Refuses: to repeat anything else, and to take an answer that is not protem's for one.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::exchange::{Answer, Exchange, Sink};
use crate::client::tls::{ALPN_HTTP_1, tls_config};
use crate::client::verb::roots_of_file;
use crate::client::{Client, ClientError, Proof, read_svid};
use crate::id::entropy::Entropy;
use crate::wire::problem::ProblemView;

/// What to ask.
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Vec<u8>,
    accept: &'static str,
    key: Option<String>,
    patience: Duration,
}

impl Call {
    /// A call without a body.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Vec::new(),
            accept: JSON,
            key: None,
            patience: ANSWER_LONGEST,
        }
    }

    /// With a JSON body.
    pub(crate) fn with_body(mut self, body: &impl Serialize) -> Self {
        // A wire shape is plain texts and numbers with text keys: it always serialises.
        self.body = serde_json::to_vec(body).unwrap_or_default();
        self
    }

    /// With a query; absent fields are left out.
    pub(crate) fn with_query(mut self, query: &impl Serialize) -> Self {
        let query = query_text(query);
        if !query.is_empty() {
            self.path.push('?');
            self.path.push_str(&query);
        }
        self
    }

    /// For an answer of another media type.
    pub(crate) const fn accepting(mut self, media_type: &'static str) -> Self {
        self.accept = media_type;
        self
    }

    /// Safe to repeat, because the server answers one key with one result.
    pub(crate) fn with_key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// For an answer that takes this much longer.
    pub(crate) fn waiting(mut self, longer: Duration) -> Self {
        self.patience = self.patience.saturating_add(longer);
        self
    }

    fn is_repeatable(&self) -> bool {
        self.key.is_some() || self.method == Method::GET || self.method == Method::PUT
    }
}

impl Client {
    /// Asks and reads the JSON answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let answer = self.send(call).await?;
        serde_json::from_slice(&answer.body).map_err(|_| self.not_understood(answer.status))
    }

    /// Asks, and takes any success for the answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        let mut attempt: u16 = 1;
        loop {
            let failed = match self.attempt(&call, None).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let safe = call.is_repeatable() || failed.is_before_sending();
            if !safe || !failed.is_passing() || ATTEMPTS_MAX <= attempt {
                return Err(failed);
            }
            let asked = failed.retry_after().unwrap_or_default();
            if RETRY_AFTER_LONGEST < asked {
                return Err(failed);
            }
            // After what the server asks for, or everybody would come back at the same moment.
            tokio::time::sleep(asked + pause(&self.entropy, attempt)).await;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Asks once and hands a successful answer on as it arrives.
    pub(crate) async fn stream(&self, call: Call, sink: Sink<'_>) -> Result<(), ClientError> {
        self.attempt(&call, Some(sink)).await.map(|_| ())
    }

    pub(crate) fn not_understood(&self, status: StatusCode) -> ClientError {
        ClientError::NotUnderstood {
            server: self.address.to_string(),
            status: status.as_u16(),
        }
    }

    async fn attempt(&self, call: &Call, sink: Option<Sink<'_>>) -> Result<Answer, ClientError> {
        let exchange = Exchange {
            address: &self.address,
            tls: self.tls(ALPN_HTTP_1)?,
            patience: call.patience,
        };
        let answer = exchange.perform(self.request(call)?, sink).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(match serde_json::from_slice::<ProblemView>(&answer.body) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => self.not_understood(answer.status),
        })
    }

    /// How to connect now, from the files as they stand.
    pub(crate) fn tls(&self, protocol: &[u8]) -> Result<ClientConfig, ClientError> {
        let roots = roots_of_file(&self.bundle)?;
        let svid = match &self.proof {
            Proof::Svid(folder) => Some(read_svid(folder, self.clock.now())?),
            Proof::BearerFile(_) | Proof::Bearer(_) | Proof::None | Proof::TokenFile(_) => None,
        };
        let clock = self.clock.clone();
        Ok(tls_config(&roots, svid.as_ref(), protocol, clock)?)
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&call.path)
            .header(HOST, self.address.authority())
            .header(USER_AGENT, concat!("protem/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, call.accept);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(secret) = self.proof.authorization()? {
            request = request.header(AUTHORIZATION, secret);
        }
        request
            .body(Full::new(Bytes::from(call.body.clone())))
            .map_err(|error| ClientError::Unreachable {
                server: self.address.to_string(),
                source: io::Error::other(error),
            })
    }
}

/// One part of a path.
pub(crate) fn path_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            part.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(part, "%{byte:02X}");
        }
    }
    part
}

/// Half to all of a span that doubles with each attempt.
fn pause(entropy: &Entropy, attempt: u16) -> Duration {
    let span = PAUSE_FIRST.saturating_mul(1_u32 << attempt.min(6));
    let [chance] = entropy.bytes::<1>();
    let half = span / 2;
    half.saturating_add(half.saturating_mul(u32::from(chance)) / 255)
}

fn query_text(query: &impl Serialize) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(query) else {
        return String::new();
    };
    let texts = fields.into_iter().filter_map(|(name, value)| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(format!("{name}={}", path_part(&text))),
        other => Some(format!("{name}={}", path_part(&other.to_string()))),
    });
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.join("&")
}

const JSON: &str = "application/json";
/// How often a call is made in all.
pub(crate) const ATTEMPTS_MAX: u16 = 3;
/// What a call waits at most because the server asks for it; whoever made it decides on longer.
const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// From the sent request to the whole answer.
pub(crate) const ANSWER_LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::EventQuery;

    #[test]
    fn a_query_says_what_is_set_and_escapes_it() {
        let query = EventQuery {
            subject: Some("spiffe://td/a&b=c d".to_owned()),
            after: Some(7),
            ..EventQuery::default()
        };
        assert_eq!(
            query_text(&query),
            "after=7&subject=spiffe%3A%2F%2Ftd%2Fa%26b%3Dc%20d"
        );
        let call = Call::new(Method::GET, "/v1/events").with_query(&EventQuery::default());
        assert_eq!(call.path, "/v1/events");
    }

    #[test]
    fn only_what_cannot_act_twice_is_repeated() {
        assert!(Call::new(Method::GET, "/").is_repeatable());
        assert!(!Call::new(Method::POST, "/").is_repeatable());
        assert!(!Call::new(Method::DELETE, "/").is_repeatable());
        assert!(
            Call::new(Method::POST, "/")
                .with_key("k".into())
                .is_repeatable()
        );
    }

    #[test]
    fn pauses_grow_and_stay_within_their_span() {
        let entropy = Entropy::seeded(3);
        for attempt in 1..ATTEMPTS_MAX {
            let span = PAUSE_FIRST * (1 << attempt);
            let pause = pause(&entropy, attempt);
            assert!(span / 2 <= pause && pause <= span, "{pause:?}");
        }
    }
}
