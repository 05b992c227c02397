//! Requests without what nobody reads, before they meet a stream's own buffer.
//!
//! A request of an Envoy is about 60 KiB: its node lists every extension that it has. The buffer in
//! which a stream gathers a message stays as large as its largest message, so that ten thousand
//! streams would hold 600 MiB of nothing. Here a message is gathered apart, read, and handed on
//! with the few fields that are defined, and the room that it took is given back.
//!
//! Promises: what is handed on means the same to the service. What is gathered and not yet whole
//! is bounded, for one message and for all streams together.
//! Refuses: to judge. What cannot be read goes on as it is, and fails where everything fails.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::proto::core::Node;
use crate::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};

/// A service of discovery whose requests are made lean first.
#[derive(Clone, Debug)]
pub(crate) struct Lean<S> {
    inner: S,
    gathered: Arc<AtomicUsize>,
    message_bytes_max: usize,
}

impl<S> Lean<S> {
    /// Messages of at most so many bytes; longer ones fail in the service.
    pub(crate) fn new(inner: S, message_bytes_max: usize, gathered: &Arc<AtomicUsize>) -> Self {
        Self {
            inner,
            gathered: gathered.clone(),
            message_bytes_max,
        }
    }
}

impl<S: NamedService> NamedService for Lean<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Lean<S>
where
    S: Service<http::Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let trim: Trim = if method.starts_with("Stream") {
            trim::<DiscoveryRequest>
        } else if method.starts_with("Delta") {
            trim::<DeltaDiscoveryRequest>
        } else {
            return self.inner.call(request);
        };
        let request = request.map(|body| {
            Body::new(LeanBody {
                inner: body,
                gathered: BytesMut::new(),
                counted: 0,
                all: self.gathered.clone(),
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
    /// What of `all` is this body's.
    counted: usize,
    all: Arc<AtomicUsize>,
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
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
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

    fn take_all(&mut self) -> Bytes {
        std::mem::take(&mut self.gathered).freeze()
    }

    /// Writes down how much is gathered here.
    fn count(&mut self) -> Result<(), Status> {
        let now = self.gathered.len();
        let before = std::mem::replace(&mut self.counted, now);
        self.all.fetch_sub(before, Ordering::Relaxed);
        let others = self.all.fetch_add(now, Ordering::Relaxed);
        if before < now && GATHERED_BYTES_MAX < others.saturating_add(now) {
            return Err(Status::resource_exhausted(
                "too many requests are not whole: send each to its end",
            ));
        }
        Ok(())
    }
}

impl Drop for LeanBody {
    fn drop(&mut self) {
        self.all.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// Flag and length of the next message of gRPC.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut header = bytes.get(..HEADER_BYTES)?;
    let flag = header.get_u8();
    Some((flag, usize::try_from(header.get_u32()).ok()?))
}

trait HasNode: Message + Default {
    fn node(&mut self) -> Option<&mut Node>;
}

impl HasNode for DiscoveryRequest {
    fn node(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }
}

impl HasNode for DeltaDiscoveryRequest {
    fn node(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }
}

/// Writes the message anew, with its header; fails when it cannot be read.
fn trim<Q: HasNode>(message: &[u8], to: &mut BytesMut) -> bool {
    let Ok(mut request) = Q::decode(message) else {
        return false;
    };
    if let Some(metadata) = request.node().and_then(|node| node.metadata.as_mut()) {
        metadata
            .fields
            .retain(|key, value| key == KEPT_METADATA && value.encoded_len() < KEPT_BYTES_MAX);
    }
    let Ok(length) = u32::try_from(request.encoded_len()) else {
        return false;
    };
    to.put_u8(0);
    to.put_u32(length);
    request.encode(to).is_ok()
}

/// Of gRPC: a flag and a length.
const HEADER_BYTES: usize = 5;
/// What is gathered of all messages together that are not whole yet: a thousand Envoys that start
/// at once.
const GATHERED_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// What services read of a node's metadata.
const KEPT_METADATA: &str = "disable_spiffe_cert_validation";
/// And is no longer.
const KEPT_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use prost_types::value::Kind;
    use prost_types::{Struct, Value};

    use super::*;

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

    async fn through(pieces: Vec<Vec<u8>>, all: &Arc<AtomicUsize>) -> Result<Vec<u8>, Status> {
        let frames = pieces
            .into_iter()
            .map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        let inner = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let body = LeanBody {
            inner,
            gathered: BytesMut::new(),
            counted: 0,
            all: all.clone(),
            message_bytes_max: 20_000,
            trim: trim::<DiscoveryRequest>,
            through: false,
        };
        body.collect().await.map(|body| body.to_bytes().to_vec())
    }

    #[tokio::test]
    async fn however_it_is_cut_each_message_is_handed_on_lean() {
        let mut bytes = framed(&request());
        bytes.extend(framed(&DiscoveryRequest::default()));
        for piece in [1, 7, 4_096, bytes.len()] {
            let all = Arc::default();
            let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
            let lean = through(pieces, &all).await.unwrap();
            assert!(lean.len() < 200, "{}", lean.len());
            let (_, length) = header(&lean).unwrap();
            let read = DiscoveryRequest::decode(&lean[5..5 + length]).unwrap();
            let mut wanted = request();
            let metadata = wanted.node.as_mut().unwrap().metadata.as_mut().unwrap();
            metadata.fields.remove("LABELS");
            assert_eq!(read, wanted);
            assert_eq!(header(&lean[5 + length..]), Some((0, 0)));
            assert_eq!(all.load(Ordering::Relaxed), 0);
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
            let all = Arc::default();
            let on = through(vec![bytes.clone()], &all).await.unwrap();
            assert_eq!(on, bytes);
        }
    }

    #[tokio::test]
    async fn all_that_is_not_whole_is_bounded_together() {
        let all = Arc::new(AtomicUsize::new(GATHERED_BYTES_MAX));
        let half = b"\0\0\0\0\x09half".to_vec();
        let status = through(vec![half], &all).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        let whole = framed(&request());
        assert!(through(vec![whole], &all).await.is_ok());
        assert_eq!(all.load(Ordering::Relaxed), GATHERED_BYTES_MAX);
    }
}
