//! SVIDs of other authorities at the door, made by `openssl` as SPIRE, Istio and cert-manager make
//! theirs: the three answers to whose root it is, and what must not get in under any of them.

mod x509;

use std::path::PathBuf;

use protem::client::{Client, Proof};
use protem::time::{Clock as _, Seconds};
use protem::wire::elevation::ElevationQuery;
use protem::x509::{KeyKind, PrivateKey, read_chain};
use serde_json::{Value, json};

use super::house::{House, code, svid_folder};
use crate::brought_issuer::Mesh;
use crate::tools::{run, tool};
use crate::world::WEB;

const ISTIO: &str = "spiffe://cluster.local/ns/shop/sa/web";
const SPIRE: &str = "spiffe://spire.example/shop/web";
const CERT_MANAGER: &str = "spiffe://cm.example/ns/shop/sa/web";

/// Other authorities, each with its root, and the leaves that they sign.
struct World {
    mesh: Mesh,
}

/// How a leaf is made.
#[derive(Clone)]
struct Leaf<'a> {
    issuer: &'a str,
    key: &'a str,
    subject: &'a str,
    extensions: String,
}

impl World {
    /// An RSA root as Istio makes it, and EC roots as SPIRE (with its name in it) and cert-manager
    /// make theirs.
    fn new() -> Self {
        let world = Self { mesh: Mesh::new() };
        world.root("istio", "rsa:2048", "/O=cluster.local", "");
        let spire = "-addext subjectAltName=URI:spiffe://spire.example";
        world.root("spire", EC, "/C=US/O=SPIFFE", spire);
        world.root("cm", EC, "/CN=csi-driver-spiffe-ca", "");
        world
    }

    fn root(&self, name: &str, key: &str, subject: &str, more: &str) {
        self.mesh.openssl(&format!(
            "req -x509 -newkey {key} -nodes -days 30 -keyout {name}.key -out {name}.pem \
             -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign,cRLSign {more} -subj {subject}"
        ));
    }

    /// A leaf with its key, as a folder that the client reads.
    fn leaf(&self, house: &House, name: &str, leaf: &Leaf<'_>) -> Client {
        std::fs::write(self.mesh.at("ext"), &leaf.extensions).unwrap();
        self.mesh.openssl(&format!(
            "req -new -newkey {} -nodes -out csr -keyout {name}.key -subj {}",
            leaf.key, leaf.subject
        ));
        self.mesh.openssl(&format!(
            "x509 -req -in csr -CA {0}.pem -CAkey {0}.key -days 1 -extfile ext -out {name}.pem",
            leaf.issuer
        ));
        let read = |file: &str| std::fs::read_to_string(self.mesh.at(file)).unwrap();
        let key = read(&format!("{name}.key"));
        let chain = match leaf.issuer {
            "istio" | "spire" | "cm" | "root" => read(&format!("{name}.pem")),
            below => read(&format!("{name}.pem")) + &read(&format!("{below}.pem")),
        };
        house.client(svid_folder(&house.at(name), &chain, &key))
    }

    /// A server that lets the three in, its clock ahead of what they sign from now on.
    fn house(&self) -> House {
        let house = House::new(&self.tables());
        house.clock.advance(AHEAD);
        house
    }

    /// The tables of the three, with bundles that are copies.
    fn tables(&self) -> String {
        let table = |name: &str, root: &str| {
            let bundle = self.mesh.at(&format!("{root}.pem"));
            format!(
                "[[foreign_trust_domain]]\nname = \"{name}\"\nbundle = [\"{}\"]\n",
                bundle.display()
            )
        };
        [
            table("cluster.local", "istio"),
            table("spire.example", "spire"),
            table("cm.example", "cm"),
        ]
        .concat()
    }
}

fn istio(id: &str) -> Leaf<'static> {
    Leaf {
        issuer: "istio",
        key: "rsa:2048",
        subject: "/",
        extensions: format!(
            "basicConstraints=critical,CA:FALSE\n\
             keyUsage=critical,digitalSignature,keyEncipherment\n\
             extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=critical,URI:{id}\n\
             authorityKeyIdentifier=keyid\n"
        ),
    }
}

fn spire(id: &str) -> Leaf<'static> {
    Leaf {
        issuer: "spire",
        key: EC,
        subject: "/C=US/O=SPIRE/x500UniqueIdentifier=c9f4c3a1b8d24e6f9f0d6d0e7b5a4c3b",
        extensions: format!(
            "basicConstraints=critical,CA:FALSE\n\
             keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement\n\
             extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:{id},DNS:web.shop\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        ),
    }
}

