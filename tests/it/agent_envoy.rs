//! Rights that come by agents, in front of real Envoys.
//!
//! A real `protem dev`, two real agents, the two Envoys of `deploy/demo` and its echo service. What
//! holds is judged by what the server Envoy logged of each request (who came, when, what he was
//! answered), by the ledger and by what agents say that they hold; no test measures time. Figures
//! are printed for whoever is curious.

mod elevation;
mod istio;
mod on_demand;
mod outages;
mod revocation;
mod rotation;
mod uses;

use crate::envoy::bench::{Bench, WEB, lives};

/// A bench under the example policy with another life of `db.read`.
fn bench_of_lives(life: &'static str) -> Bench {
    Bench::serving(&move |name, text| lives(name, text, life))
}

/// What an elevated certificate of web says.
fn elevated(scope: &str) -> String {
    format!("{WEB}/scope/{scope}")
}

const READ: Option<&str> = Some("db.read");
/// No scope is opened by a request.
const BY_HAND: &str = "";
/// Requests open `db.read` themselves.
const ON_DEMAND: &str = "on_demand = [\"db.read\"]";
