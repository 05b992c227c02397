//! One tower service behind a doorman.
//!
//! Promises: every request carries its [`Peer`](crate::enforce::Peer); a peer that does not shake
//! hands holds nobody up; connections beyond [`CONNECTIONS_MAX`] wait to be accepted; where the
//! future `stop` ends, what is under way ends within [`GRACE`].
//! Refuses: to tell a peer why it was refused; the log does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt as _};

use crate::enforce::doorman::Doorman;

/// Serves until `stop` ends: HTTP/1.1 and HTTP/2, so gRPC too.
///
/// # Errors
/// When the listener is of no use any more.
pub async fn serve<S, B>(
    listener: TcpListener,
    doorman: Arc<Doorman>,
    service: S,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let seat = tokio::select! {
            seat = Arc::clone(&seats).acquire_owned() => seat.map_err(io::Error::other)?,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (doorman, service) = (Arc::clone(&doorman), service.clone());
                open.spawn(async move {
                    connection(stream, &doorman, service).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let rest = async { while open.join_next().await.is_some() {} };
    let _ = timeout(GRACE, rest).await;
    Ok(())
}

async fn connection<S, B>(stream: TcpStream, doorman: &Doorman, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = match doorman.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::info!(error, "a peer was turned away");
            return;
        }
    };
    let peer = Arc::clone(stream.peer());
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert((*peer).clone());
        request
    });
    let service = TowerToHyperService::new(service);
    let builder = Builder::new(TokioExecutor::new());
    // How a connection ends, its peer knows.
    let _ = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

/// Connections at once; each takes a file of the process.
const CONNECTIONS_MAX: usize = 10_000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long what is under way may go on after the stop.
const GRACE: Duration = Duration::from_secs(10);
