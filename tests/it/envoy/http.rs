//! One client connection to an Envoy, plain HTTP/1.1, and what Envoys say of it in their logs.
//!
//! Promises: a connection is never replaced in silence: only after an answer that was cut off,
//! which is told as [`CUT`].

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use protem::time::Timestamp;
use serde_json::Value;

use super::bench::{Bench, until};

/// One kept connection.
pub(crate) struct Http {
    port: u16,
    stream: BufReader<TcpStream>,
}

/// What the server Envoy logged of one request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) status: u64,
    /// The SPIFFE ID that the client Envoy showed.
    pub(crate) peer: String,
    pub(crate) start_ms: i64,
    pub(crate) not_after_ms: i64,
    pub(crate) details: String,
}

impl Http {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            port,
            stream: BufReader::new(stream),
        }
    }

    /// Asks for a path, with the header for a scope; returns the status, or [`CUT`].
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str, scope: Option<&str>) -> u16 {
        let scope = scope.map_or(String::new(), |scope| {
            format!("x-protem-scope: {scope}\r\n")
        });
        let request = format!("GET {path} HTTP/1.1\r\nhost: db\r\n{scope}\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.stream.read_line(&mut line).unwrap(),
                0,
                "closed: {lines:?}"
            );
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
        let length = value("content-length: ").unwrap_or_else(|| panic!("{lines:?}"));
        let mut body = vec![0; length.parse().unwrap()];
        match self.stream.read_exact(&mut body) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                *self = Self::connect(self.port);
                return CUT;
            }
            Err(error) => panic!("{error}"),
        }
        let status = value("http/1.1 ").unwrap_or_else(|| panic!("{lines:?}"));
        status[..3].parse().unwrap()
    }
}

impl Bench {
    /// The requests that an Envoy has logged, the oldest first.
    pub(crate) fn logged(&self, name: &str) -> Vec<Value> {
        let log = self.text(&format!("{name}.log"));
        // The last line may still be on its way.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["path"].is_string()).collect()
    }

    /// What the server Envoy saw of the requests whose path begins so, once it has logged so many.
    pub(crate) fn seen(&self, path: &str, count: usize) -> Vec<Seen> {
        until(&format!("{count} of {path} in the log"), || {
            let lines = self.logged("server");
            let lines = lines.iter().filter(|line| begins(line, path));
            let seen: Vec<_> = lines.map(Seen::read).collect();
            (count <= seen.len()).then_some(seen)
        })
    }

    /// The first request with this path that was answered so, once it is logged.
    pub(crate) fn seen_as(&self, path: &str, status: u64) -> Seen {
        until(&format!("{status} of {path} in the log"), || {
            let mut seen = self.seen(path, 1).into_iter();
            seen.find(|one| one.status == status)
        })
    }
}

impl Seen {
    pub(crate) fn read(line: &Value) -> Self {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let not_after: Timestamp = text("peer_not_after").parse().unwrap();
        Self {
            status: line["status"].as_u64().unwrap(),
            peer: text("peer").to_owned(),
            start_ms: text("start_ms").parse().unwrap(),
            not_after_ms: not_after.unix_ms(),
            details: text("details").to_owned(),
        }
    }

    /// Whether its certificate still lived when it came.
    pub(crate) const fn is_in_time(&self) -> bool {
        self.start_ms < self.not_after_ms
    }
}

fn begins(line: &Value, path: &str) -> bool {
    line["path"]
        .as_str()
        .is_some_and(|one| one.starts_with(path))
}

/// The answer began, and then its certificate ended.
pub(crate) const CUT: u16 = 0;
const ANSWER_MAX: Duration = Duration::from_mins(1);
