//! One stream from a whole server to an agent, over real connections.

use protem::client::{Client, ClientError, Proof};
use protem::id::Instance;
use protem::proto::agent::change::What;
use protem::proto::agent::elevation::Instances;
use protem::time::Seconds;
use protem::wire::elevation::{ElevationRequest, ElevationView};
use protem::wire::entry::{EntryRequest, EntryView};
use protem::wire::page::PageQuery;
use protem::wire::problem::ProblemKind;
use protem::wire::svid::{SvidBatchRequest, SvidRequest, SvidView};
use protem::x509::{KeyKind, PrivateKey, read_chain, write_request};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::image::Watching;
use crate::strangers::house::{House, code, svid_folder};
use crate::test_server::TestAuthority;
use crate::world::{DB, WEB};

const AGENT: &str = "spiffe://dev.protem.test/agents/one";
const OTHER: &str = "spiffe://dev.protem.test/agents/two";

/// A server, and an agent that obtains for `WEB`.
fn house() -> (House, Client) {
    house_with("")
}

/// The same, with these tables in its configuration.
fn house_with(tables: &str) -> (House, Client) {
    let house = House::new(tables);
    house.register(AGENT, "token");
    let agent = house.arrive(AGENT, "agent");
    house.register(WEB, AGENT);
    (house, agent)
}

fn entry(subject: &str, obtained_by: &[&str]) -> EntryRequest {
    EntryRequest {
        subject: subject.to_owned(),
        selectors: vec!["unix:uid:1000".to_owned()],
        obtained_by: obtained_by.iter().map(ToString::to_string).collect(),
        owner: "demo".to_owned(),
        groups: vec!["demo".to_owned()],
        life: "1h".to_owned(),
        hint: Some("one".to_owned()),
        federates_with: vec!["partner.example".to_owned()],
    }
}

fn put(house: &House, entry: &EntryRequest) -> EntryView {
    house.run(house.operator().put_entry(entry)).unwrap()
}

fn elevate(house: &House, agent: &Client, subject: &str, scope: &str) -> ElevationView {
    let request = ElevationRequest {
        scope: scope.to_owned(),
        subject: Some(subject.to_owned()),
        reason: Some("a customer waits".to_owned()),
        holder: Some("host".to_owned()),
        ..ElevationRequest::default()
    };
    house.run(agent.elevate(&request)).unwrap()
}

fn mint(house: &House, agent: &Client, elevation: &ElevationView) -> SvidView {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let item = SvidRequest {
        csr: write_request(&key).unwrap(),
        scope: Some(elevation.scope.clone()),
        elevation: Some(elevation.id.clone()),
        subject: Some(elevation.subject.clone()),
        ttl: None,
        holder: Some("host".to_owned()),
    };
    let batch = SvidBatchRequest { items: vec![item] };
    let mut answer = house.run(agent.mint_batch(&batch)).unwrap();
    answer.items.remove(0).svid.unwrap()
}

fn refusal<T>(answer: Result<T, ClientError>) -> (Option<ProblemKind>, String) {
    let error = answer.err().unwrap();
    (error.problem(), code(error))
}

