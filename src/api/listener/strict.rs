//! A stream of HTTP/1.1 requests that hands on only heads with one reading.
//!
//! Promises: HTTP's own reader sees a head when it is whole and passed ([`Head`]), and of a body
//! exactly as many bytes as the head says; what it makes of them is what was judged. A head with
//! a fault is replaced by one that names the fault, so the refusal goes the way of every answer,
//! after those to earlier requests, and ends the connection. Whoever writes such a head himself is
//! refused alike.
//! Refuses: every byte after a fault.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::api::listener::head::{Head, HeadFault};

/// A stream whose reading side is judged.
pub(crate) struct Strict<S> {
    stream: S,
    /// What came and was not handed on.
    input: BytesMut,
    /// How much of the input may be handed on, in bytes.
    passed: usize,
    next: Next,
}

/// What the bytes behind those that passed belong to.
enum Next {
    /// A head, of which so many bytes were looked at.
    Head { seen: usize },
    /// A body, of which so many bytes are to come.
    Body { left: u64 },
    /// Nothing: there was a fault.
    Nothing,
}

impl<S> Strict<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            passed: 0,
            next: Next::Head { seen: 0 },
        }
    }

    /// Lets pass what may.
    fn judge(&mut self) {
        match self.next {
            Next::Head { seen } => match Head::read(&self.input, seen) {
                Ok(None) => {
                    let seen = self.input.len();
                    self.next = Next::Head { seen };
                }
                Ok(Some(head)) => {
                    self.passed = head.head_bytes;
                    self.next = Next::body(head.body_bytes);
                }
                Err(fault) => {
                    self.input = refused(fault);
                    self.passed = self.input.len();
                    self.next = Next::Nothing;
                }
            },
            Next::Body { left } => {
                let here = u64::try_from(self.input.len())
                    .unwrap_or(u64::MAX)
                    .min(left);
                self.passed = usize::try_from(here).unwrap_or(usize::MAX);
                self.next = Next::body(left.saturating_sub(here));
            }
            Next::Nothing => self.input.clear(),
        }
    }
}

