//! Requests without what nobody reads, before they meet a stream's own buffer.
//!
//! A request of an Envoy is about 60 KiB: its node lists every extension that it has. The buffer in
//! which a stream gathers a message stays as large as its largest message, so that ten thousand
//! streams would hold 600 MiB of nothing. Here a message is gathered apart, read, and handed on
//! with the few fields that are defined, and the room that it took is given back.
//!
//! Promises: what is handed on means the same to the service, but for texts that are longer than
//! any that it knows, and more names than it keeps. What is gathered and not yet whole is bounded,
//! for one message, for each user and for all streams together, and so is the time that a message
//! takes to become whole.
//! Refuses: to judge. What cannot be read goes on as it is, and fails where everything fails.

mod trim;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::agent::caller::Caller;
use crate::agent::xds::lean::trim::{HEADER_BYTES, trim};
use crate::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};

/// A service whose requests, of callers of the kind `P`, are gathered and made lean first.
#[derive(Debug)]
pub(crate) struct Lean<S, P> {
    inner: S,
    pot: Arc<Pot>,
    message_bytes_max: usize,
    callers: PhantomData<fn() -> P>,
}

/// How much is gathered of messages that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Pot {
    /// Held for a few instructions, never across an await.
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    all: usize,
    of_uid: HashMap<u32, usize>,
}

impl<S, P> Lean<S, P> {
    /// Messages of at most so many bytes; longer ones fail in the service.
    pub(crate) fn new(inner: S, message_bytes_max: usize, pot: &Arc<Pot>) -> Self {
        Self {
            inner,
            pot: Arc::clone(pot),
            message_bytes_max,
            callers: PhantomData,
        }
    }
}

impl<S: Clone, P> Clone for Lean<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.message_bytes_max, &self.pot)
    }
}

impl<S: NamedService, P> NamedService for Lean<S, P> {
    const NAME: &'static str = S::NAME;
}

impl<S, P> Service<http::Request<Body>> for Lean<S, P>
where
    S: Service<http::Request<Body>>,
    P: Caller,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let trim: Trim = if method == "StreamAccessLogs" {
            // All of it is read.
            |_, _| false
        } else if method.starts_with("Delta") {
            trim::<DeltaDiscoveryRequest>
        } else {
            trim::<DiscoveryRequest>
        };
        // Without a caller the service refuses; until then he is like the least of them.
        let uid = request.extensions().get::<P>().map(Caller::uid);
        let uid = uid.unwrap_or(u32::MAX);
        let request = request.map(|body| {
            Body::new(LeanBody {
                inner: body,
                gathered: BytesMut::new(),
                counted: 0,
                uid,
                pot: Arc::clone(&self.pot),
                late: None,
                message_bytes_max: self.message_bytes_max,
                trim,
                through: false,
            })
        });
        self.inner.call(request)
    }
}

type Trim = fn(&[u8], &mut BytesMut) -> bool;

struct LeanBody {
    inner: Body,
    gathered: BytesMut,
    /// What in the pot is this body's.
    counted: usize,
    uid: u32,
    pot: Arc<Pot>,
    /// Until when the message must be whole, while one is not.
    late: Option<Pin<Box<Sleep>>>,
    message_bytes_max: usize,
    trim: Trim,
    /// After something that cannot be read, everything goes on as it is.
    through: bool,
}

impl http_body::Body for LeanBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let polled = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(polled) => polled,
                Poll::Pending => return self.poll_late(cx),
            };
            let frame = match polled {
                Some(Ok(frame)) => frame,
                // What is not whole goes on, for the service to say so.
                None if !self.gathered.is_empty() => {
                    let rest = self.take_all();
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
                other => return Poll::Ready(other),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            };
            if self.through {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.gathered.extend_from_slice(&data);
            drop(data);
            let whole = self.take_whole();
            if let Err(status) = self.count() {
                return Poll::Ready(Some(Err(status)));
            }
            if !whole.is_empty() || self.gathered.is_empty() {
                // What begins now has all the time.
                self.late = None;
            }
            if !whole.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(whole))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.inner.is_end_stream()
    }
}

