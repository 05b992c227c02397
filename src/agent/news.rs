//! What the server tells, parsed at the door.
//!
//! Promises: inside there are only valid names, ids and times; one broken message is told once in
//! the log and costs nothing but itself.
//! Refuses: entries and elevations of another trust domain than the agent's own, selectors and
//! names that are none, lists beyond their bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::deny_list::{Denied, Digests};
use crate::agent::holdings::AgentEntry;
use crate::attestation::{AGENT_ENTRIES_MAX, ENTRY_SELECTORS_MAX, HINT_BYTES_MAX};
use crate::id::Holder;
use crate::id::{ElevationId, Instance};
use crate::identity::{Selector, SpiffeId, Subject, TrustDomain};
use crate::proto::agent::change::What;
use crate::proto::agent::elevation::Instances;
use crate::proto::agent::{Bundle, Change, Denied as ToldDenied, Elevation, Entry};
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};
use crate::x509::Certificate;

/// One piece of news, for the keeper.
#[derive(Debug)]
pub(crate) enum News {
    /// A bundle as it stands; without roots it is gone.
    Bundle(TrustDomain, Vec<Bytes>),
    /// A certificate that was denied before its end.
    Denied([u8; 32], Denied),
    /// An elevation as it stands.
    Elevation(ToldElevation),
    /// An entry as it stands.
    Entry(Arc<AgentEntry>),
    /// An entry that is gone.
    EntryRemoved(String),
    /// Everything as it stands, in place of all that was told before.
    Everything(Box<Image>),
}

/// Everything that the server tells an agent.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// Entries by id.
    pub(crate) entries: BTreeMap<String, Arc<AgentEntry>>,
    /// Elevations by id.
    pub(crate) elevations: BTreeMap<ElevationId, ToldElevation>,
    /// Roots by trust domain.
    pub(crate) roots: BTreeMap<TrustDomain, Vec<Bytes>>,
    /// Denied certificates.
    pub(crate) denied: Digests,
}

/// An elevation, as the server told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToldElevation {
    /// Its id.
    pub(crate) id: ElevationId,
    /// Rises with each move.
    pub(crate) version: u64,
    /// Whose.
    pub(crate) subject: Subject,
    /// For what.
    pub(crate) scope: Scope,
    /// Whom it serves.
    pub(crate) serves: Serves,
    /// Where it stands.
    pub(crate) standing: Standing,
}

/// Which holders an elevation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// All, or a number of them; which, the server decides.
    Any,
    /// The one.
    One(Instance),
}

/// Where an elevation stands, as far as an agent must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// May be minted from, at the earliest from a scheduled start on.
    Open {
        /// The scheduled start.
        not_before: Option<Timestamp>,
        /// From then on nothing is minted; known once it is active.
        ends_at: Option<Timestamp>,
    },
    /// It is over: `expired`, `revoked`, `unused`, `signal_lost`, `withdrawn`, `denied`,
    /// `cancelled` or `lapsed`.
    Over(String),
    /// People decide.
    Pending,
}

/// Why a message is passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server told `{what}` with a wrong `{field}`")]
pub(crate) struct NewsError {
    what: &'static str,
    field: &'static str,
}

impl News {
    /// The piece of news in a message; none in those that only say when all was told, or that
    /// nothing is new.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub(crate) fn read(change: Change, own: &TrustDomain) -> Result<Option<Self>, NewsError> {
        Ok(match change.what {
            Some(What::Bundle(bundle)) => Some(bundle_of(bundle)?),
            Some(What::Denied(denied)) => Some(denied_of(&denied)?),
            Some(What::Elevation(elevation)) => {
                Some(Self::Elevation(elevation_of(elevation, own)?))
            }
            Some(What::Entry(entry)) => Some(Self::Entry(Arc::new(entry_of(entry, own)?))),
            Some(What::EntryRemoved(id)) => Some(Self::EntryRemoved(id)),
            Some(What::Beat(_) | What::Ready(_)) | None => None,
        })
    }
}

impl News {
    /// What a message that cannot be read takes away: of what is not understood, nothing older and
    /// wider may stay.
    pub(crate) fn undone(change: &Change) -> Option<Self> {
        match &change.what {
            Some(What::Entry(entry)) => Some(Self::EntryRemoved(entry.id.clone())),
            Some(What::Elevation(told)) => Some(Self::Elevation(ToldElevation {
                id: told.id.parse().ok()?,
                version: u64::MAX,
                subject: told.subject.parse().ok()?,
                scope: told.scope.parse().ok()?,
                serves: Serves::Any,
                standing: Standing::Over("not_understood".to_owned()),
            })),
            Some(
                What::Beat(_)
                | What::Bundle(_)
                | What::Denied(_)
                | What::EntryRemoved(_)
                | What::Ready(_),
            )
            | None => None,
        }
    }
}

