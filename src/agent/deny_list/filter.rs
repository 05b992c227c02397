//! The two filters of Envoy that deny by digest.
//!
//! Promises: one rule, whose condition is the tree of
//! `connection.sha256_peer_certificate_digest in [digests]`, the digests in the lower-case
//! hexadecimal that Envoy compares with. Without a client certificate there is no digest, and the
//! rule denies nobody: who must show one is another filter's word.
//! Refuses: to allow anything; what does not match goes on to the next filter.

use std::sync::Arc;

use prost::Message as _;
use prost_types::Any;

use crate::agent::deny_list::DenyList;
use crate::agent::deny_list::service::{EXTENSION_TYPE, HTTP, NETWORK};
use crate::agent::holdings::Generation;
use crate::agent::xds::{Content, Digest};
use crate::id::hex;
use crate::proto::core::TypedExtensionConfig;
use crate::proto::expr::constant::ConstantKind;
use crate::proto::expr::expr::{Call, CreateList, ExprKind, Ident, Select};
use crate::proto::expr::{Constant, Expr};
use crate::proto::rbac::rbac::Action;
use crate::proto::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use crate::proto::rbac_http::Rbac as HttpRbac;
use crate::proto::rbac_network::Rbac as NetworkRbac;
use crate::proto::rbac_network::rbac::EnforcementType;

/// One of the two.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) list: Arc<DenyList>,
    pub(super) layer: Layer,
}

/// What an Envoy is sent of a list, for all Envoys the same.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    digest: Digest,
    resource: Any,
}

/// What is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// Requests.
    Http,
    /// Connections.
    Network,
}

impl Content for Filter {
    fn generation(&self) -> Generation {
        self.list.generation
    }

    fn digest(&self) -> Digest {
        self.list.filter(self.layer).digest
    }

    /// The name is the layer's own: no other leads to this filter.
    fn encode(&self, _: &str) -> Any {
        self.list.filter(self.layer).resource.clone()
    }

    fn raises_rights(&self) -> bool {
        false
    }
}

impl Encoded {
    /// The filter of a layer that denies these.
    pub(super) fn of(layer: Layer, denied: &[&[u8; 32]]) -> Self {
        let rules = Some(rules(denied));
        let (name, type_url, value) = match layer {
            Layer::Http => (HTTP, HTTP_TYPE, HttpRbac { rules }.encode_to_vec()),
            Layer::Network => {
                let filter = NetworkRbac {
                    rules,
                    stat_prefix: STAT_PREFIX.to_owned(),
                    enforcement_type: EnforcementType::Continuous.into(),
                };
                (NETWORK, NETWORK_TYPE, filter.encode_to_vec())
            }
        };
        let config = TypedExtensionConfig {
            name: name.to_owned(),
            typed_config: Some(Any {
                type_url: type_url.to_owned(),
                value,
            }),
        };
        let digests = denied.iter().map(|digest| digest.as_slice());
        Self {
            digest: Digest::of(std::iter::once(name.as_bytes()).chain(digests)),
            resource: Any {
                type_url: EXTENSION_TYPE.to_owned(),
                value: config.encode_to_vec(),
            },
        }
    }
}

/// Action DENY: what no policy matches is let through. Without a policy nothing is matched.
fn rules(denied: &[&[u8; 32]]) -> Rbac {
    let mut rules = Rbac {
        action: Action::Deny.into(),
        ..Rbac::default()
    };
    if !denied.is_empty() {
        let policy = Policy {
            permissions: vec![Permission {
                rule: Some(permission::Rule::Any(true)),
            }],
            principals: vec![Principal {
                identifier: Some(principal::Identifier::Any(true)),
            }],
            condition: Some(condition(denied)),
        };
        rules.policies.insert(POLICY.to_owned(), policy);
    }
    rules
}

fn condition(digests: &[&[u8; 32]]) -> Expr {
    let connection = Ident {
        name: "connection".to_owned(),
    };
    let digest = Select {
        operand: Some(Box::new(expression(ExprKind::IdentExpr(connection)))),
        field: "sha256_peer_certificate_digest".to_owned(),
        test_only: false,
    };
    let elements = digests.iter().map(|digest| {
        let text = hex::text(digest.as_slice());
        expression(ExprKind::ConstExpr(Constant {
            constant_kind: Some(ConstantKind::StringValue(text)),
        }))
    });
    let list = CreateList {
        elements: elements.collect(),
    };
    let is_in = Call {
        target: None,
        function: "@in".to_owned(),
        args: vec![
            expression(ExprKind::SelectExpr(Box::new(digest))),
            expression(ExprKind::ListExpr(list)),
        ],
    };
    expression(ExprKind::CallExpr(Box::new(is_in)))
}

const fn expression(kind: ExprKind) -> Expr {
    Expr {
        id: 0,
        expr_kind: Some(kind),
    }
}

const HTTP_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const NETWORK_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
const STAT_PREFIX: &str = "protem_deny_list.";
/// Shown in Envoy's access log as what denied a request.
const POLICY: &str = "protem.denied_certificate";
