//! What `protem mesh istio` prints, in an Envoy that Istio could have configured: the principals as
//! Istio makes RBAC of them, the patches as Istio applies them.
//!
//! The client's side, a credential named `sds://scope/...`, is in `agent_envoy::istio`.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::golden::{documents_of, field};
use super::stand::{OPS, Stand};
use crate::envoy::EXPIRY;
use crate::envoy::bench::WEB;
use crate::tools::repository;

#[test]
fn the_patches_end_what_istio_lets_go_on() {
    let stand = Stand::open("path");
    stand.start_server_host();
    let bench = &stand.bench;
    let printed = bench.protem(&format!(
        "mesh istio --scope db.read --policy policy --subject {WEB} --base-rights {OPS} \
         --upstream db.demo.svc.cluster.local:80 --target-port 8080"
    ));
    fs::write(bench.path("printed.yaml"), printed).unwrap();
    let printed = documents_of(&bench.path("printed.yaml"));
    let places = [
        ("AGENT_SOCKET", bench.sds_socket("db").display().to_string()),
        ("UPSTREAM_PORT", stand.behind("http", "http").to_string()),
    ];
    let text = fs::read_to_string(repository("tests/envoy/istio-server.yaml")).unwrap();
    let path = bench.fill_in("istio", text, &places);
    let mut envoy = documents_of(&path).remove(0);
    allow(&mut envoy, &printed[1]);
    for patch in printed[2]["spec"]["configPatches"].as_array().unwrap() {
        apply(&mut envoy, patch);
    }
    fs::write(&path, envoy.to_string()).unwrap();
    let port = bench.start_envoy_on("istio", &path);
    let end = stand.elevate("elevated");
    let to = format!("--server 127.0.0.1:{port} --bundle web/bundle.pem --log istio.log {end}");
    thread::scope(|scope| {
        scope.spawn(|| {
            let line = format!("expiry {to} --base web --elevated elevated");
            bench.drive_by("mesh", &line, &EXPIRY);
        });
        scope.spawn(|| stand.http_kinds(&to));
    });
}

/// As Istio writes an ALLOW policy: the name with its scheme, as Envoy's `principal_name`.
fn allow(envoy: &mut Value, policy: &Value) {
    let principals = field(policy, "principals").unwrap();
    let principals: Vec<_> = principals
        .as_array()
        .unwrap()
        .iter()
        .map(|name| format!("spiffe://{}", name.as_str().unwrap()))
        .map(|name| json!({"authenticated": {"principal_name": {"exact": name}}}))
        .collect();
    let rbac = &mut filters(envoy)[0]["typed_config"];
    rbac["rules"]["policies"] =
        json!({"ns[demo]": {"permissions": [{"any": true}], "principals": principals}});
}

/// As Istio applies a patch: messages are merged field by field, filters stand before the named.
fn apply(envoy: &mut Value, patch: &Value) {
    let value = &patch["patch"]["value"];
    let chain = "/static_resources/listeners/0/filter_chains/0";
    match (
        patch["applyTo"].as_str().unwrap(),
        &patch["patch"]["operation"],
    ) {
        ("FILTER_CHAIN", merge) if merge == "MERGE" => {
            let socket = envoy.pointer_mut(&format!("{chain}/transport_socket"));
            merge_into(socket.unwrap(), &value["transport_socket"]);
        }
        ("NETWORK_FILTER", merge) if merge == "MERGE" => {
            merge_into(
                envoy.pointer_mut(&format!("{chain}/filters/0")).unwrap(),
                value,
            );
        }
        ("HTTP_FILTER", insert) if insert == "INSERT_BEFORE" => {
            let filters = filters(envoy);
            let before = &field(patch, "subFilter").unwrap()["name"];
            let at = filters.iter().position(|filter| filter["name"] == *before);
            filters.insert(at.unwrap(), value.clone());
        }
        ("CLUSTER", merge) if merge == "MERGE" => {
            merge_into(&mut envoy["static_resources"]["clusters"][0], value);
        }
        other => panic!("{other:?}"),
    }
}

fn filters(envoy: &mut Value) -> &mut Vec<Value> {
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    envoy.pointer_mut(filters).unwrap().as_array_mut().unwrap()
}

fn merge_into(target: &mut Value, value: &Value) {
    match (target, value) {
        (Value::Object(target), Value::Object(value)) => {
            for (key, value) in value {
                merge_into(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, value) => *target = value.clone(),
    }
}
