//! Certificates before pkilint: everything it finds counts, but for its code for `spiffe` URIs.
//!
//! The filter is itself under test here, with chains that openssl makes: it must let a SPIFFE ID
//! pass and nothing else.

use std::path::Path;

use crate::tools::{Ran, repository, run, tool};

/// pkilint over PEM files; in a file with several certificates each is followed by its issuer.
pub(crate) fn pkilint(files: &[&Path]) -> Ran {
    run(tool("python")
        .arg(repository("tests/lint/certificates.py"))
        .args(files))
}

#[test]
fn a_spiffe_id_passes() {
    let world = World::new();
    let chain = world.chain("URI:spiffe://example.org/ns/a/sa/b", &world.root);
    assert_eq!(pkilint(&[&chain]).expect_success(), "");
}

#[test]
fn any_other_uri_is_found() {
    let world = World::new();
    let chain = world.chain("URI:no scheme spiffe://example.org/a", &world.root);
    let ran = pkilint(&[&chain]);
    assert!(
        !ran.success && ran.stdout.contains("pkix.invalid_uri_syntax"),
        "{ran:?}"
    );
}

#[test]
fn a_chain_under_a_foreign_issuer_is_found() {
    let (world, other) = (World::new(), World::new());
    let chain = world.chain("URI:spiffe://example.org/a", &other.root);
    let ran = pkilint(&[&chain]);
    assert!(
        !ran.success && ran.stdout.contains("pkix.signature_verification_failed"),
        "{ran:?}"
    );
}

#[test]
fn a_file_without_certificate_is_no_success() {
    let world = World::new();
    let ran = pkilint(&[&world.folder.path().join("root.key")]);
    assert!(
        !ran.success && ran.stderr.contains("no certificate"),
        "{ran:?}"
    );
}

/// A root that openssl made, and the folder of its files.
struct World {
    folder: tempfile::TempDir,
    root: std::path::PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=root \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
             -keyout root.key -out root.pem",
        );
        Self { folder, root }
    }

    /// A leaf with this name, signed by our root, followed by `issuer`.
    fn chain(&self, name: &str, issuer: &Path) -> std::path::PathBuf {
        let at = |file: &str| self.folder.path().join(file);
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName={name}\n"
        );
        std::fs::write(at("leaf.ext"), extensions).unwrap();
        openssl(
            self.folder.path(),
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=leaf \
             -keyout leaf.key -out leaf.csr",
        );
        openssl(
            self.folder.path(),
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 0x1234567890abcdef \
             -days 1 -extfile leaf.ext -out leaf.pem",
        );
        let [leaf, issuer] =
            [&at("leaf.pem"), issuer].map(|file: &Path| std::fs::read(file).unwrap());
        std::fs::write(at("chain.pem"), [leaf, issuer].concat()).unwrap();
        at("chain.pem")
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let mut command = tool("openssl");
    run(command
        .args(arguments.split_whitespace())
        .current_dir(folder))
    .expect_success();
}
