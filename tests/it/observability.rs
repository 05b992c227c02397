//! What an operator sees: metrics, log lines, dashboard and alerts, each as its reference says.
//!
//! `deploy/observability/metrics.md` and `logs.md` are written from the code. After a wanted
//! change: `PROTEM_WRITE_HELP=1 cargo test --test it observability::`, then fill in what a new log
//! line means, and read the difference.

mod log_lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use protem::metric::{Kind, agent_table, table};
use serde_json::Value;

use super::live::{Live, Place};
use super::tools::{repository, run, tool};

#[test]
fn the_references_of_metrics_are_the_tables() {
    for (path, head, metrics) in [
        ("deploy/observability/metrics.md", METRICS_HEAD, table::ALL),
        (
            "deploy/observability/agent-metrics.md",
            AGENT_METRICS_HEAD,
            agent_table::ALL,
        ),
    ] {
        let mut page = String::from(head);
        for metric in metrics {
            let kind = kind(metric.kind);
            let label = metric.label.map_or(String::new(), |(label, values)| {
                let mut values: Vec<String> = values.iter().map(|one| format!("`{one}`")).collect();
                if label == "version" {
                    values = vec!["the version".to_owned()];
                }
                format!("`{label}`: {}", values.join(", "))
            });
            let help = metric.help;
            let name = metric.full_name();
            writeln!(page, "| `{name}` | {kind} | {help} | {label} |").unwrap();
        }
        as_written(path, &page);
    }
}

/// An agent whose server is away starts, serves, tells why it is not ready, and shows every metric
/// of its table and no other.
#[test]
fn an_agent_without_its_server_shows_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let observe = Place::new(folder.path()).port;
    let nobody = Place::new(folder.path()).port;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("bundle.pem"), some_root()).unwrap();
    let text = format!(
        "server = \"https://127.0.0.1:{nobody}\"\nbundle = {:?}\nstate = {:?}\n\
         subject = \"spiffe://prod.example/agent/a\"\nworkload_socket = {:?}\n\
         observe = \"127.0.0.1:{observe}\"\n[sds]\nsocket = {:?}\n",
        path("bundle.pem"),
        path("state"),
        path("run/workload.sock"),
        path("run/sds.sock"),
    );
    fs::write(path("agent.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
    command
        .args(["agent", "run", "--config"])
        .arg(path("agent.toml"));
    let mut live = Live::start(command);
    live.until_said("the agent serves");
    assert!(ask(observe, "/livez").starts_with("HTTP/1.1 200"));
    let ready = ask(observe, "/readyz");
    assert!(
        ready.contains(" 503 ") && ready.contains("no SVID of its own"),
        "{ready}"
    );
    assert!(ask(observe, "/other").contains(" 404 "));
    let text = ask(observe, "/metrics");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<&str> = types.map(|line| line.split(' ').next().unwrap()).collect();
    let wanted: Vec<String> = agent_table::ALL
        .iter()
        .map(|metric| metric.full_name().trim_end_matches("_total").to_owned())
        .collect();
    assert_eq!(shown, wanted.iter().map(String::as_str).collect(), "{text}");
    assert!(text.contains("\nprotem_agent_connected 0\n"), "{text}");
    assert_eq!(live.terminate().0.code(), Some(0));
    assert!(
        !path("run/workload.sock").exists(),
        "a stopped agent leaves no socket"
    );
}

/// A real server shows every metric of the table, no other, and only values that it names.
#[test]
fn what_is_scraped_is_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let observe = Place::new(folder.path()).port;
    let config = folder.path().join("server.toml");
    let text = format!(
        "trust_domain = \"prod.example\"\ndata = {:?}\nlisten = \"127.0.0.1:{}\"\n\
         observe = \"127.0.0.1:{observe}\"\nip_addresses = [\"127.0.0.1\"]\n\
         first_policy = {:?}\nlog = \"info\"\n",
        folder.path().join("data"),
        place.port,
        repository("policy")
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
    command.args(["serve", "--config"]).arg(&config);
    let mut live = Live::start(command);
    live.until_said("serving");
    let url = fs::read_to_string(folder.path().join("data/server.url")).unwrap();
    assert_eq!(url, format!("https://127.0.0.1:{}", place.port));

    let text = ask(observe, "/metrics");
    let mut kinds = BTreeMap::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["#", "TYPE", name, kind] => drop(kinds.insert(name.to_owned(), kind.to_owned())),
            [] | ["#", ..] => {}
            [name, ..] => drop(series.insert(name.to_owned())),
        }
    }
    let wanted = table::ALL.iter().map(|metric| {
        let name = metric.full_name();
        let name = name.strip_suffix("_total").unwrap_or(&name).to_owned();
        (name, kind(metric.kind).to_owned())
    });
    assert_eq!(kinds, wanted.collect(), "{text}");
    for metric in table::ALL {
        let Some((label, values)) = metric.label else {
            continue;
        };
        let name = match metric.kind {
            Kind::Counter | Kind::Gauge => metric.full_name(),
            Kind::Histogram => metric.full_name() + "_count",
        };
        let shown = series
            .iter()
            .filter(|one| one.starts_with(&format!("{name}{{")));
        let shown: BTreeSet<String> = shown.cloned().collect();
        let wanted = values
            .iter()
            .map(|value| format!("{name}{{{label}=\"{value}\"}}"));
        assert_eq!(shown, wanted.collect(), "{name}");
    }
    assert!(text.contains("\nprotem_ready 1\n"), "{text}");
    assert!(text.contains("\nprotem_policy_version 1\n"), "{text}");
    assert_eq!(live.terminate().0.code(), Some(0));
}

