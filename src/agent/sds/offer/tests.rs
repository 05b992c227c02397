//! Each name against each state of what a caller holds.

use crate::agent::envoy::held::{
    API, WEB, base, bundles, elevated, elevated_name, identity, in_seconds, nothing, now,
    of_asking_web, of_elevated_web, of_web, pending, refused, scope, subject, svid,
};
use crate::agent::holdings::Generation;
use crate::agent::xds::{Content as _, Version};
use crate::proto::tls::Secret as Message;
use crate::proto::tls::secret::Type;
use crate::scope::SvidName;
use prost::Message as _;

use super::*;

/// What is said of a name, in short: the generation of what is given, or the word.
fn said(holdings: &Holdings, name: &str) -> String {
    say(holdings, name, &Subscription::default(), true)
}

fn say(holdings: &Holdings, name: &str, asked: &Subscription, delta: bool) -> String {
    let shelf = Shelf::after(&Shelf::default(), &holdings.bundles);
    let view = View {
        holdings,
        shelf: &shelf,
        validator: Validator::Plain,
        now: now(),
    };
    match view.offer(name, asked, delta) {
        Offer::Ready(Secret::Svid(svid)) => format!("svid {}", svid.serial),
        Offer::Ready(Secret::Roots(roots, _)) => format!("roots of {}", roots.of),
        Offer::Ready(Secret::AllRoots(all)) => format!("roots of {} trust domains", all.len()),
        Offer::Absent => "absent".to_owned(),
        Offer::Awaited => "awaited".to_owned(),
        Offer::Deciding => "deciding".to_owned(),
    }
}

#[test]
fn every_name_is_answered_with_what_it_names() {
    let mut holdings = of_elevated_web(20, in_seconds(60));
    holdings.identities.push(identity(API, Some(base(11, API))));
    holdings
        .identities
        .push(identity("spiffe://td.test/web-cacert", None));
    holdings
        .federates_with
        .insert("other.test".parse().unwrap());
    for (name, wanted) in [
        ("default", "svid 10"),
        (WEB, "svid 10"),
        (API, "svid 11"),
        ("scope/db.read", "svid 20"),
        ("spiffe://td.test/ns/shop/sa/web/scope/db.read", "svid 20"),
        ("spiffe://td.test/ns/shop/sa/web_db.read", "svid 20"),
        ("spiffe://td.test/ns/shop/sa/api/scope/db.read", "absent"),
        ("scope/db.write", "absent"),
        ("ROOTCA", "roots of td.test"),
        ("spiffe://td.test", "roots of td.test"),
        ("spiffe://other.test", "roots of other.test"),
        ("spiffe://third.test", "absent"),
        ("ALL", "roots of 2 trust domains"),
        ("default-cacert", "roots of td.test"),
        ("scope/db.read-cacert", "roots of td.test"),
        ("scope/db.write-cacert", "roots of td.test"),
        ("spiffe://td.test/ns/shop/sa/web-cacert", "roots of td.test"),
        ("spiffe://td.test/web-cacert", "awaited"),
        ("spiffe://td.test/ns/shop/sa/other", "absent"),
        ("spiffe://other.test/ns/shop/sa/web", "absent"),
        ("no-such-name", "absent"),
        ("", "absent"),
    ] {
        assert_eq!(said(&holdings, name), wanted, "{name}");
        assert_eq!(said(&holdings, &format!("sds://{name}")), wanted, "{name}");
    }
}

#[test]
fn a_caller_without_an_entry_is_given_nothing_and_waits_until_that_is_sure() {
    let untold = nothing();
    let told = Holdings {
        told: true,
        ..nothing()
    };
    for name in [
        "default",
        WEB,
        "ROOTCA",
        "spiffe://td.test",
        "ALL",
        "default-cacert",
    ] {
        assert_eq!(said(&told, name), "absent", "{name}");
    }
    for name in ["default", WEB, "ROOTCA", "spiffe://td.test", "ALL"] {
        assert_eq!(said(&untold, name), "awaited", "{name}");
    }
    // A request is behind it: it is held, not left to wait for ever.
    assert_eq!(said(&untold, "scope/db.read"), "deciding");
    assert_eq!(said(&told, "scope/db.read"), "absent");
    assert_eq!(said(&untold, "no-such-name"), "absent");
}

