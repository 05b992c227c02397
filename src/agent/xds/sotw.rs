//! State of the world: each response is all that there is of what was asked for.
//!
//! Promises: what is not there is left out, and the stream goes on; a request that answers an
//! earlier response than the newest is not read; a client that comes back with what it has is not
//! told it again. An empty list of names, as the first, is everything (as SPIRE has it); after
//! names it is nothing.
//! Refuses: to take anything away from a client: the protocol has no word for it, and an absent
//! name is only left out.

use std::sync::Arc;

use tonic::Status;

use crate::agent::xds::dialect::{Dialect, Heard, Moment, Newest, Said, check_type};
use crate::agent::xds::{Content, Digest, Offer, Subscriptions, Version};
use crate::proto::core::Node;
use crate::proto::discovery::{DiscoveryRequest, DiscoveryResponse};

/// One stream in state of the world.
#[derive(Debug)]
pub(crate) struct Sotw {
    newest: Newest,
    /// Of what the client holds: what he was told, or what he brought.
    version: Option<Version>,
    began: bool,
    named: bool,
}

impl Dialect for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    const DELTA: bool = false;

    fn new(stream: u64) -> Self {
        Self {
            newest: Newest::new(stream),
            version: None,
            began: false,
            named: false,
        }
    }

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn hear(
        &mut self,
        request: DiscoveryRequest,
        type_url: &str,
        subscriptions: &mut Subscriptions,
    ) -> Result<Option<Heard>, Status> {
        check_type(&request.type_url, type_url)?;
        let nonce = &request.response_nonce;
        // He has not read the newest yet; he will speak again when he has.
        if self.newest.said() && !nonce.is_empty() && !self.newest.is(nonce) {
            return Ok(None);
        }
        let heard = self.newest.heard(nonce, request.error_detail);
        let mut names = request.resource_names;
        names.retain(|name| !name.is_empty());
        self.named |= !names.is_empty();
        subscriptions.set_everything(!self.named);
        if self.named {
            subscriptions.replace(&names);
        }
        if !self.began && !request.version_info.is_empty() {
            self.version = request.version_info.parse().ok();
            for (_, subscription) in subscriptions.iter_mut() {
                subscription.held_before = true;
                subscription.may_open = false;
            }
        }
        self.began = true;
        Ok(heard)
    }

    fn say<C: Content>(
        &mut self,
        offers: Vec<(Arc<str>, Offer<C>)>,
        moment: Moment<'_>,
        subscriptions: &mut Subscriptions,
    ) -> Option<Said<DiscoveryResponse>> {
        let mut ready = Vec::new();
        let mut differs = false;
        for (name, offer) in offers {
            let Some(subscription) = subscriptions.get_mut(&name) else {
                continue;
            };
            match offer {
                Offer::Ready(content) => {
                    let of_name = content.generation();
                    let version = Version::after(subscription.given, of_name, content.digest());
                    differs |= subscription.given != Some(version);
                    ready.push((name, content, version));
                }
                Offer::Awaited => {}
                Offer::Absent | Offer::Deciding => {
                    differs |= subscription.given.is_some();
                    subscription.take();
                }
            }
        }
        if !differs {
            return None;
        }
        let version = self.version_of(&ready);
        let known = !self.newest.said() && self.version == Some(version);
        self.version = Some(version);
        let mut resources = Vec::new();
        for (name, content, of_name) in ready {
            if let Some(subscription) = subscriptions.get_mut(&name) {
                subscription.give(of_name, content.ends());
            }
            resources.push(content.encode(&name));
        }
        // What he brought is what there is.
        if known {
            return None;
        }
        let response = DiscoveryResponse {
            version_info: version.to_string(),
            resources,
            type_url: moment.type_url.to_owned(),
            nonce: self.newest.next(version.to_string()),
        };
        let version = response.version_info.clone();
        Some(Said { version, response })
    }
}

impl Sotw {
    /// Names and contents, in the order of the names.
    fn version_of<C: Content>(&self, ready: &[(Arc<str>, C, Version)]) -> Version {
        let newest = ready.iter().map(|(_, _, version)| version.rank()).max();
        let digests: Vec<Digest> = ready
            .iter()
            .map(|(_, _, version)| version.digest())
            .collect();
        let names = ready.iter().map(|(name, _, _)| name.as_bytes());
        let parts = names.zip(digests.iter().map(Digest::bytes));
        let digest = Digest::of(parts.flat_map(|(name, digest)| [name, digest]));
        Version::after(self.version, newest.unwrap_or_default(), digest)
    }
}
