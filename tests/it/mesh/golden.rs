//! Every printed form as a golden file below `tests/golden/mesh`, and read by another reader.
//!
//! After a wanted change: `PROTEM_WRITE_GOLDEN=1 cargo test --test it mesh::golden`, and read the
//! difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::{protem, stderr, stdout};
use crate::envoy::bench::WEB;
use crate::tools::{repository, run, tool};

#[test]
fn printed_texts_are_as_written_down() {
    let folder = repository("tests/golden/mesh");
    let printed = printed();
    if std::env::var_os("PROTEM_WRITE_GOLDEN").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in &printed {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut wrong = Vec::new();
    for (name, text) in &printed {
        if fs::read_to_string(folder.join(name)).unwrap_or_default() != *text {
            wrong.push(name);
        }
        // An open place of a template, or a character that YAML does not take.
        assert!(!text.contains("{{") && !text.contains('\t'), "{name}");
    }
    assert!(
        wrong.is_empty(),
        "differ: {wrong:?}: if that is wanted, run `PROTEM_WRITE_GOLDEN=1 cargo test --test it \
         mesh::golden` and read the difference"
    );
    for file in fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            printed.contains_key(name.as_str()),
            "{name}: nothing prints this, remove it"
        );
    }
}

#[test]
fn every_text_says_its_tier_its_number_and_its_holes() {
    for (name, text) in printed() {
        let head: String = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        assert!(head.contains("# Tier "), "{name}");
        assert!(head.contains("Access can outlive notAfter by: "), "{name}");
        assert!(head.contains("# Not enforced:# - "), "{name}");
        let number = |wanted: &str| assert!(head.contains(wanted), "{name}: {wanted}: {head}");
        match name {
            "envoy-server-tcp.yaml" | "istio-tcp.yaml" => number("by: at most 24s"),
            "envoy-server.yaml" => {
                number("by: at most 0.05s");
                number("bound it: 86s");
            }
            "nginx.conf" | "linkerd.yaml" => number("by: any time"),
            _ => {}
        }
    }
}

/// No name is matched by its beginning or its end, in any of them.
#[test]
fn rules_hold_whole_names_alone() {
    for (name, text) in printed() {
        let rules = text.lines().filter(|line| !line.trim().starts_with('#'));
        for line in rules {
            let named = line.contains("spiffe://") || line.contains("dev.protem.test/");
            for loose in ["prefix", "suffix", "regex", "contains:", "/*", "*/"] {
                assert!(!named || !line.contains(loose), "{name}: {line}");
            }
        }
    }
}

/// By a reader of YAML that is not Envoy: the resources are where each mesh looks for them.
#[test]
fn resources_have_their_kinds_and_fields() {
    let elevated = "dev.protem.test/ns/demo/sa/web/scope/db.read";
    let istio = documents("istio.yaml");
    let kinds: Vec<_> = istio
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "PeerAuthentication",
            "AuthorizationPolicy",
            "EnvoyFilter",
            "DestinationRule"
        ]
    );
    assert_eq!(istio[0]["spec"]["mtls"]["mode"], "STRICT");
    let rule = &istio[1]["spec"]["rules"][0];
    let base = "dev.protem.test/ns/demo/sa/ops";
    let principals = serde_json::json!([elevated, base]);
    assert_eq!(rule["from"][0]["source"]["principals"], principals);
    let patches = istio[2]["spec"]["configPatches"].as_array().unwrap();
    let tls = &patches[0]["patch"]["value"]["transport_socket"]["typed_config"];
    assert_eq!(tls["disable_stateless_session_resumption"], true);
    assert_eq!(tls["disable_stateful_session_resumption"], true);
    for patch in patches {
        assert_eq!(patch["match"]["context"], "SIDECAR_INBOUND");
    }
    let client = &istio[3]["spec"];
    assert_eq!(client["workloadSelector"]["matchLabels"]["app"], "web");
    let policy = &client["trafficPolicy"]["portLevelSettings"][0];
    assert_eq!(policy["tls"]["credentialName"], "sds://scope/db.read");
    assert_eq!(
        policy["connectionPool"]["tcp"]["maxConnectionDuration"],
        "24s"
    );

    let linkerd = documents("linkerd.yaml");
    assert_eq!(linkerd[0]["spec"]["accessPolicy"], "deny");
    assert_eq!(
        linkerd[1]["spec"]["identities"][0],
        format!("spiffe://{elevated}")
    );
    let named = &linkerd[2]["spec"]["requiredAuthenticationRefs"][0]["name"];
    assert_eq!(named, &linkerd[1]["metadata"]["name"]);

    let consul = &documents("consul.yaml")[0]["spec"];
    let sources = serde_json::json!([
        {"name": "web_db.read", "action": "allow"},
        {"name": "*", "action": "deny"},
    ]);
    assert_eq!(consul["sources"], sources);
}

