//! From a word at the agent to what a real Envoy does.
//!
//! Five client Envoys take turns, each of a workload and a group of its own: an agent lets one
//! subject ask ten times in a row. The command line runs as the workload does.
//!
//! Promises: `protem elevate` has ended before the first request is sent; `revoke` has been
//! answered before the denied one is. Requests follow each other without a pause.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use protem::client::read_svid;
use protem::proto::agent::ElevateRequest;
use protem::proto::agent::local_agent_client::LocalAgentClient;
use protem::time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::agent_place::AgentPlace;
use crate::agent_wire::{connect, with_header};
use crate::figures::{Row, Table, ms_between, now_ns};
use crate::mesh::{Http, Mesh, until};

pub(crate) async fn measure(table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let place = AgentPlace::new(directory.path());
    let _server = place.server.serve();
    let of = |gid: u32| format!("unix:gid:{gid}");
    place.register(&subject("db"), &of(DB_GID), "1h").await;
    for number in 0..WEBS {
        let (name, gid) = (format!("web-{number}"), of(WEB_GID + number));
        place.register(&subject(&name), &gid, "14m").await;
    }
    for number in 0..ASKERS {
        let (name, gid) = (format!("asker-{number}"), rustix::process::getegid());
        place
            .register(&subject(&name), &of(gid.as_raw()), "1h")
            .await;
    }
    let _agent = place.start_agent("").await;
    elevate_calls(table, &place).await;

    let mut mesh = Mesh::new(directory.path());
    let echo = mesh.start_echo().await.to_string();
    let socket = place.sds_socket().display().to_string();
    let exactly = "exact: spiffe://${TRUST_DOMAIN}/ns/demo/sa/web/scope/db.read";
    let any_web =
        r#"safe_regex: {regex: "spiffe://dev.protem.test/ns/demo/sa/web-[0-4]/scope/db\\.read"}"#;
    let places = [
        ("${SERVER_PORT}", "0"),
        ("${ECHO_PORT}", &echo),
        ("${AGENT_SOCKET}", &socket),
        (exactly, any_web),
    ];
    let template = "deploy/demo/server.yaml";
    let server = mesh.start_envoy("db", DB_GID, template, &places).await;
    let mut webs = Vec::new();
    for number in 0..WEBS {
        webs.push(Web::start(&mut mesh, &place, number, server).await);
    }
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for web in &mut webs {
            let times = web.round(&place, server).await;
            for (figures, time) in figures.iter_mut().zip(times) {
                figures.push(time);
            }
        }
    }
    let [called, elevated, revoked] = figures;
    for (name, times_ms) in [
        (
            "`protem elevate` as a process, from its start to its end",
            called,
        ),
        (
            "`protem elevate` has ended, to the first request let in",
            elevated,
        ),
        ("`revoke` is answered, to the first request denied", revoked),
    ] {
        table.add(Row {
            name: name.to_owned(),
            times_ms,
            ..Row::default()
        });
    }
}

/// A workload with its Envoy.
struct Web {
    gid: u32,
    envoy: Http<tokio::net::TcpStream>,
    /// Where `protem agent write` keeps its elevated SVID.
    folder: std::path::PathBuf,
}

impl Web {
    async fn start(mesh: &mut Mesh, place: &AgentPlace, number: u32, server: u16) -> Self {
        let (name, gid) = (format!("web-{number}"), WEB_GID + number);
        let socket = place.sds_socket().display().to_string();
        let places = [
            ("${SERVER_PORT}", &*server.to_string()),
            ("${AGENT_SOCKET}", &socket),
        ];
        let template = "deploy/demo/client.yaml";
        let port = mesh.start_envoy(&name, gid, template, &places).await;
        let folder = place.path(&format!("{name}/elevated"));
        std::fs::create_dir(&folder).unwrap();
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&folder, owner_only).unwrap();
        let mut keep = Command::new(env!("CARGO_BIN_EXE_protem"));
        keep.args(["agent", "write", "--hint", "scope/db.read", "--socket"]);
        keep.arg(place.workload_socket()).arg(&folder);
        mesh.start(&format!("{name}-keep"), gid, &mut keep);
        let mut envoy = Http::plain(port).await;
        assert_eq!(
            envoy.get(None).await,
            403,
            "the base SVID is let in nowhere"
        );
        Self { gid, envoy, folder }
    }

    /// Elevates and revokes once.
    async fn round(&mut self, place: &AgentPlace, server: u16) -> [f64; 3] {
        // 403 is an old connection of its pool, made with the SVID that was revoked: a new SVID
        // comes to new connections only, and the pool makes one when the old one is 15 s old.
        until(
            "the Envoy without the right and without such a connection",
            async || (self.envoy.get(Some(SCOPE)).await == 503).then_some(()),
        )
        .await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
        command.args(["elevate", SCOPE, "--reason", "to measure", "--json"]);
        command.arg("--socket").arg(place.workload_socket());
        command.gid(self.gid);
        let began = now_ns();
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        let elevated = now_ns();
        assert!(output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut tries = 0;
        while self.envoy.get(Some(SCOPE)).await != 200 {
            tries += 1;
            assert!(tries < 100_000, "never let in");
        }
        let let_in = now_ns();
        // With the same right on a connection that no Envoy closes when the right is gone.
        let now = || SystemClock.now();
        let held = async || read_svid(&self.folder, now()).ok();
        let held = until("the elevated SVID", held).await;
        let mut direct = Http::mutual(server, &held).await;
        assert_eq!(direct.get(None).await, 200);
        let id = told["id"].as_str().unwrap();
        place.operator().revoke_one(id, "measured").await.unwrap();
        let revoked = now_ns();
        while direct.get(None).await != 403 {}
        let denied = now_ns();
        let key = self.folder.join("svid.key");
        until("its end", async || (!key.exists()).then_some(())).await;
        [
            ms_between(began, elevated),
            ms_between(elevated, let_in),
            ms_between(revoked, denied),
        ]
    }
}

/// What asking alone takes, one after the other on a kept connection.
async fn elevate_calls(table: &mut Table, place: &AgentPlace) {
    let channel = connect(&place.workload_socket()).await.unwrap();
    let mut client = LocalAgentClient::new(channel);
    let mut times_ms = Vec::new();
    for _ in 0..CALLS_OF_EACH {
        for number in 0..ASKERS {
            let request = ElevateRequest {
                scope: SCOPE.to_owned(),
                reason: "to measure".to_owned(),
                subject: subject(&format!("asker-{number}")),
                ..ElevateRequest::default()
            };
            let began = now_ns();
            client.elevate(with_header(request)).await.unwrap();
            times_ms.push(ms_between(began, now_ns()));
        }
    }
    table.add(Row {
        name: "LocalAgent/Elevate, one after the other".to_owned(),
        times_ms,
        ..Row::default()
    });
}

fn subject(name: &str) -> String {
    format!("spiffe://dev.protem.test/ns/demo/sa/{name}")
}

const SCOPE: &str = "db.read";
const WEB_GID: u32 = 61_300;
const DB_GID: u32 = 61_310;
const WEBS: u32 = 5;
/// Of each Envoy: as often as one subject may ask in a row.
const ROUNDS: usize = 10;
const ASKERS: u32 = 50;
const CALLS_OF_EACH: usize = 6;