fn cert_manager(id: &str) -> Leaf<'static> {
    Leaf {
        issuer: "cm",
        key: EC,
        subject: "/",
        extensions: format!(
            "basicConstraints=critical,CA:FALSE\n\
             keyUsage=critical,digitalSignature,keyEncipherment\n\
             extendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=critical,URI:{id}\n\
             authorityKeyIdentifier=keyid\n"
        ),
    }
}

/// Whether the door knows the caller: his subject, or how he is refused.
fn who(house: &House, client: &Client) -> Result<String, String> {
    let ask = serde_json::from_value(json!({ "scope": "db.read", "reason": "r" })).unwrap();
    let opened = house.run(client.elevate(&ask)).map_err(code)?;
    Ok(opened.subject)
}

/// Whether the door opens, asked once: the client would repeat what has a key.
fn knock(house: &House, client: &Client) -> Result<(), String> {
    let ask = serde_json::from_value(json!({ "scope": "db.read", "dry_run": true })).unwrap();
    house.run(client.suppose(&ask)).map_err(code).map(|_| ())
}

#[test]
fn arrangement_c_foreign_svids_are_elevated_under_their_names_here() {
    let world = World::new();
    let house = world.house();
    for (name, leaf, id) in [
        ("istio-leaf", istio(ISTIO), ISTIO),
        ("spire-leaf", spire(SPIRE), SPIRE),
        ("cm-leaf", cert_manager(CERT_MANAGER), CERT_MANAGER),
    ] {
        let client = world.leaf(&house, name, &leaf);
        let here = id.replace("spiffe://", "spiffe://dev.protem.test/foreign/");
        // M8: a certificate without an entry opens nothing.
        assert_eq!(who(&house, &client).unwrap_err(), "entry_missing", "{id}");
        // A subject of this trust domain alone is not reached by a foreign name for it.
        house.register(&here, "token");
        assert_eq!(who(&house, &client).unwrap_err(), "not_allowed", "{id}");
        house.register(&here, "foreign");
        assert_eq!(who(&house, &client).unwrap(), here);

        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let minted = house.mint(&client, &key, Some("db.read")).unwrap();
        assert_eq!(minted.spiffe_id, format!("{here}/scope/db.read"));
        let event: Value = serde_json::from_str(&house.newest("svid.intent").bytes).unwrap();
        assert_eq!(event["foreign_id"], id);
        assert_eq!(event["caller"], format!("workload:{here}"));
        // Its base identity comes from where it came, and not from here.
        assert_eq!(house.mint(&client, &key, None).unwrap_err(), "not_allowed");
        // What it got asks for nothing more.
        let pem = key.to_pkcs8_pem().unwrap();
        let elevated = house.client(svid_folder(&house.at("elevated"), &minted.chain, &pem));
        assert!(who(&house, &elevated).is_err());
    }
}

#[test]
fn no_authority_speaks_for_another_trust_domain() {
    let world = World::new();
    let house = world.house();
    for name in ["cluster.local", "spire.example", "cm.example"] {
        let subject = format!("spiffe://dev.protem.test/foreign/{name}/ns/shop/sa/web");
        house.register(&subject, "foreign");
    }
    house.register(WEB, "foreign");
    let plain = Leaf {
        key: EC,
        ..istio(ISTIO)
    };
    let with = |from: &str, to: &str| {
        let extensions = plain.extensions.replace(from, to);
        assert_ne!(extensions, plain.extensions, "{from}");
        Leaf {
            extensions,
            ..plain.clone()
        }
    };
    world.mesh.openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 1 -keyout other.key -out other.pem \
         -subj /O=cluster.local -addext keyUsage=critical,keyCertSign",
    );
    assert!(who(&house, &world.leaf(&house, "good", &plain)).is_ok());
    let lookalike = ISTIO.replace("cluster.local", "cluster.local.evil");
    let two = format!("URI:{ISTIO},URI:{ISTIO}2");
    for (id, what, leaf) in [
        (
            "S6",
            "another's root",
            Leaf {
                issuer: "spire",
                ..plain.clone()
            },
        ),
        (
            "S6",
            "another's name",
            istio("spiffe://spire.example/ns/shop/sa/web"),
        ),
        ("S6", "the own name", istio(WEB)),
        (
            "S6",
            "a name that nobody serves",
            istio("spiffe://local/ns/shop/sa/web"),
        ),
        (
            "S6",
            "a sub-domain",
            istio("spiffe://a.cluster.local/ns/shop/sa/web"),
        ),
        ("S6", "a look-alike", istio(&lookalike)),
        (
            "S15",
            "an elevated path",
            istio(&format!("{ISTIO}/scope/db.read")),
        ),
        (
            "S15",
            "an elevated folded name",
            istio(&format!("{ISTIO}_db.read")),
        ),
        ("S18", "two names", with(&format!("URI:{ISTIO}"), &two)),
        (
            "S18",
            "no URI name",
            with(&format!("URI:{ISTIO}"), "DNS:web.shop"),
        ),
        ("S2", "no path", istio("spiffe://cluster.local")),
        (
            "M6",
            "for servers only",
            with("serverAuth,clientAuth", "serverAuth"),
        ),
        (
            "M6",
            "for no purpose",
            with("extendedKeyUsage=serverAuth,clientAuth\n", ""),
        ),
        (
            "M6",
            "for code",
            with("serverAuth,clientAuth", "codeSigning"),
        ),
        ("M7", "an authority", with("CA:FALSE", "CA:TRUE")),
        (
            "M7",
            "a key that signs certificates",
            with("digitalSignature", "digitalSignature,keyCertSign"),
        ),
        (
            "M7",
            "an unknown root",
            Leaf {
                issuer: "other",
                ..plain.clone()
            },
        ),
        (
            "M7",
            "a leaf of a leaf",
            Leaf {
                issuer: "good",
                ..plain.clone()
            },
        ),
    ] {
        let client = world.leaf(&house, "bad", &leaf);
        assert_eq!(
            knock(&house, &client).unwrap_err(),
            "connection",
            "{id} {what}"
        );
    }
}

