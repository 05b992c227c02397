//! A revocation, from the command to the connection: server, agent, list, module.

use std::process::Command;

use super::built::module_folder;
use crate::envoy::bench::{Bench, DB, WEB, lives, until};
use crate::envoy::hosts::{DB_AGENT, Doors};
use crate::tools::{repository, tool};

#[test]
fn a_revocation_cuts_a_tcp_connection_that_lives() {
    module_folder();
    let bench = Bench::serving(&|name, text| lives(name, text, "120s"));
    bench.protem(&format!(
        "entry put --subject {WEB} --owner demo --group demo --life 60s"
    ));
    bench.keep_base("web", WEB);
    bench.register("db", DB, "");
    bench.start_agent(DB_AGENT);
    let echo = bench.start_echo();
    let doors = Doors {
        client: 0,
        server: 0,
        echo,
    };
    let text = std::fs::read_to_string(repository("deploy/envoy/server.yaml")).unwrap();
    let text = text.replace("${TCP_PORT}", "0");
    let text = text.replace("${TCP_ECHO_PORT}", &echo.to_string());
    bench.start_on_agent("module", "db", doors, text);
    let port = bench.listener("module", "tcp");

    let elevate = "elevate db.read --svid web --reason test --duration 5m";
    bench.keep("elevated", &format!("{elevate} --out elevated"));
    bench.wait_for_svid("elevated");
    let mut python = holder(port);
    bench.start("holder", python.current_dir(bench.path("")));
    until("a served connection", || {
        (bench.text("holder.out") == "open\n").then_some(())
    });
    bench.protem("revoke --scope db.read --reason test");
    until("the cut", || {
        (bench.text("holder.out") == "open\nclosed\n").then_some(())
    });
    assert_eq!(bench.end_of("holder"), Some(0));
    let why = until("the connection in the log", || {
        let log = bench.text("server.log");
        let line = log.lines().find(|line| line.contains("/scope/db.read"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["why"].as_str()?.to_owned())
    });
    assert_eq!(why, "protem_certificate_denied");
}

fn holder(port: u16) -> Command {
    let mut python = tool("python");
    python.arg("-B").arg(repository("tests/envoy/cut.py"));
    python.arg("stays");
    python.args(["--server", &format!("127.0.0.1:{port}")]);
    python.args(["--bundle", "web/bundle.pem", "--client", "elevated"]);
    python
}
