//! Which rule lets in which certificate, in a real Envoy: what Istio and Consul make of their own
//! resources, and what `protem mesh` prints.
//!
//! A row is a rule, a column a certificate, `Y` is 200 and `.` is 403. The printed rules let in one
//! column each, by design; the others show why nothing but whole names is printed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use der::pem::LineEnding;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose as Usage, IsCa, KeyPair, SanType,
};
use serde_json::{Value, json};

use super::golden::{documents, field};
use crate::envoy::bench::Bench;
use crate::tools::run;

#[test]
fn only_whole_names_let_in_one_certificate() {
    let web = "spiffe://dev.protem.test/ns/demo/sa/web";
    let other = "spiffe://other.test/ns/demo/sa/web/scope/db.read";
    let dns = "DNS:db.read.scope.dev.protem.test";
    let columns = [
        ("base", vec![web.to_owned()]),
        ("path", vec![format!("{web}/scope/db.read")]),
        (
            "path, two scopes",
            vec![format!("{web}/scope/db.read/scope/db.write")],
        ),
        ("dns", vec![web.to_owned(), dns.to_owned()]),
        ("dns first", vec![dns.to_owned(), web.to_owned()]),
        (
            "two URIs",
            vec![web.to_owned(), format!("{web}/scope/db.read")],
        ),
        ("folded", vec![format!("{web}_db.read")]),
        ("other account", vec![format!("{web}x/scope/db.read")]),
        ("other trust domain", vec![other.to_owned()]),
    ];
    let exact = |name: String| named(json!({"exact": name}));
    let rows = [
        ("principals: base", exact(web.to_owned()), "Y..YYY..."),
        (
            "principals: base/scope/db.read",
            exact(format!("{web}/scope/db.read")),
            ".Y...Y...",
        ),
        (
            "principals: base/*",
            named(json!({"prefix": format!("{web}/")})),
            ".YY..Y...",
        ),
        (
            "principals: base*",
            named(json!({"prefix": web})),
            "YYYYYYYY.",
        ),
        (
            "principals: */scope/db.read",
            regex("spiffe://.*/scope/db\\.read"),
            ".Y...Y.YY",
        ),
        ("serviceAccounts: demo/web", account("web"), "YYYYYY..Y"),
        (
            "serviceAccounts: demo/web_db.read",
            account("web_db\\.read"),
            "......Y..",
        ),
        ("namespaces: demo", regex(".*/ns/demo/.*"), "YYYYYYYYY"),
        (
            "principals: base_db.read",
            exact(format!("{web}_db.read")),
            "......Y..",
        ),
        ("printed, path", printed("envoy-server.yaml"), ".Y...Y..."),
        (
            "printed, dns",
            printed("envoy-server-dns.yaml"),
            "...YY....",
        ),
        (
            "printed, folded",
            printed("envoy-server-folded.yaml"),
            "......Y..",
        ),
    ];
    compare(&columns, &rows);
}

#[test]
fn intentions_let_in_folded_names_alone() {
    let web = "spiffe://c.consul/ns/default/dc/dc1/svc/web";
    let columns = [
        ("base", vec![web.to_owned()]),
        ("path", vec![format!("{web}/scope/db.read")]),
        (
            "dns",
            vec![web.to_owned(), "DNS:db.read.scope.c.consul".to_owned()],
        ),
        ("folded", vec![format!("{web}_db.read")]),
    ];
    let intention = |name: &str| regex(&format!("^spiffe://[^/]+/ns/default/dc/[^/]+/svc/{name}$"));
    let sources = documents("consul.yaml");
    let source = sources[0]["spec"]["sources"][0]["name"].as_str().unwrap();
    let rows = [
        ("web", intention("web"), "Y.Y."),
        ("as printed", intention(&source.replace('.', "\\.")), "...Y"),
    ];
    compare(&columns, &rows);
}

/// As both meshes ask for a name: every URI name, then every DNS name, else the subject.
fn named(matcher: Value) -> Value {
    json!({"authenticated": {"principal_name": matcher}})
}

fn regex(text: &str) -> Value {
    named(json!({"safe_regex": {"regex": text}}))
}

/// Istio lets segments stand before and after the account.
fn account(name: &str) -> Value {
    regex(&format!("spiffe://.+/ns/demo/(.+/|)sa/{name}(/.+)?"))
}

/// The principal for the scope, as it stands in a printed Envoy.
fn printed(file: &str) -> Value {
    let text = documents(file).remove(0);
    let rules = field(&text, "rules").unwrap();
    rules["policies"]["db.read"]["principals"][0].clone()
}

