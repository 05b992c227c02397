//! The whole way of a token: an issuer on a socket with TLS, its documents and keys, protem that
//! asks it, a job that shows its token and gets its SVID. And issuers that are hostile or away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use protem::attestation::KEYS_MAX;
use protem::client::Proof;
use protem::keyset::{KeySource, KeysFrom, Roots};
use protem::service::callers::{KEYS_AGE_MAX, KEYS_ASK_AGAIN_AFTER};
use protem::time::{Clock as _, Seconds};
use protem::x509::{KeyKind, PrivateKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::house::{House, code, svid_folder};
use super::signer::Signer;
use crate::cli::{protem, stderr};
use crate::test_server::{Reply, TestAuthority, TestServer};

const SUBJECT: &str = "spiffe://dev.protem.test/ci/shop/web";

/// An issuer whose documents a test writes.
struct Idp {
    server: TestServer,
    folder: TempDir,
    documents: Arc<Mutex<BTreeMap<String, (u16, Value)>>>,
}

impl Idp {
    /// With discovery, and the keys of this signer.
    fn new(signer: &Signer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let documents = Arc::new(Mutex::new(BTreeMap::new()));
        let shown = Arc::clone(&documents);
        let server = TestServer::start(&TestAuthority::new(), folder.path(), move |asked| {
            let documents = shown.lock().unwrap();
            let found: Option<&(u16, Value)> = documents.get(&asked.path);
            let (status, body) = found.cloned().unwrap_or((404, Value::Null));
            Reply::Json(status, body)
        });
        let idp = Self {
            server,
            folder,
            documents,
        };
        let (issuer, keys) = (idp.url(), format!("{}/keys", idp.url()));
        idp.shows(
            DISCOVERY,
            200,
            json!({ "issuer": issuer, "jwks_uri": keys }),
        );
        idp.shows("/keys", 200, signer.set());
        idp
    }

    fn url(&self) -> &str {
        &self.server.url
    }

    fn shows(&self, path: &str, status: u16, body: Value) {
        let mut documents = self.documents.lock().unwrap();
        documents.insert(path.to_owned(), (status, body));
    }

    /// How often a path was asked for.
    fn asked(&self, path: &str) -> usize {
        let log = self.server.log.lock().unwrap();
        log.iter().filter(|asked| asked.path == path).count()
    }

    fn table(&self, more: &str) -> String {
        format!(
            "[[token_issuer]]\nissuer = \"{}\"\naudience = \"protem\"\nalgorithms = [\"ES256\"]\n\
             subject = \"/ci/{{repository:2}}\"\nca_file = \"{}\"\n{more}\n",
            self.url(),
            self.folder.path().join("bundle.pem").display(),
        )
    }

    /// A server that lets it in, with the subject registered.
    fn house(&self) -> House {
        let house = House::new(&self.table("private_addresses = true"));
        house.register(SUBJECT, self.url());
        house
    }

    /// A job's claims, good for five minutes by the house's clock.
    fn claims(&self, house: &House) -> Value {
        let now = house.clock.now().unix_s();
        json!({
            "iss": self.url(), "aud": "protem", "jti": "job-7", "iat": now, "exp": now + 300,
            "repository": "shop/web",
        })
    }

    /// What becomes of reading the keys.
    fn read(&self, from: KeysFrom, private: bool) -> String {
        let roots = Roots::File(self.folder.path().join("bundle.pem"));
        let source = KeySource::new(self.url().to_owned(), from, &roots, private).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        match runtime.block_on(source.read()) {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn a_job_gets_its_svid_and_with_it_its_right() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let house = idp.house();
    let token = signer.token(&idp.claims(&house));
    let file = house.at("token");
    std::fs::write(&file, &token).unwrap();
    let job = house.client(Proof::TokenFile(file));
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let minted = house.mint(&job, &key, None).unwrap();
    assert_eq!(minted.spiffe_id, SUBJECT);

    let intent = house.newest("svid.intent").bytes;
    let intent: Value = serde_json::from_str(&intent).unwrap();
    assert_eq!(intent["caller"], format!("claimant:{SUBJECT}"));
    assert_eq!(intent["token_issuer"], idp.url());
    assert!(intent["token"].as_str().unwrap().starts_with("jti-sha256:"));
    assert!(
        !intent
            .to_string()
            .contains(token.rsplit('.').next().unwrap())
    );

    // The token mints and does nothing else; what it minted asks for the right.
    let ask = serde_json::from_value(json!({ "scope": "db.read", "reason": "deploy" })).unwrap();
    assert_eq!(
        house.run(job.elevate(&ask)).map_err(code).unwrap_err(),
        "token_only_mints"
    );
    let pem = key.to_pkcs8_pem().unwrap();
    let held = house.client(svid_folder(&house.at("svid"), &minted.chain, &pem));
    house.run(held.elevate(&ask)).unwrap();
    let elevated = house.mint(&held, &key, Some("db.read")).unwrap();
    assert_eq!(elevated.spiffe_id, format!("{SUBJECT}/scope/db.read"));

    // A job that is over does not live on in its certificate; the next token renews it.
    assert_eq!(house.mint(&held, &key, None).unwrap_err(), "not_allowed");
    assert!(house.mint(&job, &key, None).is_ok(), "good until it ends");
    house.clock.advance(Seconds::new(330));
    assert_eq!(house.mint(&job, &key, None).unwrap_err(), "issuer_token");
}

#[test]
fn the_entry_says_whose_tokens_it_takes() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let house = idp.house();
    let token = signer.token(&idp.claims(&house));
    for obtained_by in ["token", "https://other.example", "foreign"] {
        house.register(SUBJECT, obtained_by);
        assert_eq!(house.mint_by_token(&token).unwrap_err(), "not_allowed");
        let denied: Value = serde_json::from_str(&house.newest("svid.denied").bytes).unwrap();
        assert_eq!(denied["token_issuer"], idp.url(), "{obtained_by}");
    }
    house.register(SUBJECT, idp.url());
    assert!(house.mint_by_token(&token).is_ok());
    let mut unknown = idp.claims(&house);
    unknown["repository"] = json!("shop/db");
    let unknown = house.mint_by_token(&signer.token(&unknown));
    assert_eq!(
        unknown.unwrap_err(),
        "not_allowed",
        "nobody is registered by a token"
    );
}

#[test]
fn new_keys_are_found_and_hostile_names_ask_once() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let house = idp.house();
    assert!(
        house
            .mint_by_token(&signer.token(&idp.claims(&house)))
            .is_ok()
    );
    let read = idp.asked("/keys");
    // The issuer goes on to another key.
    let next = Signer::new("k2");
    idp.shows("/keys", 200, json!({ "keys": [signer.jwk(), next.jwk()] }));
    house.clock.advance(KEYS_ASK_AGAIN_AFTER);
    assert!(
        house
            .mint_by_token(&next.token(&idp.claims(&house)))
            .is_ok()
    );
    assert_eq!(idp.asked("/keys"), read + 1);
    // T3: names that nobody knows cause no second reading, and hold nobody up.
    for name in ["a", "b", "c"] {
        let stranger = Signer::new(name).token(&idp.claims(&house));
        assert_eq!(house.mint_by_token(&stranger).unwrap_err(), "issuer_token");
        assert!(
            house
                .mint_by_token(&next.token(&idp.claims(&house)))
                .is_ok()
        );
    }
    // T5: an issuer that is not configured causes nothing at all.
    let mut foreign = idp.claims(&house);
    foreign["iss"] = json!("https://evil.example");
    assert_eq!(
        house.mint_by_token(&next.token(&foreign)).unwrap_err(),
        "issuer_token"
    );
    assert_eq!(idp.asked("/keys"), read + 1);
}

#[test]
fn keys_outlast_an_issuer_that_is_away_but_not_for_long() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let house = idp.house();
    assert!(
        house
            .mint_by_token(&signer.token(&idp.claims(&house)))
            .is_ok()
    );
    idp.shows("/keys", 503, json!({}));
    // Whoever comes with an unknown name sees to it that the failure is noticed.
    house.clock.advance(KEYS_ASK_AGAIN_AFTER);
    let stranger = Signer::new("k9").token(&idp.claims(&house));
    assert_eq!(house.mint_by_token(&stranger).unwrap_err(), "issuer_token");
    assert!(
        house
            .mint_by_token(&signer.token(&idp.claims(&house)))
            .is_ok()
    );
    house.clock.advance(KEYS_AGE_MAX);
    let old = house.mint_by_token(&signer.token(&idp.claims(&house)));
    assert_eq!(old.unwrap_err(), "keys_away");
    idp.shows("/keys", 200, signer.set());
    house.clock.advance(KEYS_ASK_AGAIN_AFTER);
    assert!(
        house
            .mint_by_token(&signer.token(&idp.claims(&house)))
            .is_ok()
    );
}