#[test]
fn an_agent_is_told_what_stands_and_then_what_moves() {
    let partner = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(partner.path(), TestAuthority::new().root_pem()).unwrap();
    let (house, agent) = house_with(&format!(
        "[[foreign_trust_domain]]\nname = \"partner.example\"\nbundle = [{:?}]\n",
        partner.path()
    ));
    let told = put(&house, &entry(WEB, &[AGENT]));
    let opened = elevate(&house, &agent, WEB, "db.read");
    let mut watching = house.run(Watching::begin(&agent));
    let image = &watching.image;
    assert_eq!(image.entries.len(), 1);
    let known = &image.entries[&told.id];
    assert_eq!((known.version, known.subject.as_str()), (2, WEB));
    assert_eq!((known.life_s, known.hint.as_str()), (3_600, "one"));
    assert_eq!(known.selectors, ["unix:uid:1000"]);
    assert_eq!(known.federates_with, ["partner.example"]);
    let known = &image.open[&opened.id];
    assert_eq!((known.state.as_str(), known.version), ("approved", 1));
    let host = Instance::of_holder(&AGENT, "host").bytes().to_vec();
    assert_eq!(known.instances, Some(Instances::One(host.into())));
    assert!(0 < known.activate_by_ms && known.ends_at_ms == 0);
    let names: Vec<_> = image.bundles.keys().map(String::as_str).collect();
    assert_eq!(names, ["dev.protem.test", "partner.example"]);
    let root = std::fs::read(house.at("data/bundle.pem")).unwrap();
    let root = read_chain(&root).unwrap()[0].der().to_vec();
    assert_eq!(image.bundles["dev.protem.test"], [root]);
    assert!(image.denied.is_empty());

    // The first mint activates it; a renewal moves nothing.
    let first = mint(&house, &agent, &opened);
    let second = mint(&house, &agent, &opened);
    let What::Elevation(active) = house.run(watching.next()).unwrap() else {
        panic!("it was activated")
    };
    assert_eq!((active.state.as_str(), active.version), ("active", 2));
    assert!(0 < active.ends_at_ms);
    let operator = house.operator();
    house.run(operator.revoke_one(&opened.id, "over")).unwrap();
    let What::Elevation(ended) = house.run(watching.next()).unwrap() else {
        panic!("it was revoked")
    };
    assert_eq!(
        (ended.state.as_str(), ended.ended.as_str()),
        ("ended", "revoked")
    );
    house.run(watching.until(|image| image.denied.len() == 2));
    for svid in [first, second] {
        let leaf = &read_chain(svid.chain.as_bytes()).unwrap()[0];
        let sha256 = leaf.fingerprint().as_bytes().to_vec();
        assert!(watching.image.denied.contains(&sha256));
    }

    let added = put(&house, &entry(DB, &[AGENT, "token"]));
    let What::Entry(told_now) = house.run(watching.next()).unwrap() else {
        panic!("an entry was put")
    };
    assert_eq!(
        (told_now.id.as_str(), told_now.version),
        (added.id.as_str(), 1)
    );
    put(&house, &entry(DB, &["token"]));
    let what = house.run(watching.next()).unwrap();
    assert_eq!(what, What::EntryRemoved(added.id.clone()));
    house.run(operator.remove_entry(&told.id)).unwrap();
    let what = house.run(watching.next()).unwrap();
    assert_eq!(what, What::EntryRemoved(told.id));

    let before = watching.image.bundles["partner.example"].clone();
    std::fs::write(partner.path(), TestAuthority::new().root_pem()).unwrap();
    house.run(watching.until(|image| image.bundles["partner.example"] != before));
}

/// G16, and what is left of a subject that is no longer the agent's.
#[test]
fn an_agent_is_told_nothing_of_others() {
    let (house, agent) = house();
    house.register(OTHER, "token");
    let other = house.arrive(OTHER, "other");
    put(&house, &entry(DB, &[OTHER]));
    elevate(&house, &other, DB, "db.read");
    let mut watching = house.run(Watching::begin(&agent));
    assert!(
        watching
            .image
            .entries
            .values()
            .all(|one| one.subject == WEB)
    );
    assert!(watching.image.open.is_empty());
    let theirs = elevate(&house, &other, DB, "db.read");
    mint(&house, &other, &theirs);
    // What comes next is his own.
    let own = elevate(&house, &agent, WEB, "db.read");
    let What::Elevation(told) = house.run(watching.next()).unwrap() else {
        panic!("his own elevation")
    };
    assert_eq!(told.id, own.id);
    // The subject goes to the other agent, with what is open for it.
    put(&house, &entry(WEB, &[OTHER]));
    let what = house.run(watching.next()).unwrap();
    assert!(matches!(what, What::EntryRemoved(_)), "{what:?}");
    let operator = house.operator();
    house.run(operator.revoke_one(&own.id, "over")).unwrap();
    put(&house, &entry(DB, &[AGENT]));
    let What::Entry(told) = house.run(watching.next()).unwrap() else {
        panic!("the entry that is his now")
    };
    assert_eq!(told.subject, DB);
    // With it comes what is open already.
    house.run(watching.until(|image| image.open.len() == 2));
}

