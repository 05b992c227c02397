//! What can be asked of a server, one function for each resource and act of REST `/v1`.
//!
//! Promises: each takes and gives the shapes of [`crate::wire`] and names its path once.
//! Refuses: to interpret: what an answer means is its reader's.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use http::Method;

use crate::client::call::{Call, path_part};
use crate::client::{Client, ClientError};
use crate::id::hex;
use crate::time::Seconds;
use crate::wire::bundle::{BundleQuery, BundleView};
use crate::wire::elevation::{
    CancelRequest, ElevationQuery, ElevationRequest, ElevationView, ReasonRequest,
    RevocationRequest, RevocationView, WaitQuery,
};
use crate::wire::entry::{EntryRequest, EntryView};
use crate::wire::event::{EventDetail, EventQuery, EventView};
use crate::wire::minting::MintingView;
use crate::wire::page::{Page, PageQuery};
use crate::wire::policy::{
    ExplainRequest, PolicyActivated, PolicyFiles, PolicyRequest, PolicyView,
};
use crate::wire::svid::{SvidBatchRequest, SvidBatchView, SvidRequest, SvidView};
use crate::wire::token::{TokenIssued, TokenRequest, TokenView};
use crate::wire::uses::{UsesRequest, UsesView};
use crate::wire::verdict::OutlookAnswer;
use crate::x509::{CHAIN_BYTES_MAX, Certificate, read_chain};

/// Every function below fails as [`ClientError`] says.
#[expect(
    clippy::missing_errors_doc,
    reason = "all fail alike; said once, above the block"
)]
impl Client {
    /// Asks for an SVID; a repetition gives the recorded one.
    pub async fn mint(&self, request: &SvidRequest) -> Result<SvidView, ClientError> {
        let key = hex::text(&self.entropy.bytes::<16>());
        let call = Call::new(Method::POST, "/v1/svids").with_body(request);
        self.ask(call.with_key(key)).await
    }

    /// Asks for many SVIDs at once; a repetition gives the recorded ones, item by item: each has
    /// the batch's key and its place, so the items and their order must stay.
    pub async fn mint_batch(
        &self,
        request: &SvidBatchRequest,
    ) -> Result<SvidBatchView, ClientError> {
        let key = hex::text(&self.entropy.bytes::<16>());
        let call = Call::new(Method::POST, "/v1/svids/batch").with_body(request);
        self.ask(call.with_key(key)).await
    }

    /// Opens an elevation; a repetition gives the recorded one. `request.dry_run` must not be set.
    pub async fn elevate(&self, request: &ElevationRequest) -> Result<ElevationView, ClientError> {
        let key = hex::text(&self.entropy.bytes::<16>());
        let call = Call::new(Method::POST, "/v1/elevations").with_body(request);
        self.ask(call.with_key(key)).await
    }

    /// Asks what opening an elevation would answer. `request.dry_run` must be set.
    pub async fn suppose(&self, request: &ElevationRequest) -> Result<OutlookAnswer, ClientError> {
        let call = Call::new(Method::POST, "/v1/elevations").with_body(request);
        self.ask(call).await
    }

    /// One elevation.
    pub async fn elevation(&self, id: &str) -> Result<ElevationView, ClientError> {
        self.ask(Call::new(Method::GET, elevation_path(id, "")))
            .await
    }

    /// Elevations.
    pub async fn elevations(
        &self,
        query: &ElevationQuery,
    ) -> Result<Page<ElevationView>, ClientError> {
        let call = Call::new(Method::GET, "/v1/elevations").with_query(query);
        self.ask(call).await
    }

    /// One elevation as soon as its state is another than `state`, or after `longest`.
    pub async fn wait_elevation(
        &self,
        id: &str,
        state: &str,
        longest: Seconds,
    ) -> Result<ElevationView, ClientError> {
        let query = WaitQuery {
            timeout: Some(longest.to_string()),
            state: Some(state.to_owned()),
        };
        let call = Call::new(Method::GET, elevation_path(id, "/wait")).with_query(&query);
        self.ask(call.waiting(longest.duration())).await
    }

    /// Takes back one's own elevation.
    pub async fn cancel(&self, id: &str) -> Result<ElevationView, ClientError> {
        let call = Call::new(Method::POST, elevation_path(id, "/cancel"));
        self.ask(call.with_body(&CancelRequest {})).await
    }

    /// Ends one elevation.
    pub async fn revoke_one(&self, id: &str, reason: &str) -> Result<ElevationView, ClientError> {
        let call = Call::new(Method::POST, elevation_path(id, "/revoke"));
        self.ask(call.with_body(&because(reason))).await
    }

    /// Ends many elevations.
    pub async fn revoke(&self, request: &RevocationRequest) -> Result<RevocationView, ClientError> {
        let call = Call::new(Method::POST, "/v1/revocations").with_body(request);
        self.ask(call).await
    }

    /// Tells what the access logs of servers show; where no answer comes, all of it may come again.
    pub async fn report_uses(&self, request: &UsesRequest) -> Result<UsesView, ClientError> {
        let call = Call::new(Method::POST, "/v1/uses").with_body(request);
        self.ask(call).await
    }

