//! The filters of Envoy that deny by digest, and the one of the module in `deploy/envoy`.
//!
//! Promises: of Envoy's own, one rule, whose condition is the tree of
//! `connection.sha256_peer_certificate_digest in [digests]`, the digests in the lower-case
//! hexadecimal that Envoy compares with; the module is told the same digests with spaces between.
//! Without a client certificate there is no digest, and the rule denies nobody: who must show one
//! is another filter's word.
//! Refuses: to allow anything; what does not match goes on to the next filter.

use std::sync::Arc;

use prost::Message as _;
use prost_types::Any;

use crate::agent::deny_list::DenyList;
use crate::agent::deny_list::service::{EXTENSION_TYPE, HTTP, MODULE, NETWORK};
use crate::agent::holdings::Generation;
use crate::agent::xds::{Content, Digest};
use crate::id::hex;
use crate::proto::core::TypedExtensionConfig;
use crate::proto::expr::constant::ConstantKind;
use crate::proto::expr::expr::{Call, CreateList, ExprKind, Ident, Select};
use crate::proto::expr::{Constant, Expr};
use crate::proto::module::DynamicModuleConfig;
use crate::proto::module_network::DynamicModuleNetworkFilter;
use crate::proto::rbac::rbac::Action;
use crate::proto::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use crate::proto::rbac_http::Rbac as HttpRbac;
use crate::proto::rbac_network::Rbac as NetworkRbac;
use crate::proto::rbac_network::rbac::EnforcementType;

/// One of the three.
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
    /// Connections, those that live too.
    Module,
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
        let (name, type_url, value) = match layer {
            Layer::Http => {
                let rules = Some(rules(denied));
                (HTTP, HTTP_TYPE, HttpRbac { rules }.encode_to_vec())
            }
            Layer::Module => (MODULE, MODULE_TYPE, module(denied).encode_to_vec()),
            Layer::Network => {
                let filter = NetworkRbac {
                    rules: Some(rules(denied)),
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

/// The module's filter `deny_list`, under the name that its file has.
fn module(denied: &[&[u8; 32]]) -> DynamicModuleNetworkFilter {
    let digests: Vec<_> = denied.iter().map(|digest| hex::text(*digest)).collect();
    DynamicModuleNetworkFilter {
        dynamic_module_config: Some(DynamicModuleConfig {
            name: "protem_envoy".to_owned(),
            do_not_close: true,
            metrics_namespace: "protem".to_owned(),
        }),
        filter_name: "deny_list".to_owned(),
        filter_config: Some(Any {
            type_url: STRING_TYPE.to_owned(),
            value: digests.join(" ").encode_to_vec(),
        }),
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
const MODULE_TYPE: &str = "type.googleapis.com/\
     envoy.extensions.filters.network.dynamic_modules.v3.DynamicModuleNetworkFilter";
/// The message has one field, number 1: what `String` encodes as.
const STRING_TYPE: &str = "type.googleapis.com/google.protobuf.StringValue";
const STAT_PREFIX: &str = "protem_deny_list.";
/// Shown in Envoy's access log as what denied a request.
const POLICY: &str = "protem.denied_certificate";
