//! The figures of a run, and how they are taken.
//!
//! Promises: all processes are timed by one clock, the kernel's monotonic one; processor time is
//! that of the agent alone, in the kernel and above it. p50 and p99 stand beside the last.

use rustix::time::{ClockId, clock_gettime};

/// One row after the other.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

/// One thing that was measured.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// After the moment at which it was set off, milliseconds.
    pub(crate) times_ms: Vec<f64>,
    /// Of the agent's processor, for each.
    pub(crate) cpu_us: Option<f64>,
    /// Of the agent's memory, for each.
    pub(crate) memory_kib: Option<f64>,
}

impl Table {
    /// Takes a row, and says it at once: the table comes at the end of a long run.
    pub(crate) fn add(&mut self, row: Row) {
        println!("{}", row.render());
        self.0.push(row);
    }

    /// The table, Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "| What | p50 ms | p99 ms | last ms | CPU us each | KiB each |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.0 {
            text += &row.render();
            text += "\n";
        }
        text
    }
}

impl Row {
    fn render(&self) -> String {
        let mut times = self.times_ms.clone();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(place).copied()
        };
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            figure(at(50)),
            figure(at(99)),
            figure(times.last().copied()),
            figure(self.cpu_us),
            figure(self.memory_kib),
        )
    }
}

fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// Nanoseconds of the clock that all processes of this host share.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// From one moment to another.
pub(crate) fn ms_between(from_ns: u64, to_ns: u64) -> f64 {
    let span = i64::try_from(to_ns).unwrap() - i64::try_from(from_ns).unwrap();
    f64::from(i32::try_from(span / 1_000).unwrap()) / 1e3
}

/// The processor time that a process has used so far, microseconds.
pub(crate) fn cpu_us(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which may hold spaces: state is field 3, utime 14, stime 15.
    let after = stat.rsplit_once(')').unwrap().1;
    let fields = after.split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.map(|field| field.parse::<u32>().unwrap()).sum();
    f64::from(ticks) * 1e6 / TICKS_PER_S
}

/// `USER_HZ`, in which Linux counts for its users whatever it counts for itself (proc(5)).
const TICKS_PER_S: f64 = 100.0;
