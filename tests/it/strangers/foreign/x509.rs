//! `x509`: an SVID of another authority as the first proof, and nothing more than that.

use protem::wire::elevation::ElevationQuery;
use protem::x509::{KeyKind, PrivateKey};
use serde_json::Value;

use super::{AHEAD, ISTIO, Leaf, World, istio, who};
use crate::strangers::house::{House, code, svid_folder};
use crate::world::WEB;

#[test]
fn a_foreign_svid_obtains_a_base_svid_that_goes_on_by_itself() {
    let world = World::new();
    let house = world.house();
    let here = ISTIO.replace("spiffe://", "spiffe://dev.protem.test/foreign/");
    house.register(&here, "x509");
    let foreign = world.leaf(&house, "leaf", &istio(ISTIO));
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let minted = house.mint(&foreign, &key, None).unwrap();
    assert_eq!(minted.spiffe_id, here);
    let event: Value = serde_json::from_str(&house.newest("svid.intent").bytes).unwrap();
    assert_eq!(event["foreign_id"], ISTIO, "who vouched is told");

    // The proof obtains this and nothing else: no scope, no look.
    assert_eq!(who(&house, &foreign).unwrap_err(), "not_allowed");
    let listed = house.run(foreign.elevations(&ElevationQuery::default()));
    assert_eq!(listed.map(|_| ()).map_err(code).unwrap_err(), "not_allowed");
    let pem = key.to_pkcs8_pem().unwrap();
    let own = house.client(svid_folder(&house.at("own"), &minted.chain, &pem));
    assert_eq!(who(&house, &own).unwrap(), here);
    let refused = house.mint(&foreign, &key, Some("db.read")).unwrap_err();
    assert_eq!(refused, "not_allowed");
    // It renews itself, and with it the subject acts.
    assert_eq!(house.mint(&own, &key, None).unwrap().spiffe_id, here);
    let elevated = house.mint(&own, &key, Some("db.read")).unwrap();
    // S15, S16: what carries a scope obtains no base SVID.
    let elevated = house.client(svid_folder(&house.at("up"), &elevated.chain, &pem));
    assert_eq!(
        house.mint(&elevated, &key, None).unwrap_err(),
        "not_allowed"
    );
}

#[test]
fn a_foreign_svid_obtains_for_nobody_but_its_own_name() {
    let world = World::new();
    let house = world.house();
    house.register(WEB, "x509");
    let foreign = world.leaf(&house, "leaf", &istio(ISTIO));
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let request = serde_json::from_value(serde_json::json!({
        "csr": protem::x509::write_request(&key).unwrap(), "subject": WEB,
    }));
    let answer = house.run(foreign.mint(&request.unwrap()));
    assert_eq!(answer.map(|_| ()).map_err(code).unwrap_err(), "not_allowed");
    // Nor is it an agent, although the name that it has here is one's.
    let here = ISTIO.replace("spiffe://", "spiffe://dev.protem.test/foreign/");
    house.register(&here, "x509");
    house.register(WEB, &here);
    let request = serde_json::from_value(serde_json::json!({
        "csr": protem::x509::write_request(&key).unwrap(), "subject": WEB,
    }));
    let answer = house.run(foreign.mint(&request.unwrap()));
    assert_eq!(answer.map(|_| ()).map_err(code).unwrap_err(), "not_allowed");
    // A name that marks a scope is no caller at all.
    let marked = world.leaf(&house, "marked", &istio(&format!("{ISTIO}/scope/db.read")));
    assert_eq!(house.mint(&marked, &key, None).unwrap_err(), "connection");
}

#[test]
fn an_svid_of_the_mesh_that_protem_signs_under_obtains_a_base_svid() {
    let world = World::new();
    let (brought_key, chain) = world.mesh.good();
    let own = format!(
        "issuer_key = {brought_key:?}\nissuer_chain = {chain:?}\nown_bundle = [{:?}]",
        world.mesh.at("root.pem")
    );
    let house = House::with(&own, "").unwrap();
    house.clock.advance(AHEAD);
    house.register(WEB, "x509");
    let leaf = Leaf {
        issuer: "root",
        ..istio(WEB)
    };
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let mesh = world.leaf(&house, "web", &leaf);
    assert_eq!(house.mint(&mesh, &key, None).unwrap().spiffe_id, WEB);
    assert_eq!(who(&house, &mesh).unwrap_err(), "not_allowed");
    house.register(WEB, "foreign");
    assert_eq!(house.mint(&mesh, &key, None).unwrap_err(), "not_allowed");
}
