//! How many orders of threads a model is tried in.

use std::sync::Arc;

/// Runs a model in as many schedules as asked for: half drawn evenly, half with few switches, which
/// finds what needs a long run of one thread. A failing schedule is printed, and `shuttle::replay`
/// takes it. `PROTEM_SOAK_SCHEDULES` is how many for one model in `tests/soak`.
pub(crate) fn tried(model: impl Fn() + Send + Sync + 'static) {
    let wanted = std::env::var("PROTEM_SOAK_SCHEDULES").ok();
    let schedules: usize = wanted.map_or(SCHEDULES, |text| text.parse().unwrap());
    let model = Arc::new(model);
    let again = Arc::clone(&model);
    shuttle::check_random(move || model(), schedules.div_ceil(2));
    shuttle::check_pct(move || again(), schedules.div_ceil(2), DEPTH);
}

/// In `tests/run`: what a few seconds allow.
const SCHEDULES: usize = 12_000;
/// How many switches at the worst moment a schedule makes.
const DEPTH: usize = 3;