#[test]
fn nobody_watches_but_agents_with_a_base_svid_and_an_entry() {
    let (house, agent) = house();
    let operator = house.operator();
    for (client, kind, word) in [
        (&operator, ProblemKind::Denied, "not_allowed"),
        (
            &house.client(Proof::None),
            ProblemKind::Unauthenticated,
            "nobody",
        ),
    ] {
        let answer = house.run(client.watch(false));
        assert_eq!(refusal(answer), (Some(kind), word.to_owned()));
    }
    let token = house.run(operator.create_token(&protem::wire::token::TokenRequest {
        subject: AGENT.to_owned(),
        ttl: None,
    }));
    let token = protem::attestation::Bearer::parse(&token.unwrap().token).unwrap();
    let answer = house.run(house.client(Proof::Bearer(token)).watch(false));
    assert_eq!(refusal(answer).1, "token_only_mints");

    // S15: a right of the agent's own opens nothing here.
    let request = ElevationRequest {
        scope: "db.read".to_owned(),
        reason: Some("a look".to_owned()),
        ..ElevationRequest::default()
    };
    house.run(agent.elevate(&request)).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let own = house.client(svid_folder(
        &house.at("own"),
        &house.mint(&agent, &key, None).unwrap().chain,
        &key.to_pkcs8_pem().unwrap(),
    ));
    house.run(own.elevate(&request)).unwrap();
    let minted = house.mint(&own, &key, Some("db.read")).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    let elevated = house.client(svid_folder(&house.at("elevated"), &minted.chain, &pem));
    assert_eq!(refusal(house.run(elevated.watch(false))).1, "not_allowed");
    let event = house.newest("request.denied");
    assert!(event.bytes.contains("not_an_agent"), "{}", event.bytes);

    // M8: an agent without an entry is told no more, and does not come back.
    let mut watching = house.run(Watching::begin(&agent));
    let entries = house.run(operator.entries(&PageQuery::default())).unwrap();
    let own = entries.items.iter().find(|one| one.subject == AGENT);
    house.run(operator.remove_entry(&own.unwrap().id)).unwrap();
    let status = house.run(watching.end());
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    assert_eq!(code(agent.of_status(&status)), "unregistered");
    assert_eq!(refusal(house.run(agent.watch(false))).1, "unregistered");
}

#[test]
fn an_agent_has_few_streams_and_gets_them_back() {
    let (house, agent) = house();
    let mut open: Vec<_> = (0..4).map(|_| house.run(Watching::begin(&agent))).collect();
    let refused = refusal(house.run(agent.watch(false)));
    let expected = (
        Some(ProblemKind::RateLimited),
        "too_many_watches".to_owned(),
    );
    assert_eq!(refused, expected);
    drop(open.pop());
    // The server hears of the end a moment after the client made it.
    let again = house.run(async {
        loop {
            match agent.watch(false).await {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(code(error), "too_many_watches"),
            }
        }
    });
    drop((open, again));
}

#[test]
fn a_stream_ends_with_the_certificate_that_it_was_opened_with() {
    let (house, agent) = house();
    let mut watching = house.run(Watching::begin(&agent));
    house.clock.advance(Seconds::new(3_700));
    let status = house.run(watching.end());
    assert_ne!(status.code(), tonic::Code::PermissionDenied, "{status:?}");
    let answer = house.run(agent.watch(false));
    assert!(matches!(answer, Err(ClientError::Svid(_))));
}

#[test]
fn a_stop_of_the_server_ends_streams_in_words() {
    let (house, agent) = house();
    let mut watching = house.run(Watching::begin(&agent));
    house.stop();
    let status = house.run(watching.end());
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(code(agent.of_status(&status)), "stopping");
}

/// What stands between the two passes everything, until it passes nothing and says nothing.
#[test]
fn a_server_that_falls_silent_is_noticed() {
    let (house, agent) = house();
    let silent = CancellationToken::new();
    let between = house.run(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = between.local_addr().unwrap().port();
    let server = (agent.address.host().to_owned(), agent.address.port());
    let fell = silent.clone();
    let passing = async move {
        let (mut near, _) = between.accept().await.unwrap();
        let mut far = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            () = fell.cancelled() => std::future::pending().await,
        }
    };
    let agent = Client {
        address: format!("https://127.0.0.1:{port}").parse().unwrap(),
        ..agent
    };
    let listening = async {
        let mut watching = Watching::begin(&agent).await;
        silent.cancel();
        watching.end().await
    };
    let status = house.run(async {
        tokio::select! {
            status = listening => status,
            () = passing => panic!("the server ended"),
        }
    });
    assert!(!agent.of_status(&status).is_final(), "{status:?}");
}
