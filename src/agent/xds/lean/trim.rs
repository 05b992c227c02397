//! What of a request is handed on: the fields that services read, as long as they may be.
//!
//! Promises: whatever a client sends, what is handed on is some ten KiB: the buffer behind stays as
//! large as its largest message for as long as the stream lives. Names are left out one by one, and
//! never shortened: half a name is another one.
//! Refuses: to judge. What cannot be read is told to be so.

use bytes::{BufMut as _, BytesMut};
use prost::Message;

use crate::agent::xds::subscriptions::{NAME_BYTES_MAX, NAMES_BYTES_MAX};
use crate::proto::core::Node;
use crate::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};
use crate::proto::rpc;

/// Writes the message anew, with its header; fails when it cannot be read.
pub(super) fn trim<Q: HasNode>(message: &[u8], to: &mut BytesMut) -> bool {
    let Ok(mut request) = Q::decode(message) else {
        return false;
    };
    if let Some(metadata) = request.node().and_then(|node| node.metadata.as_mut()) {
        metadata
            .fields
            .retain(|key, value| key == KEPT_METADATA && value.encoded_len() < KEPT_BYTES_MAX);
    }
    if let Some(node) = request.node() {
        let texts = [&mut node.id, &mut node.cluster, &mut node.user_agent_name];
        texts.into_iter().for_each(shorten);
    }
    request.shorten();
    let Ok(length) = u32::try_from(request.encoded_len()) else {
        return false;
    };
    to.put_u8(0);
    to.put_u32(length);
    request.encode(to).is_ok()
}

pub(super) trait HasNode: Message + Default {
    fn node(&mut self) -> Option<&mut Node>;

    /// Takes out what no service reads of names and texts.
    fn shorten(&mut self);
}

impl HasNode for DiscoveryRequest {
    fn node(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }

    fn shorten(&mut self) {
        shorten_names(&mut self.resource_names);
        let texts = [&mut self.version_info, &mut self.type_url];
        let texts = texts.into_iter().chain([&mut self.response_nonce]);
        texts.for_each(shorten);
        shorten_error(self.error_detail.as_mut());
    }
}

impl HasNode for DeltaDiscoveryRequest {
    fn node(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }

    fn shorten(&mut self) {
        shorten_names(&mut self.resource_names_subscribe);
        shorten_names(&mut self.resource_names_unsubscribe);
        let mut room = Room::default();
        let held = &mut self.initial_resource_versions;
        held.retain(|name, version| version.len() <= TEXT_BYTES_MAX && room.has(name));
        shorten(&mut self.type_url);
        shorten(&mut self.response_nonce);
        shorten_error(self.error_detail.as_mut());
    }
}

/// What is left for the names of one message.
struct Room {
    bytes: usize,
    names: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: PASSED_NAMES_BYTES_MAX,
            names: PASSED_NAMES_MAX,
        }
    }
}

impl Room {
    fn has(&mut self, name: &str) -> bool {
        let (names, bytes) = (
            self.names.checked_sub(1),
            self.bytes.checked_sub(name.len()),
        );
        match (names, bytes) {
            (Some(names), Some(bytes)) if name.len() <= NAME_BYTES_MAX => {
                *self = Self { bytes, names };
                true
            }
            _ => false,
        }
    }
}

fn shorten_names(names: &mut Vec<String>) {
    let mut room = Room::default();
    names.retain(|name| room.has(name));
}

fn shorten_error(error: Option<&mut rpc::Status>) {
    if let Some(error) = error {
        shorten(&mut error.message);
        error.details.clear();
    }
}

fn shorten(text: &mut String) {
    if TEXT_BYTES_MAX < text.len() {
        let mut ends = (0..=TEXT_BYTES_MAX).rev();
        let end = ends.find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or_default());
    }
}

/// Of gRPC: a flag and a length.
pub(super) const HEADER_BYTES: usize = 5;
/// What services read of a node's metadata.
pub(super) const KEPT_METADATA: &str = "disable_spiffe_cert_validation";
/// And is no longer.
const KEPT_BYTES_MAX: usize = 64;
/// Versions, nonces, types, a node's own names; and the words of a refusal, of which less is kept.
const TEXT_BYTES_MAX: usize = 1_024;
/// Names of one message that a service hears of: twice the bytes that it keeps.
const PASSED_NAMES_BYTES_MAX: usize = 2 * NAMES_BYTES_MAX;
const PASSED_NAMES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_leaves_a_large_buffer_behind() {
        let long = "é".repeat(60_000);
        let many: Vec<String> = (0..100_000).map(|_| String::new()).collect();
        let names = [vec!["x".repeat(2_000); 100], vec![long.clone()], many].concat();
        let sotw = DiscoveryRequest {
            version_info: long.clone(),
            resource_names: names.clone(),
            type_url: long.clone(),
            response_nonce: long.clone(),
            error_detail: Some(rpc::Status {
                code: 3,
                message: long.clone(),
                details: vec![prost_types::Any {
                    type_url: long.clone(),
                    ..prost_types::Any::default()
                }],
            }),
            node: Some(Node {
                id: long.clone(),
                ..Node::default()
            }),
        };
        let delta = DeltaDiscoveryRequest {
            resource_names_subscribe: names.clone(),
            resource_names_unsubscribe: names,
            initial_resource_versions: [(long.clone(), long.clone()), ("a".into(), long)].into(),
            ..DeltaDiscoveryRequest::default()
        };
        let (mut first, mut second) = (BytesMut::new(), BytesMut::new());
        assert!(trim::<DiscoveryRequest>(&sotw.encode_to_vec(), &mut first));
        assert!(trim::<DeltaDiscoveryRequest>(
            &delta.encode_to_vec(),
            &mut second
        ));
        assert!(first.len() < 24 * 1_024, "{}", first.len());
        assert!(second.len() < 40 * 1_024, "{}", second.len());
    }
}
