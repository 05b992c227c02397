//! Metrics: the table of all of them, and the instruments that only count what the table names.
//!
//! Promises: every metric has one row ([`table::ALL`]) with its meaning and, where it has a label,
//! every value that the label takes; a series is there from the start, so that it can be alerted
//! on; no caller can make series (assurance O4). `deploy/observability/metrics.md` is this table.
//! Refuses: subjects, scopes, addresses and secrets as labels: a value outside the row counts as
//! `other`.

pub mod agent_table;
pub mod table;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::metrics::histogram;
use prometheus_client::registry::{Metric as Encoded, Registry};

/// One row of the table.
#[derive(Debug)]
pub struct Metric {
    /// The name after `protem_`, without what the format adds (`_total`, `_bucket`).
    pub name: &'static str,
    /// What it tells, for the format and for people.
    pub help: &'static str,
    /// How its numbers move.
    pub kind: Kind,
    /// The one label and all of its values; none where there is one series.
    pub label: Option<(&'static str, &'static [&'static str])>,
}

/// How the numbers of a metric move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only upward.
    Counter,
    /// Up and down.
    Gauge,
    /// A count for each size, sizes doubling from the first bound.
    Histogram,
}

/// A metric of one series.
#[derive(Clone, Debug)]
pub struct One<M> {
    metric: &'static Metric,
    series: M,
}

/// A metric with a series for each value of its label.
#[derive(Clone, Debug)]
pub struct Many<M> {
    metric: &'static Metric,
    series: Family<Label, M>,
}

/// What only rises.
pub type Counter = counter::Counter;
/// What rises and falls.
pub type Gauge = gauge::Gauge<i64>;
/// What spreads over sizes.
pub type Histogram = histogram::Histogram;
type Label = [(&'static str, &'static str); 1];

/// All that is shown at one reading.
#[derive(Debug)]
pub struct Sheet(Registry);

impl Metric {
    /// The name as it is scraped and asked for, without the ends of a histogram.
    #[must_use]
    pub fn full_name(&self) -> String {
        let end = match self.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{PREFIX}_{}{end}", self.name)
    }

    /// The counter of this row.
    #[must_use]
    pub fn counter(&'static self) -> One<Counter> {
        self.one(Counter::default())
    }

    /// A counter for each label value of this row.
    #[must_use]
    pub fn counters(&'static self) -> Many<Counter> {
        self.many(Family::default())
    }

    /// The gauge of this row.
    #[must_use]
    pub fn gauge(&'static self) -> One<Gauge> {
        self.one(Gauge::default())
    }

    /// A gauge for each label value of this row.
    #[must_use]
    pub fn gauges(&'static self) -> Many<Gauge> {
        self.many(Family::default())
    }

    /// The histogram of this row, of seconds.
    #[must_use]
    pub fn seconds(&'static self) -> One<Histogram> {
        self.one(seconds())
    }

    /// A histogram of seconds for each label value of this row.
    #[must_use]
    pub fn seconds_each(&'static self) -> Many<Histogram> {
        let make: fn() -> Histogram = seconds;
        self.many(Family::new_with_constructor(make))
    }

    /// The histogram of this row, of counts.
    #[must_use]
    pub fn sizes(&'static self) -> One<Histogram> {
        self.one(Histogram::new(doublings(1.0, SIZES)))
    }

    fn one<M>(&'static self, series: M) -> One<M> {
        One {
            metric: self,
            series,
        }
    }

    fn many<M: Clone>(&'static self, series: Family<Label, M>) -> Many<M> {
        if let Some((label, values)) = self.label {
            for value in values {
                drop(series.get_or_create(&[(label, *value)]));
            }
        }
        Many {
            metric: self,
            series,
        }
    }
}

impl<M: Encoded + Clone> One<M> {
    /// Puts it on a sheet.
    pub fn on(&self, sheet: &mut Sheet) {
        let row = self.metric;
        sheet.0.register(row.name, row.help, self.series.clone());
    }
}

impl<M> Many<M> {
    fn of(&self, value: &'static str) -> Label {
        let (label, values) = self.metric.label.unwrap_or(("label", &[]));
        let known = values.contains(&value);
        [(label, if known { value } else { OTHER })]
    }
}

impl<M> Many<M>
where
    M: Clone,
    Family<Label, M>: Encoded,
{
    /// Puts it on a sheet.
    pub fn on(&self, sheet: &mut Sheet) {
        let row = self.metric;
        sheet.0.register(row.name, row.help, self.series.clone());
    }
}

impl One<Counter> {
    /// One more.
    pub fn add(&self) {
        self.series.inc();
    }
}

impl Many<Counter> {
    /// One more of this value.
    pub fn add(&self, value: &'static str) {
        self.add_many(value, 1);
    }

    /// So many more of this value.
    pub fn add_many(&self, value: &'static str, more: u64) {
        self.series.get_or_create(&self.of(value)).inc_by(more);
    }
}

impl One<Gauge> {
    /// So many now.
    pub fn set(&self, now: i64) {
        self.series.set(now);
    }
}

impl Many<Gauge> {
    /// So many of this value now.
    pub fn set(&self, value: &'static str, now: i64) {
        self.series.get_or_create(&self.of(value)).set(now);
    }

    /// So many more of this value, or fewer.
    pub fn shift(&self, value: &'static str, by: i64) {
        self.series.get_or_create(&self.of(value)).inc_by(by);
    }
}

impl One<Histogram> {
    /// One of this size.
    pub fn observe(&self, size: f64) {
        self.series.observe(size);
    }
}

impl Many<Histogram> {
    /// One of this size under this value.
    pub fn observe(&self, value: &'static str, size: f64) {
        self.series.get_or_create(&self.of(value)).observe(size);
    }
}

impl Default for Sheet {
    fn default() -> Self {
        Self(Registry::with_prefix(PREFIX))
    }
}

impl Sheet {
    /// All of it in the text format of `OpenMetrics`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.0);
        text
    }
}

fn seconds() -> Histogram {
    Histogram::new(doublings(SECONDS_LEAST, SECONDS))
}

fn doublings(least: f64, count: u16) -> impl Iterator<Item = f64> {
    histogram::exponential_buckets(least, 2.0, count)
}

const PREFIX: &str = "protem";
const OTHER: &str = "other";
/// The first bound of what is measured in seconds; a lone issuance takes some of these.
const SECONDS_LEAST: f64 = 0.000_25;
/// Bounds up to eight seconds.
const SECONDS: u16 = 16;
/// Bounds up to 512, which one commit holds.
const SIZES: u16 = 10;
