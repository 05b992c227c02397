//! A connection whose `:authority` may be the path of a Unix socket.
//!
//! Clients built on gRPC's C core (Python, C++, Ruby, PHP) and on Netty name the socket's path as
//! the authority, percent-encoded or plain. The HTTP/2 library refuses what is no authority of RFC
//! 3986 (h2 pull request 487), and with it every one of these clients. Over a Unix socket the
//! authority means nothing, so that the bytes in question are replaced before the library reads
//! them.
//!
//! Promises: only `%` and `/` in the value of a literal `:authority` of a HEADERS frame become `-`;
//! all else passes as it came, and no length changes. What is held back is one HEADERS frame, of at
//! most `HEADERS_BYTES_MAX`; a longer one passes unread.
//! Refuses: nothing. Who sends nonsense is told so by the library.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use tonic::transport::server::Connected;

/// A stream whose reading side is made readable.
#[derive(Debug)]
pub(crate) struct AnyAuthority<S> {
    stream: S,
    /// What came and was not handed on.
    input: BytesMut,
    /// How much of the input may be handed on, in bytes.
    passed: usize,
    next: Next,
}

/// What the bytes behind those that passed are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// So many that nobody looks at.
    Bytes(usize),
    /// The head of a frame.
    Frame,
}

impl<S> AnyAuthority<S> {
    /// A connection from its first byte.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            passed: 0,
            next: Next::Bytes(PREFACE_BYTES),
        }
    }

    /// Reads on in what came, as far as it is whole.
    fn judge(&mut self) {
        while let Some(rest) = self
            .input
            .get_mut(self.passed..)
            .filter(|rest| !rest.is_empty())
        {
            match self.next {
                Next::Bytes(left) => {
                    let here = left.min(rest.len());
                    self.passed = self.passed.saturating_add(here);
                    self.next = match left.saturating_sub(here) {
                        0 => Next::Frame,
                        left => Next::Bytes(left),
                    };
                }
                Next::Frame => {
                    // RFC 9113 4.1: length, type, flags, stream.
                    let Some(([high, mid, low, kind, flags, ..], payload)) =
                        rest.split_first_chunk_mut::<FRAME_HEAD_BYTES>()
                    else {
                        return;
                    };
                    let bytes = u32::from_be_bytes([0, *high, *mid, *low]);
                    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                    let mut whole = FRAME_HEAD_BYTES;
                    self.next = Next::Bytes(bytes);
                    if *kind == HEADERS && bytes <= HEADERS_BYTES_MAX {
                        let Some(payload) = payload.get_mut(..bytes) else {
                            self.next = Next::Frame;
                            return;
                        };
                        // What is no block of fields stays as it is.
                        let _ = mend(payload, *flags);
                        whole = whole.saturating_add(bytes);
                        self.next = Next::Frame;
                    } else if bytes == 0 {
                        self.next = Next::Frame;
                    }
                    self.passed = self.passed.saturating_add(whole);
                }
            }
        }
    }
}

