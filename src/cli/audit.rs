//! `protem audit`: what happened.
//!
//! Promises: an export is whole or fails: the server ends each stream with a trailer, and without
//! it the rest was cut off. The last line of an export is a trailer too.
//! Refuses: to judge the ledger; it shows what the server answers.

use std::io;

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::paging::{Paging, tell_next};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::client::ClientError;
use crate::time::Timestamp;
use crate::wire::event::{EventQuery, StreamEnd, Trailer};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show events
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one event with the exact bytes that the ledger holds
    Show {
        /// Its number
        number: u64,
    },
    /// Print all events as NDJSON, one a line
    Export {
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(Args)]
pub(crate) struct Filter {
    /// Of this kind, such as `svid.intent`
    #[arg(long)]
    kind: Option<String>,
    /// About this subject
    #[arg(long, value_name = "SPIFFE_ID")]
    subject: Option<String>,
    /// About this scope
    #[arg(long)]
    scope: Option<String>,
    /// About the certificate of this serial number
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// About the certificate of this SHA-256
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// About this elevation
    #[arg(long, value_name = "ID")]
    elevation: Option<String>,
    /// By this caller
    #[arg(long)]
    caller: Option<String>,
    /// Decided by the bundle with this digest
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// With this outcome
    #[arg(long)]
    outcome: Option<String>,
    /// At or after this time, such as `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// After the event of this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::List { filter, paging } => list(filter, paging, reach, screen).await?,
            Self::Show { number } => show(number, reach, screen).await?,
            Self::Export { filter } => export(filter, reach, screen).await?,
        }
        Ok(Exit::Done)
    }
}

impl Filter {
    fn query(self) -> EventQuery {
        EventQuery {
            kind: self.kind,
            subject: self.subject,
            scope: self.scope,
            serial: self.serial,
            fingerprint: self.fingerprint,
            elevation: self.elevation,
            caller: self.caller,
            policy: self.policy,
            outcome: self.outcome,
            from: self.from.map(Timestamp::rfc3339),
            to: self.to.map(Timestamp::rfc3339),
            after: self.after,
            limit: None,
            cursor: None,
        }
    }
}

async fn list(
    filter: Filter,
    paging: Paging,
    reach: &Reach,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut query = filter.query();
    query.limit = Some(paging.limit);
    query.cursor = paging.cursor;
    let page = reach.client()?.events(&query).await?;
    if screen.is_json() {
        return screen.json(&page);
    }
    let rows = page.items.iter().map(|event| {
        let number = event.number.to_string();
        vec![
            number,
            event.at.clone(),
            event.kind.clone(),
            event.text.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    screen.table(&["number", "at", "kind", "what"], &rows)?;
    tell_next(page.next.as_deref(), screen);
    Ok(())
}

async fn show(number: u64, reach: &Reach, screen: &mut Screen) -> anyhow::Result<()> {
    let detail = reach.client()?.event(number).await?;
    if screen.is_json() {
        return screen.json(&detail);
    }
    let event = &detail.event;
    let now = Reach::now();
    let end = event.not_after.as_deref();
    let policy = event.policy_version;
    screen.record(&[
        ("number", event.number.to_string()),
        ("at", moment(&event.at, now)),
        ("kind", event.kind.clone()),
        ("what", event.text.clone()),
        ("caller", event.caller.clone()),
        ("subject", event.subject.clone().unwrap_or_default()),
        ("scope", event.scope.clone().unwrap_or_default()),
        ("elevation", event.elevation.clone().unwrap_or_default()),
        ("serial", event.serial.clone().unwrap_or_default()),
        ("fingerprint", event.fingerprint.clone().unwrap_or_default()),
        (
            "not after",
            end.map(|end| moment(end, now)).unwrap_or_default(),
        ),
        ("outcome", event.outcome.clone().unwrap_or_default()),
        (
            "policy",
            policy
                .map(|version| version.to_string())
                .unwrap_or_default(),
        ),
        (
            "policy digest",
            event.policy_digest.clone().unwrap_or_default(),
        ),
    ])?;
    screen.line("")?;
    screen.line(&detail.bytes)
}

async fn export(filter: Filter, reach: &Reach, screen: &mut Screen) -> anyhow::Result<()> {
    let client = reach.client()?;
    let mut query = filter.query();
    let mut events: u64 = 0;
    loop {
        let mut lines = Lines::default();
        let mut write = |piece: &[u8]| lines.take(piece, screen).map_err(io::Error::other);
        let sent = client.export_events(&query, &mut write).await;
        if let Err(ClientError::Sink(error)) = sent {
            return Err(anyhow::Error::from_boxed(
                error.into_inner().unwrap_or_else(|| "cannot write".into()),
            ));
        }
        sent?;
        events = events.saturating_add(lines.events);
        let Some(end) = lines.end else {
            anyhow::bail!("the server's stream was cut after {events} events: run it again");
        };
        if end.next.is_none() {
            let trailer = StreamEnd { events, next: None };
            let line = serde_json::to_string(&Trailer { trailer })?;
            return screen.json_line(&line);
        }
        query.cursor = end.next;
    }
}

/// Splits a stream into lines and keeps its trailer back.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    events: u64,
    end: Option<StreamEnd>,
}

impl Lines {
    fn take(&mut self, piece: &[u8], screen: &mut Screen) -> Result<(), anyhow::Error> {
        self.rest.extend_from_slice(piece);
        while let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
            let tail = self.rest.split_off(at.saturating_add(1));
            let line = std::mem::replace(&mut self.rest, tail);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if let Ok(end) = serde_json::from_str::<Trailer>(line) {
                self.end = Some(end.trailer);
            } else if !line.is_empty() {
                self.events = self.events.saturating_add(1);
                screen.json_line(line)?;
            }
        }
        if LINE_BYTES_MAX < self.rest.len() {
            anyhow::bail!("the server sent a line of more than {LINE_BYTES_MAX} bytes");
        }
        Ok(())
    }
}

const LINE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::Paper;

    #[test]
    fn a_stream_is_split_into_lines_and_its_end_is_seen() {
        let paper = Paper::default();
        let mut screen = paper.screen();
        let mut lines = Lines::default();
        let stream = "{\"number\":1}\n{\"number\":2}\n{\"trailer\":{\"events\":2}}\n";
        for piece in stream.as_bytes().chunks(5) {
            lines.take(piece, &mut screen).unwrap();
        }
        assert_eq!(paper.text(), "{\"number\":1}\n{\"number\":2}\n");
        assert_eq!(lines.events, 2);
        assert_eq!(lines.end.unwrap().events, 2);
    }
}
