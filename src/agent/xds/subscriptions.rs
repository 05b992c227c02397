//! Which names a stream asks for, and how far each is answered.
//!
//! Promises: at most [`NAMES_MAX`] names of at most [`NAME_BYTES_MAX`] bytes are kept, and
//! [`NAMES_BYTES_MAX`] of all; where the service has a fixed set of names, none but those. The rest
//! is as a name that nobody knows.
//! Refuses: to forget an answer while its name is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::xds::{Content, Offer, Version};
use crate::time::Timestamp;

/// The names of one stream.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    names: BTreeMap<Arc<str>, Subscription>,
    everything: bool,
    /// All names that there can be, where that is fixed.
    known: Option<&'static [&'static str]>,
}

/// One name of one stream.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two of them exclude each other"
)]
pub(crate) struct Subscription {
    /// What the client holds of ours under it.
    pub(crate) given: Option<Version>,
    /// Whether that was said on this stream, after the caller was looked at; else he says so.
    pub(crate) given_here: bool,
    /// When that must not be in use any more.
    pub(crate) ends: Option<Timestamp>,
    /// Whether the client held something of ours before this stream, as he says.
    pub(crate) held_before: bool,
    /// Whether the client was told that there is nothing.
    pub(crate) absent: bool,
    /// Whether the client must be answered although there may be nothing new.
    pub(crate) unanswered: bool,
    /// Whether to be asked for this name may still open something: once for each time that
    /// somebody begins to ask for it. What was opened so and ended does not open itself again.
    pub(crate) may_open: bool,
    /// Until when, in running milliseconds, the client is kept waiting.
    pub(crate) hold_until_ms: Option<i64>,
    /// Asked for by its name, not as a part of everything.
    pub(crate) named: bool,
}

impl Subscriptions {
    /// None yet, of a service with these names alone; or with any.
    pub(crate) fn of(known: Option<&'static [&'static str]>) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// Whether one more name may be kept.
    fn has_room_for(&self, name: &str) -> bool {
        let known = self.known.is_none_or(|known| known.contains(&name));
        let bytes = self.names.keys().map(|name| name.len());
        let bytes = bytes.fold(name.len(), usize::saturating_add);
        known
            && name.len() <= NAME_BYTES_MAX
            && self.names.len() < NAMES_MAX
            && bytes <= NAMES_BYTES_MAX
    }

    /// Asks for exactly these names from now on; what is kept keeps its answer.
    pub(crate) fn replace(&mut self, names: &[String]) {
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        self.names.retain(|name, _| wanted.contains(&**name));
        for name in wanted {
            if !self.names.contains_key(name) {
                self.subscribe(name);
            }
        }
    }

    /// Asks for a name, anew also when it was asked for already. Not when it is too long or one too
    /// many.
    pub(crate) fn subscribe(&mut self, name: &str) -> bool {
        if !self.names.contains_key(name) && !self.has_room_for(name) {
            return false;
        }
        let before = self.names.remove_entry(name);
        let (name, before) = before.unwrap_or_else(|| (name.into(), Subscription::default()));
        let subscription = Subscription {
            unanswered: true,
            may_open: true,
            hold_until_ms: None,
            absent: false,
            named: true,
            ..before
        };
        self.names.insert(name, subscription);
        true
    }

    /// Asks for it no more.
    pub(crate) fn unsubscribe(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Asks for everything that there is, or no more.
    pub(crate) fn set_everything(&mut self, everything: bool) {
        self.everything = everything;
        if !everything {
            self.names.retain(|_, subscription| subscription.named);
        }
    }

    /// Whether everything is asked for.
    pub(crate) const fn everything(&self) -> bool {
        self.everything
    }

    /// Fits the names that nobody named to what everything is now. What was given and is no part
    /// of it any more stays until the client was told so.
    pub(crate) fn widen(&mut self, everything: Vec<Arc<str>>) {
        if !self.everything {
            return;
        }
        let now: BTreeSet<&str> = everything.iter().map(|name| &**name).collect();
        self.names
            .retain(|name, one| one.named || one.given.is_some() || now.contains(&**name));
        for name in everything {
            if self.names.len() < NAMES_MAX {
                self.names.entry(name).or_default();
            }
        }
    }

    /// What the client says that he holds. He came back, he did not begin to ask.
    pub(crate) fn held(&mut self, name: &str, version: Option<Version>) {
        if self.everything && !self.names.contains_key(name) && self.has_room_for(name) {
            self.names.insert(name.into(), Subscription::default());
        }
        if let Some(subscription) = self.names.get_mut(name) {
            subscription.given = version;
            subscription.given_here = false;
            subscription.held_before = true;
            subscription.unanswered = false;
            subscription.may_open = false;
        }
    }

    /// Each name in its order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Subscription)> {
        self.names.iter()
    }

    /// Each name in its order, to write down how far it is answered.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Subscription)> {
        self.names.iter_mut()
    }

    /// One name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Subscription> {
        self.names.get_mut(name)
    }

    /// The names, to be shown.
    pub(crate) fn shown(&self) -> Vec<Arc<str>> {
        let star = self.everything.then(|| Arc::from(EVERYTHING));
        let named = self.names.iter().filter(|(_, one)| one.named);
        star.into_iter()
            .chain(named.map(|(name, _)| name.clone()))
            .collect()
    }
}