impl LeanBody {
    /// Every message that is whole, made lean.
    fn take_whole(&mut self) -> Bytes {
        let mut lean = BytesMut::new();
        while let Some((flag, length)) = header(&self.gathered) {
            if flag != 0 || self.message_bytes_max < length {
                self.through = true;
                lean.extend_from_slice(&self.take_all());
                break;
            }
            let Some(whole) = self.gathered.get(..HEADER_BYTES.saturating_add(length)) else {
                break;
            };
            let message = whole.get(HEADER_BYTES..).unwrap_or_default();
            if !(self.trim)(message, &mut lean) {
                lean.extend_from_slice(whole);
            }
            self.gathered.advance(whole.len());
        }
        if self.gathered.is_empty() {
            self.gathered = BytesMut::new();
        }
        lean.freeze()
    }

    /// Ends what took too long to become whole, while more of it is waited for.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.gathered.is_empty() {
            return Poll::Pending;
        }
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep(WHOLE_LONGEST)));
        late.as_mut().poll(cx).map(|()| {
            Some(Err(Status::deadline_exceeded(
                "a request took too long to become whole: send each to its end",
            )))
        })
    }

    fn take_all(&mut self) -> Bytes {
        std::mem::take(&mut self.gathered).freeze()
    }

    /// Writes down how much is gathered here.
    fn count(&mut self) -> Result<(), Status> {
        let now = self.gathered.len();
        let before = std::mem::replace(&mut self.counted, now);
        if !self.pot.replace(self.uid, before, now) && before < now {
            return Err(Status::resource_exhausted(
                "too many requests are not whole: send each to its end",
            ));
        }
        Ok(())
    }
}

impl Drop for LeanBody {
    fn drop(&mut self) {
        self.pot.replace(self.uid, self.counted, 0);
    }
}