impl<S: Connected> Connected for AnyAuthority<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AnyAuthority<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.passed == 0 {
            this.input.reserve(READ_BYTES);
            let stream = Pin::new(&mut this.stream);
            if ready!(poll_read_buf(stream, cx, &mut this.input))? == 0 {
                // Half a frame at the end: the library says what it thinks of it.
                this.passed = this.input.len();
                break;
            }
            this.judge();
        }
        let here = this.passed.min(into.remaining());
        into.put_slice(this.input.get(..here).unwrap_or_default());
        this.input.advance(here);
        this.passed = this.passed.saturating_sub(here);
        if this.input.is_empty() {
            // A connection that is silent for hours holds nothing.
            this.input = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnyAuthority<S> {
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

/// Makes each literal `:authority` in the payload of a HEADERS frame readable, in place; `flags`
/// are those of the frame (RFC 9113 6.2). None where the payload ends too early: what stood before
/// that is made readable all the same.
pub fn mend(payload: &mut [u8], flags: u8) -> Option<()> {
    let mut block = payload;
    if flags & PADDED != 0 {
        let (padding, rest) = block.split_first_mut()?;
        let end = rest.len().checked_sub(usize::from(*padding))?;
        block = rest.get_mut(..end)?;
    }
    if flags & PRIORITY != 0 {
        block = block.get_mut(PRIORITY_BYTES..)?;
    }
    while let Some(first) = block.first().copied() {
        // RFC 7541 6: how many bits of the first byte are the index, and whether a value follows.
        let (bits, literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let (index, rest) = number(block, bits)?;
        block = rest;
        if !literal {
            continue;
        }
        let named = if index == 0 {
            let (name, rest) = text(block)?;
            block = rest;
            name.is_some_and(|name| name == AUTHORITY)
        } else {
            index == AUTHORITY_INDEX
        };
        let (value, rest) = text(block)?;
        block = rest;
        if let Some(value) = value.filter(|_| named) {
            for byte in value.iter_mut().filter(|byte| matches!(byte, b'%' | b'/')) {
                *byte = b'-';
            }
        }
    }
    Some(())
}

/// An integer whose first byte keeps `bits` for it (RFC 7541 5.1), and what follows.
fn number(block: &mut [u8], bits: u8) -> Option<(usize, &mut [u8])> {
    let most = usize::from(0xff_u8 >> 8_u8.checked_sub(bits)?);
    let (first, mut block) = block.split_first_mut()?;
    let mut value = usize::from(*first) & most;
    if value < most {
        return Some((value, block));
    }
    for shift in [0, 7, 14] {
        let (byte, rest) = block.split_first_mut()?;
        block = rest;
        value = value.checked_add(usize::from(*byte & 0x7f) << shift)?;
        if *byte & 0x80 == 0 {
            return Some((value, block));
        }
    }
    None
}

/// A string (RFC 7541 5.2), none where it is coded, and what follows.
fn text(block: &mut [u8]) -> Option<(Option<&mut [u8]>, &mut [u8])> {
    let coded = block.first()? & 0x80 != 0;
    let (bytes, rest) = number(block, 7)?;
    let (text, rest) = rest.split_at_mut_checked(bytes)?;
    Some(((!coded).then_some(text), rest))
}

/// RFC 9113 3.4.
const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;
/// RFC 9113 6.2.
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;
const AUTHORITY: &[u8] = b":authority";
/// In the static table (RFC 7541, appendix A).
const AUTHORITY_INDEX: usize = 1;
/// The largest frame that the library takes unless told otherwise.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
const READ_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head, payload].concat()
    }

    async fn passed(frames: &[u8]) -> Vec<u8> {
        let preface = [b'p'; PREFACE_BYTES];
        let came = [&preface, frames].concat();
        let mut out = Vec::new();
        let mut stream = AnyAuthority::new(&came[..]);
        stream.read_to_end(&mut out).await.unwrap();
        out.split_off(PREFACE_BYTES)
    }

    /// As the C core writes it: no index, no code.
    fn of_the_core(authority: &[u8]) -> Vec<u8> {
        let length = u8::try_from(authority.len()).unwrap();
        let (path, kind) = (b"@\x05:path\x04/a%b", b"\x83\x86@\x02te\x08trailers");
        [path, &b"@\x0a:authority"[..], &[length], authority, kind].concat()
    }

    #[tokio::test]
    async fn only_an_authority_is_mended_wherever_it_stands() {
        let (raw, mended) = (of_the_core(b"run%2Fa.sock"), of_the_core(b"run-2Fa.sock"));
        for (flags, before, after) in [
            (0x04, &b""[..], &b""[..]),
            (0x24, b"\x00\x00\x00\x00\x10", b""),
            (0x0c, b"\x02", b"%/"),
            (0x2c, b"\x02\x00\x00\x00\x00\x10", b"%/"),
        ] {
            let frame = |block: &[u8]| frame(HEADERS, flags, &[before, block, after].concat());
            assert_eq!(passed(&frame(&raw)).await, frame(&mended), "{flags:#x}");
        }
        let java = b"\x41\x06/a/b.s";
        let frames = [
            frame(4, 0, &raw),
            frame(HEADERS, 4, java),
            frame(0, 0, &raw),
        ];
        let expected = [
            frame(4, 0, &raw),
            frame(HEADERS, 4, b"\x41\x06-a-b.s"),
            frame(0, 0, &raw),
        ];
        assert_eq!(passed(&frames.concat()).await, expected.concat());
    }

    #[tokio::test]
    async fn what_cannot_be_read_passes_as_it_came() {
        for payload in [
            &b"\x41"[..],
            b"\x41\x7f\xff\xff\xff\xff",
            b"\x41\x05/a",
            b"\x40\x0b:authority\x01/",
            b"\x41\x81/",
        ] {
            let frame = frame(HEADERS, 4, payload);
            assert_eq!(passed(&frame).await, frame);
        }
        let long = [b"\x41\x01/".to_vec(), vec![0x82; HEADERS_BYTES_MAX]].concat();
        let long = frame(HEADERS, 4, &long);
        assert_eq!(passed(&long).await, long);
        let half = &frame(HEADERS, 4, &of_the_core(b"run%2Fa"))[..20];
        assert_eq!(passed(half).await, half);
    }

    proptest! {
        #[test]
        fn no_length_and_nothing_but_those_bytes_changes_however_it_arrives(
            blocks in proptest::collection::vec(any::<Vec<u8>>(), 0..4),
            tail in any::<Vec<u8>>(),
            cut in 1..64_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let framed = blocks.iter().map(|block| frame(HEADERS, 4, block));
            let framed: Vec<_> = framed.chain([tail]).collect();
            let came = framed.concat();
            let whole = runtime.block_on(passed(&came));
            prop_assert_eq!(whole.len(), came.len());
            for (before, after) in came.iter().zip(&whole) {
                let same = before == after || (b"%/".contains(before) && *after == b'-');
                prop_assert_eq!(same, true);
            }
            let preface = [b'p'; PREFACE_BYTES];
            let came = [&preface[..], &came].concat();
            let mut pieces = in_pieces(&came, cut);
            let mut out = Vec::new();
            runtime.block_on(pieces.read_to_end(&mut out)).unwrap();
            prop_assert_eq!(&out[PREFACE_BYTES..], &whole);
        }
    }

    /// A stream that gives `cut` bytes at a time.
    fn in_pieces(came: &[u8], cut: usize) -> AnyAuthority<impl AsyncRead + Unpin + use<>> {
        let pieces: Vec<io::Result<bytes::Bytes>> = came
            .chunks(cut)
            .map(|piece| Ok(bytes::Bytes::copy_from_slice(piece)))
            .collect();
        AnyAuthority::new(tokio_util::io::StreamReader::new(tokio_stream::iter(
            pieces,
        )))
    }
}