impl Subscription {
    /// Whether what is offered is not what the client has.
    pub(crate) fn differs<C: Content>(&self, offer: &Offer<C>) -> bool {
        match offer {
            Offer::Ready(content) => {
                self.unanswered || self.given.map(Version::digest) != Some(content.digest())
            }
            Offer::Absent | Offer::Deciding => self.unanswered || self.given.is_some(),
            Offer::Awaited => false,
        }
    }

    /// Written down: there it is.
    pub(crate) const fn give(&mut self, version: Version, ends: Option<Timestamp>) {
        self.given = Some(version);
        self.given_here = true;
        self.ends = ends;
        self.absent = false;
        self.unanswered = false;
        self.hold_until_ms = None;
    }

    /// Written down: there is nothing.
    pub(crate) const fn take(&mut self) {
        self.given = None;
        self.given_here = false;
        self.ends = None;
        self.absent = true;
        self.unanswered = false;
    }
}

/// The name by which a delta client asks for everything.
pub(crate) const EVERYTHING: &str = "*";
/// Envoy asks for one name a stream; others ask for a handful.
const NAMES_MAX: usize = 64;
/// The longest SPIFFE ID with all that may stand around it.
pub(super) const NAME_BYTES_MAX: usize = 2_048 + "sds://".len() + "-cacert".len();
/// Of all names of a stream; a usual one has less than a hundred.
pub(super) const NAMES_BYTES_MAX: usize = 8 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subscriptions: &Subscriptions) -> Vec<&str> {
        subscriptions.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn too_many_names_and_too_long_ones_are_not_kept() {
        let mut subscriptions = Subscriptions::default();
        assert!(!subscriptions.subscribe(&"a".repeat(NAME_BYTES_MAX + 1)));
        assert!(subscriptions.subscribe(&"a".repeat(NAME_BYTES_MAX)));
        for count in 1..NAMES_MAX {
            assert!(subscriptions.subscribe(&format!("scope/{count}")));
        }
        assert!(!subscriptions.subscribe("one-more"));
        assert!(subscriptions.subscribe("scope/1"), "it is there already");
        let many: Vec<String> = (0..10_000).map(|count| count.to_string()).collect();
        subscriptions.replace(&many);
        assert_eq!(subscriptions.iter().count(), NAMES_MAX);
    }

    #[test]
    fn few_bytes_of_names_are_kept_and_none_that_there_cannot_be() {
        let mut subscriptions = Subscriptions::default();
        let long = |first: char| format!("{first}{}", "x".repeat(1_999));
        let kept = ('a'..='z').filter(|first| subscriptions.subscribe(&long(*first)));
        assert_eq!(kept.count(), NAMES_BYTES_MAX / 2_000);
        subscriptions.unsubscribe(&long('a'));
        assert!(subscriptions.subscribe(&long('z')));
        let mut subscriptions = Subscriptions::of(Some(&["a", "b"]));
        subscriptions.set_everything(true);
        subscriptions.held("c", None);
        subscriptions.replace(&["a", "c"].map(str::to_owned));
        assert_eq!(names(&subscriptions), ["a"]);
    }

    #[test]
    fn everything_follows_what_there_is_and_keeps_what_is_named() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe("default");
        subscriptions.set_everything(true);
        subscriptions.widen(vec!["a".into(), "b".into()]);
        assert_eq!(names(&subscriptions), ["a", "b", "default"]);
        let given = Version::after(
            None,
            crate::agent::holdings::Generation(1),
            crate::agent::xds::Digest::of([]),
        );
        subscriptions.get_mut("a").unwrap().give(given, None);
        subscriptions.widen(vec!["c".into()]);
        assert_eq!(names(&subscriptions), ["a", "c", "default"]);
        subscriptions.get_mut("a").unwrap().take();
        subscriptions.widen(vec!["c".into()]);
        assert_eq!(names(&subscriptions), ["c", "default"]);
        subscriptions.set_everything(false);
        assert_eq!(names(&subscriptions), ["default"]);
    }

    #[test]
    fn whoever_asks_again_is_answered_again_and_may_open_again() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe("scope/a");
        let one = subscriptions.get_mut("scope/a").unwrap();
        one.take();
        one.may_open = false;
        subscriptions.replace(&["scope/a".to_owned()]);
        assert!(!subscriptions.get_mut("scope/a").unwrap().unanswered);
        subscriptions.subscribe("scope/a");
        let one = subscriptions.get_mut("scope/a").unwrap();
        assert!(one.unanswered && one.may_open && !one.absent);
    }
}
