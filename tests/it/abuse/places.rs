//! Groups D and K, as far as a running server or a refused start shows them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use protem::time::{Clock as _, Seconds, SystemClock};
use serde_json::{Value, json};

use crate::abuse::stage::{Stage, said, write_config};
use crate::abuse::{Row, live};
use crate::tools::run;

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = starts(stage);
    rows.push(twice(stage).await);
    rows.push(backdated(stage).await);
    rows
}

/// Starts that must not happen.
fn starts(stage: &Stage) -> Vec<Row> {
    let own = stage.directory.path().join("server.toml");
    let with = |line: &str| {
        let text = format!("{line}\n{}", fs::read_to_string(&own).unwrap());
        let file = stage.directory.path().join("other.toml");
        fs::write(&file, text).unwrap();
        file
    };
    let mut rows = Vec::new();
    for (id, attack, line) in [
        (
            "K5",
            "an HSM: there is no such key store",
            "pkcs11 = \"token\"",
        ),
        (
            "D8",
            "two leaders on PostgreSQL: there is none",
            "postgres = \"host=a\"",
        ),
        (
            "D9",
            "a standby of PostgreSQL: there is none",
            "standby = true",
        ),
        (
            "D10",
            "a connection lost at COMMIT: the store is in the process",
            "pool = 8",
        ),
        (
            "K10",
            "a signing key of the log: there is none",
            "log_key = \"file\"",
        ),
        (
            "K11",
            "an offline root: there is no ceremony",
            "root_offline = true",
        ),
    ] {
        let told = serve(&with(line), &["unknown field"]);
        rows.push(live(id, attack, "refused: unknown field", told));
    }
    rows.push(live(
        "D7",
        "a second server on the same data",
        "refused: another server",
        serve(&own, &["another server is using"]),
    ));
    let nowhere = fs::read_to_string(&own)
        .unwrap()
        .replacen("data = \"", "data = \"/dev/null", 1);
    let file = stage.directory.path().join("nowhere.toml");
    fs::write(&file, nowhere).unwrap();
    let told = serve(&file, &["cannot make directory", "Not a directory"]);
    rows.push(live(
        "D2",
        "a data directory that cannot be",
        "refused: cannot make",
        told,
    ));
    rows.extend(keys(stage));

    let copy = stage.directory.path().join("copy.db");
    let mut backup = Command::new(env!("CARGO_BIN_EXE_protem"));
    backup.args(["backup", "--config"]).arg(&own).arg(&copy);
    let told = if run(&mut backup).success {
        "copied and checked"
    } else {
        "failed"
    };
    rows.push(live(
        "D14",
        "a backup while the server runs",
        "copied and checked",
        told.to_owned(),
    ));
    rows
}

/// K8: a key file that is not as it was written.
fn keys(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (attack, mode, text, words) in [
        (
            "a key file that others may read",
            0o644,
            None,
            "may be read by others",
        ),
        (
            "a key file that is no key",
            0o600,
            Some("hello"),
            "holds no usable private key",
        ),
        (
            "a key file with a password",
            0o600,
            Some(sealed),
            "holds no usable private key",
        ),
        (
            "an empty key file",
            0o600,
            Some(""),
            "holds no usable private key",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = write_config(directory.path(), nowhere, nowhere);
        let ca = directory.path().join("data/ca");
        fs::create_dir_all(&ca).unwrap();
        for file in fs::read_dir(stage.data().join("ca")).unwrap() {
            let from = file.unwrap().path();
            fs::copy(&from, ca.join(from.file_name().unwrap())).unwrap();
        }
        let key = ca.join("root.key");
        if let Some(text) = text {
            fs::write(&key, text).unwrap();
        }
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        rows.push(live(
            "K8",
            attack,
            &format!("refused: {words}"),
            serve(&config, &[words]),
        ));
    }
    rows
}

/// What a start says that ends by itself: the first of the words that is in it.
fn serve(config: &Path, words: &[&str]) -> String {
    let ran = run(Command::new(env!("CARGO_BIN_EXE_protem"))
        .args(["serve", "--config"])
        .arg(config));
    let said = ran.stdout + &ran.stderr;
    assert!(!ran.success, "it served");
    let found = words.iter().find(|words| said.contains(**words));
    found.map_or_else(|| said.clone(), |words| format!("refused: {words}"))
}

/// D16: one idempotency key, two requests.
async fn twice(stage: &Stage) -> Row {
    let csr = protem::x509::write_request(&stage.web.key).unwrap();
    let key = "content-type: application/json\r\nidempotency-key: once\r\n";
    let mut told = Vec::new();
    for body in [
        json!({ "csr": csr }),
        json!({ "csr": csr }),
        json!({ "csr": csr, "ttl": "5m" }),
    ] {
        let body = body.to_string();
        let answer = stage
            .ask(&stage.web, "POST", "/v1/svids", key, body.as_bytes())
            .await
            .unwrap();
        let view: Value = serde_json::from_str(&answer.body).unwrap();
        told.push((view["fingerprint"].to_string(), said(Some(answer))));
    }
    assert_eq!(told[0], told[1], "a retry finds the first certificate");
    // The retry was answered with what the first had minted.
    stage.uncount(1);
    live(
        "D16",
        "an idempotency key for another request",
        "409 idempotency_key",
        told[2].1.clone(),
    )
}

/// K2: a certificate begins 30 s before the server's now.
async fn backdated(stage: &Stage) -> Row {
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = stage.json(&stage.web, "POST", "/v1/elevations", &ask).await;
    assert_eq!(said(opened), "201");
    let back = |after: Seconds| SystemClock.now().minus(after).unix_s();
    let earliest = back(Seconds::new(30));
    let chain = stage
        .mint(&stage.web, &json!({ "scope": "db.read" }))
        .await
        .unwrap();
    let begins = chain[0].tbs().not_before.unix_s();
    let told = if (earliest..=back(Seconds::new(30))).contains(&begins) {
        "begins 30 s back".to_owned()
    } else {
        format!("begins at {begins}")
    };
    live(
        "K2",
        "a holder whose clock is 30 s behind",
        "begins 30 s back",
        told,
    )
}