#[test]
fn nothing_ended_or_not_begun_is_given_and_an_elevated_svid_not_in_its_last_second() {
    let with = |svid| Holdings {
        identities: vec![identity(WEB, Some(svid))],
        ..of_web()
    };
    let name = || SvidName::Base(subject(WEB));
    assert_eq!(said(&with(svid(1, name(), now())), "default"), "awaited");
    let mut unborn = Arc::try_unwrap(svid(1, name(), in_seconds(90))).unwrap();
    unborn.not_before = in_seconds(60);
    assert_eq!(said(&with(Arc::new(unborn)), "default"), "awaited");
    assert_eq!(
        said(&with(svid(1, name(), in_seconds(1))), "default"),
        "svid 1"
    );

    let ending = of_elevated_web(20, in_seconds(1));
    assert_eq!(said(&ending, "scope/db.read"), "deciding");
    assert_eq!(said(&ending, "default"), "svid 10");
    let living = of_elevated_web(20, in_seconds(3));
    assert_eq!(said(&living, "scope/db.read"), "svid 20");
}

#[test]
fn of_several_elevations_for_one_scope_the_longest_svid_is_given() {
    let mut holdings = of_elevated_web(20, in_seconds(90));
    let name = || elevated_name(WEB, "db.read");
    for one in [
        None,
        Some(svid(30, name(), in_seconds(40))),
        Some(svid(31, name(), now())),
    ] {
        holdings.elevated.push(elevated(WEB, "db.read", one));
    }
    assert_eq!(said(&holdings, "scope/db.read"), "svid 20");
}

#[test]
fn what_became_of_asking_decides_between_waiting_and_nothing() {
    let may_open = Subscription {
        may_open: true,
        ..Subscription::default()
    };
    let asked = |holdings: &Holdings| say(holdings, "scope/db.read", &may_open, true);
    assert_eq!(asked(&of_web()), "deciding", "the keeper has not heard yet");
    assert_eq!(asked(&of_asking_web(Ask::Asking)), "deciding");
    assert_eq!(asked(&of_asking_web(pending())), "deciding");
    assert_eq!(asked(&of_asking_web(refused(in_seconds(5)))), "absent");
    assert_eq!(
        asked(&of_asking_web(refused(now()))),
        "deciding",
        "it may be asked anew"
    );
    assert_eq!(said(&of_web(), "scope/db.read"), "absent", "nobody asks");
}

#[test]
fn what_nears_its_end_is_not_given_until_asking_anew_came_to_nothing() {
    let may_open = Subscription {
        may_open: true,
        ..Subscription::default()
    };
    let fading = |ask: Option<Ask>| {
        let mut holdings = ask.map_or_else(of_web, of_asking_web);
        holdings.elevated = of_elevated_web(20, in_seconds(30)).elevated;
        holdings.elevated[0].fades = true;
        holdings
    };
    let asked = |holdings: &Holdings| say(holdings, "scope/db.read", &may_open, true);
    assert_eq!(said(&fading(None), "scope/db.read"), "absent");
    assert_eq!(asked(&fading(None)), "deciding");
    assert_eq!(asked(&fading(Some(Ask::Asking))), "deciding");
    for no in [pending(), refused(in_seconds(5))] {
        assert_eq!(asked(&fading(Some(no))), "svid 20");
    }
    // Who cannot be told of an absence is not, and another right beside it is given.
    let whole = say(&fading(None), "scope/db.read", &may_open, false);
    assert_eq!(whole, "svid 20");
    let mut both = fading(None);
    let next = of_elevated_web(30, in_seconds(60)).elevated;
    both.elevated.extend(next);
    assert_eq!(asked(&both), "svid 30");
    both.elevated[1].svid = None;
    assert_eq!(asked(&both), "deciding", "it is being minted");
}

