//! Days of an agent in short: streams, processes and rights come and go, the server restarts now
//! and then, the agent never; and it does not grow.
//!
//! `PROTEM_SOAK_CHURN_S` says how long (20 s); `tests/soak MINUTES agent` runs it for so many
//! minutes. What it prints tells how much came and went.

mod callers;
mod samples;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use protem::proto::agent::local_agent_client::LocalAgentClient;
use protem::proto::agent::{ElevateRequest, StatusRequest, StatusResponse};
use protem::wire::elevation::RevocationRequest;
use tokio::task::JoinSet;

use self::callers::{Dice, Tally, envoy, workload};
use self::samples::{Sample, Samples};
use crate::agent_place::AgentPlace;
use crate::agent_wire::{connect, with_header};
use crate::live::Live;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_which_everything_comes_and_goes_does_not_grow() {
    let wanted = std::env::var("PROTEM_SOAK_CHURN_S").ok();
    let callers = if wanted.is_none() {
        CALLERS
    } else {
        CALLERS_IN_SOAK
    };
    let seconds: u32 = wanted.map_or(SECONDS, |text| text.parse().unwrap());
    let length = Duration::from_secs(seconds.into());
    let directory = tempfile::tempdir().unwrap();
    let place = Arc::new(AgentPlace::new(directory.path()));
    let server = place.server.serve();
    let own = format!("unix:uid:{}", rustix::process::geteuid().as_raw());
    for number in 0..SUBJECTS {
        place.register(&subject(number), &own, "60s").await;
    }
    let settings = "on_demand = [\"db.read\"]\nhold = \"1s\"";
    let agent = place.start_agent(settings).await;
    let rest = sample(&status(&place).await, &agent);

    let (tally, end) = (Arc::new(Tally::default()), Instant::now() + length);
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let dice = |salt| Dice::of(u64::from(number) * 100 + salt);
        let (sds, api) = (place.sds_socket(), place.workload_socket());
        tasks.spawn(envoy(sds, dice(1), end, Arc::clone(&tally)));
        tasks.spawn(workload(api, dice(2), end, Arc::clone(&tally)));
    }
    tasks.spawn(rights(Arc::clone(&place), end, Arc::clone(&tally)));
    let socket = place.workload_socket();
    let counted = Arc::clone(&tally);
    let processes = thread::spawn(move || processes(&socket, end, &counted));
    let of_server = place.server.clone();
    let every = (length / RESTARTS).max(RESTART_EVERY_LEAST);
    let restarts = thread::spawn(move || restarts(server, &of_server, every, end));

    let mut samples = Samples::default();
    let every = (length / SAMPLES).max(SAMPLE_EVERY_LEAST);
    while Instant::now() < end {
        samples.add(sample(&status(&place).await, &agent));
        tokio::time::sleep(every).await;
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    processes.join().unwrap();
    let _server = restarts.join().unwrap();
    println!("{tally:?} in {seconds} s");
    samples.tell();
    samples.assert_flat();
    let nobody = Instant::now() + PATIENCE;
    loop {
        let now = sample(&status(&place).await, &agent);
        if now.streams == 0 && now.files <= rest.files + FILES_MORE_MAX {
            println!("at rest: {rest:?} before, {now:?} after");
            break;
        }
        assert!(Instant::now() < nobody, "{now:?} is not {rest:?}");
        tokio::time::sleep(SAMPLE_EVERY_LEAST).await;
    }
}

/// Opens and ends elevations of one subject after the other.
async fn rights(place: Arc<AgentPlace>, end: Instant, tally: Arc<Tally>) {
    let mut dice = Dice::of(7);
    while Instant::now() < end {
        let number = dice.below(SUBJECTS);
        let request = ElevateRequest {
            scope: "db.read".to_owned(),
            reason: "it comes and goes".to_owned(),
            subject: subject(number),
            this_process: dice.below(2) == 0,
            ..ElevateRequest::default()
        };
        let channel = connect(&place.workload_socket()).await.unwrap();
        let mut client = LocalAgentClient::new(channel);
        let asked = client.elevate(with_header(request));
        // No where the server is away, or this subject asked too often.
        if asked.await.is_ok() {
            tally.elevated.add();
        }
        tokio::time::sleep(Duration::from_millis(dice.below(700).into())).await;
        let revocation = RevocationRequest {
            subject: Some(subject(number)),
            reason: "it comes and goes".to_owned(),
            ..RevocationRequest::default()
        };
        if place.operator().revoke(&revocation).await.is_ok() {
            tally.revoked.add();
        }
    }
}

/// Each is a holder of its own.
fn processes(socket: &Path, end: Instant, tally: &Tally) {
    let mut dice = Dice::of(8);
    while Instant::now() < end {
        let act = ["fetch", "watch"][usize::from(dice.below(2) == 0)];
        let mut child = Command::new(env!("CARGO_BIN_EXE_protem"))
            .args(["agent", act, "--socket"])
            .arg(socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(dice.below(300).into()));
        child.kill().unwrap();
        child.wait().unwrap();
        tally.processes.add();
    }
}

fn restarts(server: Live, place: &crate::live::Place, every: Duration, end: Instant) -> Live {
    let mut server = server;
    let mut next = Instant::now() + every;
    while next < end {
        thread::sleep(next - Instant::now());
        server.kill();
        server = place.serve();
        next = Instant::now() + every;
    }
    server
}

fn sample(status: &StatusResponse, agent: &Live) -> Sample {
    let pid = agent.pid().as_raw_nonzero();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    Sample {
        memory_kib: agent.memory_kib(),
        files: files.count(),
        held: status.held.len(),
        streams: status.streams.len(),
    }
}

async fn status(place: &AgentPlace) -> StatusResponse {
    let channel = connect(&place.workload_socket()).await.unwrap();
    let mut client = LocalAgentClient::new(channel);
    let status = client.status(with_header(StatusRequest {})).await;
    status.unwrap().into_inner()
}

fn subject(number: u32) -> String {
    format!("spiffe://dev.protem.test/ns/demo/sa/web-{number}")
}

/// In `tests/run`.
const SECONDS: u32 = 20;
/// All of one user's: who calls is each of them, and the first is his default.
const SUBJECTS: u32 = 5;
/// Of each socket.
const CALLERS: u32 = 3;
const CALLERS_IN_SOAK: u32 = 12;
/// Of the server, in all.
const RESTARTS: u32 = 20;
const RESTART_EVERY_LEAST: Duration = Duration::from_secs(6);
/// Enough for medians of thirds.
const SAMPLES: u32 = 300;
const SAMPLE_EVERY_LEAST: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);
/// Those that a runtime and a connection to the server take at one moment and not at another.
const FILES_MORE_MAX: usize = 8;
