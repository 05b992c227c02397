//! HTTP/2 by hand, frame by frame (RFC 9113 4.1), so that a test can be wrong on purpose.
//!
//! Promises: every read ends: with a frame, or with the connection.
//! Refuses: nothing; it sends whatever it is told.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection of frames.
pub(crate) struct Frames<S = TlsStream<TcpStream>> {
    stream: S,
    read: Vec<u8>,
}

/// One frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) body: Vec<u8>,
}

impl Frames {
    /// A connection on which both sides have said their settings, ours as given.
    pub(crate) async fn over(stream: TlsStream<TcpStream>, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self {
            stream,
            read: Vec::new(),
        };
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let settings = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        first.extend(frame(SETTINGS, 0, 0, &settings.collect::<Vec<u8>>()));
        frames.send(&first).await;
        frames
    }

    /// Sends bytes; whether the peer still took them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Sends for as long as the peer takes it, and reads all the while, so that the good-bye is
    /// heard; its error code.
    pub(crate) async fn flood(self, frames: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
        let (reading, mut writing) = tokio::io::split(self.stream);
        let mut reading = Frames {
            stream: reading,
            read: self.read,
        };
        let send = async {
            for bytes in frames {
                if writing.write_all(&bytes).await.is_err() || writing.flush().await.is_err() {
                    return;
                }
            }
        };
        let hear = async {
            let mut code = None;
            while let Some(frame) = reading.next().await {
                if frame.kind == GOAWAY {
                    code = Some(u32::from_be_bytes(frame.body[4..8].try_into().unwrap()));
                }
            }
            code
        };
        tokio::join!(send, hear).1
    }

    /// Answers settings and pings until the connection ends; the error code of its GOAWAY, and how
    /// many frames of each kind came.
    pub(crate) async fn until_end(&mut self) -> (Option<u32>, [usize; 10]) {
        let (mut code, mut kinds) = (None, [0; 10]);
        while let Some(frame) = self.next().await {
            kinds[usize::from(frame.kind.min(9))] += 1;
            match frame.kind {
                GOAWAY => code = Some(u32::from_be_bytes(frame.body[4..8].try_into().unwrap())),
                PING if frame.flags & ACK == 0 => {
                    self.send(&self::frame(PING, ACK, 0, &frame.body)).await;
                }
                SETTINGS if frame.flags & ACK == 0 => {
                    self.send(&self::frame(SETTINGS, ACK, 0, b"")).await;
                }
                _ => {}
            }
        }
        (code, kinds)
    }

    /// How a request on this stream was refused: its status, a reset, or the end of everything.
    pub(crate) async fn refusal(&mut self, stream: u32) -> String {
        while let Some(frame) = self.next().await {
            let code = |at: usize| u32::from_be_bytes(frame.body[at..at + 4].try_into().unwrap());
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return status(&frame.body).map_or_else(String::new, |code| code.to_string());
                }
                RST_STREAM if frame.stream == stream => return format!("RST_STREAM {}", code(0)),
                GOAWAY => return format!("GOAWAY {}", code(4)),
                _ => {}
            }
        }
        "connection ended".to_owned()
    }

    /// The status of the answer on this stream; none when it was reset, or the connection ended.
    pub(crate) async fn status(&mut self, stream: u32) -> Option<u16> {
        while let Some(frame) = self.next().await {
            match frame.kind {
                HEADERS if frame.stream == stream => return status(&frame.body),
                RST_STREAM if frame.stream == stream => return None,
                SETTINGS if frame.flags & ACK == 0 => {
                    self.send(&self::frame(SETTINGS, ACK, 0, b"")).await;
                }
                _ => {}
            }
        }
        None
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// The next frame; none when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.read.get(..9) {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let (kind, flags) = (head[3], head[4]);
                let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & STREAM_MASK;
                if 9 + length <= self.read.len() {
                    let body = self.read.drain(..9 + length).skip(9).collect();
                    return Some(Frame {
                        kind,
                        flags,
                        stream,
                        body,
                    });
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head[..], body].concat()
}

/// A HEADERS frame of a whole `GET`.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_block(path))
}

/// The header block of a `GET`: static names of RFC 7541 A, literals without compression.
pub(crate) fn get_block(path: &str) -> Vec<u8> {
    [
        &[0x82, 0x87][..],            // :method GET, :scheme https
        &literal(4, path.as_bytes()), // :path
        &literal(1, b"protem.test"),  // :authority
    ]
    .concat()
}

/// A literal with an indexed name, which no table remembers (RFC 7541 6.2.2).
pub(crate) fn literal(name: u8, value: &[u8]) -> Vec<u8> {
    [&[name], &length(value.len())[..], value].concat()
}

/// A literal with a name of its own, which the dynamic table remembers (RFC 7541 6.2.1).
pub(crate) fn remembered(name: &[u8], value: &[u8]) -> Vec<u8> {
    [
        &[0x40][..],
        &length(name.len()),
        name,
        &length(value.len()),
        value,
    ]
    .concat()
}

/// A length with a prefix of 7 bits (RFC 7541 5.1).
fn length(bytes: usize) -> Vec<u8> {
    if bytes < 127 {
        return vec![bytes as u8];
    }
    let (mut out, mut left) = (vec![127], bytes - 127);
    while 128 <= left {
        out.push((left % 128) as u8 | 0x80);
        left /= 128;
    }
    out.push(left as u8);
    out
}

/// The status that an answer's header block begins with: one byte of the static table, or a literal
/// of three digits, plain or in Huffman's code.
fn status(block: &[u8]) -> Option<u16> {
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [index @ 0x88..=0x8e, ..] => Some(known[usize::from(index - 0x88)]),
        // Digits 0 to 2 have five bits there, the others six (RFC 7541 B).
        [0x48 | 0x08, length, rest @ ..] if length & 0x80 != 0 => {
            let code = &rest[..usize::from(length & 0x7f)];
            let bits: Vec<String> = code.iter().map(|byte| format!("{byte:08b}")).collect();
            let bits = bits.concat();
            let (mut at, mut digits) = (0, 0);
            for _ in 0..3 {
                let five = u16::from_str_radix(&bits[at..at + 5], 2).unwrap();
                let (digit, width) = match five {
                    0..=2 => (five, 5),
                    _ => (
                        u16::from_str_radix(&bits[at..at + 6], 2).unwrap() - 0x19 + 3,
                        6,
                    ),
                };
                (at, digits) = (at + width, digits * 10 + digit);
            }
            Some(digits)
        }
        [0x48 | 0x08, 3, digits @ ..] => str::from_utf8(&digits[..3]).ok()?.parse().ok(),
        _ => None,
    }
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const INITIAL_WINDOW: u16 = 4;
const STREAM_MASK: u32 = 0x7fff_ffff;
