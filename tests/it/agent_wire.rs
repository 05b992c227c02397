//! A workload's and an Envoy's side of an agent's sockets: connections, first requests, answers.
//!
//! It speaks by the generated clients, so that what a stream costs is the agent's doing.

use std::path::Path;

use protem::proto::core::Node;
use protem::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use protem::proto::rpc;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

/// A connection of its own.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    let uri = format!("unix:{}", socket.display());
    Endpoint::from_shared(uri).unwrap().connect().await
}

/// As the Workload API demands.
pub(crate) fn with_header<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = "true".parse().unwrap();
    request.metadata_mut().insert("workload.spiffe.io", value);
    request
}

/// The first request of a delta stream.
pub(crate) fn delta_of(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(node()),
        type_url: SECRET.to_owned(),
        resource_names_subscribe: names.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// The client's word on a delta response: that it is in use, or why not.
pub(crate) fn delta_word(of: &DeltaDiscoveryResponse, no: Option<&str>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: SECRET.to_owned(),
        response_nonce: of.nonce.clone(),
        error_detail: no.map(status),
        ..DeltaDiscoveryRequest::default()
    }
}

/// The first request of a stream in state of the world.
pub(crate) fn sotw_of(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node()),
        type_url: SECRET.to_owned(),
        resource_names: names.iter().map(ToString::to_string).collect(),
        ..DiscoveryRequest::default()
    }
}

/// The client's word on a response.
pub(crate) fn sotw_word(
    of: &DiscoveryResponse,
    names: &[&str],
    no: Option<&str>,
) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: of.version_info.clone(),
        response_nonce: of.nonce.clone(),
        error_detail: no.map(status),
        node: None,
        ..sotw_of(names)
    }
}

fn node() -> Node {
    Node {
        id: "sidecar~10.0.0.1~web.demo~demo.svc.cluster.local".to_owned(),
        cluster: "demo".to_owned(),
        ..Node::default()
    }
}

fn status(words: &str) -> rpc::Status {
    rpc::Status {
        code: 13,
        message: words.to_owned(),
        ..rpc::Status::default()
    }
}

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
