//! The first five minutes: `protem dev`, and the commands that it prints, as they are printed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::tools::run;

/// Ends the server when the test ends, also when it fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_printed_commands_work_as_printed() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_protem"))
        .args(["dev", "--listen", "127.0.0.1:0"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(child);
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
