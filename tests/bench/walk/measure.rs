//! Measuring: how long one thing takes, many times.
//!
//! Promises: every figure of a table comes from the same run; the share is the bound's time
//! divided by the thing's.
//! Refuses: to hide the spread: p50 and p99 stand beside each other.

use std::future::Future;
use std::time::{Duration, Instant};

/// The figures of one run.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    bound_us: f64,
}

struct Row {
    name: String,
    p50_us: f64,
    p99_us: f64,
    per_s: f64,
}

impl Table {
    /// Sets what all shares are shares of, in microseconds.
    pub(crate) fn bound(&mut self, mut once: impl FnMut()) {
        let row = sequence("bound: one verify, one sign", || once());
        self.bound_us = row.p50_us;
        self.rows.push(row);
    }

    /// Measures something that blocks.
    pub(crate) fn measure(&mut self, name: &str, once: impl FnMut()) {
        self.rows.push(sequence(name, once));
    }

    /// Measures something asynchronous, `at_once` of them in flight.
    pub(crate) async fn measure_async<F, R>(&mut self, name: &str, at_once: usize, once: F)
    where
        F: Fn(usize) -> R,
        R: Future<Output = ()> + Send + 'static,
    {
        let (mut times, began) = (Vec::new(), Instant::now());
        let mut under_way = tokio::task::JoinSet::new();
        let mut started = 0;
        while began.elapsed() < FOR {
            while under_way.len() < at_once {
                let one = once(started);
                started += 1;
                under_way.spawn(async move {
                    let began = Instant::now();
                    one.await;
                    began.elapsed()
                });
            }
            if let Some(time) = under_way.join_next().await {
                times.push(time.unwrap());
            }
        }
        let took = began.elapsed();
        while under_way.join_next().await.is_some() {}
        self.rows.push(row(name, times, took));
    }

    /// The table, Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "| What | p50 us | p99 us | per second | share of the bound |\n|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let share = row.per_s * self.bound_us / 1e6;
            text += &format!(
                "| {} | {:.0} | {:.0} | {:.0} | {share:.2} |\n",
                row.name, row.p50_us, row.p99_us, row.per_s
            );
        }
        text
    }
}

fn sequence(name: &str, mut once: impl FnMut()) -> Row {
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < FOR {
        let start = Instant::now();
        once();
        times.push(start.elapsed());
    }
    row(name, times, began.elapsed())
}

fn row(name: &str, mut times: Vec<Duration>, took: Duration) -> Row {
    times.sort();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len() - 1);
        times.get(place).unwrap().as_secs_f64() * 1e6
    };
    Row {
        name: name.to_owned(),
        p50_us: at(50),
        p99_us: at(99),
        per_s: f64::from(u32::try_from(times.len()).unwrap()) / took.as_secs_f64(),
    }
}

/// How long each row is measured.
const FOR: Duration = Duration::from_secs(3);
