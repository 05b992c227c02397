//! The socket for Envoys: secrets, the deny list, access logs.
//!
//! Promises: one server for all three, with a bound on each message, stream and window, so that
//! what one connection can make the agent hold is known; each call has a seat before anything of
//! its request is read. No header is asked for: Envoy sends none
//! (facts/mesh.md 4.1), and the socket is no place that a browser reaches.
//! Refuses: to listen: whoever serves this brings connections that say who calls.

#[cfg(test)]
mod forge;
#[cfg(test)]
pub(crate) mod held;
#[cfg(test)]
mod mesh;
#[cfg(test)]
pub(crate) mod stage;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::agent::caller::Caller;
use crate::agent::deny_list::{DenyList, DenyLists};
use crate::agent::keeper::Keeper;
use crate::agent::sds::{Options, Sds};
use crate::agent::seated::{Room, Seated, Until};
use crate::agent::seats::{Seats, SeatsMax};
use crate::agent::uses::{AccessLogs, Uses};
use crate::agent::xds::{Lean, Pot, Streams};
use crate::proto::access_log::access_log_service_server::AccessLogServiceServer;
use crate::proto::extension::extension_config_discovery_service_server as ecds_server;
use crate::proto::secret::secret_discovery_service_server::SecretDiscoveryServiceServer;
use crate::time::Clock;

/// What the services for Envoys need.
pub(crate) struct Parts {
    /// Who keeps the SVIDs.
    pub(crate) keeper: Keeper,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    /// What an operator sets.
    pub(crate) options: Options,
    /// The newest deny list.
    pub(crate) deny_list: watch::Receiver<Arc<DenyList>>,
    /// Where uses are counted.
    pub(crate) uses: Arc<Uses>,
    /// The open streams.
    pub(crate) streams: Arc<Streams>,
    /// Ends every stream.
    pub(crate) stop: CancellationToken,
}

/// The services for Envoys, for connections whose connect info is `P`.
pub(crate) fn router<P: Caller>(parts: Parts) -> Router {
    let Parts {
        keeper,
        clock,
        options,
        deny_list,
        uses,
        streams,
        stop,
    } = parts;
    let secrets = Sds::<P>::new(
        keeper.clone(),
        clock.clone(),
        options,
        streams.clone(),
        stop.clone(),
    );
    let (discovery, reports) = rooms(&streams);
    let denied = DenyLists::<P>::new(
        deny_list,
        clock.clone(),
        keeper.clone(),
        streams.clone(),
        stop.clone(),
    );
    let logs = AccessLogs::<P>::new(uses, keeper, clock, streams, stop);
    let secrets =
        SecretDiscoveryServiceServer::new(secrets).max_decoding_message_size(DISCOVERY_BYTES_MAX);
    let denied = ecds_server::ExtensionConfigDiscoveryServiceServer::new(denied)
        .max_decoding_message_size(DISCOVERY_BYTES_MAX);
    let logs = AccessLogServiceServer::new(logs).max_decoding_message_size(LOG_BYTES_MAX);
    let pot = Arc::<Pot>::default();
    let secrets = Lean::<_, P>::new(secrets, DISCOVERY_BYTES_MAX, &pot);
    let denied = Lean::<_, P>::new(denied, DISCOVERY_BYTES_MAX, &pot);
    let logs = Lean::<_, P>::new(logs, LOG_BYTES_MAX, &pot);
    Server::builder()
        .max_concurrent_streams(STREAMS_OF_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .add_service(Seated::<_, P>::new(secrets, &discovery))
        .add_service(Seated::<_, P>::new(denied, &discovery))
        .add_service(Seated::<_, P>::new(logs, &reports))
}

/// Where calls of discovery sit, and access logs.
fn rooms(streams: &Streams) -> (Room, Room) {
    let (seats, refused) = streams.seats();
    let discovery = Room {
        single: Seats::new(SeatsMax::of(SINGLE_MAX, SINGLE_OF_PROCESS_MAX)),
        streamed: seats,
        until: Until::Gone,
        refused: refused.clone(),
        full,
    };
    let logs = Seats::new(SeatsMax::of(LOGS_MAX, LOGS_OF_PROCESS_MAX));
    let reports = Room::of(logs, Until::Gone, refused, full);
    (discovery, reports)
}

fn full() -> Status {
    Status::resource_exhausted("too many streams are open: close some, or share them")
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A request of discovery carries the whole node, with all extensions that the Envoy has: of 1.40
/// about 60 KiB, and what a mesh adds.
const DISCOVERY_BYTES_MAX: usize = 256 * 1_024;
/// Envoy gathers 16 KiB unless it is told otherwise, but one entry may be larger.
const LOG_BYTES_MAX: usize = 512 * 1_024;
/// Envoy opens another connection when one is full.
const STREAMS_OF_CONNECTION_MAX: u32 = 1_024;
/// Single requests at once: no Envoy makes one.
const SINGLE_MAX: usize = 1_024;
const SINGLE_OF_PROCESS_MAX: usize = 64;
/// Access logs: an Envoy has one for each worker and log, and each holds room for a message.
const LOGS_MAX: usize = 2_048;
const LOGS_OF_PROCESS_MAX: usize = 512;
const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
/// What nobody here has read yet is held for each connection, of thousands.
const CONNECTION_WINDOW_BYTES: u32 = 128 * 1_024;
/// Of an Envoy some hundred bytes.
const HEADERS_BYTES_MAX: u32 = 4 * 1_024;

#[cfg(test)]
mod tests;