#[track_caller]
fn compare(columns: &[(&str, Vec<String>)], rows: &[(&str, Value, &str)]) {
    let bench = Bench::unserved();
    let authority = Authority::new(&bench.path("root.pem"));
    authority.sign(&bench.path("server"), &["IP:127.0.0.1".to_owned()]);
    let rules: Vec<_> = rows.iter().map(|(_, rule, _)| rule).collect();
    let path = bench.path("table.yaml");
    fs::write(&path, envoy(&bench.path(""), &rules).to_string()).unwrap();
    let port = bench.start_envoy_on("table", &path);
    let mut table = vec![String::new(); rows.len()];
    for (name, names) in columns {
        authority.sign(&bench.path("client"), names);
        for (row, status) in table.iter_mut().zip(ask(&bench, port, rows.len())) {
            row.push(match status.as_str() {
                "200" => 'Y',
                "403" => '.',
                _ => panic!("{name}: {status}"),
            });
        }
    }
    let mut wrong = String::new();
    for ((name, _, wanted), seen) in rows.iter().zip(&table) {
        if wanted != seen {
            let _ = writeln!(wrong, "{name}: {seen}, not {wanted}");
        }
    }
    assert_eq!(wrong, "");
}

/// One connection asks for each rule in turn.
fn ask(bench: &Bench, port: u16, count: usize) -> Vec<String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "%{http_code}\n"]);
    for (option, file) in [
        ("--cacert", "root.pem"),
        ("--cert", "client.pem"),
        ("--key", "client.key"),
    ] {
        curl.arg(option).arg(bench.path(file));
    }
    for at in 0..count {
        curl.args(["--output", "/dev/null"]);
        curl.arg(format!("https://127.0.0.1:{port}/{at}/"));
    }
    let told = run(&mut curl).expect_success();
    told.lines().map(str::to_owned).collect()
}

/// One listener with a route for each rule.
fn envoy(folder: &Path, rules: &[&Value]) -> Value {
    let file = |name: &str| json!({"filename": folder.join(name)});
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let routes: Vec<_> = (0..)
        .zip(rules)
        .map(|(at, rule): (usize, _)| {
            let policies = json!({"row": {"permissions": [{"any": true}], "principals": [rule]}});
            let rbac = json!({"rules": {"action": "ALLOW", "policies": policies}});
            json!({
                "match": {"prefix": format!("/{at}/")},
                "direct_response": {"status": 200},
                "typed_per_filter_config": {"rbac": {
                    "@type": kind("filters.http.rbac.v3.RBACPerRoute"),
                    "rbac": rbac,
                }},
            })
        })
        .collect();
    let manager = json!({
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "table",
        "http_filters": [
            {"name": "rbac", "typed_config": {"@type": kind("filters.http.rbac.v3.RBAC")}},
            {"name": "router", "typed_config": {"@type": kind("filters.http.router.v3.Router")}},
        ],
        "route_config": {"virtual_hosts": [
            {"name": "rows", "domains": ["*"], "routes": routes},
        ]},
    });
    let tls = json!({
        "@type": kind("transport_sockets.tls.v3.DownstreamTlsContext"),
        "require_client_certificate": true,
        "disable_stateless_session_resumption": true,
        "disable_stateful_session_resumption": true,
        "common_tls_context": {
            "tls_certificates": [{
                "certificate_chain": file("server.pem"),
                "private_key": file("server.key"),
            }],
            "validation_context": {"trusted_ca": file("root.pem")},
        },
    });
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    json!({
        "admin": {"address": address},
        "static_resources": {"listeners": [{
            "name": "table",
            "address": address,
            "filter_chains": [{
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "filters": [{"name": "manager", "typed_config": manager}],
            }],
        }]},
    })
}

/// One root that signs whatever a column says.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(root: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(root, pem("CERTIFICATE", issuer.der())).unwrap();
        Self { issuer }
    }

    /// Writes `<path>.pem` and `<path>.key`, with the names in this order.
    fn sign(&self, path: &Path, names: &[String]) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![Usage::ClientAuth, Usage::ServerAuth];
        let san = |name: &String| match name.split_once(':').unwrap() {
            ("DNS", name) => SanType::DnsName(name.try_into().unwrap()),
            ("IP", name) => SanType::IpAddress(name.parse().unwrap()),
            _ => SanType::URI(name.as_str().try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(path.with_extension("pem"), pem("CERTIFICATE", leaf.der())).unwrap();
        let key = pem("PRIVATE KEY", &key.serialize_der());
        fs::write(path.with_extension("key"), key).unwrap();
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    der::pem::encode_string(label, LineEnding::LF, der).unwrap()
}
