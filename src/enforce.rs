//! A service without a mesh: a right ends with its certificate there too.
//!
//! ```no_run
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use axum::Router;
//! use axum::routing::get;
//! use protem::enforce::{Doorman, Keys, Peer, Require, serve};
//!
//! // From the Workload API, or from the folder that `protem agent write` keeps.
//! let keys = Keys::from_pem(&std::fs::read("svid.pem")?, &std::fs::read("svid.key")?)?;
//! let doorman = Arc::new(Doorman::new(keys, &std::fs::read("bundle.pem")?)?);
//!
//! let may_read = Require::exactly(["spiffe://example.org/ns/shop/sa/web/scope/db.read"])?;
//! let orders = Router::new()
//!     .route("/orders", get(async |peer: axum::Extension<Peer>| peer.id.to_string()))
//!     .layer(may_read);
//!
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:8443").await?;
//! serve(listener, doorman, orders, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | Part | What it does |
//! |---|---|
//! | [`never_resume`] | takes resumption out of a `rustls::ServerConfig` that you have already |
//! | [`Doorman`] | mutual TLS 1.3 without resumption, with an SVID and roots that may change |
//! | [`Guarded`] | a connection that ends at the peer's notAfter, whatever runs on it |
//! | [`Peer`] | whom the certificate names: subject, scope, end |
//! | [`Require`] | a tower layer that lets exact SPIFFE IDs pass, for HTTP and gRPC |
//! | [`serve`] | all of it for one tower service, such as an axum router or tonic's routes |
//!
//! Promises: what [`Require`] lets pass came from a certificate that verified in a full handshake
//! on this connection and has not ended at this moment; an open connection ends at its peer's
//! notAfter, by this host's clock.
//! Refuses: TLS 1.2 and sessions that are resumed, prefixes and patterns, peers with two names.

mod doorman;
mod guarded;
mod peer;
mod require;
mod serve;

pub use crate::enforce::doorman::{Doorman, DoormanError, Keys, never_resume};
pub use crate::enforce::guarded::Guarded;
pub use crate::enforce::peer::{Peer, PeerError};
pub use crate::enforce::require::{Require, Required};
pub use crate::enforce::serve::serve;
