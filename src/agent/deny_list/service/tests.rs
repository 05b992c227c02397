//! The deny list to generated clients over a real socket.

use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::agent::envoy::held::{in_seconds, of_web};
use crate::agent::envoy::stage::{Stage, soon};
use crate::agent::sds::Options;
use crate::agent::seats::SeatsMax;
use crate::agent::xds::StreamsMax;
use crate::proto::core::TypedExtensionConfig;
use crate::proto::expr::constant::ConstantKind;
use crate::proto::expr::expr::ExprKind;
use crate::proto::extension::extension_config_discovery_service_client as ecds_client;
use crate::proto::rbac::rbac::Action;
use crate::proto::rbac_http::Rbac;

use super::*;
use crate::agent::deny_list::Denied;

fn list(generation: u64, digests: &[u8]) -> Arc<DenyList> {
    let denied = Denied {
        revoked: true,
        until: in_seconds(60),
    };
    let digests = digests.iter().map(|byte| ([*byte; 32], denied));
    Arc::new(DenyList::new(Generation(generation), digests.collect()))
}

/// The digests that a filter for requests denies.
fn denied(resource: &[u8]) -> Vec<String> {
    let config = TypedExtensionConfig::decode(resource).unwrap();
    assert_eq!(config.name, HTTP);
    let filter = config.typed_config.unwrap();
    let rules = Rbac::decode(filter.value.as_slice())
        .unwrap()
        .rules
        .unwrap();
    assert_eq!(rules.action(), Action::Deny);
    let Some(policy) = rules.policies.into_values().next() else {
        return Vec::new();
    };
    let Some(ExprKind::CallExpr(call)) = policy.condition.unwrap().expr_kind else {
        panic!("no call")
    };
    assert_eq!(call.function, "@in");
    let Some(ExprKind::ListExpr(list)) = call.args[1].expr_kind.clone() else {
        panic!("no list")
    };
    let text = |kind| match kind {
        Some(ExprKind::ConstExpr(constant)) => match constant.constant_kind {
            Some(ConstantKind::StringValue(text)) => text,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let elements = list.elements.into_iter();
    elements.map(|one| text(one.expr_kind)).collect()
}

#[tokio::test]
async fn nothing_is_said_before_the_list_is_told_and_then_each_change() {
    let stage = Stage::new(of_web(), Options::default());
    let mut client = ecds_client::ExtensionConfigDiscoveryServiceClient::new(stage.connect().await);
    let request = |names: &[&str]| DeltaDiscoveryRequest {
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    };
    let (send, requests) = tokio::sync::mpsc::channel(4);
    send.send(request(&[HTTP, "other"])).await.unwrap();
    let responses = client.delta_extension_configs(ReceiverStream::new(requests));
    let mut responses = soon(responses).await.unwrap().into_inner();
    let mut next = async || soon(responses.message()).await.unwrap().unwrap();
    let first = next().await;
    assert_eq!(first.removed_resources, ["other"]);
    assert_eq!(first.resources, [], "the list is not told yet");
    // The same list again is not told again.
    for (told, wanted) in [
        (list(5, &[]), vec![]),
        (list(6, &[7]), vec!["07".repeat(32)]),
        (list(8, &[7, 9]), vec!["07".repeat(32), "09".repeat(32)]),
        (list(9, &[]), vec![]),
    ] {
        let generation = Generation(told.generation.0 + 50);
        let same = DenyList::new(generation, told.digests.clone());
        stage.deny_list.send_replace(told);
        let response = next().await;
        stage.deny_list.send_replace(Arc::new(same));
        let resource = response.resources[0].resource.as_ref().unwrap();
        assert_eq!(resource.type_url, EXTENSION_TYPE);
        assert_eq!(denied(&resource.value), wanted);
    }
}

#[tokio::test]
async fn a_stream_for_both_and_a_single_request_are_given_both() {
    let stage = Stage::new(of_web(), Options::default());
    stage.deny_list.send_replace(list(5, &[7]));
    let mut client = ecds_client::ExtensionConfigDiscoveryServiceClient::new(stage.connect().await);
    let fetched = soon(client.fetch_extension_configs(DiscoveryRequest::default())).await;
    let fetched = fetched.unwrap().into_inner();
    assert_eq!(fetched.resources.len(), 2);
    let (send, requests) = tokio::sync::mpsc::channel(4);
    send.send(DiscoveryRequest::default()).await.unwrap();
    let responses = client.stream_extension_configs(ReceiverStream::new(requests));
    let mut responses = soon(responses).await.unwrap().into_inner();
    let both = soon(responses.message()).await.unwrap().unwrap();
    assert_eq!(both.resources, fetched.resources);
    assert!(both.version_info.starts_with("5-"), "{}", both.version_info);
    // The module's is for who names it.
    let named = DiscoveryRequest {
        resource_names: vec![MODULE.to_owned()],
        ..DiscoveryRequest::default()
    };
    let named = soon(client.fetch_extension_configs(named)).await.unwrap();
    let [module] = &named.into_inner().resources[..] else {
        panic!("one was named");
    };
    assert!(module.value.ends_with("07".repeat(32).as_bytes()));
    // A caller who cannot be attested is given no stream.
    stage.peer.show(None);
    let status = soon(client.fetch_extension_configs(DiscoveryRequest::default())).await;
    assert_eq!(status.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn whom_no_entry_fits_has_few_streams_for_a_while_and_unknown_names_are_not_kept() {
    let max = StreamsMax {
        nobodys: SeatsMax {
            of_uid: 2,
            ..SeatsMax::of(64, 64)
        },
        for_nobody: Duration::from_millis(50),
        ..StreamsMax::default()
    };
    let stage = Stage::with(of_web(), Options::default(), max);
    let mut client = ecds_client::ExtensionConfigDiscoveryServiceClient::new(stage.connect().await);
    let unknown: Vec<String> = (0..60)
        .map(|n| format!("{n}{}", "x".repeat(2_000)))
        .collect();
    let (send, requests) = tokio::sync::mpsc::channel(4);
    let mut names = unknown.clone();
    names.push(HTTP.to_owned());
    let request = DeltaDiscoveryRequest {
        resource_names_subscribe: names,
        ..DeltaDiscoveryRequest::default()
    };
    send.send(request).await.unwrap();
    let responses = client.delta_extension_configs(ReceiverStream::new(requests));
    let mut served = soon(responses).await.unwrap().into_inner();
    let removed = soon(served.message()).await.unwrap().unwrap();
    assert_eq!(removed.removed_resources, unknown[..4], "no more is echoed");

    stage.peer.show(Some("unix:uid:0"));
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (send, requests) = tokio::sync::mpsc::channel(4);
        let request = DeltaDiscoveryRequest {
            resource_names_subscribe: vec![NETWORK.to_owned()],
            ..DeltaDiscoveryRequest::default()
        };
        send.send(request).await.unwrap();
        let responses = client.delta_extension_configs(ReceiverStream::new(requests));
        streams.push((send, soon(responses).await.unwrap().into_inner()));
    }
    let more = client.delta_extension_configs(tokio_stream::pending::<DeltaDiscoveryRequest>());
    let status = soon(more).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    for (_send, stream) in &mut streams {
        let status = soon(stream.message()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
    }
    // Whom one fits is served on.
    stage.deny_list.send_replace(list(5, &[7]));
    let told = soon(served.message()).await.unwrap().unwrap();
    assert_eq!(told.resources[0].name, HTTP);
    let rows = stage.streams.rows();
    assert!(rows.iter().all(|row| row.names == [HTTP]), "{rows:?}");
}
