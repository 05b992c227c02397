//! An issuer that the operator brings, made by `openssl` under a root of the mesh: what comes of a
//! good one, and with which words a bad one is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protem::pki::SetupError;
use protem::store::Store as _;
use protem::store::sqlite::Sqlite;
use protem::time::{Clock as _, ManualClock, Seconds, SystemClock};
use protem::x509::{KeyKind, PrivateKey, read_chain};

use crate::interop::readers::{Readers, spiffe_bundle, spiffe_svid};
use crate::tools::{run, tool};
use crate::world::{Ground, KEYS_FOLDER, Opened, STORE_FILE, WEB, World, base, elevated, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn svids_under_the_meshs_own_root_are_accepted_by_everybody() {
    let mesh = Mesh::new();
    let ground = Ground {
        issuer: Some((mesh.at("issuer.key"), mesh.chain(&["issuer", "root"]))),
        ..Ground::encoded("path")
    };
    let world = World::on(ground).await;
    let root = read_chain(&std::fs::read(mesh.at("root.pem")).unwrap()).unwrap();
    assert_eq!(world.service.authority().root(), root.first());
    let bundle = world.service.trust_bundle();
    let found = spiffe_bundle("dev.protem.test", &bundle.to_jwks().unwrap());
    assert_eq!(found, [root[0].der()]);

    let mut readers = Readers::under(&bundle.to_pem());
    let holder = world.holder(WEB).await;
    world.elevate(&holder, "db.read").await.unwrap();
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa] {
        let key = PrivateKey::generate(kind).unwrap();
        for (what, request, id) in [
            ("base", base(&key), WEB.to_owned()),
            (
                "elevated",
                elevated(&key, "db.read"),
                format!("{WEB}/scope/db.read"),
            ),
        ] {
            let issued = world.service.issue(&holder.call, request).await.unwrap();
            let chain = &issued.svid.chain_pem;
            let length = read_chain(chain.as_bytes()).unwrap().len();
            assert_eq!(length, 3, "leaf, intermediate, the issuer brought; no root");
            let purposes = &["sslclient", "sslserver"];
            readers.verify(&format!("{what} {kind:?}"), chain, purposes, None);
            spiffe_svid(chain, &key, &id);
        }
    }
    readers.lint();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_cannot_carry_svids_is_refused_with_words() {
    let mesh = Mesh::new();
    mesh.authority("short", "basicConstraints=critical,CA:TRUE,pathlen:0");
    mesh.authority(
        "named",
        "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;URI:.mesh.example",
    );
    mesh.authority("leaf", "basicConstraints=critical,CA:FALSE");
    let good = || mesh.chain(&["issuer", "root"]);
    let cases = [
        (
            "a path length of 0",
            ("short.key", mesh.chain(&["short", "root"])),
            "certificate 0 of the chain allows 0 authorities below it, not 1",
        ),
        (
            "a URI name constraint",
            ("named.key", mesh.chain(&["named", "root"])),
            "certificate 0 of the chain constrains URI names, which breaks SPIFFE validators",
        ),
        (
            "no authority",
            ("leaf.key", mesh.chain(&["leaf", "root"])),
            "certificate 0 of the chain is no authority",
        ),
        (
            "the wrong order",
            ("issuer.key", mesh.chain(&["root", "issuer"])),
            "the chain does not end in a self-signed root; append it",
        ),
        (
            "no root",
            ("issuer.key", mesh.chain(&["issuer"])),
            "the chain does not end in a self-signed root; append it",
        ),
        (
            "a stranger in between",
            ("issuer.key", mesh.chain(&["issuer", "short", "root"])),
            "certificate 0 of the chain is not issued by the one after it; order them upward",
        ),
        (
            "another key",
            ("short.key", good()),
            "the issuer's key is not that of the first certificate of its chain",
        ),
        (
            "a key in place of the chain",
            ("issuer.key", mesh.at("issuer.key")),
            "holds no usable certificate",
        ),
        (
            "a chain in place of the key",
            ("closed.pem", good()),
            "holds no usable private key",
        ),
        ("no such file", ("none.key", good()), "cannot read"),
    ];
    std::fs::copy(mesh.at("issuer.pem"), mesh.at("closed.pem")).unwrap();
    mesh.mode("closed.pem", 0o600);
    for (what, (key, chain), words) in cases {
        mesh.refused(what, (mesh.at(key), chain), Seconds::default(), words)
            .await;
    }
    mesh.mode("issuer.key", 0o644);
    let words = "may be read by others (mode 644); run `chmod 600` on it";
    mesh.refused("an open key", mesh.good(), Seconds::default(), words)
        .await;
    mesh.mode("issuer.key", 0o600);
    let words = "certificate 0 of the chain is expired";
    mesh.refused("its end", mesh.good(), Seconds::new(21 * 86_400), words)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_issuer_leaves_the_way_free_for_a_good_one() {
    let mesh = Mesh::new();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let wrong = (mesh.at("issuer.key"), mesh.chain(&["issuer"]));
    assert!(try_open(folder.path(), &clock, Some(wrong)).await.is_err());
    let Opened { store, .. } = try_open(folder.path(), &clock, Some(mesh.good()))
        .await
        .unwrap();
    let made = store.head().await.unwrap().unwrap().number.value();
    assert_eq!(made, 6, "three intermediates, planned and signed");
    // And one that stops being brought does not make the old intermediates our own.
    drop(store);
    let own = try_open(folder.path(), &clock, None).await.unwrap();
    let authority = own.service.authority();
    let root = authority.root().unwrap();
    assert_eq!(
        root.tbs().subject.text().split(' ').next(),
        Some("CN=protem")
    );
    for name in protem::pki::IssuerName::INTERMEDIATES {
        let issuing = authority.issuing(name);
        let certificate = issuing.certificate().unwrap();
        assert_eq!(certificate.verify_signed_by(&root.tbs().public_key), Ok(()));
    }
}

/// The authority of a mesh: an RSA root, and below it an EC issuer for protem.
struct Mesh {
    folder: tempfile::TempDir,
}

impl Mesh {
    fn new() -> Self {
        let mesh = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        mesh.openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 30 -keyout root.key -out root.pem \
             -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign,cRLSign \
             -subj /DC=example/DC=mesh/C=AT/O=Mesh\u{a0}Ltd/OU=Platform/CN=Mesh\u{a0}Root",
        );
        mesh.authority("issuer", "basicConstraints=critical,CA:TRUE,pathlen:1");
        mesh
    }

    /// A key and a certificate under the root, for 20 days, with these extensions.
    fn authority(&self, name: &str, extensions: &str) {
        let more = "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
                    authorityKeyIdentifier=keyid\n";
        std::fs::write(self.at("ext"), format!("{extensions}\n{more}")).unwrap();
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -out csr \
             -subj /C=AT/O=Mesh\u{a0}Ltd/OU=protem/CN={name} -keyout {name}.key"
        ));
        self.openssl(&format!(
            "x509 -req -in csr -CA root.pem -CAkey root.key -days 20 -extfile ext \
             -set_serial 0x1234567890abcdef -out {name}.pem"
        ));
        self.mode(&format!("{name}.key"), 0o600);
    }

    fn openssl(&self, arguments: &str) {
        let mut command = tool("openssl");
        // A no-break space stands for the space inside an argument.
        let arguments = arguments.split([' ', '\n']).filter(|one| !one.is_empty());
        command.args(arguments.map(|one| one.replace('\u{a0}', " ")));
        run(command.current_dir(self.folder.path())).expect_success();
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn mode(&self, file: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.at(file), mode).unwrap();
    }

    /// A file of these certificates in this order.
    fn chain(&self, names: &[&str]) -> PathBuf {
        let path = self.at(&format!("{}.chain", names.join("-")));
        let read = |name: &&str| std::fs::read_to_string(self.at(&format!("{name}.pem"))).unwrap();
        std::fs::write(&path, names.iter().map(read).collect::<String>()).unwrap();
        path
    }

    fn good(&self) -> (PathBuf, PathBuf) {
        (self.at("issuer.key"), self.chain(&["issuer", "root"]))
    }

    /// Fails unless a start with this issuer, so much later, is refused with these words and has
    /// made nothing.
    async fn refused(&self, what: &str, issuer: (PathBuf, PathBuf), later: Seconds, words: &str) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        clock.advance(later);
        let Err(error) = try_open(folder.path(), &clock, Some(issuer)).await else {
            panic!("{what} is accepted")
        };
        let told = told(&error);
        assert!(told.contains(words), "{what}: {told}");
        assert!(!told.contains("-----BEGIN"), "{what}: {told}");
        left_nothing(folder.path()).await;
    }
}

async fn left_nothing(folder: &Path) {
    let store = Sqlite::open(&folder.join(STORE_FILE)).unwrap();
    assert!(store.head().await.unwrap().is_none(), "an event");
    let keys = std::fs::read_dir(folder.join(KEYS_FOLDER)).unwrap();
    assert_eq!(keys.count(), 0, "a key or certificate");
}

/// The error with its causes, as the command line prints it.
fn told(error: &SetupError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        told = format!("{told}: {deeper}");
        cause = deeper.source();
    }
    told
}
