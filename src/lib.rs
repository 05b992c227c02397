//! protem mints minutes-long SPIFFE X.509 SVIDs. A right is a scope in the certificate's SAN.

pub mod api;
pub mod attestation;
pub mod audit;
pub mod cli;
pub mod client;
pub mod config;
pub mod elevation;
pub mod id;
pub mod identity;
pub mod lifecycle;
pub mod pki;
pub mod policy;
pub mod scope;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod wire;
pub mod x509;