impl News {
    /// Every selector that it tells of.
    pub(crate) fn selectors(&self) -> Box<dyn Iterator<Item = &Selector> + '_> {
        match self {
            Self::Entry(entry) => Box::new(entry.selectors.iter()),
            Self::Everything(image) => {
                Box::new(image.entries.values().flat_map(|entry| &entry.selectors))
            }
            Self::Bundle(..) | Self::Denied(..) | Self::Elevation(_) | Self::EntryRemoved(_) => {
                Box::new(std::iter::empty())
            }
        }
    }
}

impl Image {
    /// Takes a piece of news in.
    ///
    /// # Errors
    /// Where there would be more of one kind than an agent keeps.
    pub(crate) fn take(&mut self, news: News) -> Result<(), NewsError> {
        let full = |count: usize, max: usize, what| {
            if max <= count {
                Err(NewsError {
                    what,
                    field: "number",
                })
            } else {
                Ok(())
            }
        };
        match news {
            News::Bundle(of, roots) if roots.is_empty() => {
                self.roots.remove(&of);
            }
            News::Bundle(of, roots) => {
                full(self.roots.len(), BUNDLES_MAX, "bundle")?;
                self.roots.insert(of, roots);
            }
            News::Denied(digest, denied) => self.denied.add([(digest, denied)]),
            News::Elevation(told) => {
                full(self.elevations.len(), ELEVATIONS_MAX, "elevation")?;
                self.elevations.insert(told.id, told);
            }
            News::Entry(entry) => {
                full(self.entries.len(), ENTRIES_MAX, "entry")?;
                self.entries.insert(entry.id.clone(), entry);
            }
            News::EntryRemoved(id) => {
                self.entries.remove(&id);
            }
            News::Everything(image) => *self = *image,
        }
        Ok(())
    }
}

impl ToldElevation {
    /// The holder that it is minted for, where it serves one of these of `agent`.
    pub(crate) fn holder(&self, agent: &SpiffeId, of: &[Holder]) -> Option<Holder> {
        match self.serves {
            Serves::Any => Some(Holder::host()),
            Serves::One(one) => {
                let mut holders = of.iter();
                holders
                    .find(|holder| holder.instance(agent) == one)
                    .cloned()
            }
        }
    }

    /// From when on nothing is minted from it, where it is open and that is known.
    pub(crate) const fn ends_at(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Open { ends_at, .. } => ends_at,
            Standing::Over(_) | Standing::Pending => None,
        }
    }

    /// Whether something may be minted from it at `now`.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        match &self.standing {
            Standing::Open {
                not_before,
                ends_at,
            } => not_before.is_none_or(|start| start <= now) && ends_at.is_none_or(|end| now < end),
            Standing::Over(_) | Standing::Pending => false,
        }
    }
}

fn entry_of(entry: Entry, own: &TrustDomain) -> Result<AgentEntry, NewsError> {
    let wrong = |field| NewsError {
        what: "entry",
        field,
    };
    if ENTRY_SELECTORS_MAX < entry.selectors.len() {
        return Err(wrong("selectors"));
    }
    if FEDERATES_MAX < entry.federates_with.len() {
        return Err(wrong("federates_with"));
    }
    if HINT_BYTES_MAX < entry.hint.len() {
        return Err(wrong("hint"));
    }
    if !(1..=ID_BYTES_MAX).contains(&entry.id.len()) {
        return Err(wrong("id"));
    }
    let selectors = entry.selectors.iter().map(|one| one.parse());
    let selectors: Result<BTreeSet<_>, _> = selectors.collect();
    let federates_with = entry.federates_with.iter().map(|one| one.parse());
    let federates_with: Result<BTreeSet<_>, _> = federates_with.collect();
    Ok(AgentEntry {
        subject: own_subject(&entry.subject, own).ok_or_else(|| wrong("subject"))?,
        selectors: selectors.map_err(|_| wrong("selectors"))?,
        federates_with: federates_with.map_err(|_| wrong("federates_with"))?,
        life: Seconds::new(entry.life_s),
        hint: Some(entry.hint).filter(|hint| !hint.is_empty()),
        id: entry.id,
        version: entry.version,
    })
}

fn elevation_of(told: Elevation, own: &TrustDomain) -> Result<ToldElevation, NewsError> {
    let wrong = |field| NewsError {
        what: "elevation",
        field,
    };
    let standing = match told.state.as_str() {
        "approved" | "active" => Standing::Open {
            not_before: moment(told.not_before_ms),
            ends_at: moment(told.ends_at_ms),
        },
        "pending" => Standing::Pending,
        "ended" => Standing::Over(told.ended),
        "denied" | "cancelled" | "lapsed" => Standing::Over(told.state),
        _ => return Err(wrong("state")),
    };
    let serves = match told.instances {
        Some(Instances::One(bytes)) => {
            let bytes = bytes.as_ref().try_into().map_err(|_| wrong("instances"))?;
            Serves::One(Instance::from_bytes(bytes))
        }
        Some(Instances::All(_) | Instances::Count(_)) => Serves::Any,
        None => return Err(wrong("instances")),
    };
    Ok(ToldElevation {
        id: told.id.parse().map_err(|_| wrong("id"))?,
        version: told.version,
        subject: own_subject(&told.subject, own).ok_or_else(|| wrong("subject"))?,
        scope: told.scope.parse().map_err(|_| wrong("scope"))?,
        serves,
        standing,
    })
}

