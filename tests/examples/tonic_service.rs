//! A gRPC service that a right opens, without a mesh: `cargo run --example tonic_service`.
//!
//! Its one service is gRPC's own health check; what is in front of it is the same for any other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use protem::enforce::{Doorman, Keys, Require, serve};
use tokio::net::TcpListener;
use tower::Layer as _;

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// Who may ask: the subject and the scope, exactly.
const MAY_ASK: [&str; 1] = ["spiffe://dev.protem.test/ns/demo/sa/web/scope/db.read"];

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "svid".to_owned());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 9_444))).await?;
    run(listener, folder.into(), std::future::pending()).await
}

/// Serves until `stop` ends.
pub(crate) async fn run(
    listener: TcpListener,
    folder: PathBuf,
    stop: impl Future<Output = ()>,
) -> Result<(), Wrong> {
    let file = |name: &str| std::fs::read(folder.join(name));
    let keys = Keys::from_pem(&file("svid.pem")?, &file("svid.key")?)?;
    let doorman = Arc::new(Doorman::new(keys, &file("bundle.pem")?)?);
    let (health, service) = tonic_health::server::health_reporter();
    health
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let routes = tonic::service::Routes::new(service).prepare();
    let routes = Require::exactly(MAY_ASK)?.layer(routes.into_axum_router());
    serve(listener, doorman, routes, stop).await?;
    Ok(())
}
