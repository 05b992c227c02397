//! The first five minutes: `protem dev`, and the commands that it prints, as they are printed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::cli::{protem, stderr};
use super::tools::{repository, run};

/// Ends the server when the test ends, also when it fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `protem dev` in a directory of its own.
fn start(directory: &Path) -> Server {
    let child = Command::new(env!("CARGO_BIN_EXE_protem"))
        .args(["dev", "--listen", "127.0.0.1:0"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Server(child)
}

#[test]
fn the_printed_commands_work_as_printed() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let words = BufReader::new(server.0.stdout.take().unwrap());
    let mut script = String::from("set -euo pipefail\n");
    for line in words
        .lines()
        .map(Result::unwrap)
        .skip_while(|line| !line.starts_with('#'))
    {
        script.push_str(&line);
        script.push('\n');
        // The last command that is printed.
        if line.contains(" audit list ") {
            break;
        }
    }
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(&script).current_dir(directory.path());
    let told = run(&mut bash).expect_success();
    assert!(told.contains("chain.pem: OK"), "{told}");
    assert!(told.contains("/scope/db.read"), "{told}");
    assert!(told.contains("svid.issued"), "{told}");

    let id = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

/// The README's lines, as they stand there: only the program's place and the port are the test's.
#[test]
fn the_readme_works_as_it_stands() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let wanted = ["alias protem=", "AGENT="];
    let blocks = blocks.filter(|block| wanted.iter().any(|begin| block.starts_with(begin)));
    let block = blocks.collect::<Vec<_>>().concat();
    let (first, lines) = block.split_once('\n').unwrap();
    assert_eq!(first, "alias protem=target/release/protem");
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let mut words = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(words.next().unwrap().unwrap().starts_with("protem serves"));
    let url = std::fs::read_to_string(directory.path().join(".protem/server.url")).unwrap();
    let programs = directory.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let program = env!("CARGO_BIN_EXE_protem");
    std::os::unix::fs::symlink(program, programs.join("protem")).unwrap();
    let lines = lines.replace("https://127.0.0.1:8443", &url);
    // The agent is the one job that it starts, and ends with it.
    let script = format!(
        "set -euo pipefail\nexport PATH='{}':\"$PATH\"\ntrap 'kill $(jobs -p); wait' EXIT\n{lines}",
        programs.display()
    );
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(&script).current_dir(directory.path());
    let told = run(&mut bash).expect_success();
    assert!(told.contains("web.pem: OK"), "{told}");
    assert!(
        told.contains("URI:spiffe://dev.protem.test/ns/demo/sa/web/scope/db.read"),
        "{told}"
    );
    assert!(told.contains("svid.issued"), "{told}");
    assert!(told.contains("state  approved"), "{told}");
    assert!(told.contains("server                ok"), "{told}");
}

/// Over HTTP/2 an answer to a request whose body nobody read came with a reset, and curl showed
/// the reset.
#[test]
fn who_is_refused_early_reads_why() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let mut words = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(words.next().unwrap().unwrap().starts_with("protem serves"));
    let url = std::fs::read_to_string(directory.path().join(".protem/server.url")).unwrap();
    let body = directory.path().join("body");
    std::fs::write(&body, "x".repeat(2_000)).unwrap();
    for _ in 0..20 {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--http2", "--cacert"])
            .arg(directory.path().join(".protem/bundle.pem"))
            .args(["--header", "Authorization: Bearer ", "--data-binary"])
            .arg(format!("@{}", body.display()))
            .arg(format!("{url}/v1/svids"));
        let ran = run(&mut curl);
        assert!(ran.stdout.contains("urn:protem:problem:"), "{ran:?}");
    }
}

/// A first user's two commonest walls: a port that is taken, a workload that is not registered.
#[test]
fn a_refusal_names_the_next_step() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let mut words = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(words.next().unwrap().unwrap().starts_with("protem serves"));
    let url = std::fs::read_to_string(directory.path().join(".protem/server.url")).unwrap();
    let taken = url.strip_prefix("https://").unwrap();
    let other = protem(
        directory.path(),
        &["--dir", "other", "dev", "--listen", taken],
    );
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("`--listen`"), "{}", stderr(&other));

    let stranger = "spiffe://dev.protem.test/ns/demo/sa/stranger";
    let refused = protem(directory.path(), &["token", "create", stranger]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("`protem entry put`"),
        "{}",
        stderr(&refused)
    );
}