#[test]
fn a_hostile_issuer_gives_no_keys() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let discovered = |document: Value| {
        idp.shows(DISCOVERY, 200, document);
        idp.read(KeysFrom::Discovery, true)
    };
    let (issuer, keys) = (idp.url(), format!("{}/keys", idp.url()));
    assert_eq!(
        discovered(json!({ "issuer": issuer, "jwks_uri": keys })),
        "read"
    );
    for (id, document, words) in [
        (
            "T5",
            json!({ "issuer": format!("{issuer}/"), "jwks_uri": keys }),
            "another `issuer`",
        ),
        ("T5", json!({ "jwks_uri": keys }), "another `issuer`"),
        ("T4", json!({ "issuer": issuer }), "no `jwks_uri`"),
        (
            "T4",
            json!({ "issuer": issuer, "jwks_uri": "http://127.0.0.1/keys" }),
            "no URL",
        ),
        (
            "T4",
            json!({ "issuer": issuer, "jwks_uri": "file:///etc/passwd" }),
            "no URL",
        ),
        (
            "T4",
            json!({ "issuer": issuer, "jwks_uri": "https://a@127.0.0.1/" }),
            "no URL",
        ),
    ] {
        let told = discovered(document);
        assert!(told.contains(words), "{id} {told}");
    }
    let from = || KeysFrom::Url(keys.parse().unwrap());
    let many = |count: usize| {
        let keys = (0..count).map(|number| {
            let mut key = signer.jwk();
            key["kid"] = json!(number.to_string());
            key
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    };
    for (status, body, words) in [
        (200, many(KEYS_MAX), "read"),
        (200, many(KEYS_MAX + 1), "is refused"),
        (200, many(10_000), "longer than 65536 bytes"),
        (
            200,
            json!({ "keys": [], "x": "x".repeat(70_000) }),
            "longer than 65536 bytes",
        ),
        (200, json!({ "keys": [] }), "is refused"),
        (200, json!("no keys"), "is refused"),
        (302, signer.set(), "answers 302; redirects are not followed"),
        (404, signer.set(), "answers 404"),
        (500, signer.set(), "answers 500"),
    ] {
        idp.shows("/keys", status, body);
        let told = idp.read(from(), true);
        assert!(told.contains(words), "T4 {words}: {told}");
    }
    idp.shows("/keys", 200, signer.set());
    let asked = idp.asked("/keys");
    let told = idp.read(from(), false);
    assert!(told.contains("an address that is not public"), "T4 {told}");
    assert_eq!(idp.asked("/keys"), asked, "nobody connected");
    // Another authority's server at the same place.
    std::fs::write(
        idp.folder.path().join("bundle.pem"),
        TestAuthority::new().root_pem(),
    )
    .unwrap();
    assert!(idp.read(from(), true).contains("cannot be reached"));
}

#[test]
fn keys_in_a_file_must_be_there_at_the_start() {
    let signer = Signer::new("k1");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let table = format!(
        "[[token_issuer]]\nissuer = \"https://ci.example\"\naudience = \"protem\"\n\
         algorithms = [\"ES256\"]\nsubject = \"/ci/{{repository:2}}\"\njwks_file = \"{}\"\n",
        file.display()
    );
    assert!(House::with("", &table).is_err());
    std::fs::write(&file, "{}").unwrap();
    assert!(House::with("", &table).is_err());
    std::fs::write(&file, signer.set().to_string()).unwrap();
    let house = House::new(&table);
    house.register(SUBJECT, "https://ci.example");
    let now = house.clock.now().unix_s();
    let claims = json!({
        "iss": "https://ci.example", "aud": "protem", "iat": now, "exp": now + 300,
        "repository": "shop/web",
    });
    assert!(house.mint_by_token(&signer.token(&claims)).is_ok());
}

#[test]
fn a_user_keeps_an_svid_by_a_token_file() {
    let signer = Signer::new("k1");
    let idp = Idp::new(&signer);
    let house = idp.house();
    let data = house.at("data");
    std::fs::write(
        data.join("server.url"),
        house.client(Proof::None).address.to_string(),
    )
    .unwrap();
    std::fs::write(house.at("token"), signer.token(&idp.claims(&house))).unwrap();
    let write = |more: &[&str]| {
        let mut words = vec!["--dir", "data", "svid", "write", "--out", "svid", "--once"];
        words.extend(more);
        protem(house.folder.path(), &words)
    };
    for _ in 0..2 {
        let done = write(&["--token-file", "token"]);
        assert!(done.status.success(), "{}", stderr(&done));
        assert!(stderr(&done).contains(SUBJECT), "{}", stderr(&done));
    }
    let ended = write(&[]);
    assert!(
        stderr(&ended).contains("may not obtain"),
        "{}",
        stderr(&ended)
    );
    std::fs::write(house.at("token"), "not.a.token").unwrap();
    let wrong = write(&["--token-file", "token"]);
    assert!(
        stderr(&wrong).contains("holds no signed token"),
        "{}",
        stderr(&wrong)
    );
}

const DISCOVERY: &str = "/.well-known/openid-configuration";
