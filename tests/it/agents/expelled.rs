//! An agent whose own entry is gone, as its workloads see it.

use protem::proto::workload::X509svidRequest;
use protem::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use protem::wire::page::PageQuery;
use tonic::Code;

use crate::agent_place::{AGENT, AgentPlace};
use crate::agent_wire::{connect, with_header};
use crate::world::WEB;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_an_entry_gives_up_what_it_holds_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let place = AgentPlace::new(directory.path());
    let _server = place.server.serve();
    let own = format!("unix:uid:{}", rustix::process::geteuid().as_raw());
    place.register(WEB, &own, "1h").await;
    let mut agent = place.start_agent("").await;
    let channel = connect(&place.workload_socket()).await.unwrap();
    let mut client = SpiffeWorkloadApiClient::new(channel);
    let opened = client.fetch_x509svid(with_header(X509svidRequest {})).await;
    let mut svids = opened.unwrap().into_inner();
    let held = svids.message().await.unwrap().unwrap();
    assert_eq!(held.svids[0].spiffe_id, WEB);

    let operator = place.operator();
    let entries = operator.entries(&PageQuery::default()).await.unwrap();
    let own = entries.items.iter().find(|one| one.subject == AGENT);
    operator.remove_entry(&own.unwrap().id).await.unwrap();
    let end = svids.message().await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
    agent.until_said("the stream from the server ended");
    let again = client.fetch_x509svid(with_header(X509svidRequest {})).await;
    let end = match again {
        Ok(again) => again.into_inner().message().await.unwrap_err(),
        Err(end) => end,
    };
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
}