#[test]
fn a_foreign_svid_ends_at_the_door_and_a_distrusted_root_opens_it_no_more() {
    let world = World::new();
    let house = world.house();
    house.register(
        &ISTIO.replace("spiffe://", "spiffe://dev.protem.test/foreign/"),
        "foreign",
    );
    let client = world.leaf(&house, "leaf", &istio(ISTIO));
    assert!(knock(&house, &client).is_ok());
    // M9: the mesh goes on to another root, and the file follows.
    let old = std::fs::read(world.mesh.at("istio.pem")).unwrap();
    std::fs::write(world.mesh.at("istio.pem"), b"half a file").unwrap();
    world.root("next", "rsa:2048", "/O=cluster.local", "");
    assert!(
        knock(&house, &client).is_ok(),
        "a broken file changes nothing"
    );
    std::fs::rename(world.mesh.at("next.pem"), world.mesh.at("istio.pem")).unwrap();
    while knock(&house, &client) != Err("connection".to_owned()) {}
    std::fs::write(world.mesh.at("istio.pem"), old).unwrap();
    while knock(&house, &client).is_err() {}
    // M1: no longer than its own end, by the clock of the server. Within the second that RFC 5280
    // counts in, the handshake may pass and its connection end unheard; one more, and none does.
    let held = protem::client::read_svid(&house.at("leaf"), house.clock.now()).unwrap();
    let left = held.leaf.tbs().not_after.since(house.clock.now());
    house.clock.advance(Seconds::new(left.count() + 2));
    let folder = house.at("leaf");
    let late = Client {
        clock: std::sync::Arc::new(protem::time::ManualClock::new(held.leaf.tbs().not_before)),
        ..house.client(Proof::Svid(folder))
    };
    assert_eq!(knock(&house, &late).unwrap_err(), "connection");
}

#[test]
fn bundles_that_would_cross_are_refused_at_the_start() {
    let world = World::new();
    let table = |name: &str, bundle: PathBuf| {
        format!(
            "[[foreign_trust_domain]]\nname = \"{name}\"\nbundle = [\"{}\"]\n",
            bundle.display()
        )
    };
    let refused = |keys: &str, tables: &str| {
        let Err(error) = House::with(keys, tables) else {
            panic!("{tables} is taken");
        };
        let mut told = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            told = format!("{told}: {deeper}");
            cause = deeper.source();
        }
        told
    };
    let at = |file: &str| world.mesh.at(file);
    let two = table("a.example", at("cm.pem")) + &table("b.example", at("cm.pem"));
    assert!(refused("", &two).contains("another trust domain too"));
    let spire = table("prod.example", at("spire.pem"));
    assert!(refused("", &spire).contains("a root that names `spiffe://spire.example`"));
    assert!(refused("", &table("a.example", at("none.pem"))).contains("cannot read"));
    assert!(refused("", &table("a.example", at("cm.key"))).contains("no usable certificate"));
    // M16: the root above the issuer that was brought, and the issuer itself.
    let (key, chain) = world.mesh.good();
    let brought = format!("issuer_key = {key:?}\nissuer_chain = {chain:?}");
    for file in ["root.pem", "issuer.pem"] {
        let told = refused(&brought, &table("mesh.example", at(file)));
        assert!(
            told.contains("a root or issuer of protem itself"),
            "{file}: {told}"
        );
    }
    let issuer = format!("{brought}\nown_bundle = [{:?}]", at("issuer.pem"));
    assert!(refused(&issuer, "").contains("a root or issuer of protem itself"));
}