impl Next {
    const fn body(left: u64) -> Self {
        match left {
            0 => Self::Head { seen: 0 },
            left => Self::Body { left },
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.input.is_empty() && self.passed == 0 {
                self.judge();
            }
            if 0 < self.passed {
                let here = self.passed.min(buffer.remaining());
                let bytes = self.input.split_to(here);
                buffer.put_slice(&bytes);
                self.passed = self.passed.saturating_sub(here);
                return Poll::Ready(Ok(()));
            }
            let Self { stream, input, .. } = &mut *self;
            input.reserve(READ_BYTES);
            let read = poll_read_buf(Pin::new(stream), cx, input);
            if read.is_pending() && input.is_empty() {
                // An idle connection holds no memory for what may come.
                *input = BytesMut::new();
            }
            if ready!(read)? == 0 {
                // The peer is done; what is left is half a head.
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The head that stands for one with this fault.
fn refused(fault: HeadFault) -> BytesMut {
    let word = fault.word();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\
         {REFUSED_HEAD}: {word}\r\n\r\n"
    );
    BytesMut::from(head.as_str())
}

/// The header that names the fault of the head that stood here.
pub(crate) const REFUSED_HEAD: &str = "protem-refused-head";
/// How much is read at once, in bytes.
const READ_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use proptest::collection::vec;
    use proptest::prelude::{
        Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };
    use proptest::sample::{Index, select};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// A request as it was read: its target, and the length of its body when it came whole.
    type Seen = (String, Option<usize>);

    /// What HTTP's own reader makes of a stream behind the judge.
    async fn read_by_http(stream: &[u8], pieces: usize) -> Vec<Seen> {
        let (mut peer, door) = duplex(1 << 20);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let service = service_fn(move |request: Request<Incoming>| {
            let kept = Arc::clone(&kept);
            async move {
                let target = match request.headers().get(REFUSED_HEAD) {
                    Some(word) => word.to_str().unwrap().to_owned(),
                    None => request.uri().to_string(),
                };
                let body = request.into_body().collect().await;
                let bytes = body.ok().map(|body| body.to_bytes().len());
                kept.lock().unwrap().push((target, bytes));
                Ok::<_, Infallible>(Response::new(Full::<&[u8]>::default()))
            }
        });
        let mut builder = http1::Builder::new();
        let builder = builder.half_close(true).max_headers(64);
        let connection = builder.serve_connection(TokioIo::new(Strict::new(door)), service);
        let talk = async {
            for piece in stream.chunks(pieces.max(1)) {
                let _ = peer.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = peer.shutdown().await;
            let _ = peer.read_to_end(&mut Vec::new()).await;
        };
        let _ = tokio::join!(connection, talk);
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    }

    /// What the judge makes of it, and after which request HTTP's own reader may end: one that asks
    /// for the end, an older version, or a tunnel.
    fn judged(mut stream: &[u8]) -> (Vec<Seen>, Vec<bool>) {
        let (mut seen, mut may_end) = (Vec::new(), Vec::new());
        loop {
            let head = match Head::read(stream, 0) {
                Ok(None) => return (seen, may_end),
                Ok(Some(head)) => head,
                Err(fault) => {
                    seen.push((fault.word().to_owned(), Some(0)));
                    may_end.push(true);
                    return (seen, may_end);
                }
            };
            let text = String::from_utf8_lossy(&stream[..head.head_bytes]).to_lowercase();
            let ends = ["connection:", "connect ", "http/1.0"];
            may_end.push(ends.iter().any(|word| text.contains(word)));
            let line = stream.split(|byte| *byte == b' ').nth(1).unwrap();
            let target: http::Uri = str::from_utf8(line).unwrap().parse().unwrap();
            let rest = &stream[head.head_bytes..];
            let body = usize::try_from(head.body_bytes).unwrap_or(usize::MAX);
            if rest.len() < body {
                seen.push((target.to_string(), None));
                return (seen, may_end);
            }
            seen.push((target.to_string(), Some(body)));
            stream = &rest[body..];
        }
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        let texts = [
            "GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /a HTTP/1.1\nhost: a\n\n",
            "GET /a HTTP/1.1\r\nhost: a\r\n\n",
            "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
            "POST /b HTTP/1.1\r\nContent-Length:  31 \r\n\r\nGET /c HTTP/1.1\r\nhost: a\r\n\r\nxxx",
            "POST /b HTTP/1.1\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
            "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /b HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://a/d?e=f HTTP/1.1\r\nhost: a\r\nx: \u{e9}\r\n\r\n",
            "GET /e HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\r\n",
            "\n",
            "\0",
            "x: y\r\n",
        ];
        let whole = select(texts[..12].to_vec()).prop_map(|text| text.as_bytes().to_vec());
        let any_of = select(texts.to_vec());
        let broken = (any_of, any::<Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
        prop_oneof![4 => whole, 2 => broken, 1 => vec(any::<u8>(), 0..9), 1 => Just(Vec::new())]
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn http_reads_what_was_judged_and_nothing_else(
            parts in vec(part(), 1..6),
            pieces in 1_usize..200,
        ) {
            let stream = parts.concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(read_by_http(&stream, pieces));
            let (judged, may_end) = judged(&stream);
            prop_assert_eq!(&read[..], &judged[..read.len().min(judged.len())]);
            let ended = read.len().checked_sub(1).is_some_and(|last| may_end[last]);
            prop_assert!(ended || read.len() == judged.len(), "{read:?} {judged:?}");
        }
    }

    #[tokio::test]
    async fn what_follows_a_fault_is_never_read() {
        let smuggled = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n\
            POST /b HTTP/1.1\ncontent-length: 3\r\n\r\nGET /admin HTTP/1.1\r\nhost: a\r\n\r\n";
        for pieces in [1, 7, 1_000] {
            let read = read_by_http(smuggled, pieces).await;
            let targets: Vec<_> = read.iter().map(|(target, _)| target.as_str()).collect();
            assert_eq!(targets, ["/a", "line_end"], "{pieces}");
        }
    }
}
