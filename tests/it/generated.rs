//! The committed code of `src/proto` is what its definitions make, so that a build needs neither a
//! compiler of protocol buffers nor a build script.
//!
//! After a change of a definition: `PROTEM_GENERATE=1 cargo test --test it generated` writes anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message as _;

use crate::tools::repository;

#[test]
fn generated_code_is_what_the_definitions_make() {
    let made = generate();
    let folder = repository("src/proto/generated");
    if std::env::var_os("PROTEM_GENERATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in &made {
            fs::write(folder.join(name), content).unwrap();
        }
    }
    let committed = read_folder(&folder);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&made), names(&committed));
    for (name, content) in made {
        assert!(
            committed[&name] == content,
            "`src/proto/generated/{name}` is not what the definitions make: \
             PROTEM_GENERATE=1 cargo test --test it generated"
        );
    }
}

fn generate() -> BTreeMap<String, Vec<u8>> {
    let definitions = repository("src/proto");
    let mut files: Vec<_> = fs::read_dir(&definitions)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "proto"))
        .collect();
    files.sort();
    let set = protox::compile(&files, [&definitions]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        .include_file("packages.rs")
        .codec_path(CODEC)
        .bytes(".")
        // Private keys lie in these; `src/proto.rs` shows them without.
        .skip_debug(SECRET)
        .btree_map(".")
        .compile_fds(set.clone())
        .unwrap();
    // What reflection tells a workload (SPIFFE Workload Endpoint 5), without our comments.
    let mut set = set;
    for file in &mut set.file {
        file.source_code_info = None;
    }
    fs::write(out.path().join("descriptors.bin"), set.encode_to_vec()).unwrap();
    read_folder(out.path())
}

fn read_folder(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let content = fs::read(&path).unwrap();
            (name, content)
        })
        .collect()
}

const CODEC: &str = "crate::proto::Codec";
const SECRET: &[&str] = &[
    "X509SVID",
    "JWTSVID",
    "envoy.config.core.v3.DataSource",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.service.discovery.v3.Resource",
];