#[test]
fn arrangement_a_the_mesh_gives_base_identities_in_the_own_trust_domain() {
    let world = World::new();
    let (key, chain) = world.mesh.good();
    let brought = format!("issuer_key = {key:?}\nissuer_chain = {chain:?}");
    let leaf = |id: &str| Leaf {
        issuer: "root",
        ..istio(id)
    };
    // Without being told so, protem takes no leaf that the mesh signed, though it chains.
    let house = House::with(&brought, "").unwrap();
    house.clock.advance(AHEAD);
    house.register(WEB, "foreign");
    let client = world.leaf(&house, "web", &leaf(WEB));
    assert_eq!(knock(&house, &client).unwrap_err(), "connection");
    let below = Leaf {
        issuer: "issuer",
        ..leaf(WEB)
    };
    let client = world.leaf(&house, "below", &below);
    assert_eq!(knock(&house, &client).unwrap_err(), "connection");
    drop(house);

    let own = format!("{brought}\nown_bundle = [{:?}]", world.mesh.at("root.pem"));
    let house = House::with(&own, "").unwrap();
    house.clock.advance(AHEAD);
    house.register(WEB, "token");
    let client = world.leaf(&house, "web", &leaf(WEB));
    assert_eq!(who(&house, &client).unwrap_err(), "not_allowed");
    // Nor does it do anything else in the subject's name.
    let listed = house.run(client.elevations(&ElevationQuery::default()));
    assert_eq!(listed.map(|_| ()).map_err(code).unwrap_err(), "not_allowed");
    house.register(WEB, "foreign");
    assert_eq!(who(&house, &client).unwrap(), WEB);
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let minted = house.mint(&client, &key, Some("db.read")).unwrap();
    assert_eq!(minted.spiffe_id, format!("{WEB}/scope/db.read"));
    let event: Value = serde_json::from_str(&house.newest("svid.intent").bytes).unwrap();
    assert_eq!(event["foreign_id"], WEB, "who vouched is told");
    // Its base identity stays the mesh's business, and what protem signed still opens the door.
    assert_eq!(house.mint(&client, &key, None).unwrap_err(), "not_allowed");
    let pem = key.to_pkcs8_pem().unwrap();
    let elevated = house.client(svid_folder(&house.at("elevated"), &minted.chain, &pem));
    assert_ne!(who(&house, &elevated).unwrap_err(), "connection");
    // S15: the mesh may say who somebody is, and not which right he holds.
    let raised = world.leaf(&house, "raised", &leaf(&format!("{WEB}/scope/db.read")));
    assert_eq!(knock(&house, &raised).unwrap_err(), "connection");
    // Nor may it pass its leaves off as protem's own, which obtain base SVIDs.
    let own_leaf = &read_chain(minted.chain.as_bytes()).unwrap()[0];
    let key_id = own_leaf.tbs().authority_key_id.as_ref().unwrap();
    let der = [&[0x30, 22, 0x80, 20], key_id.as_slice()].concat();
    let der: Vec<_> = der.iter().map(|byte| format!("{byte:02x}")).collect();
    let der = der.join(":");
    let plain = leaf(WEB);
    let extensions = plain.extensions.replace("authorityKeyIdentifier=keyid", "");
    let passed_off = Leaf {
        extensions: format!("{extensions}2.5.29.35=DER:{der}\n"),
        ..plain
    };
    let passed_off = world.leaf(&house, "passed-off", &passed_off);
    assert_eq!(knock(&house, &passed_off).unwrap_err(), "connection");
}

#[test]
fn arrangement_b_a_mesh_with_protems_root_beside_its_own_takes_both() {
    let world = World::new();
    let house = world.house();
    let here = ISTIO.replace("spiffe://", "spiffe://dev.protem.test/foreign/");
    house.register(&here, "foreign");
    let client = world.leaf(&house, "leaf", &istio(ISTIO));
    who(&house, &client).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let minted = house.mint(&client, &key, Some("db.read")).unwrap();
    std::fs::write(world.mesh.at("elevated.pem"), &minted.chain).unwrap();
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let mesh = read(world.mesh.at("istio.pem"));
    let both = mesh.clone() + &read(house.at("data/bundle.pem"));
    std::fs::write(world.mesh.at("both.pem"), both).unwrap();
    let at = house.clock.now().unix_s();
    let verify = |bundle: &str, leaf: &str| {
        let mut openssl = tool("openssl");
        openssl.args(["verify", "-x509_strict", "-purpose", "sslclient"]);
        openssl.args(["-attime", &at.to_string(), "-CAfile", bundle]);
        openssl.args(["-untrusted", leaf, leaf]);
        run(openssl.current_dir(world.mesh.at(""))).success
    };
    assert!(
        !verify("istio.pem", "elevated.pem"),
        "not before it is told"
    );
    assert!(verify("both.pem", "elevated.pem") && verify("both.pem", "leaf.pem"));
}

const AHEAD: Seconds = Seconds::new(300);
const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
