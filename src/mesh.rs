//! What a mesh must be told so that it enforces a scope, its end and nothing beside it.
//!
//! Text in, text out. The measured facts behind each line are told in comments of what is printed;
//! `tests/it/mesh` runs what is printed in a real Envoy.
//!
//! Promises: a rule names whole SPIFFE IDs and nothing shorter; every text begins with the tier
//! that it reaches, the time by which access can outlive notAfter, and what is not enforced; bounds
//! are computed from the life of the SVID, never chosen by feeling.
//! Refuses: an encoding that a mesh cannot match; lives that protem does not mint; to read or
//! write files.

mod address;
mod bounds;
mod consul;
mod envoy;
mod error;
mod haproxy;
mod istio;
mod kubernetes;
mod linkerd;
pub mod lint;
mod nginx;
mod promise;
mod right;
mod template;
mod terms;

pub use crate::mesh::address::{Address, SocketPath, TextPath};
pub use crate::mesh::bounds::{Bounds, LIFE_MAX, LIFE_MIN};
pub use crate::mesh::consul::Consul;
pub use crate::mesh::envoy::{Envoy, Form, Protocol, Side};
pub use crate::mesh::error::MeshError;
pub use crate::mesh::haproxy::HaProxy;
pub use crate::mesh::istio::Istio;
pub use crate::mesh::kubernetes::Label;
pub use crate::mesh::linkerd::Linkerd;
pub use crate::mesh::nginx::Nginx;
pub use crate::mesh::promise::{Outlives, Promise, Tier};
pub use crate::mesh::right::Right;
pub use crate::mesh::terms::Terms;
