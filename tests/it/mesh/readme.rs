//! The README's lines on meshes, as they stand there.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::tools::{repository, run, tool};

#[test]
fn the_readmes_lines_on_meshes_work_as_they_stand() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let mut blocks = readme.split("```sh\n").skip(1);
    let block = blocks.find(|block| block.starts_with("RIGHT=")).unwrap();
    let lines = block.split("```").next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    std::fs::create_dir(place("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_protem"), place("bin/protem")).unwrap();
    symlink(repository("policy"), place("policy")).unwrap();
    let programs = place("bin").display().to_string();
    let script = format!("set -euo pipefail\nexport PATH='{programs}':\"$PATH\"\n{lines}");
    let mut bash = Command::new("bash");
    run(bash.arg("-c").arg(&script).current_dir(directory.path())).expect_success();
    for file in ["server.yaml", "client.yaml"] {
        let mut envoy = tool("envoy");
        envoy.args([
            "--mode",
            "validate",
            "--log-level",
            "error",
            "--config-path",
        ]);
        let told = run(envoy.arg(place(file))).expect_success();
        assert!(told.contains(" OK"), "{told}");
    }
    for file in ["tcp.yaml", "istio.yaml", "linkerd.yaml", "haproxy.conf"] {
        let text = std::fs::read_to_string(place(file)).unwrap();
        assert!(text.contains("# Tier "), "{file}: {text}");
    }
}