#[test]
fn who_cannot_be_told_of_an_absence_gets_the_base_svid_where_he_was_elevated() {
    let given = Version::after(None, Generation(20), crate::agent::xds::Digest::of([]));
    let was_given = Subscription {
        given: Some(given),
        ..Subscription::default()
    };
    let before = Subscription {
        held_before: true,
        ..Subscription::default()
    };
    for holdings in [
        of_web(),
        of_asking_web(pending()),
        of_elevated_web(20, now()),
    ] {
        assert_eq!(
            say(&holdings, "scope/db.read", &was_given, false),
            "svid 10"
        );
        assert_eq!(say(&holdings, "scope/db.read", &before, false), "svid 10");
        assert_ne!(said(&holdings, "scope/db.read"), "svid 10");
    }
    let never = Subscription::default();
    assert_eq!(say(&of_web(), "scope/db.read", &never, false), "absent");
    let not_renewed = Subscription {
        ends: Some(in_seconds(30)),
        ..was_given
    };
    let mut minting = of_elevated_web(20, now());
    minting.elevated[0].svid = None;
    let said = say(&minting, "scope/db.read", &not_renewed, true);
    assert_eq!(said, "awaited", "what he has still lives");
}

#[test]
fn everything_is_base_svids_and_roots_and_no_elevated_svid() {
    let mut holdings = of_elevated_web(20, in_seconds(60));
    holdings.identities.push(identity(API, None));
    holdings
        .federates_with
        .insert("other.test".parse().unwrap());
    let shelf = Shelf::default();
    let view = View {
        holdings: &holdings,
        shelf: &shelf,
        validator: Validator::Plain,
        now: now(),
    };
    let names: Vec<String> = view.everything().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["spiffe://other.test", "spiffe://td.test", API, WEB]);
}

#[test]
fn the_keeper_is_told_by_name_what_is_wanted() {
    let on_demand: BTreeSet<Scope> = [scope("db.read")].into();
    let wants = |holdings: &Holdings, names: &[&str]| {
        let mut subscriptions = Subscriptions::default();
        for name in names {
            subscriptions.subscribe(name);
        }
        let shelf = Shelf::default();
        let view = View {
            holdings,
            shelf: &shelf,
            validator: Validator::Plain,
            now: now(),
        };
        view.wants(&mut subscriptions, true, &on_demand)
    };
    let some = |base: bool, scopes: &[(&str, bool)]| Wants::Some {
        base,
        scopes: scopes
            .iter()
            .map(|(name, open)| ((subject(WEB), scope(name)), *open))
            .collect(),
    };
    let web = of_web();
    let roots = [
        "ROOTCA",
        "ALL",
        "spiffe://td.test",
        "default-cacert",
        "nothing",
    ];
    assert_eq!(wants(&web, &roots), Wants::Nothing, "roots mint nothing");
    assert_eq!(wants(&web, &["default", "ROOTCA"]), some(true, &[]));
    assert_eq!(wants(&web, &[API]), Wants::Nothing, "not his");
    let names = ["scope/db.read", "sds://scope/db.read"];
    assert_eq!(wants(&web, &names), some(false, &[("db.read", true)]));
    let not_opted_in = some(false, &[("db.write", false)]);
    assert_eq!(wants(&web, &["scope/db.write"]), not_opted_in);
    let by_id = format!("{WEB}/scope/db.read");
    assert_eq!(wants(&web, &[&by_id]), some(false, &[("db.read", false)]));
    let nobody = format!("{API}/scope/db.read");
    assert_eq!(wants(&web, &[&nobody]), Wants::Nothing);
    let closed = some(false, &[("db.read", false)]);
    for holdings in [
        of_elevated_web(20, in_seconds(60)),
        of_asking_web(pending()),
        of_asking_web(refused(in_seconds(9))),
    ] {
        assert_eq!(wants(&holdings, &["scope/db.read"]), closed);
    }
}

