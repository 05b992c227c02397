//! Measuring: how long one thing takes, and how much of a processor, many times.
//!
//! Promises: every figure of a table comes from the same run. The bound is taken again before each
//! row, so that a machine that slows down slows both, and as busily as the row is: alone where one
//! thing is done at a time, on every core at once where many are, because cores that share their
//! parts do less each. The share is the bound's processor time divided by that of one thing, which
//! is what one core can do of it as a part of what it could do of cryptography alone.
//! Refuses: to hide the spread: p50 and p99 stand beside each other.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The figures of one run.
pub(crate) struct Table {
    rows: Vec<Row>,
    bound: Arc<dyn Fn() + Send + Sync>,
}

/// Whose processor time is counted.
#[derive(Clone, Copy)]
pub(crate) enum Cpu {
    /// This process.
    Own,
    /// Another process.
    Of(u32),
}

/// How requests come.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// So many are always under way.
    Waiting(usize),
    /// So many come each second, whether the earlier ones are answered or not.
    Each(f64),
}

struct Row {
    name: String,
    p50_us: f64,
    p99_us: f64,
    per_s: f64,
    cpu_us: f64,
    bound_us: f64,
}

impl Table {
    /// A table whose shares are shares of what `bound` does.
    pub(crate) fn new(bound: impl Fn() + Send + Sync + 'static) -> Self {
        let mut table = Self {
            rows: Vec::new(),
            bound: Arc::new(bound),
        };
        let bound = Arc::clone(&table.bound);
        table.measure("bound: one verify, one sign", move || bound());
        table
    }

    /// Measures something that blocks.
    pub(crate) fn measure(&mut self, name: &str, once: impl FnMut()) {
        let bound_us = self.bound_us(1);
        self.rows.push(sequence(name, bound_us, once));
    }

    /// Measures something asynchronous; answers how many went through each second. `items` are
    /// done by each.
    pub(crate) async fn measure_async<F, R>(
        &mut self,
        name: &str,
        cpu: Cpu,
        load: Load,
        items: usize,
        once: F,
    ) -> f64
    where
        F: Fn(usize) -> R,
        R: Future<Output = ()> + Send + 'static,
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bound_us = self.bound_us(match load {
            Load::Waiting(at_once) => at_once.min(cores),
            Load::Each(_) => cores,
        });
        let (mut times, mut started) = (Vec::new(), 0_usize);
        let mut under_way = tokio::task::JoinSet::new();
        let (began, cpu_began) = (Instant::now(), cpu.used());
        while began.elapsed() < FOR {
            let due = match load {
                Load::Waiting(at_once) => under_way.len() < at_once,
                Load::Each(per_s) => {
                    let so_far = f64::from(u32::try_from(started).unwrap());
                    so_far < began.elapsed().as_secs_f64() * per_s
                }
            };
            if due {
                let one = once(started);
                started += 1;
                under_way.spawn(async move {
                    let began = Instant::now();
                    one.await;
                    began.elapsed()
                });
                continue;
            }
            tokio::select! {
                Some(time) = under_way.join_next() => times.push(time.unwrap()),
                () = tokio::time::sleep(TICK), if matches!(load, Load::Each(_)) => {}
            }
        }
        while let Some(time) = under_way.join_next().await {
            times.push(time.unwrap());
        }
        let took = began.elapsed();
        let used = cpu.used().saturating_sub(cpu_began);
        let row = row(name, bound_us, times, items, took, used);
        let per_s = row.per_s;
        self.rows.push(row);
        per_s
    }

    /// The table, Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "| What | p50 us | p99 us | per second | CPU us each | bound us | share |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            text += &format!(
                "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} |\n",
                row.name,
                row.p50_us,
                row.p99_us,
                row.per_s,
                row.cpu_us,
                row.bound_us,
                row.bound_us / row.cpu_us,
            );
        }
        text
    }

    /// The bound's processor time, on so many threads at once.
    fn bound_us(&self, threads: usize) -> f64 {
        let before = Cpu::Own.used();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..BOUND_TIMES {
                        (self.bound)();
                    }
                });
            }
        });
        let used = Cpu::Own.used().saturating_sub(before);
        let done = BOUND_TIMES * u32::try_from(threads).unwrap();
        used.as_secs_f64() * 1e6 / f64::from(done)
    }
}

impl Cpu {
    /// The processor time that was used so far, in the kernel and above it.
    fn used(self) -> Duration {
        match self {
            Self::Own => {
                let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
                Duration::new(
                    u64::try_from(used.tv_sec).unwrap(),
                    u32::try_from(used.tv_nsec).unwrap(),
                )
            }
            Self::Of(process) => {
                let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
                // After the name, which may hold spaces: state is field 3, utime 14, stime 15.
                let after = stat.rsplit_once(')').unwrap().1;
                let ticks: u64 = after
                    .split_whitespace()
                    .skip(11)
                    .take(2)
                    .map(|field| field.parse::<u64>().unwrap())
                    .sum();
                Duration::from_millis(ticks * 1_000 / TICKS_PER_S)
            }
        }
    }
}

fn sequence(name: &str, bound_us: f64, mut once: impl FnMut()) -> Row {
    let mut times = Vec::new();
    let (began, cpu_began) = (Instant::now(), Cpu::Own.used());
    while began.elapsed() < FOR {
        let start = Instant::now();
        once();
        times.push(start.elapsed());
    }
    let used = Cpu::Own.used().saturating_sub(cpu_began);
    row(name, bound_us, times, 1, began.elapsed(), used)
}

fn row(
    name: &str,
    bound_us: f64,
    mut times: Vec<Duration>,
    items: usize,
    took: Duration,
    used: Duration,
) -> Row {
    times.sort();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len() - 1);
        times.get(place).unwrap().as_secs_f64() * 1e6
    };
    let done = f64::from(u32::try_from(times.len() * items).unwrap());
    Row {
        name: name.to_owned(),
        p50_us: at(50),
        p99_us: at(99),
        per_s: done / took.as_secs_f64(),
        cpu_us: used.as_secs_f64() * 1e6 / done,
        bound_us,
    }
}

/// How long each row is measured.
const FOR: Duration = Duration::from_secs(3);
/// How often it is looked whether the next request is due.
const TICK: Duration = Duration::from_millis(1);
/// `USER_HZ`, in which Linux counts for its users whatever it counts for itself (proc(5)).
const TICKS_PER_S: u64 = 100;
/// How often the bound is run before each row.
const BOUND_TIMES: u32 = 3_000;
