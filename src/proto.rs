//! The messages of gRPC: the SPIFFE Workload API, what protem reads and writes of Envoy's xDS, and
//! what servers, agents and workloads tell each other beside them.
//!
//! Promises: definitions are the `.proto` files of this room, with the names and numbers of their
//! standards; the generated code is committed, and `tests/it/generated.rs` makes it anew and
//! compares, so that a build needs no compiler for them. No message shows a private key.
//! Refuses: meaning. What comes in is parsed where it arrives, as everywhere.

mod codec;

#[expect(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated; documented by the definitions that it is made from"
)]
mod generated {
    include!("proto/generated/packages.rs");
}

use std::fmt;

pub use codec::Codec;
pub use generated::envoy::config::core::v3 as core;
pub use generated::envoy::config::rbac::v3 as rbac;
pub use generated::envoy::data::accesslog::v3 as access_log_data;
pub use generated::envoy::extensions::dynamic_modules::v3 as module;
pub use generated::envoy::extensions::filters::http::rbac::v3 as rbac_http;
pub use generated::envoy::extensions::filters::network::dynamic_modules::v3 as module_network;
pub use generated::envoy::extensions::filters::network::rbac::v3 as rbac_network;
pub use generated::envoy::extensions::transport_sockets::tls::v3 as tls;
pub use generated::envoy::service::accesslog::v3 as access_log;
pub use generated::envoy::service::discovery::v3 as discovery;
pub use generated::envoy::service::extension::v3 as extension;
pub use generated::envoy::service::secret::v3 as secret;
pub use generated::google::api::expr::v1alpha1 as expr;
pub use generated::google::rpc;
pub use generated::protem::agent::v1 as agent;

/// The SPIFFE Workload API, whose service has no package.
pub mod workload {
    pub use crate::proto::generated::spiffe_workload_api_client;
    pub use crate::proto::generated::spiffe_workload_api_server;
    pub use crate::proto::generated::{
        JwtBundlesRequest, JwtBundlesResponse, Jwtsvid, JwtsvidRequest, JwtsvidResponse,
        ValidateJwtsvidRequest, ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse,
        X509svid, X509svidRequest, X509svidResponse,
    };
}

/// Every definition as a `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("proto/generated/descriptors.bin");

impl fmt::Debug for workload::X509svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509svid")
            .field("spiffe_id", &self.spiffe_id)
            .field("hint", &self.hint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for workload::Jwtsvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwtsvid")
            .field("spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for core::data_source::Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Specifier")
    }
}

impl fmt::Debug for core::DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSource").finish_non_exhaustive()
    }
}

impl fmt::Debug for discovery::DiscoveryResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscoveryResponse")
            .field("version_info", &self.version_info)
            .field("resources", &self.resources.len())
            .field("type_url", &self.type_url)
            .field("nonce", &self.nonce)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for discovery::DeltaDiscoveryResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaDiscoveryResponse")
            .field("resources", &self.resources)
            .field("removed_resources", &self.removed_resources)
            .field("type_url", &self.type_url)
            .field("nonce", &self.nonce)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for discovery::Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_discovery_carries_is_not_shown() {
        let secret = prost_types::Any {
            type_url: String::new(),
            value: vec![201; 9],
        };
        let resource = discovery::Resource {
            resource: Some(secret.clone()),
            ..discovery::Resource::default()
        };
        let all = discovery::DiscoveryResponse {
            resources: vec![secret],
            ..discovery::DiscoveryResponse::default()
        };
        let changes = discovery::DeltaDiscoveryResponse {
            resources: vec![resource],
            ..discovery::DeltaDiscoveryResponse::default()
        };
        let shown = format!("{all:?} {changes:?}");
        assert!(!shown.contains("201"), "{shown}");
    }
}