#[test]
fn the_reference_of_logs_is_what_the_code_says() {
    let path = "deploy/observability/logs.md";
    let old = fs::read_to_string(repository(path)).unwrap_or_default();
    let meanings: BTreeMap<&str, &str> = old
        .lines()
        .filter_map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            Some((*cells.get(1)?, *cells.get(4)?))
        })
        .collect();
    let mut page = String::from(LOGS_HEAD);
    let mut unexplained = Vec::new();
    for line in log_lines::all() {
        let message = format!("`{}`", line.message);
        let meaning = meanings.get(message.as_str()).copied().unwrap_or_default();
        if meaning.is_empty() {
            unexplained.push(line.message.clone());
        }
        let fields = line.fields.iter().map(|field| format!("`{field}`"));
        let fields = fields.collect::<Vec<_>>().join(" ");
        let (level, target) = (&line.level, &line.target);
        writeln!(
            page,
            "| {level} | {message} | {fields} | `{target}` | {meaning} |"
        )
        .unwrap();
    }
    as_written(path, &page);
    assert!(
        unexplained.is_empty(),
        "{path}: say in the last column what these mean and what to do: {unexplained:#?}"
    );
}

/// A typing error in a name makes an alert that never comes.
#[test]
fn dashboard_and_alerts_ask_for_what_is_there() {
    let alerts = read("deploy/observability/alerts.yaml");
    let dashboard: Value =
        serde_json::from_str(&read("deploy/observability/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let exprs = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let exprs = exprs.map(|target| target["expr"].as_str().unwrap().to_owned());
    let mut known = BTreeSet::new();
    for metric in table::ALL {
        let name = metric.full_name();
        known.insert(name.clone());
        if metric.kind == Kind::Histogram {
            known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
        }
    }
    known.extend(agent_table::ALL.iter().map(|metric| metric.full_name()));
    let mut shown = BTreeSet::new();
    for text in exprs.chain([alerts]) {
        for (label, value) in labels(&text) {
            let row = table::ALL
                .iter()
                .find(|row| row.label.is_some_and(|(one, _)| one == label));
            let named = row.is_some_and(|row| row.label.unwrap().1.contains(&value.as_str()));
            assert!(named, "no metric has {label}={value:?}");
        }
        for name in metric_names(&text) {
            assert!(known.contains(name), "`{name}` is in no row of the table");
            shown.insert(name.to_owned());
        }
    }
    // Whatever is measured is also looked at.
    for metric in table::ALL {
        let name = metric.full_name();
        assert!(
            shown.iter().any(|one| one.starts_with(&name)),
            "nobody looks at `{name}`"
        );
    }
}

/// Each alert wakes somebody with a next step, and the manual has the rest.
#[test]
fn every_alert_has_its_runbook() {
    let text = read("deploy/observability/alerts.yaml");
    let rules: Vec<&str> = text.split("  - alert: ").skip(1).collect();
    let manual = read("src/manual/runbook.rs");
    let mut names = Vec::new();
    for rule in &rules {
        let mut lines = rule.lines();
        let name = lines.next().unwrap();
        assert!(
            manual.contains(&format!("//! # {name}\n")),
            "manual::runbook lacks {name}"
        );
        let mut keys: Vec<&str> = lines
            .filter_map(|line| {
                line.trim()
                    .split_once(": ")
                    .or_else(|| line.trim().split_once(':'))
            })
            .map(|(key, _)| key)
            .collect();
        keys.retain(|key| *key != "for");
        assert_eq!(
            keys,
            ["expr", "labels", "annotations", "summary", "runbook"],
            "{name}"
        );
        let severity = ["{severity: page}", "{severity: ticket}"];
        assert!(severity.iter().any(|one| rule.contains(one)), "{name}");
        names.push(name);
    }
    let headings = manual
        .lines()
        .filter_map(|line| line.strip_prefix("//! # "));
    assert_eq!(
        headings.collect::<Vec<_>>(),
        names,
        "in the order of the rules"
    );
}

/// The names of metrics in a text.
fn metric_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("protem_"))
}

