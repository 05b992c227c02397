//! What callers of tests hold: SVIDs whose bytes say what they are.
//!
//! Promises: nothing here is a certificate; tests that need one make it.
//! Refuses: use outside tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::agent::holdings::{
    AgentEntry, Ask, Bundles, Elevated, Generation, Holdings, Identity, Svid,
};
use crate::identity::{Subject, TrustDomain};
use crate::scope::{Encoding, Scope, SvidName};
use crate::time::{Clock as _, Seconds, SystemClock, Timestamp};

pub(crate) const WEB: &str = "spiffe://td.test/ns/shop/sa/web";
pub(crate) const API: &str = "spiffe://td.test/ns/shop/sa/api";

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn in_seconds(seconds: u32) -> Timestamp {
    now().plus(Seconds::new(seconds))
}

pub(crate) fn subject(id: &str) -> Subject {
    id.parse().unwrap()
}

pub(crate) fn scope(name: &str) -> Scope {
    name.parse().unwrap()
}

pub(crate) fn elevated_name(of: &str, name: &str) -> SvidName {
    SvidName::Elevated {
        subject: subject(of),
        scope: scope(name),
        encoding: Encoding::Path,
    }
}

/// An SVID whose chain reads `chain <generation>`.
pub(crate) fn svid(generation: u64, name: SvidName, not_after: Timestamp) -> Arc<Svid> {
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&generation.to_be_bytes());
    Arc::new(Svid {
        generation: Generation(generation),
        spiffe_id: name.sans().unwrap().uri,
        name,
        chain_der: Bytes::new(),
        chain_pem: format!("chain {generation}").into(),
        key_der: Zeroizing::default(),
        key_pem: Zeroizing::new(format!("key {generation}")),
        serial: generation.to_string(),
        sha256,
        not_before: Timestamp::EPOCH,
        not_after,
        renew_at: not_after,
    })
}

pub(crate) fn base(generation: u64, of: &str) -> Arc<Svid> {
    svid(generation, SvidName::Base(subject(of)), in_seconds(3_600))
}

pub(crate) fn identity(of: &str, svid: Option<Arc<Svid>>) -> Identity {
    Identity {
        entry: Arc::new(AgentEntry {
            id: of.to_owned(),
            version: 1,
            subject: subject(of),
            selectors: BTreeSet::new(),
            life: Seconds::new(3_600),
            hint: None,
            federates_with: BTreeSet::new(),
        }),
        svid,
    }
}

pub(crate) fn elevated(of: &str, name: &str, svid: Option<Arc<Svid>>) -> Elevated {
    Elevated {
        elevation: "elevation".to_owned(),
        subject: subject(of),
        scope: scope(name),
        svid,
        fades: false,
    }
}

/// Bundles whose roots are these bytes.
pub(crate) fn bundles(generation: u64, roots: &[(&str, &[u8])]) -> Arc<Bundles> {
    let of = |name: &str| name.parse::<TrustDomain>().unwrap();
    let roots = roots
        .iter()
        .map(|(name, der)| (of(name), vec![Bytes::copy_from_slice(der)]));
    Arc::new(Bundles {
        generation: Generation(generation),
        own: of("td.test"),
        roots: roots.collect(),
    })
}

/// Nothing, and not everything is told.
pub(crate) fn nothing() -> Holdings {
    Holdings {
        told: false,
        identities: Vec::new(),
        elevated: Vec::new(),
        asks: BTreeMap::new(),
        bundles: bundles(2, &[("td.test", b"own"), ("other.test", b"other")]),
        federates_with: BTreeSet::new(),
    }
}

/// What `web` holds: a base SVID of generation 10.
pub(crate) fn of_web() -> Holdings {
    Holdings {
        told: true,
        identities: vec![identity(WEB, Some(base(10, WEB)))],
        ..nothing()
    }
}

/// The same, elevated for `db.read`.
pub(crate) fn of_elevated_web(generation: u64, not_after: Timestamp) -> Holdings {
    let svid = svid(generation, elevated_name(WEB, "db.read"), not_after);
    Holdings {
        elevated: vec![elevated(WEB, "db.read", Some(svid))],
        ..of_web()
    }
}

/// What `web` holds while this became of asking for `db.read`.
pub(crate) fn of_asking_web(ask: Ask) -> Holdings {
    Holdings {
        asks: [((subject(WEB), scope("db.read")), ask)].into(),
        ..of_web()
    }
}

pub(crate) fn pending() -> Ask {
    Ask::Pending {
        elevation: "elevation".to_owned(),
    }
}

pub(crate) fn refused(until: Timestamp) -> Ask {
    Ask::Refused {
        code: "no_permit".to_owned(),
        until,
    }
}
