//! How the server is reached: where it listens, under which URL.
//!
//! Promises: a port that is taken is told with its address.
//! Refuses: to guess a name that the certificate does not bear, while it bears one.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::ServerConfig;
use crate::server::start::StartError;

/// How clients on this machine reach the server under a name that its certificate bears: where it
/// listens, else the machine itself, else its first name.
pub(crate) fn local_url(config: &ServerConfig, address: SocketAddr) -> String {
    let (names, addresses) = (&config.dns_names, &config.ip_addresses);
    let loopback = addresses.iter().find(|ip| ip.is_loopback());
    let listening = addresses.iter().find(|ip| **ip == address.ip());
    let any = address.ip().is_unspecified();
    let local = |name: &&String| any && *name == "localhost";
    let ip = listening.or_else(|| loopback.filter(|_| any));
    if let Some(ip) = ip {
        return format!("https://{}", SocketAddr::new(*ip, address.port()));
    }
    let name = names.iter().find(local).or_else(|| names.first());
    match name {
        Some(name) => format!("https://{name}:{}", address.port()),
        None => format!("https://{address}"),
    }
}

/// Listens, and says where: port 0 is any free one.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(address, error);
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}
