//! Time as protem counts it: one `Timestamp`, one span `Seconds`, one `Clock`.
//!
//! Promises: every time inside protem is UTC, whole milliseconds, between 1970 and the end of
//! 9999 (what X.509 `GeneralizedTime` can hold, RFC 5280 4.1.2.5). The wall clock is read in this
//! file and nowhere else; everything above takes a [`Clock`] or a [`Timestamp`].
//! Refuses: times outside that range, local time zones, and spans that are not whole seconds.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// A moment in UTC, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_ms: i64,
}

/// A span of whole seconds; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(u32);

/// What a clock shows at one glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Milliseconds since the machine started, sleep included (`CLOCK_BOOTTIME`). Comparing how
    /// far the two moved shows a wall clock that was set.
    pub boot_ms: i64,
}

/// Where time comes from: the system, or a test that moves it by hand.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn read(&self) -> Reading;

    /// The wall clock alone.
    fn now(&self) -> Timestamp {
        self.read().wall
    }
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    reading: Mutex<Reading>,
}

/// How long something takes, for measures alone: nothing is ever decided by it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

/// Why a text or number is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Before 1970 or after 9999.
    #[error("time lies outside the years 1970 to 9999")]
    OutOfRange,
    /// Not RFC 3339 in UTC.
    #[error("`{0}` is not an RFC 3339 time in UTC such as `2026-01-31T12:00:00Z`")]
    NotRfc3339(String),
    /// Not a number with a unit.
    #[error("`{0}` is not a span such as `30s`, `5m`, `2h` or `1d`")]
    NotASpan(String),
}

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self { unix_ms: 0 };

    /// The moment `unix_ms` milliseconds after 1970.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside 1970 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Result<Self, TimeError> {
        if (0..=UNIX_MS_MAX).contains(&unix_ms) {
            Ok(Self { unix_ms })
        } else {
            Err(TimeError::OutOfRange)
        }
    }

    /// The moment `unix_s` seconds after 1970.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside 1970 to 9999.
    pub fn from_unix_s(unix_s: i64) -> Result<Self, TimeError> {
        unix_s
            .checked_mul(MS_PER_S)
            .ok_or(TimeError::OutOfRange)
            .and_then(Self::from_unix_ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.unix_ms
    }

    /// Whole seconds since 1970, rounded down: the resolution of a certificate.
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        self.unix_ms.div_euclid(MS_PER_S)
    }

    /// The same moment without its milliseconds.
    #[must_use]
    pub const fn whole_second(self) -> Self {
        Self {
            unix_ms: self.unix_s() * MS_PER_S,
        }
    }

    /// The start of the minute this moment lies in.
    #[must_use]
    pub const fn whole_minute(self) -> Self {
        Self {
            unix_ms: self.unix_ms.div_euclid(MS_PER_MINUTE) * MS_PER_MINUTE,
        }
    }

    /// This moment and a span later; stays at the end of 9999 rather than passing it.
    #[must_use]
    pub fn plus(self, span: Seconds) -> Self {
        let later = self.unix_ms.saturating_add(i64::from(span.0) * MS_PER_S);
        Self {
            unix_ms: later.min(UNIX_MS_MAX),
        }
    }

    /// This moment less a span; stays at 1970 rather than passing it.
    #[must_use]
    pub fn minus(self, span: Seconds) -> Self {
        Self {
            unix_ms: self
                .unix_ms
                .saturating_sub(i64::from(span.0) * MS_PER_S)
                .max(0),
        }
    }

    /// Whole seconds from `earlier` to this moment; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Seconds {
        let seconds = (self.unix_ms - earlier.unix_ms).max(0) / MS_PER_S;
        Seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// RFC 3339 with milliseconds and `Z`, the form on the wire and in the ledger.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let moment = self.date_time();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.millisecond(),
        )
    }

    /// A moment as the `Date` header of HTTP writes it (RFC 9110 5.6.7), to the second.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let form = ::time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let moment = ::time::PrimitiveDateTime::parse(text, form).ok()?;
        Self::from_unix_s(moment.assume_utc().unix_timestamp()).ok()
    }

    /// The same moment as the `time` crate names it, for calendars and certificate builders.
    #[must_use]
    pub fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.unix_ms) * NS_PER_MS)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Seconds {
    /// A span of `seconds`.
    #[must_use]
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// How many seconds.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }

    /// The same span for timers.
    #[must_use]
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.0))
    }
}

