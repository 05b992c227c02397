//! What the walks count.
//!
//! Promises: every label is always present and from a closed list, so that no caller can make
//! series (assurance O4); no subject, scope or secret is a label.
//! Refuses: histograms of caller-chosen values.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::pki::IssuerName;
use crate::service::Service;

/// Counters of one service.
#[derive(Clone)]
pub(crate) struct Metrics {
    minted: Family<Kind, Counter>,
    refused: Family<Why, Counter>,
    overflowed: Family<Who, Counter>,
    turned_away: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    profile: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Who {
    caller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Issuer {
    issuer: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let new = Self {
            minted: Family::default(),
            refused: Family::default(),
            overflowed: Family::default(),
            turned_away: Counter::default(),
        };
        for profile in [BASE, ELEVATED] {
            // A series that is there from the start can be alerted on.
            drop(new.minted.get_or_create(&Kind { profile }));
        }
        for caller in [PROVED, UNPROVED] {
            drop(new.overflowed.get_or_create(&Who { caller }));
        }
        new
    }
}

impl Metrics {
    pub(crate) fn minted(&self, elevated: bool) {
        let profile = if elevated { ELEVATED } else { BASE };
        self.minted.get_or_create(&Kind { profile }).inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Why { reason }).inc();
    }

    /// A refusal that is counted and not recorded on its own.
    pub(crate) fn overflowed(&self, proved: bool) {
        let caller = if proved { PROVED } else { UNPROVED };
        self.overflowed.get_or_create(&Who { caller }).inc();
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.inc();
    }
}

impl Service {
    /// Every metric as text in the format of `OpenMetrics`.
    pub fn metrics(&self) -> String {
        let mut registry = Registry::with_prefix("protem");
        let ends = Family::<Issuer, Gauge>::default();
        let doubt = Gauge::<i64>::default();
        registry.register("svids_minted", "SVIDs minted", self.metrics.minted.clone());
        registry.register("refusals", "Requests refused", self.metrics.refused.clone());
        registry.register(
            "refusals_counted",
            "Refusals that were counted and not recorded one by one",
            self.metrics.overflowed.clone(),
        );
        registry.register(
            "mints_turned_away",
            "Requests to mint that found no place in time",
            self.metrics.turned_away.clone(),
        );
        self.register_crowd(&mut registry);
        registry.register(
            "issuer_not_after_seconds",
            "Issuer's last second",
            ends.clone(),
        );
        registry.register(
            "clock_in_doubt",
            "1 while minting stops for it",
            doubt.clone(),
        );
        for name in IssuerName::INTERMEDIATES {
            let issuer = Issuer {
                issuer: name.as_str(),
            };
            ends.get_or_create(&issuer)
                .set(self.authority.issuing(name).not_after().unix_s());
        }
        doubt.set(i64::from(self.clock.doubt().is_some()));
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &registry);
        text
    }

    /// How full it is at this moment.
    fn register_crowd(&self, registry: &mut Registry) {
        let (walks, line) = self.crowd();
        for (name, help, count) in [
            ("mints_under_way", "Walks that hold a place", walks),
            ("mints_waiting", "Callers in line for a place", line),
            (
                "elevation_waits",
                "Callers who wait for an elevation to move",
                self.waiting(),
            ),
        ] {
            let gauge = Gauge::<i64>::default();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

const BASE: &str = "base";
const ELEVATED: &str = "elevated";
const PROVED: &str = "proved";
const UNPROVED: &str = "unproved";
