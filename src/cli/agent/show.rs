//! How SVIDs of the Workload API are shown.
//!
//! Promises: nothing secret is in what is shown here.
//! Refuses: nothing.

use serde_json::{Value, json};

use crate::cli::screen::{moment_of, time_of_day};
use crate::client::{Fetched, FetchedSvid};
use crate::time::Timestamp;

/// For programs.
pub(crate) fn json_of(fetched: &Fetched) -> Value {
    let svids = fetched.svids.iter().map(|svid| {
        json!({
            "spiffe_id": svid.spiffe_id,
            "hint": svid.hint,
            "serial": svid.serial(),
            "not_before": svid.leaf.tbs().not_before.rfc3339(),
            "not_after": svid.leaf.tbs().not_after.rfc3339(),
            "chain": svid.chain,
            "bundle": svid.bundle,
        })
    });
    let svids: Vec<Value> = svids.collect();
    let federated = fetched.federated.iter();
    let federated: serde_json::Map<String, Value> = federated
        .map(|(domain, roots)| (domain.to_string(), json!(roots)))
        .collect();
    json!({ "svids": svids, "federated_bundles": federated })
}

/// Rows of a table under [`HEADS`].
pub(crate) fn rows(fetched: &Fetched, now: Timestamp) -> Vec<Vec<String>> {
    let row = |svid: &FetchedSvid| {
        vec![
            svid.spiffe_id.clone(),
            svid.hint.clone(),
            svid.serial(),
            moment_of(svid.leaf.tbs().not_after, now),
        ]
    };
    fetched.svids.iter().map(row).collect()
}

/// All in one line.
pub(crate) fn line(fetched: &Fetched, now: Timestamp) -> String {
    let svids = fetched.svids.iter().map(|svid| {
        let until = time_of_day(svid.leaf.tbs().not_after);
        format!("{} until {until}", svid.spiffe_id)
    });
    let svids: Vec<String> = svids.collect();
    format!("{}  {}", time_of_day(now), svids.join(", "))
}

/// A moment of the agent's answers for people; nothing where there is none.
pub(crate) fn text_of_ms(ms: i64, now: Timestamp) -> String {
    match Timestamp::from_unix_ms(ms) {
        Ok(at) if at != Timestamp::EPOCH => moment_of(at, now),
        Ok(_) | Err(_) => String::new(),
    }
}

/// A moment of the agent's answers for programs.
pub(crate) fn json_of_ms(ms: i64) -> Value {
    match Timestamp::from_unix_ms(ms) {
        Ok(at) if at != Timestamp::EPOCH => json!(at.rfc3339()),
        Ok(_) | Err(_) => Value::Null,
    }
}

pub(crate) const HEADS: [&str; 4] = ["spiffe id", "hint", "serial", "notAfter"];
