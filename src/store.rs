//! What is remembered: bytes and events, no certificates.
//!
//! Promises: [`Store`] has verbs, not tables. Each verb is one complete act with its event, in
//! one transaction: either both are durable when it answers, or neither happened. Events are
//! numbered from 1 without gaps, in the order in which they became durable. A refused act never
//! fails its neighbours in the same group commit. Only this room makes `policy::Facts` and
//! [`Recorded`].
//! Refuses: acts whose facts have changed since they were decided on, a second spending of a
//! token, a serial that was used before, more than its named bounds.

mod act;
mod error;
mod record;
mod row;
pub mod sqlite;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use crate::attestation::Entry;
use crate::audit::{Event, SealedEvent};
use crate::elevation::Elevation;
use crate::id::{ElevationId, EntryId, EventNumber, OperatorId, PolicyVersion, TokenId};
use crate::identity::{SpiffeId, Subject};
use crate::scope::Scope;
use crate::time::Timestamp;

pub(crate) use crate::store::act::with_use;
pub use crate::store::act::{
    ActivatePolicy, ElevationChange, ElevationFilter, EventFilter, Intent, Mint, NewElevation,
    NewOperator, NewToken, NewUses, Outcome, Reason, RetryKey, USE_TOLD_EVERY,
};
pub use crate::store::error::StoreError;
pub use crate::store::record::{Leftover, Record, Recordable, Recorded, leftovers, record};
pub use crate::store::row::{
    ActivePolicy, CertificateRow, ElevationRow, Intended, LedgerHead, Minting, Opened, OperatorRow,
    Standing, TokenRow,
};

/// What a verb answers, once it is durable or read.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The memory of one authority. Implementations live in this room only.
pub trait Store: sealed::Sealed + Send + Sync {
    /// All that a decision about a subject, an elevation or both rests on, read at one moment.
    /// Without a subject, the entry is that of the elevation's subject.
    /// [`StoreError::NotFound`] while no policy is active.
    fn standing(
        &self,
        subject: Option<Subject>,
        elevation: Option<ElevationId>,
    ) -> Answer<'_, Standing>;

    /// Makes a planned certificate durable before it is signed; see [`record()`].
    ///
    /// In one transaction: every guard still holds, the serial is new, the token is unspent and
    /// now spent, the elevation is activated or its instance bound, the log index is written
    /// into the bytes, the event is sealed.
    fn intend(&self, intent: Intent) -> Answer<'_, Intended>;

    /// Makes the outcome of an intent durable, at most once for each intent.
    fn conclude(&self, outcome: Outcome) -> Answer<'_, EventNumber>;

    /// Intents without outcome, oldest first; at most `limit`.
    fn unfinished(&self, limit: u32) -> Answer<'_, Vec<Intended>>;

    /// The certificate that an intent came to, when it was issued.
    fn certificate(&self, intent: EventNumber) -> Answer<'_, Option<CertificateRow>>;

    /// Opens an elevation in the state that policy gave it.
    fn open_elevation(&self, new: NewElevation) -> Answer<'_, Opened>;

    /// Moves an elevation from the version that the change was made on; refused as
    /// [`StoreError::FactChanged`] when it has another by now.
    fn change_elevation(&self, change: ElevationChange) -> Answer<'_, EventNumber>;

    /// One elevation.
    fn elevation(&self, id: ElevationId) -> Answer<'_, Option<ElevationRow>>;

