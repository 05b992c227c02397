//! `protem mesh probe`: what a live endpoint does at the end of a certificate.
//!
//! Promises: what it says was seen, with a short-lived SVID of the one who asks: an open
//! connection, a new one and a resumed one, each past notAfter; it only asks, with `GET`.
//! Refuses: to guess: a bound by age is not seen within seconds, and is called so.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::doctor::probes::{Holder, tell_wait};
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::client::probe::{
    ConnectionEnd, EndsReport, ExpiryReport, Late, Resumed, SessionReport, probe_ends,
    probe_expiry, probe_resumption,
};
use crate::mesh::Tier;
use crate::time::{Seconds, SystemClock};

#[derive(Args)]
pub(crate) struct Probe {
    /// The endpoint, which speaks mutual TLS
    #[arg(value_name = "HOST:PORT")]
    endpoint: String,
    /// What it carries
    #[arg(long, value_enum, default_value = "http")]
    protocol: Carries,
    /// What to ask for, where it carries HTTP: something that this certificate opens
    #[arg(long, default_value = "/")]
    path: String,
    /// The host to name; that of the endpoint when absent
    #[arg(long)]
    host: Option<String>,
    /// How long to go on after the end
    #[arg(long, value_name = "SPAN", default_value = "3s")]
    past: Seconds,
    /// Fail below this tier
    #[arg(
        long,
        value_name = "TIER",
        default_value = "1",
        value_parser = clap::value_parser!(u8).range(0..=3)
    )]
    expect: u8,
    #[command(flatten)]
    holder: Holder,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Carries {
    /// Requests and answers
    Http,
    /// Bytes: nothing is said, only listened
    Tcp,
}

/// What was seen.
struct Seen {
    ends: EndsReport,
    sessions: Vec<SessionReport>,
    requests: Option<ExpiryReport>,
}

impl Probe {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let endpoint = self.holder.endpoint(&self.endpoint, reach)?;
        tell_wait(&endpoint, self.holder.wait, screen);
        let host = self.host.as_deref().unwrap_or(&self.endpoint);
        let spans = (self.holder.wait, self.past);
        let requests = async {
            match self.protocol {
                Carries::Tcp => Ok(None),
                Carries::Http => {
                    let asked = probe_expiry(&endpoint, &self.path, host, &SystemClock, spans);
                    asked.await.map(Some)
                }
            }
        };
        let (ends, sessions, requests) = tokio::try_join!(
            probe_ends(&endpoint, &SystemClock, spans),
            probe_resumption(&endpoint, &SystemClock, self.holder.wait),
            requests,
        )?;
        screen.end_tick();
        let seen = Seen {
            ends,
            sessions,
            requests,
        };
        let tier = seen.tier();
        seen.show(tier, screen)?;
        if tier.number() < self.expect {
            return Ok(Exit::Failed);
        }
        Ok(Exit::Done)
    }
}

impl Seen {
    /// The least of what was seen.
    fn tier(&self) -> Tier {
        let resumed = |one: &SessionReport| one.after_end == Resumed::Accepted;
        if self.ends.late == Late::Accepted || self.sessions.iter().any(resumed) {
            return Tier::Open;
        }
        let served_late = self.requests.as_ref().is_some_and(|report| {
            report
                .last_served_ms
                .is_some_and(|at_ms| LATE_MS_MAX < at_ms)
        });
        let closed =
            matches!(self.ends.idle, ConnectionEnd::Closed(at_ms) if AT_END_MS.contains(&at_ms));
        match &self.requests {
            _ if served_late => Tier::Bounded,
            _ if closed => Tier::Closed,
            Some(_) => Tier::Cut,
            None => Tier::Bounded,
        }
    }

    fn show(&self, tier: Tier, screen: &mut Screen) -> anyhow::Result<()> {
        let rows = [
            ("certificate", format!("ended at {}", self.ends.not_after)),
            ("idle connection", of_end(self.ends.idle)),
            ("requests on an open one", self.of_requests()),
            ("new connection", self.of_late()),
            ("resumed session", self.of_sessions()),
            ("tier", format!("{} of 3: {}", tier.number(), words(tier))),
        ];
        if screen.is_json() {
            let rows = rows.map(|(name, text)| (name.replace(' ', "_"), json!(text)));
            let mut told: serde_json::Map<String, serde_json::Value> = rows.into_iter().collect();
            told.insert("tier_number".to_owned(), json!(tier.number()));
            return screen.json(&told);
        }
        screen.record(&rows)
    }

