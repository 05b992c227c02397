//! What a connection may take, in bytes, counts and seconds.
//!
//! Promises: each limit is named, with the attack that it stops; nothing a stranger sends waits,
//! grows or repeats without end (assurance H1, H4).
//! Refuses: a connection without limits: there is no constructor but [`Limits::standard`]; tests
//! shorten single fields.

use std::time::Duration;

use crate::time::Seconds;

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all; what comes beyond goes to the reserve.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64.
    pub connections_per_neighbour: usize,
    /// Connections beyond these limits, for operators, and for words to everybody else.
    pub reserve: usize,
    /// Connections of the reserve from one neighbour, so that none can fill it.
    pub reserve_per_neighbour: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// For one request head over HTTP/1.1, and so for an idle HTTP/1.1 connection.
    pub head_read: Duration,
    /// Without any open request.
    pub idle: Duration,
    /// The age after which a connection takes no new request; ends what drags on within limits.
    pub age: Duration,
    /// Without the peer taking a single byte of what is written (slow read).
    pub write_stall: Duration,
    /// Without any step of one HTTP/2 stream: its handler, its body, or the peer's window for its
    /// answer. Longer than any wait of a handler.
    pub stream_stall: Duration,
    /// For requests in flight to end after a graceful end has begun.
    pub drain: Duration,
}

impl Limits {
    /// What every real listener uses.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            connections_per_neighbour: CONNECTIONS_PER_NEIGHBOUR_MAX,
            reserve: RESERVE_MAX,
            reserve_per_neighbour: RESERVE_PER_NEIGHBOUR_MAX,
            handshake: HANDSHAKE_MAX,
            head_read: HEAD_READ_MAX,
            idle: IDLE_MAX,
            age: AGE_MAX,
            write_stall: WRITE_STALL_MAX,
            stream_stall: STREAM_STALL_MAX,
            drain: DRAIN_MAX,
        }
    }

    /// The same limits where the system lets the process open `files` files at once: connections
    /// leave some for the store and the reserve, because a connection that cannot be accepted hears
    /// nothing.
    #[must_use]
    pub fn within(self, files: usize) -> Self {
        let left = files
            .saturating_sub(FILES_KEPT)
            .saturating_sub(self.reserve);
        Self {
            connections: self.connections.min(left),
            ..self
        }
    }

    /// The same limits for a connection of the reserve: it says what it wants and goes.
    pub(crate) fn of_reserve(self) -> Self {
        Self {
            handshake: self.handshake.min(RESERVE_WAIT_MAX),
            head_read: self.head_read.min(RESERVE_WAIT_MAX),
            idle: self.idle.min(RESERVE_WAIT_MAX),
            age: self.age.min(RESERVE_AGE_MAX),
            ..self
        }
    }
}

const CONNECTIONS_MAX: usize = 16_384;
const CONNECTIONS_PER_NEIGHBOUR_MAX: usize = 1_024;
const RESERVE_MAX: usize = 64;
const RESERVE_PER_NEIGHBOUR_MAX: usize = 4;
const RESERVE_WAIT_MAX: Duration = Duration::from_secs(3);
const RESERVE_AGE_MAX: Duration = Duration::from_secs(30);
/// Files that are no connections of the API: the store, its readers, logs, health.
const FILES_KEPT: usize = 192;
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEAD_READ_MAX: Duration = Duration::from_secs(10);
const IDLE_MAX: Duration = Duration::from_mins(2);
const AGE_MAX: Duration = Duration::from_hours(1);
const WRITE_STALL_MAX: Duration = Duration::from_secs(20);
const STREAM_STALL_MAX: Duration = Duration::from_secs(90);
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// One HTTP/1.1 request head with its line, in bytes; also hyper's read buffer.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// All header lines of one HTTP/2 request, in bytes as HPACK counts them (RFC 9113 6.5.2).
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Header lines of one request.
pub(crate) const HEADERS_MAX: usize = 64;
/// Streams open at one time on one HTTP/2 connection.
pub(crate) const STREAMS_MAX: u32 = 128;
/// Streams that the peer opened and reset before they were taken up (rapid reset,
/// CVE-2023-44487).
pub(crate) const PENDING_RESETS_MAX: usize = 20;
/// Streams that were reset because the peer broke the protocol (CVE-2024-2758 and its kin).
pub(crate) const ERROR_RESETS_MAX: usize = 64;
/// Answer bytes that one HTTP/2 stream may have waiting.
pub(crate) const STREAM_SEND_BYTES_MAX: usize = 64 * 1024;
/// How often a silent HTTP/2 peer is asked whether it lives, and how long it may think.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(30);
pub(crate) const PING_ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a wait for a certificate's end goes on before it looks at the clock again, because
/// the wall clock may be set while a timer runs.
pub(crate) const CLOCK_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two attempts to accept when the machine is out of file descriptors.
pub(crate) const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// When somebody for whom there is no room may come back.
pub(crate) const COME_BACK: Seconds = Seconds::new(5);