    /// Whether the server mints.
    pub async fn minting(&self) -> Result<MintingView, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/minting")).await
    }

    /// Lets the server mint again.
    pub async fn release_minting(&self, reason: &str) -> Result<MintingView, ClientError> {
        let call = Call::new(Method::POST, "/v1/minting/release");
        self.ask(call.with_body(&because(reason))).await
    }

    /// Says that the server's clock is right.
    pub async fn accept_clock(&self, reason: &str) -> Result<MintingView, ClientError> {
        let call = Call::new(Method::POST, "/v1/clock/accept");
        self.ask(call.with_body(&because(reason))).await
    }

    /// Registers a workload, or changes what is registered for its subject.
    pub async fn put_entry(&self, request: &EntryRequest) -> Result<EntryView, ClientError> {
        let call = Call::new(Method::PUT, "/v1/entries").with_body(request);
        self.ask(call).await
    }

    /// One registration entry.
    pub async fn entry(&self, id: &str) -> Result<EntryView, ClientError> {
        let path = format!("/v1/entries/{}", path_part(id));
        self.ask(Call::new(Method::GET, path)).await
    }

    /// Registration entries.
    pub async fn entries(&self, query: &PageQuery) -> Result<Page<EntryView>, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/entries").with_query(query))
            .await
    }

    /// Removes one registration entry.
    pub async fn remove_entry(&self, id: &str) -> Result<(), ClientError> {
        let path = format!("/v1/entries/{}", path_part(id));
        self.send(Call::new(Method::DELETE, path)).await.map(|_| ())
    }

    /// Makes a join token.
    pub async fn create_token(&self, request: &TokenRequest) -> Result<TokenIssued, ClientError> {
        let call = Call::new(Method::POST, "/v1/tokens").with_body(request);
        self.ask(call).await
    }

    /// Join tokens that wait, without their secrets.
    pub async fn tokens(&self, query: &PageQuery) -> Result<Page<TokenView>, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/tokens").with_query(query))
            .await
    }

    /// Removes one join token.
    pub async fn remove_token(&self, id: &str) -> Result<(), ClientError> {
        let path = format!("/v1/tokens/{}", path_part(id));
        self.send(Call::new(Method::DELETE, path)).await.map(|_| ())
    }

    /// The trust bundle as a JWK set.
    pub async fn bundle_jwks(&self) -> Result<BundleView, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/bundle")).await
    }

    /// The trust bundle as certificates.
    pub async fn bundle_roots(&self) -> Result<Vec<Certificate>, ClientError> {
        let query = BundleQuery {
            format: Some("pem".to_owned()),
        };
        let call = Call::new(Method::GET, "/v1/bundle").with_query(&query);
        let answer = self.send(call.accepting("application/x-pem-file")).await?;
        read_roots(&answer.body, || format!("of {}", self.address))
    }

    /// Events.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<EventView>, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/events").with_query(query))
            .await
    }

    /// One event with its exact bytes.
    pub async fn event(&self, number: u64) -> Result<EventDetail, ClientError> {
        self.ask(Call::new(Method::GET, format!("/v1/events/{number}")))
            .await
    }

    /// All events as NDJSON, piece by piece as they arrive.
    pub async fn export_events(
        &self,
        query: &EventQuery,
        sink: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<(), ClientError> {
        let call = Call::new(Method::GET, "/v1/events").with_query(query);
        let call = call.accepting("application/x-ndjson");
        self.stream(call.waiting(EXPORT_LONGEST), sink).await
    }

    /// Activates a policy bundle.
    pub async fn activate_policy(
        &self,
        request: &PolicyRequest,
    ) -> Result<PolicyActivated, ClientError> {
        let call = Call::new(Method::POST, "/v1/policy").with_body(request);
        self.ask(call).await
    }

    /// The active policy.
    pub async fn policy(&self) -> Result<PolicyView, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/policy")).await
    }

    /// The files of the active policy.
    pub async fn policy_files(&self) -> Result<PolicyFiles, ClientError> {
        self.ask(Call::new(Method::GET, "/v1/policy/files")).await
    }

    /// What the active policy would answer.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<OutlookAnswer, ClientError> {
        let call = Call::new(Method::POST, "/v1/policy/explain").with_body(request);
        self.ask(call).await
    }
}

/// Reads roots in PEM; `from` names them in an error.
///
/// # Errors
/// [`ClientError::BundleContent`].
pub fn read_roots(
    pem: &[u8],
    from: impl FnOnce() -> String,
) -> Result<Vec<Certificate>, ClientError> {
    read_chain(pem).map_err(|source| ClientError::BundleContent {
        from: from(),
        source,
    })
}

pub(crate) fn roots_of_file(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let wrong = |source| ClientError::Bundle {
        path: path.to_owned(),
        source,
    };
    let longest = u64::try_from(CHAIN_BYTES_MAX).unwrap_or(u64::MAX);
    let mut pem = Vec::new();
    fs::File::open(path)
        .map_err(wrong)?
        .take(longest.saturating_add(1))
        .read_to_end(&mut pem)
        .map_err(wrong)?;
    read_roots(&pem, || format!("`{}`", path.display()))
}

fn elevation_path(id: &str, act: &str) -> String {
    format!("/v1/elevations/{}{act}", path_part(id))
}

fn because(reason: &str) -> ReasonRequest {
    ReasonRequest {
        reason: reason.to_owned(),
    }
}

/// A whole ledger may take this long to arrive.
const EXPORT_LONGEST: Duration = Duration::from_hours(1);
