//! An axum service that a right opens, without a mesh: `cargo run --example axum_service`.
//!
//! `protem agent write svid --socket ...` keeps svid.pem, svid.key and bundle.pem in a folder; this
//! serves with them at 127.0.0.1:9443, and follows them when they change.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use protem::enforce::{Doorman, Keys, Peer, Require, serve};
use tokio::net::TcpListener;

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// Who may read the orders: the subject and the scope, exactly.
const MAY_READ: [&str; 1] = ["spiffe://dev.protem.test/ns/demo/sa/web/scope/db.read"];

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "svid".to_owned());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 9_443))).await?;
    run(listener, folder.into(), std::future::pending()).await
}

/// Serves until `stop` ends.
pub(crate) async fn run(
    listener: TcpListener,
    folder: PathBuf,
    stop: impl Future<Output = ()>,
) -> Result<(), Wrong> {
    let (keys, bundle) = read(&folder)?;
    let doorman = Arc::new(Doorman::new(keys, &bundle)?);
    let orders = Router::new()
        .route("/orders", get(orders))
        .route_layer(Require::exactly(MAY_READ)?)
        .route("/hello", get(async || "hello, whoever you are"));
    tokio::select! {
        served = serve(listener, Arc::clone(&doorman), orders, stop) => served?,
        followed = follow(&folder, &doorman) => followed?,
    }
    Ok(())
}

async fn orders(Extension(peer): Extension<Peer>) -> String {
    let scope = peer.scope().map_or("no scope", |scope| scope.as_str());
    format!("orders for {} by {scope}\n", peer.name.subject())
}

/// Goes on with what lies in the folder, where that is newer.
async fn follow(folder: &Path, doorman: &Doorman) -> Result<(), Wrong> {
    let mut before = std::fs::read(folder.join("svid.pem"))?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = std::fs::read(folder.join("svid.pem"))?;
        if now != before {
            let (keys, bundle) = read(folder)?;
            doorman.replace(keys, &bundle)?;
            before = now;
        }
    }
}

fn read(folder: &Path) -> Result<(Keys, Vec<u8>), Wrong> {
    let file = |name: &str| std::fs::read(folder.join(name));
    let keys = Keys::from_pem(&file("svid.pem")?, &file("svid.key")?)?;
    Ok((keys, file("bundle.pem")?))
}