#[test]
fn to_begin_to_ask_opens_once() {
    let on_demand: BTreeSet<Scope> = [scope("db.read")].into();
    let mut subscriptions = Subscriptions::default();
    subscriptions.subscribe("scope/db.read");
    let shelf = Shelf::default();
    let mut may_open = |holdings: &Holdings| {
        let view = View {
            holdings,
            shelf: &shelf,
            validator: Validator::Plain,
            now: now(),
        };
        view.wants(&mut subscriptions, true, &on_demand);
        subscriptions.get_mut("scope/db.read").unwrap().may_open
    };
    assert!(may_open(&of_web()));
    assert!(may_open(&of_asking_web(Ask::Asking)));
    assert!(!may_open(&of_asking_web(pending())));
    // It ended, and the stream still asks for the name: it does not open itself again.
    assert!(!may_open(&of_web()));
}

#[test]
fn versions_depend_on_what_is_named_alone() {
    let version = |holdings: &Holdings, shelf: &Shelf, name: &str| {
        let view = View {
            holdings,
            shelf,
            validator: Validator::Plain,
            now: now(),
        };
        match view.offer(name, &Subscription::default(), true) {
            Offer::Ready(content) => {
                Version::after(None, content.generation(), content.digest()).to_string()
            }
            other => panic!("{name}: {other:?}"),
        }
    };
    let mut before = of_elevated_web(20, in_seconds(60));
    before.federates_with.insert("other.test".parse().unwrap());
    let first = Shelf::after(&Shelf::default(), &before.bundles);
    let mut after = before.clone();
    after.bundles = bundles(50, &[("td.test", b"own"), ("other.test", b"changed")]);
    after.elevated = of_elevated_web(30, in_seconds(60)).elevated;
    let second = Shelf::after(&first, &after.bundles);
    for (name, same) in [
        ("default", true),
        ("ROOTCA", true),
        ("scope/db.read-cacert", true),
        ("spiffe://other.test", false),
        ("ALL", false),
        ("scope/db.read", false),
    ] {
        let (old, new) = (
            version(&before, &first, name),
            version(&after, &second, name),
        );
        assert_eq!(old == new, same, "{name}: {old} {new}");
    }
}

#[test]
fn secrets_are_written_as_envoy_reads_them() {
    let shelf = Shelf::after(&Shelf::default(), &of_web().bundles);
    let roots = |of: &str| shelf.roots(&of.parse().unwrap()).unwrap().clone();
    let body = |secret: Secret| {
        let any = secret.encode("sds://some-name");
        assert_eq!(any.type_url, crate::agent::sds::secret::SECRET_TYPE);
        let message = Message::decode(any.value.as_slice()).unwrap();
        assert_eq!(message.name, "sds://some-name");
        message.r#type.unwrap()
    };
    let bytes = |source: Option<crate::proto::core::DataSource>| {
        use crate::proto::core::data_source::Specifier;
        match source.unwrap().specifier.unwrap() {
            Specifier::InlineBytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => panic!("not inline"),
        }
    };
    let Type::TlsCertificate(certificate) = body(Secret::Svid(base(10, WEB))) else {
        panic!("no certificate")
    };
    assert_eq!(bytes(certificate.certificate_chain), "chain 10");
    assert_eq!(bytes(certificate.private_key), "key 10");
    let plain = Secret::Roots(roots("td.test"), Validator::Plain);
    let Type::ValidationContext(context) = body(plain.clone()) else {
        panic!("no validation context")
    };
    assert!(bytes(context.trusted_ca).starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(context.custom_validator_config, None);
    let spiffe = Secret::Roots(roots("td.test"), Validator::Spiffe);
    assert_ne!(spiffe.digest(), plain.digest());
    for (secret, trust_domains) in [
        (spiffe, vec!["td.test"]),
        (
            Secret::AllRoots(vec![roots("other.test"), roots("td.test")]),
            vec!["other.test", "td.test"],
        ),
    ] {
        let Type::ValidationContext(context) = body(secret) else {
            panic!("no validation context")
        };
        assert_eq!(context.trusted_ca, None);
        let config = context.custom_validator_config.unwrap();
        assert_eq!(config.name, "envoy.tls.cert_validator.spiffe");
        let config = config.typed_config.unwrap();
        let config = crate::proto::tls::SpiffeCertValidatorConfig::decode(config.value.as_slice());
        let names = config
            .unwrap()
            .trust_domains
            .into_iter()
            .map(|one| one.name);
        assert_eq!(names.collect::<Vec<_>>(), trust_domains);
    }
}
