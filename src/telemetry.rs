//! Logs: where they go and what they look like.
//!
//! Promises: one place sets up the log; messages read alone, identifiers are fields.
//! Refuses: to be set up twice; to log to standard output, which belongs to answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log filter `{0}` cannot be read; use `info` or `protem::api=debug,info`")]
    Filter(String),
    /// There is a log already.
    #[error("the log cannot be set up")]
    Twice(#[from] TryInitError),
}

/// Sets up the log on standard error, as text for people or one JSON object a line.
///
/// # Errors
/// [`TelemetryError`].
pub fn start(filter: &str, json: bool) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::try_new(filter).map_err(|_| TelemetryError::Filter(filter.to_owned()))?;
    let registry = tracing_subscriber::registry().with(filter);
    if json {
        registry
            .with(layer().json().with_writer(std::io::stderr))
            .try_init()?;
    } else {
        let colour = std::io::stderr().is_terminal();
        registry
            .with(layer().with_ansi(colour).with_writer(std::io::stderr))
            .try_init()?;
    }
    Ok(())
}
