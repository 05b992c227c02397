//! Delta: each response is what changed, and says what there is not.
//!
//! Promises: whoever begins to ask for a name is answered for it, with the resource or with a
//! removal, also when nothing changed; a decision under way is waited for within the hold, then
//! the name is removed, and comes when it is there as long as it is asked for; a client that comes
//! back with versions is told only what they are not. `*` is everything; asking for nothing is
//! nothing.
//! Refuses: to keep names beyond the maximum; they are removed at once, and those of which there
//! are more than so many bytes are not spoken of at all.

use std::sync::Arc;

use tonic::Status;

use crate::agent::xds::dialect::{Dialect, Heard, Moment, Newest, Said, check_type};
use crate::agent::xds::subscriptions::{EVERYTHING, NAMES_BYTES_MAX};
use crate::agent::xds::{Content, Offer, Subscription, Subscriptions, Version};
use crate::proto::core::Node;
use crate::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};

/// One stream in delta.
#[derive(Debug)]
pub(crate) struct Delta {
    newest: Newest,
    began: bool,
    /// Asked for and not kept; told with the next response.
    unkept: Vec<String>,
}

impl Dialect for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    const DELTA: bool = true;

    fn new(stream: u64) -> Self {
        Self {
            newest: Newest::new(stream),
            began: false,
            unkept: Vec::new(),
        }
    }

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn hear(
        &mut self,
        request: DeltaDiscoveryRequest,
        type_url: &str,
        subscriptions: &mut Subscriptions,
    ) -> Result<Option<Heard>, Status> {
        check_type(&request.type_url, type_url)?;
        let heard = self
            .newest
            .heard(&request.response_nonce, request.error_detail);
        for name in &request.resource_names_unsubscribe {
            match name.as_str() {
                EVERYTHING => subscriptions.set_everything(false),
                name => subscriptions.unsubscribe(name),
            }
        }
        for name in request.resource_names_subscribe {
            match name.as_str() {
                EVERYTHING => subscriptions.set_everything(true),
                known if subscriptions.subscribe(known) => {}
                _ => self.not_kept(name),
            }
        }
        if !self.began {
            for (name, version) in request.initial_resource_versions {
                subscriptions.held(&name, version.parse().ok());
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
    ) -> Option<Said<DeltaDiscoveryResponse>> {
        let mut resources = Vec::new();
        let mut removed = std::mem::take(&mut self.unkept);
        for (name, offer) in offers {
            let Some(subscription) = subscriptions.get_mut(&name) else {
                continue;
            };
            match offer {
                Offer::Ready(content) => resources.extend(give(&name, &content, subscription)),
                Offer::Awaited => {}
                Offer::Absent | Offer::Deciding => {
                    let deciding = matches!(offer, Offer::Deciding);
                    if is_over(subscription, deciding, moment) {
                        subscription.take();
                        removed.push(name.to_string());
                    }
                }
            }
        }
        if resources.is_empty() && removed.is_empty() {
            return None;
        }
        let version = resources.iter().map(|one| one.version.clone()).next_back();
        let version = version.unwrap_or_default();
        let response = DeltaDiscoveryResponse {
            system_version_info: version.clone(),
            resources,
            type_url: moment.type_url.to_owned(),
            nonce: self.newest.next(version.clone()),
            removed_resources: removed,
        };
        Some(Said { version, response })
    }
}

impl Delta {
    fn not_kept(&mut self, name: String) {
        let told = self.unkept.iter().map(String::len);
        let told = told.fold(name.len(), usize::saturating_add);
        if told <= NAMES_BYTES_MAX {
            self.unkept.push(name);
        }
    }
}

fn give<C: Content>(name: &str, content: &C, subscription: &mut Subscription) -> Option<Resource> {
    let version = Version::after(subscription.given, content.generation(), content.digest());
    let known = subscription.given == Some(version) && !subscription.unanswered;
    if known {
        return None;
    }
    subscription.give(version, content.ends());
    Some(Resource {
        version: version.to_string(),
        resource: Some(content.encode(name)),
        name: name.to_owned(),
    })
}

/// Whether the client is told now that there is nothing.
fn is_over(subscription: &mut Subscription, deciding: bool, moment: Moment<'_>) -> bool {
    if subscription.given.is_some() {
        return true;
    }
    if subscription.absent {
        return false;
    }
    let hold = moment.now_ms.saturating_add(moment.hold_ms);
    let until_ms = *subscription.hold_until_ms.get_or_insert(hold);
    !deciding || until_ms <= moment.now_ms
}