#[test]
fn what_cannot_be_printed_is_told_with_what_to_do() {
    let dns = "--encoding dns";
    for (line, words) in [
        (format!("istio {POD} --upstream db:80 {dns}"), "take `path`"),
        (format!("linkerd {POD} {dns}"), "take `path` or `folded`"),
        (format!("consul {SERVICE}"), "take `folded`"),
        (
            format!("haproxy --upstream 127.0.0.1:1 {dns}"),
            "take `path` or `folded`",
        ),
        (
            format!("envoy --side server --protocol tcp {UP} {dns}"),
            "handshake",
        ),
        (format!("envoy --side client {UP}"), "give `--service-id"),
        (
            format!("envoy --side server {UP} --svid-life 1h"),
            "choose `5s` to `15m`",
        ),
        (
            format!("envoy --side server {UP} --policy nowhere"),
            "such as `policy`",
        ),
        (
            format!("envoy --side server {UP} --upstream a"),
            "HOST:PORT",
        ),
        (
            "envoy --side server --upstream here".to_owned(),
            "HOST:PORT",
        ),
        (
            format!("envoy --side server {UP} --agent-socket a"),
            "absolute path",
        ),
        (
            format!("istio {POD} --upstream db:80 --server-label a"),
            "KEY=VALUE",
        ),
    ] {
        let life = if line.contains("--svid-life") {
            ""
        } else {
            "--svid-life 60s"
        };
        let line = format!("mesh {line} --scope db.read --subject {WEB} {life}");
        let output = print(&line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let told = stderr(&output);
        assert!(told.contains(words), "{line}: {told}");
        assert_eq!(stdout(&output), "", "{line}");
    }
    let told = stderr(&print(
        "mesh nginx --scope a --upstream a:1 --svid-life 60s",
    ));
    assert!(told.contains("--subject SPIFFE_ID"), "{told}");
    let told = stderr(&print(&format!(
        "mesh nginx --scope a --upstream a:1 --subject {WEB}"
    )));
    assert!(told.contains("--policy DIR"), "{told}");
    let line = format!("mesh nginx --scope db.read --upstream a:1 --subject {WEB}");
    let policy = repository("policy");
    let told = stderr(&print(&format!(
        "{line} --svid-life 5m --policy {}",
        policy.display()
    )));
    assert!(
        told.contains("`60s` in scopes.toml") || told.contains("`1m` in"),
        "{told}"
    );
}

/// File to text, for every form.
fn printed() -> BTreeMap<&'static str, String> {
    let common = format!("--scope db.read --subject {WEB} --svid-life 60s");
    let ops = "--base-rights spiffe://dev.protem.test/ns/demo/sa/ops";
    let server = format!("envoy --side server {UP} {common} {ops}");
    let client = format!("envoy --side client {UP} {common} {SERVICE}");
    let pod = format!("{POD} {common} {ops}");
    let consul_web = "--subject spiffe://c.consul/ns/default/dc/dc1/svc/web";
    let consul_db = "--service-id spiffe://c.consul/ns/default/dc/dc1/svc/db";
    let forms = [
        ("envoy-server.yaml", server.clone()),
        (
            "envoy-server-xds.yaml",
            format!("{server} --form xds --no-deny-list"),
        ),
        ("envoy-server-dns.yaml", format!("{server} --encoding dns")),
        (
            "envoy-server-folded.yaml",
            format!("{server} --encoding folded"),
        ),
        (
            "envoy-server-grpc.yaml",
            format!("{server} --protocol grpc"),
        ),
        ("envoy-server-tcp.yaml", format!("{server} --protocol tcp")),
        ("envoy-client.yaml", client.clone()),
        ("envoy-client-xds.yaml", format!("{client} --form xds")),
        ("envoy-client-tcp.yaml", format!("{client} --protocol tcp")),
        (
            "istio.yaml",
            format!("istio {pod} --upstream db.demo.svc.cluster.local:80"),
        ),
        (
            "istio-tcp.yaml",
            format!("istio {pod} --upstream db.demo.svc:80 --protocol tcp"),
        ),
        ("linkerd.yaml", format!("linkerd {pod}")),
        (
            "consul.yaml",
            format!(
                "consul --scope db.read {consul_web} {consul_db} --encoding folded --svid-life 60s"
            ),
        ),
        ("nginx.conf", format!("nginx {UP} {common}")),
        ("haproxy.conf", format!("haproxy {UP} {common}")),
    ];
    forms
        .into_iter()
        .map(|(name, line)| {
            let output = print(&format!("mesh {line}"));
            assert!(output.status.success(), "{line}: {}", stderr(&output));
            (name, stdout(&output))
        })
        .collect()
}

fn print(line: &str) -> std::process::Output {
    let words: Vec<_> = line.split_whitespace().collect();
    protem(&repository(""), &words)
}

/// The documents of a golden file.
pub(crate) fn documents(name: &str) -> Vec<Value> {
    documents_of(&repository("tests/golden/mesh").join(name))
}

/// The documents of a file, read by Python.
pub(crate) fn documents_of(file: &Path) -> Vec<Value> {
    let script = "import json, sys, yaml\n\
                  print(json.dumps([one for one in yaml.safe_load_all(open(sys.argv[1])) if one]))";
    let told = run(tool("python").args(["-c", script]).arg(file)).expect_success();
    serde_json::from_str(&told).unwrap()
}

/// The first value of this name, wherever it stands.
pub(crate) fn field(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(map) => map
            .get(name)
            .cloned()
            .or_else(|| map.values().find_map(|inner| field(inner, name))),
        Value::Array(list) => list.iter().find_map(|inner| field(inner, name)),
        _ => None,
    }
}

const SERVICE: &str = "--service-id spiffe://dev.protem.test/ns/demo/sa/db";
const POD: &str = "--service-id spiffe://dev.protem.test/ns/demo/sa/db --target-port 8080";
const UP: &str = "--upstream 127.0.0.1:8080";