/// `label="value"` in a text.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for selector in text
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
    {
        for part in selector.split(',') {
            let exact = part.split_once("=\"");
            if let Some((label, value)) = exact {
                found.push((label.to_owned(), value.trim_end_matches('"').to_owned()));
            }
        }
    }
    found
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn as_written(path: &str, page: &str) {
    if std::env::var_os("PROTEM_WRITE_HELP").is_some() {
        fs::write(repository(path), page).unwrap();
    }
    assert!(
        fs::read_to_string(repository(path)).unwrap_or_default() == page,
        "{path} differs from the code: if that is wanted, run \
         `PROTEM_WRITE_HELP=1 cargo test --test it observability::` and read the difference"
    );
}

/// Some root, of a server that nobody runs.
fn some_root() -> String {
    let root = run(tool("openssl").args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=nobody",
        "-keyout",
        "/dev/null",
    ]));
    root.expect_success()
}

fn ask(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

const METRICS_HEAD: &str = "\
# Metrics

Written by `tests/it/observability.rs` from `src/metric/table.rs`; do not edit. Scraped at
`/metrics` of `observe`, in the text format of OpenMetrics. Every series is there from the start,
and a label has no other values than these: no subject, scope or address is ever a label.

Beside them: `/livez` answers 200 as long as the process answers, and says nothing of its work;
`/readyz` answers 200 while the server can record, trusts its clock and has a policy in force,
else 503 with the reason. Restart on `/livez`, route and alert on `/readyz`. The store is looked
at in rounds of 2 s, so asking costs nothing; one that takes more than 5 s for one write is not
ready.

| Name | Kind | Tells | Label |
|---|---|---|---|
";
const AGENT_METRICS_HEAD: &str = "\
# Metrics of an agent

Written by `tests/it/observability.rs` from `src/metric/agent_table.rs`; do not edit. Scraped at
`/metrics` of the agent's `observe`. Every series is there from the start, and a label has no other
values than these: no subject, scope, process or path is ever a label.

Beside them: `/livez` answers 200 as long as the process answers; `/readyz` answers 200 while the
agent has an SVID of its own, the server's stream stands and the sockets are where they belong, else
503 with the reason. An agent that is not ready still hands over what it holds.

| Name | Kind | Tells | Label |
|---|---|---|---|
";
const LOGS_HEAD: &str = "\
# Log lines

Written by `tests/it/observability.rs` from the calls in `src`, but for the last column. On
standard error, as text or one JSON object a line (`log_json`). A message never changes with its
values: they are fields. No line holds a key, a token, a request for a certificate or a person's
reason.

`log` is a filter over level and target, such as `info` or `warn,protem::api::request=info`. A
problem's `instance`, `urn:protem:request:ID`, is the `id` of its line `request answered`.

| Level | Message | Fields | Target | Means, and what to do |
|---|---|---|---|---|
";
