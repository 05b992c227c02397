//! Group M: who is connected. Certificates are forged with the authority's own keys where that is
//! what it takes: the attacker here has read the data directory.

use std::process::Stdio;

use rcgen::{ExtendedKeyUsagePurpose as Usage, Issuer, KeyPair};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::abuse::forge::{Forge, Life, params};
use crate::abuse::stage::{Caller, Stage, said};
use crate::abuse::{Row, live};
use crate::doors::peer::Client;
use crate::tools::{run, tool};
use crate::world::WEB;

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = forged(stage).await;
    rows.extend(ends(stage).await);
    rows.extend(resumption(stage).await);
    rows.extend(rights(stage).await);
    rows.extend(handshakes(stage).await);
    rows
}

async fn forged(stage: &Stage) -> Vec<Row> {
    let [base, service, root] = ["base", "service", "root"].map(|name| Forge::stolen(stage, name));
    let (both, now) = ([Usage::ServerAuth, Usage::ClientAuth], Life::default);
    let web = |uris: &[&str]| base.leaf(uris, &both, now());
    let stranger = Forge::made_up();
    let alone = Forge {
        chain: Vec::new(),
        ..Forge::made_up()
    };
    let from_leaf = Forge {
        issuer: Issuer::new(params(now()), KeyPair::generate().unwrap()),
        chain: web(&[WEB]).chain,
    };
    let beside = |chain: Vec<CertificateDer<'static>>| Forge {
        chain: [base.chain.clone(), chain].concat(),
        issuer: Forge::stolen(stage, "base").issuer,
    };
    let own = base.chain[0].clone();
    let copies = |count| beside(std::iter::repeat_n(own.clone(), count).collect());
    // Issuers of one name, each signed by the one before: every pair may be a step of the path.
    let mut maze = Forge::made_up();
    for _ in 0..60 {
        maze = Forge::below(Some(&maze));
    }
    let mut rows = Vec::new();
    for (id, attack, leaf, expected) in [
        (
            "M1",
            "ended a second ago",
            base.leaf(&[WEB], &both, Life::ended(1)),
            ENDED,
        ),
        (
            "M1",
            "begins in a minute",
            base.leaf(&[WEB], &both, Life::to_come(60)),
            ENDED,
        ),
        (
            "M6",
            "for servers only",
            base.leaf(&[WEB], &[Usage::ServerAuth], now()),
            ENDED,
        ),
        (
            "M6",
            "for code signing",
            base.leaf(&[WEB], &[Usage::CodeSigning], now()),
            ENDED,
        ),
        (
            "M7",
            "of an unknown authority",
            stranger.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M7",
            "the same, without its issuer",
            alone.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        ("M7", "an issuer as a peer", base.itself(), ENDED),
        (
            "M7",
            "signed by a leaf",
            from_leaf.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M7",
            "signed by the service issuer",
            service.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M7",
            "signed by the root itself",
            root.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M9",
            "of an intermediate that is not among today's",
            Forge::below(Some(&root)).leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M11",
            "a maze of 60 issuers of one name",
            maze.leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "M11",
            "its issuer a hundred times",
            copies(99).leaf(&[WEB], &both, now()),
            "200",
        ),
        (
            "M11",
            "a chain of 1 MB",
            copies(2_000).leaf(&[WEB], &both, now()),
            ENDED,
        ),
        (
            "S18",
            "two URIs, the second a SPIFFE ID",
            web(&["https://a.example", WEB]),
            "401",
        ),
        ("S18", "the same URI twice", web(&[WEB, WEB]), "401"),
        ("S18", "no URI at all", web(&[]), "401"),
        (
            "S12",
            "two scopes",
            web(&[&format!("{WEB}/scope/a/scope/b")]),
            "401",
        ),
        (
            "S6",
            "of another trust domain",
            web(&["spiffe://evil.example/web"]),
            "401",
        ),
        (
            "S6",
            "of a sub-domain",
            web(&["spiffe://a.dev.protem.test/web"]),
            "401",
        ),
        (
            "S2",
            "a path with two dots",
            web(&["spiffe://dev.protem.test/a/../b"]),
            "401",
        ),
        (
            "S3",
            "an upper-case scheme",
            web(&["SPIFFE://dev.protem.test/a"]),
            "401",
        ),
    ] {
        let told = policy(stage, &stage.with(Some(leaf))).await;
        rows.push(live(
            id,
            &format!("a certificate: {attack}"),
            expected,
            told,
        ));
    }
    rows
}

/// What a caller gets who asks for something that every known one may.
async fn policy(stage: &Stage, caller: &Caller) -> String {
    said(
        stage
            .json(caller, "GET", "/v1/elevations", &Value::Null)
            .await,
    )
}