impl Pot {
    /// Counts `now` bytes of this user in the place of `before`; whether that is within bounds.
    fn replace(&self, uid: u32, before: usize, now: usize) -> bool {
        if before == now {
            return true;
        }
        let mut gathered = self.lock();
        gathered.all = gathered.all.saturating_sub(before).saturating_add(now);
        let all = gathered.all;
        let of_uid = gathered.of_uid.entry(uid).or_default();
        *of_uid = of_uid.saturating_sub(before).saturating_add(now);
        let own = *of_uid;
        if own == 0 {
            gathered.of_uid.remove(&uid);
        }
        own <= GATHERED_OF_UID_BYTES_MAX && all <= GATHERED_BYTES_MAX
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Poisoned or not, each number in it is whole.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Flag and length of the next message of gRPC.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut header = bytes.get(..HEADER_BYTES)?;
    let flag = header.get_u8();
    Some((flag, usize::try_from(header.get_u32()).ok()?))
}

/// What is gathered of all messages together that are not whole yet: a thousand Envoys that start
/// at once.
const GATHERED_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// And of one user's; dozens of his Envoys may be amid their first request.
const GATHERED_OF_UID_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Envoy writes a request at once.
const WHOLE_LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};
    use prost::Message as _;
    use prost_types::value::Kind;
    use prost_types::{Struct, Value};

    use super::trim::KEPT_METADATA;
    use super::*;
    use crate::proto::core::Node;

    fn text(text: &str) -> Value {
        Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        }
    }

    fn request() -> DiscoveryRequest {
        let fields = [
            ("LABELS".to_owned(), text(&"x".repeat(9_000))),
            (KEPT_METADATA.to_owned(), text("true")),
        ];
        DiscoveryRequest {
            version_info: "7-00".to_owned(),
            node: Some(Node {
                id: "id".to_owned(),
                metadata: Some(Struct {
                    fields: fields.into(),
                }),
                ..Node::default()
            }),
            resource_names: vec!["default".to_owned()],
            ..DiscoveryRequest::default()
        }
    }

    /// With a field that is not defined here, as `extensions` is not.
    fn framed(request: &DiscoveryRequest) -> Vec<u8> {
        let mut message = request.encode_to_vec();
        message.extend([0x92, 0x03, 0x04, 1, 2, 3, 4]);
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn lean(inner: Body, uid: u32, pot: &Arc<Pot>) -> LeanBody {
        LeanBody {
            inner,
            gathered: BytesMut::new(),
            counted: 0,
            uid,
            pot: Arc::clone(pot),
            late: None,
            message_bytes_max: 20_000,
            trim: trim::<DiscoveryRequest>,
            through: false,
        }
    }

    async fn through(pieces: Vec<Vec<u8>>, uid: u32, pot: &Arc<Pot>) -> Result<Vec<u8>, Status> {
        let frames = pieces
            .into_iter()
            .map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        let inner = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let body = lean(inner, uid, pot);
        body.collect().await.map(|body| body.to_bytes().to_vec())
    }

    #[tokio::test]
    async fn however_it_is_cut_each_message_is_handed_on_lean() {
        let mut bytes = framed(&request());
        bytes.extend(framed(&DiscoveryRequest::default()));
        for piece in [1, 7, 4_096, bytes.len()] {
            let pot = Arc::default();
            let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
            let lean = through(pieces, 7, &pot).await.unwrap();
            assert!(lean.len() < 200, "{}", lean.len());
            let (_, length) = header(&lean).unwrap();
            let read = DiscoveryRequest::decode(&lean[5..5 + length]).unwrap();
            let mut wanted = request();
            let metadata = wanted.node.as_mut().unwrap().metadata.as_mut().unwrap();
            metadata.fields.remove("LABELS");
            assert_eq!(read, wanted);
            assert_eq!(header(&lean[5 + length..]), Some((0, 0)));
            assert!(pot.lock().of_uid.is_empty());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_goes_on_as_it_is() {
        for bytes in [
            b"\0\0\0\0\x02\xff\xff".to_vec(),
            b"\x01\0\0\0\x02\x08\x01 and more".to_vec(),
            b"\0\xff\xff\xff\xff and more".to_vec(),
            b"\0\0\0".to_vec(),
            b"\0\0\0\0\x09half".to_vec(),
        ] {
            let pot = Arc::default();
            let on = through(vec![bytes.clone()], 7, &pot).await.unwrap();
            assert_eq!(on, bytes);
        }
    }

    #[tokio::test]
    async fn who_leaves_his_requests_half_takes_no_room_of_others() {
        let pot = Arc::default();
        let half = || vec![b"\0\0\0\0\x09half".to_vec()];
        Pot::replace(&pot, 7, 0, GATHERED_OF_UID_BYTES_MAX);
        let status = through(half(), 7, &pot).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(through(half(), 8, &pot).await.is_ok());
        assert!(through(vec![framed(&request())], 7, &pot).await.is_ok());
        assert_eq!(pot.lock().all, GATHERED_OF_UID_BYTES_MAX);
        Pot::replace(&pot, 7, GATHERED_OF_UID_BYTES_MAX, GATHERED_BYTES_MAX);
        let status = through(half(), 8, &pot).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        Pot::replace(&pot, 7, GATHERED_BYTES_MAX, 0);
        assert!(pot.lock().all == 0 && pot.lock().of_uid.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_stays_half_is_ended() {
        let pot = Arc::default();
        let half = Bytes::from_static(b"\0\0\0\0\x09half");
        let begins = futures_util::stream::iter([Ok::<_, Status>(Frame::data(half))]);
        let frames = begins.chain(futures_util::stream::pending());
        let body = lean(Body::new(StreamBody::new(frames)), 7, &pot);
        let status = body.collect().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(pot.lock().all, 0);
    }
}
