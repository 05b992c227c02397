//! One `GET` over one fresh connection.
//!
//! Promises: from the first look-up to the last byte it takes at most [`EXCHANGE_MAX`]; the address
//! that is connected to is the one that was checked.
//! Refuses: every answer but 200, and bodies above [`BODY_BYTES_MAX`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::keyset::public::is_public;
use crate::keyset::{KeySourceError, Location};

/// How to ask.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) private_addresses: bool,
}

impl Exchange {
    /// What is at the location.
    pub(crate) async fn get(&self, location: &Location) -> Result<Vec<u8>, KeySourceError> {
        let answer = timeout(EXCHANGE_MAX, self.converse(location)).await;
        answer.unwrap_or_else(|_| Err(KeySourceError::TimedOut(location.to_string())))
    }

    async fn converse(&self, location: &Location) -> Result<Vec<u8>, KeySourceError> {
        let broken = |error| KeySourceError::Broken(location.to_string(), error);
        let stream = self.connect(location).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(BODY_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = Request::get(location.path_and_query())
            .header(HOST, location.authority())
            .header(USER_AGENT, concat!("protem/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .body(Empty::<Bytes>::new());
        let request = request.map_err(|error| unreachable(location, io::Error::other(error)))?;
        let exchange = async move {
            let answer = sender.send_request(request).await.map_err(broken)?;
            if answer.status() != StatusCode::OK {
                let status = answer.status().as_u16();
                return Err(KeySourceError::Status(location.to_string(), status));
            }
            let body = Limited::new(answer.into_body(), BODY_BYTES_MAX)
                .collect()
                .await;
            match body {
                Ok(body) => Ok(body.to_bytes().to_vec()),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(KeySourceError::TooLarge(location.to_string()))
                }
                Err(error) => Err(unreachable(location, io::Error::other(error))),
            }
        };
        let mut exchange = std::pin::pin!(exchange);
        // The connection does the work; when it ends first, what it received is still to be read.
        tokio::select! {
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }

    async fn connect(&self, location: &Location) -> Result<TlsStream<TcpStream>, KeySourceError> {
        let failed = |error| unreachable(location, error);
        let name = ServerName::try_from(location.host().to_owned());
        let name = name.map_err(|error| failed(io::Error::other(error)))?;
        let found = lookup_host((location.host(), location.port())).await;
        let found: Vec<SocketAddr> = found.map_err(failed)?.collect();
        // One inside is enough to refuse: which of several is taken is the resolver's choice.
        let inside = |address: &SocketAddr| !is_public(address.ip());
        if !self.private_addresses && found.iter().any(inside) {
            return Err(KeySourceError::PrivateAddress(location.to_string()));
        }
        // These addresses, and not those of another look-up.
        let stream = TcpStream::connect(found.as_slice()).await.map_err(failed)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(name, stream).await.map_err(failed)
    }
}

fn unreachable(location: &Location, error: io::Error) -> KeySourceError {
    KeySourceError::Unreachable(location.to_string(), error)
}

/// The largest document that is read.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1_024;
const EXCHANGE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use tokio::net::TcpListener;

    use super::*;

    /// T4: nobody waits for an issuer that takes connections and says nothing.
    #[tokio::test(start_paused = true)]
    async fn a_silent_issuer_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/keys", silent.local_addr().unwrap());
        let tls = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let tls = tls
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let roots = RootCertStore::empty();
        let exchange = Exchange {
            tls: Arc::new(tls.with_root_certificates(roots).with_no_client_auth()),
            private_addresses: true,
        };
        let answer = exchange.get(&url.parse().unwrap()).await;
        assert!(
            matches!(answer, Err(KeySourceError::TimedOut(_))),
            "{answer:?}"
        );
    }
}
