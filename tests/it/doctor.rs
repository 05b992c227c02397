//! `protem doctor` on this machine: what it finds, what it says to do, and that it disturbs
//! nothing.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::cli::{protem, stderr, stdout};
use super::live::Place;
use super::tools::{run, tool};

#[test]
fn a_server_that_is_well_has_nothing_failed() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(&folder.path().join("data"));
    let live = place.serve();
    let (exit, findings) = doctor(folder.path(), &[]);
    assert_eq!(exit, 0, "{findings:#?}");
    for check in [
        "certificate",
        "clock",
        "disk flush",
        "disk space",
        "newest event",
        "server",
    ] {
        assert_eq!(health(&findings, check), "ok", "{check}: {findings:#?}");
    }
    assert_eq!(health(&findings, "server's clock"), "ok");
    assert!(found(&findings, "store").contains("a server holds it"));
    assert_eq!(live.terminate().0.code(), Some(0));

    // What it looks at stays as it is.
    let before = listing(&place.directory);
    let (exit, findings) = doctor(folder.path(), &[]);
    assert_eq!(
        (exit, health(&findings, "store")),
        (0, "ok"),
        "{findings:#?}"
    );
    assert!(found(&findings, "store").contains("no server holds it"));
    assert_eq!(health(&findings, "server"), "unknown");
    assert_eq!(listing(&place.directory), before);
}

#[test]
fn what_is_wrong_is_told_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let place = Place::new(&data);
    assert_eq!(place.serve().terminate().0.code(), Some(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = folder.path().join("server.toml");
    let text = format!(
        "trust_domain = \"dev.protem.test\"\ndata = {data:?}\nlisten = \"{}\"\n\
         dns_names = [\"localhost\"]\n",
        listener.local_addr().unwrap()
    );
    fs::write(&config, &text).unwrap();
    let arguments = ["--config", "server.toml"];

    let token = data.join("operator.token");
    mode(&token, 0o644);
    let (exit, findings) = doctor(folder.path(), &arguments);
    assert_eq!(exit, 1, "{findings:#?}");
    assert!(found(&findings, "secret files").contains("mode 0644"));
    assert!(next(&findings, "secret files").contains("chmod 600"));
    assert!(found(&findings, "port `listen`").contains("somebody listens"));
    mode(&token, 0o600);

    std::os::unix::fs::chown(&token, Some(12_345), None).unwrap();
    let (_, findings) = doctor(folder.path(), &arguments);
    assert!(found(&findings, "secret files").contains("belongs to user 12345"));
    std::os::unix::fs::chown(&token, Some(0), None).unwrap();

    mode(&data, 0o777);
    let (_, findings) = doctor(folder.path(), &arguments);
    assert_eq!(health(&findings, "directory"), "failed");
    mode(&data, 0o700);

    mode(&config, 0o666);
    let (_, findings) = doctor(folder.path(), &arguments);
    assert_eq!(health(&findings, "configuration"), "failed");
    fs::write(&config, text + "unknown = 1\n").unwrap();
    let (exit, findings) = doctor(folder.path(), &arguments);
    assert_eq!((exit, health(&findings, "configuration")), (1, "failed"));
    fs::remove_file(&config).unwrap();

    let store = data.join("protem.db");
    let whole = fs::read(&store).unwrap();
    fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    let (exit, findings) = doctor(folder.path(), &[]);
    assert_eq!(
        (exit, health(&findings, "store")),
        (1, "failed"),
        "{findings:#?}"
    );
}

/// A TLS server as it comes resumes; protem's own door never does.
#[test]
fn the_resumption_probe_tells_a_door_that_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let mut openssl = tool("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args([
        "-nodes",
        "-subj",
        "/CN=a",
        "-addext",
        "subjectAltName=DNS:a",
    ]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]);
    run(openssl.current_dir(folder.path())).expect_success();
    let mut server = tool("openssl");
    server.args(["s_server", "-www", "-accept", "127.0.0.1:0"]);
    server
        .args(["-key", "key.pem", "-cert", "cert.pem"])
        .current_dir(folder.path());
    let mut server = server
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut accepts = lines.map_while(Result::ok);
    let address = accepts.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
    let output = protem(
        folder.path(),
        &[
            "doctor",
            "resumption",
            &address.unwrap(),
            "--ca",
            "cert.pem",
        ],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{told}{}", stderr(&output));
    assert_eq!(told.matches("sessions are resumed").count(), 3, "{told}");

    let place = Place::new(&folder.path().join("data"));
    let live = place.serve();
    let address = format!("127.0.0.1:{}", place.port);
    let roots = place.directory.join("bundle.pem");
    let roots = roots.to_str().unwrap();
    let output = protem(
        folder.path(),
        &["doctor", "resumption", &address, "--ca", roots],
    );
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("every connection is a full handshake"),
        "{told}"
    );
    assert_eq!(told.matches("not spoken").count(), 2, "{told}");
    assert_eq!(live.terminate().0.code(), Some(0));

    let output = protem(
        folder.path(),
        &["doctor", "resumption", &address, "--ca", roots],
    );
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let output = protem(folder.path(), &["doctor", "resumption", &address]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// Runs `protem --dir data doctor --json`.
fn doctor(folder: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let words = [&["--dir", "data", "--json", "doctor"], arguments].concat();
    let output = protem(folder, &words);
    let told: Value = serde_json::from_str(&stdout(&output))
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let findings = told["findings"].as_array().unwrap().clone();
    (output.status.code().unwrap(), findings)
}

/// The gravest of what was said of a check.
fn health<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let of_check = findings.iter().filter(|one| one["check"] == check);
    let healths: Vec<&str> = of_check
        .map(|one| one["health"].as_str().unwrap())
        .collect();
    let grave = ["failed", "warning", "unknown", "ok"];
    let found = grave
        .iter()
        .find_map(|word| healths.iter().find(|one| *one == word));
    found.unwrap_or_else(|| panic!("nothing of {check}: {findings:#?}"))
}

fn found(findings: &[Value], check: &str) -> String {
    text(findings, check, "found")
}

fn next(findings: &[Value], check: &str) -> String {
    text(findings, check, "next")
}

fn text(findings: &[Value], check: &str, field: &str) -> String {
    let of_check = findings.iter().filter(|one| one["check"] == check);
    of_check.map(|one| one[field].as_str().unwrap()).collect()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn listing(folder: &Path) -> Vec<(String, u64)> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, file.metadata().unwrap().len())
        })
        .collect();
    files.sort();
    files
}