/// M3, M8: a right that ends while its holder is connected.
async fn ends(stage: &Stage) -> Vec<Row> {
    let short = stage.workload_for(WEB, "5s").await;
    let mut http1 = short.client.http1().await.unwrap();
    let http2 = short.client.http2().await.unwrap();
    let first = http1.try_get("/v1/elevations").await;
    assert_eq!(said(first), "200");
    let waits = "GET /v1/bundle HTTP/1.1\r\nhost: protem.test\r\n";
    http1.send(waits).await;
    let rest = http1.rest().await;
    http2.closed().await;
    let told = if rest.is_empty() { ENDED } else { &rest };
    let again = policy(stage, &short).await;

    let gone = "spiffe://dev.protem.test/ns/demo/sa/gone";
    stage.register(gone).await;
    let holder = stage.workload(gone).await;
    let entries = stage
        .json(&stage.operator, "GET", "/v1/entries", &Value::Null)
        .await
        .unwrap();
    let entries: Value = serde_json::from_str(&entries.body).unwrap();
    let mut entries = entries["items"].as_array().unwrap().iter();
    let entry = entries.find(|entry| entry["subject"] == gone).unwrap();
    let target = format!("/v1/entries/{}", entry["id"].as_str().unwrap());
    let removed = stage
        .json(&stage.operator, "DELETE", &target, &Value::Null)
        .await;
    assert_eq!(said(removed), "204");
    let ask = json!({ "scope": "db.read", "reason": "still here" });
    let elevates = said(stage.json(&holder, "POST", "/v1/elevations", &ask).await);
    let mints = stage
        .mint(&holder, &json!({}))
        .await
        .err()
        .map_or_else(|| "minted".to_owned(), said);
    vec![
        live(
            "M3",
            "an open connection past notAfter, HTTP/1.1 and HTTP/2",
            ENDED,
            told.to_owned(),
        ),
        live("M1", "a new connection after notAfter", ENDED, again),
        live(
            "M8",
            "a removed workload asks for elevation",
            "403",
            elevates,
        ),
        live("M8", "a removed workload renews", "403", mints),
    ]
}

async fn resumption(stage: &Stage) -> Vec<Row> {
    let mut full = true;
    for _ in 0..4 {
        let mut connection = stage.web.client.http1().await.unwrap();
        connection.try_get("/v1/bundle").await.unwrap();
        let kinds = [
            HandshakeKind::Full,
            HandshakeKind::FullWithHelloRetryRequest,
        ];
        full &= connection
            .handshake()
            .is_some_and(|kind| kinds.contains(&kind));
        full &= connection.tickets() == 0;
    }
    let told = if full {
        "no ticket, every handshake full"
    } else {
        "resumed"
    };
    let row = |id, attack| live(id, attack, "no ticket", told.to_owned());
    vec![
        row("M2", "resumption, by a client that asks for tickets"),
        row(
            "M4",
            "a limit on session life would not end a ticket: there is none",
        ),
        row(
            "M5",
            "nothing rests on a new server certificate ending tickets",
        ),
        row("M12", "early data, which needs a ticket"),
    ]
}

/// M10, M13, M15, M16: rights that a connection does not carry.
async fn rights(stage: &Stage) -> Vec<Row> {
    let raised = stage.elevated(&stage.web, "db.read").await;
    let policy = stage
        .json(&raised, "GET", "/v1/policy/files", &Value::Null)
        .await;
    let token = stage
        .json(&raised, "POST", "/v1/tokens", &json!({ "subject": WEB }))
        .await;
    let mixed = raised
        .client
        .http1()
        .await
        .unwrap()
        .try_get("/v1/policy")
        .await;
    let own = said(
        stage
            .json(&stage.web, "GET", "/v1/elevations", &Value::Null)
            .await,
    );
    let xfcc = format!("x-forwarded-client-cert: By=x;URI={WEB}\r\nx-real-ip: 127.0.0.1\r\n");
    let xfcc = stage
        .ask(&stage.stranger, "GET", "/v1/elevations", &xfcc, b"")
        .await;
    let bundle = stage
        .json(&stage.operator, "PUT", "/v1/bundle", &json!({ "keys": [] }))
        .await;
    vec![
        live(
            "M10",
            "an elevated SVID reads the policy",
            "403",
            said(policy),
        ),
        live(
            "M10",
            "an elevated SVID makes a join token",
            "403",
            said(token),
        ),
        live(
            "M13",
            "an XFCC header in place of a certificate",
            "401",
            said(xfcc),
        ),
        live(
            "M15",
            "the elevated connection asks as the base one",
            "403",
            said(mixed),
        ),
        live("M15", "the base connection stays what it was", "200", own),
        live(
            "M16",
            "a bundle is put in place of ours",
            "405",
            said(bundle),
        ),
    ]
}

async fn handshakes(stage: &Stage) -> Vec<Row> {
    let client = Client::trusting(stage.address, &stage.root, None);
    let alpn = if client.connect("spdy/3").await.is_some() {
        "spoken"
    } else {
        ENDED
    };
    let confused = client.connect("http/1.1").await.unwrap();
    let mut confused = crate::doors::wire::Bare::over(confused);
    confused.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let confused = said(confused.answer().await);
    let host = "GET /v1/bundle HTTP/1.1\r\nhost: other.example\r\n\r\n";
    let host = said(stage.raw(&stage.stranger, host.as_bytes()).await);
    let mut rows = vec![
        live(
            "M12",
            "a protocol that is none in ALPN",
            ENDED,
            alpn.to_owned(),
        ),
        live(
            "M12",
            "HTTP/2 where HTTP/1.1 was agreed",
            "400 version",
            confused,
        ),
        live(
            "M12",
            "another host than in SNI: neither chooses anything",
            "200",
            host,
        ),
    ];
    for (attack, words) in [
        ("TLS 1.0", &["-tls1"][..]),
        ("TLS 1.1", &["-tls1_1"]),
        ("TLS 1.2", &["-tls1_2"]),
        ("RSA key exchange", &["-tls1_2", "-cipher", "AES128-SHA"]),
        ("no encryption", &["-tls1_2", "-cipher", "NULL:@SECLEVEL=0"]),
    ] {
        let mut openssl = tool("openssl");
        openssl.args(["s_client", "-connect", &stage.address.to_string()]);
        let ran = run(openssl.args(words).stdin(Stdio::null()));
        let told = if ran.success {
            "handshake"
        } else {
            "no handshake"
        };
        rows.push(live("M14", attack, "no handshake", told.to_owned()));
    }
    rows
}

const ENDED: &str = "connection ended";
