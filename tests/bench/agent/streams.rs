//! Ten thousand streams: what each holds of the agent's memory, and how soon each is told.
//!
//! Promises: an agent of its own for each measurement, on which one smaller crowd has come and gone
//! before; memory is taken when everybody has been told everything once.

use std::time::Duration;

use protem::proto::agent::ElevateRequest;
use protem::proto::agent::local_agent_client::LocalAgentClient;
use tempfile::TempDir;

use crate::agent_place::AgentPlace;
use crate::agent_wire::{connect, with_header};
use crate::crowds::Crowds;
use crate::figures::{Row, Table, cpu_us, ms_between, now_ns};
use crate::live::Live;

/// Of Envoys.
pub(crate) async fn sds(table: &mut Table) {
    for (kind, words) in [("delta", "delta"), ("sotw", "state of the world")] {
        let name = format!("SDS, {words}, 10,000 streams on 100 connections");
        measure(table, &name, kind, [1, 100, 100]).await;
    }
    // Each takes two files of the agent, and half of its files are the other socket's: a process
    // with 20,000 files has room for so many.
    let name = "SDS, delta, 4,000 streams on 4,000 connections";
    measure(table, name, "delta", [1, 4_000, 1]).await;
}

/// Of the Workload API, with fewer of one process than it may have.
pub(crate) async fn workload(table: &mut Table) {
    let name = "Workload API, 10,000 streams of 200 processes";
    measure(table, name, "workload", [200, 1, 50]).await;
}

async fn measure(table: &mut Table, name: &str, kind: &str, size: [usize; 3]) {
    let count = size.iter().product();
    let mut scene = Scene::begin().await;
    let socket = match kind {
        "workload" => scene.place.workload_socket(),
        _ => scene.place.sds_socket(),
    };
    // What is made once is made before.
    let warm = Crowds::open(kind, &socket, [1, 5, 10]);
    scene.elevate().await;
    drop(warm);
    scene.revoke().await;
    tokio::time::sleep(SETTLED).await;
    let before_kib = scene.agent.memory_kib();
    let (began, cpu_began) = (now_ns(), scene.cpu_us());
    let mut crowds = Crowds::open(kind, &socket, size);
    let opened = now_ns();
    println!("{name}: open after {:.0} ms", ms_between(began, opened));
    tokio::time::sleep(SETTLED).await;
    let opening = (scene.cpu_us() - cpu_began) / real(count);
    let open_kib = scene.agent.memory_kib();

    let mut rows = Vec::new();
    for (what, words) in [
        ("elevated", "an elevation, to all"),
        ("gone", "its end, to all"),
        ("base", "a new base SVID, to all"),
    ] {
        crowds.begin(what);
        let cpu = scene.cpu_us();
        let set_off = scene.set_off(what).await;
        let moments = tokio::task::block_in_place(|| crowds.moments());
        tokio::time::sleep(SETTLED).await;
        let times_ms = moments.iter().map(|at| ms_between(set_off, *at));
        rows.push(Row {
            name: format!("– {words}"),
            times_ms: times_ms.collect(),
            cpu_us: Some((scene.cpu_us() - cpu) / real(count)),
            memory_kib: None,
        });
    }
    let told_kib = scene.agent.memory_kib();
    let each =
        |kib: u64| real(usize::try_from(kib.saturating_sub(before_kib)).unwrap()) / real(count);
    println!(
        "{name}: {before_kib} KiB before, {open_kib} open ({:.1} each), {told_kib} told ({:.1})",
        each(open_kib),
        each(told_kib)
    );
    table.add(Row {
        name: name.to_owned(),
        times_ms: Vec::new(),
        cpu_us: Some(opening),
        memory_kib: Some(each(told_kib.max(open_kib))),
    });
    rows.into_iter().for_each(|row| table.add(row));
    drop(crowds);
    tokio::time::sleep(SETTLED).await;
    println!(
        "{name}: {} KiB after all have left",
        scene.agent.memory_kib()
    );
}

/// One host.
struct Scene {
    place: AgentPlace,
    agent: Live,
    _server: Live,
    _directory: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = AgentPlace::new(directory.path());
        let server = place.server.serve();
        let own_uid = rustix::process::geteuid().as_raw();
        let own = format!("unix:uid:{own_uid}");
        place.register(WEB, &own, "60s").await;
        Self {
            agent: place.start_agent("").await,
            place,
            _server: server,
            _directory: directory,
        }
    }

    /// Answers the moment from which it is on its way.
    async fn set_off(&mut self, what: &str) -> u64 {
        let now = now_ns();
        match what {
            "elevated" => self.elevate().await,
            "gone" => self.revoke().await,
            _ => {
                let agent = &mut self.agent;
                let minted = || agent.until_said_anew("SVID minted");
                tokio::task::block_in_place(minted);
                return now_ns();
            }
        }
        now
    }

    async fn elevate(&self) {
        let socket = self.place.workload_socket();
        let mut client = LocalAgentClient::new(connect(&socket).await.unwrap());
        let request = ElevateRequest {
            scope: SCOPE.to_owned(),
            reason: "to measure".to_owned(),
            ..ElevateRequest::default()
        };
        client.elevate(with_header(request)).await.unwrap();
    }

    async fn revoke(&self) {
        let request = protem::wire::elevation::RevocationRequest {
            scope: Some(SCOPE.to_owned()),
            reason: "measured".to_owned(),
            ..Default::default()
        };
        self.place.operator().revoke(&request).await.unwrap();
    }

    fn cpu_us(&self) -> f64 {
        cpu_us(self.agent.pid().as_raw_nonzero().get().unsigned_abs())
    }
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

const WEB: &str = "spiffe://dev.protem.test/ns/demo/sa/web";
const SCOPE: &str = "db.read";
/// After it nothing of before is under way.
const SETTLED: Duration = Duration::from_millis(1_500);
