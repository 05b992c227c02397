//! What the walks count, and what is known of the authority's state.
//!
//! Promises: [`crate::metric`]; what must be asked of the store is asked in rounds, so that a
//! reading of the metrics costs nothing.
//! Refuses: histograms of caller-chosen values.

use std::fmt;

use crate::metric::table::{
    AGENTS_WATCHING, CERTIFICATES_DENIED, CLOCK_IN_DOUBT, ELEVATION_WAITS, INTENTS_UNFINISHED,
    ISSUE_SECONDS, ISSUER_NOT_AFTER, LEDGER_EVENTS, MINTING_STOPPED, MINTS_TURNED_AWAY,
    MINTS_UNDER_WAY, MINTS_WAITING, POLICY_VERSION, REFUSALS, REFUSALS_COUNTED, SCOPES_UNCOVERED,
    SVIDS_MINTED, USES_REPORTED,
};
use crate::metric::{Counter, Gauge, Histogram, Many, One, Sheet};
use crate::pki::IssuerName;
use crate::service::Service;
use crate::store::StoreError;

/// The instruments of one service.
#[derive(Clone)]
pub(crate) struct Metrics {
    minted: Many<Counter>,
    refused: Many<Counter>,
    overflowed: Many<Counter>,
    turned_away: One<Counter>,
    issue: Many<Histogram>,
    uses: Many<Counter>,
    uncovered: One<Gauge>,
    events: One<Gauge>,
    unfinished: One<Gauge>,
    stopped: One<Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            minted: SVIDS_MINTED.counters(),
            refused: REFUSALS.counters(),
            overflowed: REFUSALS_COUNTED.counters(),
            turned_away: MINTS_TURNED_AWAY.counter(),
            issue: ISSUE_SECONDS.seconds_each(),
            uses: USES_REPORTED.counters(),
            uncovered: SCOPES_UNCOVERED.gauge(),
            events: LEDGER_EVENTS.gauge(),
            unfinished: INTENTS_UNFINISHED.gauge(),
            stopped: MINTING_STOPPED.gauge(),
        }
    }
}

impl Metrics {
    pub(crate) fn minted(&self, elevated: bool) {
        self.minted.add(if elevated { "elevated" } else { "base" });
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.add(reason);
    }

    pub(crate) fn issued(&self, minted: bool, seconds: f64) {
        let outcome = if minted { "minted" } else { "refused" };
        self.issue.observe(outcome, seconds);
    }

    /// A refusal that is counted and not recorded on its own.
    pub(crate) fn overflowed(&self, proved: bool) {
        let caller = if proved { "proved" } else { "unproved" };
        self.overflowed.add(caller);
    }

    /// Lines of a report of uses.
    pub(crate) fn uses(&self, outcome: &'static str, lines: u32) {
        self.uses.add_many(outcome, lines.into());
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.add();
    }
}

impl Service {
    /// Asks the store for what the metrics show of it.
    ///
    /// # Errors
    /// When it cannot be read; the old numbers stay.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let metrics = &self.metrics;
        let newest = self.store.head().await?.map(|head| head.number.value());
        metrics.events.set(number(newest.unwrap_or_default()));
        let unfinished = self.store.unfinished(UNFINISHED_COUNTED_MAX).await?.len();
        metrics
            .unfinished
            .set(i64::try_from(unfinished).unwrap_or(i64::MAX));
        let minting = self.store.minting().await?;
        metrics.stopped.set(i64::from(minting.stopped));
        if let Ok(uncovered) = self.uncovered().await {
            let uncovered = i64::try_from(uncovered).unwrap_or(i64::MAX);
            metrics.uncovered.set(uncovered);
        }
        Ok(())
    }

    /// Puts what the walks count and what is known of the authority on a sheet.
    pub fn show_metrics(&self, sheet: &mut Sheet) {
        let metrics = &self.metrics;
        metrics.minted.on(sheet);
        metrics.refused.on(sheet);
        metrics.overflowed.on(sheet);
        metrics.turned_away.on(sheet);
        let (walks, line) = self.crowd();
        for (metric, count) in [
            (&MINTS_UNDER_WAY, walks),
            (&MINTS_WAITING, line),
            (&ELEVATION_WAITS, self.waiting()),
            (&AGENTS_WATCHING, self.watches.taken()),
            (&CERTIFICATES_DENIED, self.denials.count()),
        ] {
            let gauge = metric.gauge();
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.on(sheet);
        }
        metrics.issue.on(sheet);
        metrics.uses.on(sheet);
        metrics.uncovered.on(sheet);
        metrics.events.on(sheet);
        metrics.unfinished.on(sheet);
        metrics.stopped.on(sheet);
        let ends = ISSUER_NOT_AFTER.gauges();
        for name in IssuerName::INTERMEDIATES {
            let end = self.authority.issuing(name).not_after();
            ends.set(name.as_str(), end.unix_s());
        }
        ends.on(sheet);
        let doubt = CLOCK_IN_DOUBT.gauge();
        doubt.set(i64::from(self.clock.doubt().is_some()));
        doubt.on(sheet);
        let version = POLICY_VERSION.gauge();
        let in_force = self.in_force().map(|policy| policy.version.value());
        version.set(number(in_force.unwrap_or_default()));
        version.on(sheet);
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The most intents whose outcome is missing that are counted.
const UNFINISHED_COUNTED_MAX: u32 = 1_000;
