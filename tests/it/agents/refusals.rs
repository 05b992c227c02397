//! What is refused before anybody is told anything: the same problems as over REST, in the words of
//! gRPC.

use http::Version;
use prost::Message as _;
use protem::proto::agent::WatchRequest;

use crate::rest::caller::{Answer, Rest};
use crate::world::WEB;

/// One message in its frame: not compressed, and how long it is.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

fn grpc(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("grpc-status"))
}

#[tokio::test]
async fn a_watch_is_asked_for_as_grpc_asks_or_not_at_all() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let asked = framed(&WatchRequest::default().encode_to_vec());
    let old = web.send_bytes(Version::HTTP_11, WATCH, GRPC, asked.clone());
    let old = old.await;
    assert_eq!((old.status, old.code()), (400, "http_2_only"));
    let json = web.send_bytes(Version::HTTP_2, WATCH, "application/json", asked.clone());
    let json = json.await;
    assert_eq!((json.status, json.code()), (415, "content_type"));
    assert_eq!(web.get(WATCH).await.status, 405);

    let large = WatchRequest {
        version: "v".repeat(2_048),
        deny_list: false,
    };
    let nobody = rest.stranger();
    let elevated = {
        let ask = serde_json::json!({ "scope": "db.read", "reason": "why" });
        web.send("POST", "/v1/elevations", &ask).await;
        web.elevated("db.read").await
    };
    for (caller, target, body, status) in [
        // RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED, PERMISSION_DENIED
        (&web, WATCH, framed(&large.encode_to_vec()), "8"),
        (&web, "/protem.agent.v1.Agents/Nothing", asked.clone(), "12"),
        (&nobody, WATCH, asked.clone(), "16"),
        (&rest.foreign(), WATCH, asked.clone(), "16"),
        (&rest.operator(), WATCH, asked.clone(), "7"),
        (&elevated, WATCH, asked.clone(), "7"),
    ] {
        let answer = caller.send_bytes(Version::HTTP_2, target, GRPC, body).await;
        assert_eq!(grpc(&answer), (200, status), "{answer:?}");
        assert!(!answer.header("protem-problem-bin").is_empty());
        assert!(!answer.header("x-request-id").is_empty());
    }
    // What is no message is refused by who reads messages.
    for body in [Vec::new(), vec![0; 4], vec![9; 64], framed(&[0xff; 9])] {
        let answer = web.send_bytes(Version::HTTP_2, WATCH, GRPC, body).await;
        assert_eq!(answer.status, 200);
        assert!(
            !["", "0"].contains(&answer.header("grpc-status")),
            "{answer:?}"
        );
    }
}

const WATCH: &str = "/protem.agent.v1.Agents/Watch";
const GRPC: &str = "application/grpc";
