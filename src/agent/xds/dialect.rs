//! What both ways of discovery have in common.
//!
//! Promises: an answer of the client counts once, and only for one of the newest responses; his
//! words are kept within [`WORDS_BYTES_MAX`].
//! Refuses: resources of another type than the service's.

use std::sync::Arc;

use tonic::Status;

use crate::agent::xds::{Content, Offer, Subscriptions};
use crate::proto::core::Node;
use crate::proto::rpc;

/// One way to speak: state of the world, or delta.
pub(crate) trait Dialect: Send + 'static {
    /// What a client says.
    type Request: Send + 'static;
    /// What he is told.
    type Response: Send + 'static;

    /// Whether a client can be told that something is absent.
    const DELTA: bool;

    /// Of the stream with this number: no two streams have the same nonces.
    fn new(stream: u64) -> Self;

    /// What the client says of himself.
    fn node(request: &Self::Request) -> Option<&Node>;

    /// Reads what the client wants from now on, and what became of the newest response.
    ///
    /// # Errors
    /// When it is about resources of another type.
    fn hear(
        &mut self,
        request: Self::Request,
        type_url: &str,
        subscriptions: &mut Subscriptions,
    ) -> Result<Option<Heard>, Status>;

    /// What there is to say, when there is anything.
    fn say<C: Content>(
        &mut self,
        offers: Vec<(Arc<str>, Offer<C>)>,
        moment: Moment<'_>,
        subscriptions: &mut Subscriptions,
    ) -> Option<Said<Self::Response>>;
}

/// When and about what something is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// The type of the resources.
    pub(crate) type_url: &'a str,
    /// Running milliseconds.
    pub(crate) now_ms: i64,
    /// How long a client is kept waiting for a decision.
    pub(crate) hold_ms: i64,
}

/// A response, and how it is known.
#[derive(Debug)]
pub(crate) struct Said<R> {
    /// Its version.
    pub(crate) version: String,
    /// Itself.
    pub(crate) response: R,
}

/// What became of the newest response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is in use.
    Accepted {
        /// The response's version.
        version: String,
    },
    /// The client goes on with what he had.
    Refused {
        /// In his words.
        words: String,
    },
}

/// The newest responses of a stream.
#[derive(Debug)]
pub(super) struct Newest {
    stream: u64,
    count: u64,
    /// What no answer came to yet, newest last, each with its version.
    unheard: Vec<(u64, String)>,
}

impl Newest {
    pub(super) const fn new(stream: u64) -> Self {
        Self {
            stream,
            count: 0,
            unheard: Vec::new(),
        }
    }

    /// Whether anything was said on this stream.
    pub(super) const fn said(&self) -> bool {
        self.count != 0
    }

    /// Whether this is the newest.
    pub(super) fn is(&self, nonce: &str) -> bool {
        self.said() && nonce == self.nonce(self.count)
    }

    /// The nonce of a new response.
    pub(super) fn next(&mut self, version: String) -> String {
        self.count = self.count.saturating_add(1);
        if UNHEARD_MAX <= self.unheard.len() {
            self.unheard.remove(0);
        }
        self.unheard.push((self.count, version));
        self.nonce(self.count)
    }

    /// The client's word on the response with this nonce, the first time.
    pub(super) fn heard(&mut self, nonce: &str, error: Option<rpc::Status>) -> Option<Heard> {
        let mut unheard = self.unheard.iter();
        let at = unheard.position(|(count, _)| self.nonce(*count) == nonce)?;
        let (_, version) = self.unheard.remove(at);
        Some(match error {
            None => Heard::Accepted { version },
            Some(error) => Heard::Refused {
                words: bounded(&error.message, WORDS_BYTES_MAX),
            },
        })
    }

    fn nonce(&self, count: u64) -> String {
        format!("{:x}.{count:x}", self.stream)
    }
}

/// The type is left out or the right one.
pub(super) fn check_type(said: &str, wanted: &str) -> Result<(), Status> {
    if said.is_empty() || said == wanted {
        return Ok(());
    }
    let said = bounded(said, SHOWN_BYTES_MAX);
    Err(Status::invalid_argument(format!(
        "`{said}` is not served here: ask for `{wanted}`"
    )))
}

/// The beginning of a text, without what a terminal or a log would obey.
pub(super) fn bounded(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        if kept.len().saturating_add(character.len_utf8()) > bytes_max {
            break;
        }
        kept.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    kept
}

/// Envoy's words for a broken certificate are some hundred bytes.
const WORDS_BYTES_MAX: usize = 512;
/// Envoy answers each response before it reads the next.
const UNHEARD_MAX: usize = 4;
/// How much of a client's text an error repeats.
const SHOWN_BYTES_MAX: usize = 128;