    /// Elevations in the order in which they were opened, after `after`; at most `limit`.
    fn elevations(
        &self,
        filter: ElevationFilter,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<ElevationRow>>;

    /// The same for who is about to end them: no list or search that somebody asks holds it up.
    fn elevations_to_end(
        &self,
        filter: ElevationFilter,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<ElevationRow>>;

    /// The open elevations of a subject, for one scope or all, newest first; at most `limit`.
    fn open_elevations(
        &self,
        subject: &Subject,
        scope: Option<&Scope>,
        limit: u32,
    ) -> Answer<'_, Vec<Elevation>>;

    /// Elevations whose running clock ran out at or before `now`; at most `limit`.
    fn due_elevations(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Elevation>>;

    /// Makes uses durable: each counts for every active elevation of its subject for its scope, and
    /// moves nothing but what is known of their use. Answers for each use, in their order, how many
    /// elevations that were.
    fn note_uses(&self, uses: NewUses) -> Answer<'_, Vec<u32>>;

    /// Active elevations for a scope that were activated at or before `since` and not used after
    /// it, those idle longest first; at most `limit`.
    fn idle_elevations(
        &self,
        scope: &Scope,
        since: Timestamp,
        limit: u32,
    ) -> Answer<'_, Vec<Elevation>>;

    /// Writes a registration entry: version 1 of a new subject, or the next version under the id
    /// that the subject has. Adds `entry` and `version` to the event.
    fn put_entry(&self, entry: Entry, event: Event) -> Answer<'_, Entry>;

    /// Removes a registration entry.
    fn remove_entry(&self, id: EntryId, event: Event) -> Answer<'_, EventNumber>;

    /// One registration entry.
    fn entry(&self, id: EntryId) -> Answer<'_, Option<Entry>>;

    /// Registration entries by subject, after `after`; at most `limit`.
    fn entries(&self, after: Option<Subject>, limit: u32) -> Answer<'_, Vec<Entry>>;

    /// Registration entries that name this agent, by subject, after `after`; at most `limit`.
    fn entries_of(
        &self,
        agent: &SpiffeId,
        after: Option<Subject>,
        limit: u32,
    ) -> Answer<'_, Vec<Entry>>;

    /// Remembers the digest of a new join token.
    fn create_token(&self, token: NewToken) -> Answer<'_, EventNumber>;

    /// One join token, spent or not.
    fn token(&self, id: TokenId) -> Answer<'_, Option<TokenRow>>;

    /// Join tokens in the order in which they were made, after `after`; at most `limit`.
    fn tokens(&self, after: Option<EventNumber>, limit: u32) -> Answer<'_, Vec<TokenRow>>;

    /// Removes an unspent join token.
    fn remove_token(&self, id: TokenId, event: Event) -> Answer<'_, EventNumber>;

    /// Remembers the digest of a new operator credential.
    fn create_operator(&self, operator: NewOperator) -> Answer<'_, EventNumber>;

    /// One operator credential.
    fn operator(&self, id: OperatorId) -> Answer<'_, Option<OperatorRow>>;

    /// Whether any operator credential exists.
    fn has_operator(&self) -> Answer<'_, bool>;

    /// Makes a policy bundle the one that decides; gives its version.
    fn activate_policy(&self, policy: ActivatePolicy) -> Answer<'_, PolicyVersion>;

    /// The policy bundle that decides.
    fn active_policy(&self) -> Answer<'_, Option<ActivePolicy>>;

    /// Stops minting or lets it go on; answers the new state.
    fn set_minting(
        &self,
        stopped: bool,
        event: Event,
        reason: Option<Reason>,
    ) -> Answer<'_, Minting>;

    /// Whether minting is stopped.
    fn minting(&self) -> Answer<'_, Minting>;

    /// Records an event that changes nothing else.
    fn append(&self, event: Event) -> Answer<'_, EventNumber>;

    /// Records an event that changes nothing else, with the text behind a commitment in it.
    fn append_with(&self, event: Event, reason: Reason) -> Answer<'_, EventNumber>;

    /// Events that match, in order, after `after` and up to and including `until`; at most
    /// `limit`.
    fn events(
        &self,
        filter: EventFilter,
        after: Option<EventNumber>,
        until: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<SealedEvent>>;

    /// Certificates that were issued from an elevation (`svid.issued`), newest first, before
    /// `before`; at most `limit`. No list or search that somebody asks holds it up.
    fn issued_from(
        &self,
        elevation: ElevationId,
        before: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<SealedEvent>>;

    /// One event.
    fn event(&self, number: EventNumber) -> Answer<'_, Option<SealedEvent>>;

    /// The newest event's number and time; none in an empty ledger.
    fn head(&self) -> Answer<'_, Option<LedgerHead>>;

    /// Writes a copy of the whole store to a new file while serving goes on.
    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()>;

    /// Whether the store can record right now: a write without meaning goes through, and there is
    /// room left. Without room, new intents and elevations, queries and refusals are refused from
    /// here on.
    fn probe(&self) -> Answer<'_, ()>;
}

mod sealed {
    /// Keeps implementations of `Store` in this room.
    #[expect(
        unnameable_types,
        reason = "that nobody else can name it is its purpose"
    )]
    pub trait Sealed {}
}