fn bundle_of(bundle: Bundle) -> Result<News, NewsError> {
    let wrong = |field| NewsError {
        what: "bundle",
        field,
    };
    let of = bundle.trust_domain.parse();
    let of = of.map_err(|_| wrong("trust_domain"))?;
    let legal = |der: &Bytes| Certificate::parse(der).is_ok();
    if ROOTS_MAX < bundle.certificates.len() || !bundle.certificates.iter().all(legal) {
        return Err(wrong("certificates"));
    }
    Ok(News::Bundle(of, bundle.certificates))
}

fn denied_of(denied: &ToldDenied) -> Result<News, NewsError> {
    let wrong = |field| NewsError {
        what: "denied",
        field,
    };
    let digest = denied.sha256.as_ref().try_into();
    let until = moment(denied.not_after_ms).ok_or_else(|| wrong("not_after_ms"))?;
    let told = Denied {
        revoked: !denied.given_back,
        until,
    };
    Ok(News::Denied(digest.map_err(|_| wrong("sha256"))?, told))
}

fn own_subject(text: &str, own: &TrustDomain) -> Option<Subject> {
    let subject: Subject = text.parse().ok()?;
    (subject.trust_domain() == own).then_some(subject)
}

/// A time; none for 0, which says that it does not run.
fn moment(unix_ms: i64) -> Option<Timestamp> {
    let moment = Timestamp::from_unix_ms(unix_ms).ok()?;
    (Timestamp::EPOCH < moment).then_some(moment)
}

/// The most entries that name one agent.
pub(crate) const ENTRIES_MAX: usize = AGENT_ENTRIES_MAX;
/// The most elevations of one agent's subjects.
pub(crate) const ELEVATIONS_MAX: usize = 100_000;
/// The most trust domains.
pub(crate) const BUNDLES_MAX: usize = 256;
/// The most trust domains that one entry federates with.
const FEDERATES_MAX: usize = 64;
const ID_BYTES_MAX: usize = 64;
/// The most roots of one trust domain.
const ROOTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> TrustDomain {
        "td".parse().unwrap()
    }

    fn elevation() -> Elevation {
        Elevation {
            id: "el-00112233445566778899aabbccddeeff".to_owned(),
            version: 3,
            subject: "spiffe://td/web".to_owned(),
            scope: "db.read".to_owned(),
            state: "active".to_owned(),
            instances: Some(Instances::All(true)),
            ends_at_ms: 5_000,
            ..Elevation::default()
        }
    }

    #[test]
    fn an_elevation_is_read_and_its_faults_are_named() {
        let read = |told| elevation_of(told, &own());
        let told = read(elevation()).unwrap();
        assert!(told.is_open(Timestamp::from_unix_ms(4_999).unwrap()));
        assert!(!told.is_open(Timestamp::from_unix_ms(5_000).unwrap()));
        let change = |act: fn(&mut Elevation)| {
            let mut told = elevation();
            act(&mut told);
            read(told).map_err(|error| error.field)
        };
        assert_eq!(change(|one| one.id.clear()), Err("id"));
        assert_eq!(change(|one| one.state.push('d')), Err("state"));
        assert_eq!(change(|one| one.instances = None), Err("instances"));
        let short = |one: &mut Elevation| one.instances = Some(Instances::One("a".into()));
        assert_eq!(change(short), Err("instances"));
        let foreign = |one: &mut Elevation| one.subject = "spiffe://other/web".to_owned();
        assert_eq!(change(foreign), Err("subject"));
        let elevated = |one: &mut Elevation| one.subject = "spiffe://td/web/scope/a".to_owned();
        assert_eq!(change(elevated), Err("subject"));
    }

    #[test]
    fn an_elevation_serves_the_holder_that_it_names() {
        let agent: SpiffeId = "spiffe://td/agent".parse().unwrap();
        let (host, one) = (Holder::host(), Holder::process(7, 99));
        let mut told = elevation_of(elevation(), &own()).unwrap();
        let both = [host.clone(), one.clone()];
        assert_eq!(told.holder(&agent, &both), Some(host.clone()));
        told.serves = Serves::One(one.instance(&agent));
        assert_eq!(told.holder(&agent, &both), Some(one));
        assert_eq!(told.holder(&agent, &[host]), None);
        let other: SpiffeId = "spiffe://td/other".parse().unwrap();
        assert_eq!(told.holder(&other, &both), None);
    }

    #[test]
    fn what_is_no_certificate_is_no_root() {
        let bundle = |certificates| Bundle {
            trust_domain: "td".to_owned(),
            certificates,
        };
        assert!(bundle_of(bundle(vec![])).is_ok());
        assert!(bundle_of(bundle(vec!["no".into()])).is_err());
    }
}
