//! Every kind of certificate that protem mints, before readers that are not its own: pkilint,
//! OpenSSL, GnuTLS and the Rust `spiffe` crate.
//!
//! GnuTLS's certtool knows only the clock of the machine, so these worlds begin at it.

pub(crate) mod readers;

use protem::pki::IssuerName;
use protem::time::{Clock as _, SystemClock};
use protem::x509::{KeyKind, PrivateKey, write_chain};

use crate::interop::readers::{Readers, spiffe_bundle, spiffe_svid};
use crate::world::{Ground, WEB, World, base, changed_policy, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn base_svids_and_servers_are_accepted_by_everybody() {
    let world = World::on(Ground::of_now()).await;
    let holder = world.holder(WEB).await;
    let mut readers = Readers::under(&world.service.trust_bundle().to_pem());
    for key in every_key() {
        let issued = world.service.issue(&holder.call, base(&key)).await.unwrap();
        let chain = &issued.svid.chain_pem;
        let what = format!("base {:?}", key.public_key().kind());
        readers.verify(&what, chain, BOTH, None);
        spiffe_svid(chain, &key, WEB);
    }
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    // Not `localhost`: pkilint takes no name of one label, RFC 5280 does.
    let names = (
        vec!["ca.protem.example".to_owned()],
        vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    );
    let server = world.service.mint_service(key.public_key(), names).await;
    let chain = server.unwrap().chain_pem;
    readers.verify("server", &chain, &["sslserver"], None);
    spiffe_svid(&chain, &key, "spiffe://dev.protem.test/protem/server");
    readers.lint();
}

#[tokio::test(flavor = "multi_thread")]
async fn elevated_svids_are_accepted_by_everybody_under_each_encoding() {
    for (encoding, id) in [
        ("path", format!("{WEB}/scope/db.read")),
        ("folded", format!("{WEB}_db.read")),
        ("dns", WEB.to_owned()),
    ] {
        let world = World::on(Ground::encoded(encoding)).await;
        let holder = world.holder(WEB).await;
        world.elevate(&holder, "db.read").await.unwrap();
        let mut readers = Readers::under(&world.service.trust_bundle().to_pem());
        for key in every_key() {
            let asked = elevated(&key, "db.read");
            let issued = world.service.issue(&holder.call, asked).await.unwrap();
            let kind = key.public_key().kind();
            let names = issued.svid.certificate.tbs().alt_names.clone().unwrap();
            let dns = (encoding == "dns").then(|| "db.read.scope.dev.protem.test".to_owned());
            assert_eq!(names.uris, std::slice::from_ref(&id));
            assert_eq!(names.dns, dns.into_iter().collect::<Vec<_>>());
            // RSA keys alone are 294 bytes; the bound is for the default kind of key.
            if kind == KeyKind::P256 {
                assert!(issued.svid.certificate.der().len() <= 1_024);
            }
            let chain = &issued.svid.chain_pem;
            readers.verify(&format!("{encoding} {kind:?}"), chain, BOTH, None);
            spiffe_svid(chain, &key, &id);
        }
        readers.lint();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_and_bundle_are_accepted_by_everybody() {
    let world = World::on(Ground::of_now()).await;
    let authority = world.service.authority();
    let root = authority.root().unwrap();
    let mut readers = Readers::under(&root.to_pem());
    readers.verify("root", &root.to_pem(), &["any"], None);
    for name in IssuerName::INTERMEDIATES {
        let issuing = authority.issuing(name);
        let certificate = issuing.certificate().unwrap();
        assert_eq!(
            certificate.tbs().basic_constraints.unwrap().path_len,
            Some(0)
        );
        assert_eq!(write_chain([certificate]), issuing.chain_pem());
        readers.verify(name.as_str(), issuing.chain_pem(), &["any"], None);
    }
    readers.lint();
    let bundle = world.service.trust_bundle();
    let found = spiffe_bundle("dev.protem.test", &bundle.to_jwks().unwrap());
    assert_eq!(found, [root.der()]);
}

impl Ground {
    /// A world at the time of this machine.
    pub(crate) fn of_now() -> Self {
        Self {
            start: SystemClock.now(),
            ..Self::default()
        }
    }

    /// Such a world whose `db.read` is written so; its SVIDs live long enough for slow readers.
    pub(crate) fn encoded(encoding: &str) -> Self {
        // Without an idle time, which an access log could not tell under `dns`.
        let longest = "elevation_longest = \"30m\"\n";
        let from = format!("svid_life = \"60s\"\n{longest}idle_longest = \"10m\"\n");
        let to = format!("svid_life = \"5m\"\n{longest}encoding = \"{encoding}\"\n");
        let policy = changed_policy("scopes.toml", &from, &to);
        Self {
            policy,
            ..Self::of_now()
        }
    }
}

/// One key of each kind that the profiles allow.
fn every_key() -> [PrivateKey; 4] {
    [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa]
        .map(|kind| PrivateKey::generate(kind).unwrap())
}

const BOTH: &[&str] = &["sslclient", "sslserver"];
