//! `protem agent status`: how the agent fares, and what it holds.
//!
//! Promises: root and the agent's own user see all of it, everybody else what he is given himself.
//! Refuses: nothing.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::agent::show::{json_of_ms, text_of_ms};
use crate::cli::agent::socket::Socket;
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::proto::agent::{HeldStatus, StatusResponse, StreamStatus};
use crate::time::Timestamp;

#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    socket: Socket,
}

impl Status {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let status = self.socket.connect().await?.status().await?;
        if screen.is_json() {
            screen.json(&json_of(&status))?;
            return Ok(Exit::Done);
        }
        let now = Reach::now();
        let server = match (status.connected, &*status.server_trouble) {
            (true, _) => "ok".to_owned(),
            (false, "") => "not connected".to_owned(),
            (false, why) => format!("not connected: {why}"),
        };
        screen.record(&[
            ("agent", status.agent.clone()),
            ("server", server),
            ("server's clock ahead", format!("{} ms", status.skew_ms)),
            ("own SVID ends", text_of_ms(status.own_not_after_ms, now)),
            ("own SVID fails", status.own_trouble.clone()),
        ])?;
        let held = status.held.iter().map(|held| held_row(held, now));
        let held: Vec<_> = held.collect();
        screen.line("")?;
        screen.table(&HELD, &held)?;
        if !status.streams.is_empty() {
            let streams: Vec<_> = status.streams.iter().map(stream_row).collect();
            screen.line("")?;
            screen.table(&STREAMS, &streams)?;
        }
        Ok(Exit::Done)
    }
}

fn held_row(held: &HeldStatus, now: Timestamp) -> Vec<String> {
    vec![
        held.spiffe_id.clone(),
        held.elevation.clone(),
        held.serial.clone(),
        text_of_ms(held.not_after_ms, now),
        text_of_ms(held.renew_ms, now),
        held.followers.to_string(),
        held.trouble.clone(),
    ]
}

fn stream_row(stream: &StreamStatus) -> Vec<String> {
    vec![
        stream.pid.to_string(),
        stream.node.clone(),
        stream.names.join(" "),
        stream.sent_version.clone(),
        stream.acked_version.clone(),
        stream.nack.clone(),
    ]
}

fn json_of(status: &StatusResponse) -> Value {
    let held = status.held.iter().map(|held| {
        json!({
            "spiffe_id": held.spiffe_id,
            "subject": held.subject,
            "scope": held.scope,
            "elevation": held.elevation,
            "serial": held.serial,
            "not_after": json_of_ms(held.not_after_ms),
            "renew_at": json_of_ms(held.renew_ms),
            "followers": held.followers,
            "trouble": held.trouble,
        })
    });
    let streams = status.streams.iter().map(|stream| {
        json!({
            "pid": stream.pid,
            "node": stream.node,
            "names": stream.names,
            "sent_version": stream.sent_version,
            "acked_version": stream.acked_version,
            "nack": stream.nack,
        })
    });
    json!({
        "agent": status.agent,
        "connected": status.connected,
        "skew_ms": status.skew_ms,
        "own_not_after": json_of_ms(status.own_not_after_ms),
        "own_trouble": status.own_trouble,
        "server_trouble": status.server_trouble,
        "held": held.collect::<Vec<_>>(),
        "streams": streams.collect::<Vec<_>>(),
    })
}

const HELD: [&str; 7] = [
    "spiffe id",
    "elevation",
    "serial",
    "notAfter",
    "renewed",
    "streams",
    "trouble",
];
const STREAMS: [&str; 6] = ["pid", "node", "names", "sent", "acked", "refused because"];