#[expect(clippy::disallowed_methods, reason = "this file owns the clock")]
impl Stopwatch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since it began.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file owns the clock")]
    fn read(&self) -> Reading {
        // Through the C library, so that a test can bend it (libfaketime); the other clock comes
        // from the kernel itself.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall_ms = wall.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        let wall_ms = wall_ms.min(UNIX_MS_MAX);
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Reading {
            wall: Timestamp { unix_ms: wall_ms },
            boot_ms: milliseconds(boot),
        }
    }
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self {
            reading: Mutex::new(Reading {
                wall: start,
                boot_ms: 0,
            }),
        }
    }

    /// Lets time pass: both clocks move.
    pub fn advance(&self, span: Seconds) {
        self.change(|reading| {
            reading.wall = reading.wall.plus(span);
            reading.boot_ms = reading.boot_ms.saturating_add(i64::from(span.0) * MS_PER_S);
        });
    }

    /// Sets the wall clock as an operator or a hostile time server would: only it moves.
    pub fn set_wall(&self, wall: Timestamp) {
        self.change(|reading| reading.wall = wall);
    }

    fn change(&self, act: impl FnOnce(&mut Reading)) {
        // A poisoned lock still holds a whole reading: it is Copy and replaced field by field.
        let mut reading = self
            .reading
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut reading);
    }
}

impl Clock for ManualClock {
    fn read(&self) -> Reading {
        *self
            .reading
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError::NotRfc3339(text.chars().take(TEXT_SHOWN_MAX).collect());
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
        if !moment.offset().is_utc() {
            return Err(wrong());
        }
        let ms = moment.unix_timestamp_nanos() / NS_PER_MS;
        i64::try_from(ms)
            .map_err(|_| TimeError::OutOfRange)
            .and_then(Self::from_unix_ms)
    }
}

impl FromStr for Seconds {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError::NotASpan(text.chars().take(TEXT_SHOWN_MAX).collect());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.strip_prefix(digits).unwrap_or_default();
        let per_unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: u32 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(per_unit).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (per_unit, unit) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
            if self.0 >= per_unit && self.0.is_multiple_of(per_unit) {
                return write!(f, "{}{unit}", self.0 / per_unit);
            }
        }
        write!(f, "{}s", self.0)
    }
}

impl fmt::Debug for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn milliseconds(moment: rustix::time::Timespec) -> i64 {
    moment
        .tv_sec
        .saturating_mul(MS_PER_S)
        .saturating_add(moment.tv_nsec / 1_000_000)
}

const MS_PER_S: i64 = 1_000;
const MS_PER_MINUTE: i64 = 60_000;
const NS_PER_MS: i128 = 1_000_000;
/// The last millisecond of the year 9999.
const UNIX_MS_MAX: i64 = 253_402_300_799_999;
/// How much of a wrong text an error repeats, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_span_says_what_is_wrong_with_it() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "5 m",
            "1w",
            "1.5h",
            "+3s",
            "99999999d",
            "٣s",
        ] {
            assert_eq!(
                text.parse::<Seconds>(),
                Err(TimeError::NotASpan(text.into()))
            );
        }
    }

    #[test]
    fn a_time_is_utc_only() {
        assert!("2026-01-31T12:00:00+01:00".parse::<Timestamp>().is_err());
        assert!("2026-01-31T12:00:00".parse::<Timestamp>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_manual_clock_shows_what_it_is_told() {
        let clock = ManualClock::new(Timestamp::from_unix_s(100).unwrap());
        clock.advance(Seconds::new(5));
        assert_eq!(clock.now().unix_s(), 105);
        assert_eq!(clock.read().boot_ms, 5_000);
        clock.set_wall(Timestamp::from_unix_s(7).unwrap());
        assert_eq!(
            clock.read(),
            Reading {
                wall: clock.now(),
                boot_ms: 5_000
            }
        );
    }

    proptest! {
        #[test]
        fn times_print_and_parse_back(ms in 0..=UNIX_MS_MAX) {
            let time = Timestamp::from_unix_ms(ms).unwrap();
            prop_assert_eq!(time.rfc3339().parse::<Timestamp>().unwrap(), time);
        }

        #[test]
        fn spans_print_and_parse_back(count in any::<u32>()) {
            let span = Seconds::new(count);
            prop_assert_eq!(span.to_string().parse::<Seconds>().unwrap(), span);
        }
    }
}