    fn of_requests(&self) -> String {
        let Some(report) = &self.requests else {
            return String::new();
        };
        let last = report.last_served_ms;
        let last = last.map_or_else(
            || "none was served".to_owned(),
            |ms| format!("{} served, the last at {ms:+} ms", report.served),
        );
        let refused = report.refused;
        let refused = refused.map_or(String::new(), |(ms, status)| {
            format!("; {status} from {ms:+} ms on")
        });
        format!("{last}{refused}; {}", of_end(report.end))
    }

    fn of_late(&self) -> String {
        match &self.ends.late {
            Late::Accepted => "accepted, though the certificate had ended".to_owned(),
            Late::Refused(why) => format!("refused: {why}"),
        }
    }

    fn of_sessions(&self) -> String {
        let told = self.sessions.iter().map(|one| {
            let word = one.session.word();
            match (&one.after_end, &one.at_once) {
                (Resumed::Accepted, _) => format!("{word}: resumed past the end"),
                (_, Resumed::Accepted) => format!("{word}: resumed, not past the end"),
                _ => format!("{word}: none"),
            }
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

fn of_end(end: ConnectionEnd) -> String {
    match end {
        ConnectionEnd::Closed(ms) => format!("closed at {ms:+} ms"),
        ConnectionEnd::Open => "open when the probe ended".to_owned(),
        ConnectionEnd::Silent(ms) => format!("no answer from {ms:+} ms on"),
    }
}

const fn words(tier: Tier) -> &'static str {
    match tier {
        Tier::Open => "an ended certificate opens new connections: switch resumption off",
        Tier::Bounded => {
            "what runs goes on; whether its age ends it, seconds do not tell: protem mesh lint does"
        }
        Tier::Cut => "each request ends with the certificate, connections do not",
        Tier::Closed => "each connection ends with the certificate",
    }
}

/// Later than this is no delay of the network.
const LATE_MS_MAX: i64 = 1_000;
/// When a connection is closed that its certificate closes.
const AT_END_MS: std::ops::Range<i64> = -50..1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::probe::Session;
    use crate::time::Timestamp;

    fn seen(idle: ConnectionEnd, late: Late, last_ms: Option<i64>, resumed: Resumed) -> Seen {
        let not_after = Timestamp::EPOCH;
        Seen {
            ends: EndsReport {
                not_after,
                idle,
                late,
            },
            sessions: vec![SessionReport {
                session: Session::Tls13Ticket,
                not_spoken: None,
                at_once: resumed.clone(),
                after_end: resumed,
            }],
            requests: last_ms.map(|last_ms| ExpiryReport {
                not_after,
                served: 9,
                last_served_ms: Some(last_ms),
                refused: None,
                end: ConnectionEnd::Open,
            }),
        }
    }

    #[test]
    fn the_tier_is_the_least_of_what_was_seen() {
        let refused = || Late::Refused("ended".to_owned());
        let (open, shut) = (ConnectionEnd::Open, ConnectionEnd::Closed(3));
        let none = Resumed::FullHandshake;
        for (idle, late, last_ms, resumed, tier) in [
            (shut, refused(), Some(-20), Resumed::Accepted, Tier::Open),
            (shut, Late::Accepted, Some(-20), none.clone(), Tier::Open),
            (open, refused(), Some(2_900), none.clone(), Tier::Bounded),
            (shut, refused(), Some(2_900), none.clone(), Tier::Bounded),
            (open, refused(), None, none.clone(), Tier::Bounded),
            (open, refused(), Some(-20), none.clone(), Tier::Cut),
            (
                ConnectionEnd::Closed(2_000),
                refused(),
                Some(9),
                none.clone(),
                Tier::Cut,
            ),
            (shut, refused(), Some(-20), none.clone(), Tier::Closed),
            (shut, refused(), None, none, Tier::Closed),
        ] {
            assert_eq!(seen(idle, late, last_ms, resumed).tier(), tier);
        }
    }
}
