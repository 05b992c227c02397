//! What `protem mesh` prints, as it is printed: in front of real Envoys, and as golden files.
//!
//! A real `protem dev`, an agent, the services of `tests/envoy/behind.py`. Envoy's own access log
//! judges against notAfter (`tests/envoy/mesh.py`). An SVID lives 20 s here, by a policy of the
//! test, so that the ages which are computed from it can be waited for.

mod client;
mod golden;
mod istio;
mod readme;
mod server;
mod stand;
mod table;
