//! Asking the server for a scope at the moment of use.
//!
//! Promises: one scope of one subject is asked for once at a time, however many streams ask; after
//! a no it is not asked for again for a while.
//! Refuses: more than [`ASKS_MAX`] scopes at once.

use crate::agent::holdings::Ask;
use crate::agent::keeper::house::{Asked, House};
use crate::agent::keeper::items::ItemKey;
use crate::agent::news::{Serves, Standing, ToldElevation};
use crate::id::{ElevationId, Holder};
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::Timestamp;

impl House {
    /// The elevation that an ask for this continues: one that nears its end.
    pub(crate) fn continued(&self, key: &(Subject, Scope), now: Timestamp) -> Option<ElevationId> {
        let of_subject = self.by_subject.get(&key.0).into_iter().flatten();
        let mut told = of_subject.filter_map(|id| self.elevations.get(id));
        let told = told.find(|told| told.scope == key.1 && self.fades(told, now));
        told.map(|told| told.id)
    }

    /// Whether a request opened it here and it nears its end.
    pub(super) fn fades(&self, told: &ToldElevation, now: Timestamp) -> bool {
        let Some(holder) = told.holder(&self.agent, &[Holder::host()]) else {
            return false;
        };
        let key = ItemKey::Elevated {
            subject: told.subject.clone(),
            scope: told.scope.clone(),
            elevation: told.id,
            holder,
        };
        let item = self.items.get(&key);
        self.opened.contains(&told.id) && item.is_some_and(|item| item.fades(now))
    }

    /// Takes in what the server answered.
    pub(crate) fn asked(&mut self, key: &(Subject, Scope), answer: Asked, now: Timestamp) {
        let ended = match &answer {
            Asked::Open(id) | Asked::Pending(id) => self.over.get(id).cloned(),
            Asked::Refused(..) => None,
        };
        match answer {
            // The stream was faster, and a person's end stands.
            Asked::Open(_) | Asked::Pending(_) if let Some((how, until)) = ended => {
                let code = how;
                self.asks.insert(key.clone(), Ask::Refused { code, until });
            }
            Asked::Open(id) => {
                self.asks.remove(key);
                let elevations = &self.elevations;
                self.opened.retain(|id| elevations.contains_key(id));
                self.opened.insert(id);
                // The stream tells it too, and more; whichever comes first lets it be minted.
                self.elevations.entry(id).or_insert_with(|| ToldElevation {
                    id,
                    version: 0,
                    subject: key.0.clone(),
                    scope: key.1.clone(),
                    serves: Serves::One(Holder::host().instance(&self.agent)),
                    standing: Standing::Open {
                        not_before: None,
                        ends_at: None,
                    },
                });
                self.by_subject.entry(key.0.clone()).or_default().insert(id);
            }
            Asked::Pending(id) => match self.elevations.get(&id).map(|told| &told.standing) {
                // It has moved on while the answer was on its way.
                Some(Standing::Open { .. }) => {
                    self.asks.remove(key);
                }
                Some(Standing::Over(_) | Standing::Pending) | None => {
                    let elevation = id.to_string();
                    self.asks.insert(key.clone(), Ask::Pending { elevation });
                }
            },
            Asked::Refused(code, pause) => {
                let until = now.plus(pause);
                self.asks.insert(key.clone(), Ask::Refused { code, until });
            }
        }
        self.touch(&key.0, now);
    }

    /// Asks for a scope, unless it is open and not near its end, being asked for, decided on, or
    /// was refused lately.
    pub(super) fn ask(&mut self, key: (Subject, Scope), now: Timestamp) {
        if let Some(ask) = self.asks.get(&key) {
            match ask {
                Ask::Asking | Ask::Pending { .. } => return,
                Ask::Refused { until, .. } if now < *until => return,
                Ask::Refused { .. } => {}
            }
        }
        let of_subject = self.by_subject.get(&key.0).into_iter().flatten();
        let told = of_subject.filter_map(|id| self.elevations.get(id));
        let host = [Holder::host()];
        let serving =
            told.filter(|told| told.scope == key.1 && told.holder(&self.agent, &host).is_some());
        let mut pending = None;
        for told in serving {
            if told.is_open(now) && !self.fades(told, now) {
                return;
            }
            if told.standing == Standing::Pending {
                pending = Some(told.id.to_string());
            }
        }
        // One open elevation for a subject and a scope: one that waits already is the one.
        let ask = match pending {
            Some(elevation) => Ask::Pending { elevation },
            None if ASKS_MAX <= self.asks.len() => return,
            None => {
                self.to_ask.push_back(key.clone());
                Ask::Asking
            }
        };
        let subject = key.0.clone();
        self.asks.insert(key, ask);
        self.touch(&subject, now);
    }
}

/// The most scopes that are being asked for, wait, or were refused lately.
const ASKS_MAX: usize = 10_000;
