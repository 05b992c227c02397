//! The embedded store: one SQLite file, one thread that writes, a few connections that read.
//!
//! Promises: what [`Store`] promises, durable against a power cut (write-ahead log,
//! `synchronous=FULL`); one server for each file, as long as the [`Sqlite`] lives.
//! Refuses: foreign, newer, damaged and non-durable files, each with its own words.

mod backup;
mod cells;
mod checkup;
mod elevation_row;
mod elevations;
mod entries;
mod fault;
mod guards;
mod intents;
mod ledger;
mod meters;
mod minting;
mod operators;
mod place;
mod policies;
mod readers;
mod reasons;
mod remembered;
mod reserve;
mod retries;
mod schema;
mod standing;
mod tokens;
mod uses;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::attestation::Entry;
use crate::audit::{Event, SealedEvent};
use crate::elevation::Elevation;
use crate::id::{ElevationId, EntryId, EventNumber, OperatorId, PolicyVersion, TokenId};
use crate::identity::{SpiffeId, Subject};
use crate::scope::Scope;
use crate::store::sealed::Sealed;
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::ledger::Turn;
use crate::store::sqlite::place::{LOOK_OVER_STEPS_MAX, Lock};
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::remembered::Remembered;
use crate::store::sqlite::reserve::Reserve;
use crate::store::sqlite::writer::{Care, Writer};
use crate::store::{
    ActivatePolicy, ActivePolicy, Answer, CertificateRow, ElevationChange, ElevationFilter,
    ElevationRow, EventFilter, Intended, Intent, LedgerHead, Minting, NewElevation, NewOperator,
    NewToken, NewUses, Opened, OperatorRow, Outcome, Reason, Standing, Store, StoreError, TokenRow,
};
use crate::time::Timestamp;

pub use crate::store::sqlite::backup::{backup, restore};
pub use crate::store::sqlite::checkup::{Checkup, checkup};
pub use crate::store::sqlite::meters::Meters;

/// A store in one file.
pub struct Sqlite {
    // Fields are dropped in this order: the writer is the last connection, so that it leaves one
    // whole file, and the lock goes when nothing writes any more.
    /// For what an issuance or an end waits for.
    readers: Arc<Readers>,
    /// For pages of the ledger and of lists, so that an export never holds up an issuance or an
    /// end.
    searchers: Arc<Readers>,
    writer: Writer,
    reserve: Reserve,
    /// Facts between their changes.
    remembered: Arc<Remembered>,
    path: PathBuf,
    _lock: Lock,
}

impl Sqlite {
    /// Opens the store at `path`, and makes it where there is none. Blocks: call it at a start.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Place`], [`StoreError::Schema`],
    /// [`StoreError::Damaged`], or [`StoreError::Unavailable`] with the fault.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(path)?;
        if !path.try_exists().map_err(cannot("read its folder"))? {
            place::create(path)?;
        }
        let mut connection = place::writing(path)?;
        place::close_to_others(path)?;
        schema::migrate(&mut connection)?;
        place::look_over(&mut connection, LOOK_OVER_STEPS_MAX)?;
        let remembered = Arc::default();
        Ok(Self {
            readers: Readers::new(path, READERS),
            searchers: Readers::new(path, SEARCHERS),
            writer: Writer::start(path, connection, Arc::clone(&remembered))?,
            remembered,
            reserve: Reserve::beside(path),
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// What its writer measures, for as long as it is held.
    #[must_use]
    pub fn meters(&self) -> Meters {
        self.writer.meters.clone()
    }

    fn act<T, F>(&self, verb: F) -> Answer<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(self.writer.act(Care::MayTakeBack, verb))
    }

    /// For the acts of the hot path: a savepoint costs as much as one of their rows.
    fn act_at_once<T, F>(&self, verb: F) -> Answer<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(self.writer.act(Care::LooksFirst, verb))
    }

    fn ask<T, F>(&self, question: F) -> Answer<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(self.readers.ask(question))
    }

    fn search<T, F>(&self, question: F) -> Answer<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(self.searchers.ask(question))
    }
}

impl Sealed for Sqlite {}

impl Store for Sqlite {
    fn standing(
        &self,
        subject: Option<Subject>,
        elevation: Option<ElevationId>,
    ) -> Answer<'_, Standing> {
        if let (Some(subject), None) = (&subject, elevation)
            && let Some(known) = standing::from_memory(&self.remembered, subject)
        {
            return Box::pin(std::future::ready(Ok(known)));
        }
        // A few rows by their keys: to hand them to another thread costs more than to read them.
        let subject = subject.as_ref();
        let read = |on: &Connection| standing::standing(on, &self.remembered, subject, elevation);
        Box::pin(std::future::ready(self.readers.answer(read)))
    }

    fn intend(&self, intent: Intent) -> Answer<'_, Intended> {
        match self.reserve.allows(intent.event.kind()) {
            Err(short) => refused(short),
            Ok(()) => self.act_at_once(|turn| intents::intend(turn, intent)),
        }
    }

    fn conclude(&self, outcome: Outcome) -> Answer<'_, EventNumber> {
        self.act_at_once(|turn| intents::conclude(turn, outcome))
    }

    fn unfinished(&self, limit: u32) -> Answer<'_, Vec<Intended>> {
        self.ask(move |on| intents::unfinished(on, limit))
    }

    fn certificate(&self, intent: EventNumber) -> Answer<'_, Option<CertificateRow>> {
        self.ask(move |on| intents::certificate(on, intent))
    }

    fn open_elevation(&self, new: NewElevation) -> Answer<'_, Opened> {
        match self.reserve.check() {
            Err(short) => refused(short),
            Ok(()) => self.act(|turn| elevations::open(turn, new)),
        }
    }

    fn change_elevation(&self, change: ElevationChange) -> Answer<'_, EventNumber> {
        self.act(|turn| elevations::change(turn, change))
    }

    fn elevation(&self, id: ElevationId) -> Answer<'_, Option<ElevationRow>> {
        self.ask(move |on| elevations::elevation(on, id))
    }

    fn elevations(
        &self,
        filter: ElevationFilter,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<ElevationRow>> {
        self.search(move |on| elevations::list(on, filter, after, limit))
    }

    fn elevations_to_end(
        &self,
        filter: ElevationFilter,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<ElevationRow>> {
        self.ask(move |on| elevations::list(on, filter, after, limit))
    }

    fn open_elevations(
        &self,
        subject: &Subject,
        scope: Option<&Scope>,
        limit: u32,
    ) -> Answer<'_, Vec<Elevation>> {
        let read = |on: &Connection| elevations::open_for(on, subject, scope, limit);
        Box::pin(std::future::ready(self.readers.answer(read)))
    }

    fn due_elevations(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<Elevation>> {
        self.ask(move |on| elevations::due(on, now, limit))
    }

    fn note_uses(&self, uses: NewUses) -> Answer<'_, Vec<u32>> {
        match self.reserve.allows(uses.event.kind()) {
            Err(short) => refused(short),
            Ok(()) => self.act(move |turn| uses::note(turn, &uses)),
        }
    }

    fn idle_elevations(
        &self,
        scope: &Scope,
        since: Timestamp,
        limit: u32,
    ) -> Answer<'_, Vec<Elevation>> {
        let scope = scope.clone();
        self.ask(move |on| uses::idle(on, &scope, since, limit))
    }

    fn put_entry(&self, entry: Entry, event: Event) -> Answer<'_, Entry> {
        self.act(|turn| entries::put(turn, entry, event))
    }

    fn remove_entry(&self, id: EntryId, event: Event) -> Answer<'_, EventNumber> {
        self.act(move |turn| entries::remove(turn, id, event))
    }

    fn entry(&self, id: EntryId) -> Answer<'_, Option<Entry>> {
        self.ask(move |on| entries::entry(on, id))
    }

    fn entries(&self, after: Option<Subject>, limit: u32) -> Answer<'_, Vec<Entry>> {
        self.search(move |on| entries::list(on, after.as_ref(), limit))
    }

    fn entries_of(
        &self,
        agent: &SpiffeId,
        after: Option<Subject>,
        limit: u32,
    ) -> Answer<'_, Vec<Entry>> {
        let agent = agent.clone();
        self.search(move |on| entries::of_agent(on, &agent, after.as_ref(), limit))
    }

    fn create_token(&self, token: NewToken) -> Answer<'_, EventNumber> {
        self.act(|turn| tokens::create(turn, token))
    }

    fn token(&self, id: TokenId) -> Answer<'_, Option<TokenRow>> {
        self.ask(move |on| tokens::token(on, id))
    }

    fn tokens(&self, after: Option<EventNumber>, limit: u32) -> Answer<'_, Vec<TokenRow>> {
        self.search(move |on| tokens::list(on, after, limit))
    }

    fn remove_token(&self, id: TokenId, event: Event) -> Answer<'_, EventNumber> {
        self.act(move |turn| tokens::remove(turn, id, event))
    }

    fn create_operator(&self, operator: NewOperator) -> Answer<'_, EventNumber> {
        self.act(|turn| operators::create(turn, operator))
    }

    fn operator(&self, id: OperatorId) -> Answer<'_, Option<OperatorRow>> {
        self.ask(move |on| operators::operator(on, id))
    }

    fn has_operator(&self) -> Answer<'_, bool> {
        self.ask(operators::exist)
    }

    fn activate_policy(&self, policy: ActivatePolicy) -> Answer<'_, PolicyVersion> {
        self.act(|turn| policies::activate(turn, policy))
    }

    fn active_policy(&self) -> Answer<'_, Option<ActivePolicy>> {
        self.ask(policies::active)
    }

    fn set_minting(
        &self,
        stopped: bool,
        event: Event,
        reason: Option<Reason>,
    ) -> Answer<'_, Minting> {
        self.act(move |turn| minting::set(turn, stopped, event, reason.as_ref()))
    }

    fn minting(&self) -> Answer<'_, Minting> {
        self.ask(minting::minting)
    }

    fn append(&self, event: Event) -> Answer<'_, EventNumber> {
        match self.reserve.allows(event.kind()) {
            Err(short) => refused(short),
            Ok(()) => self.act_at_once(|turn| turn.record(event)),
        }
    }

    fn append_with(&self, event: Event, reason: Reason) -> Answer<'_, EventNumber> {
        self.act(move |turn| {
            reasons::keep(turn.connection(), &reason)?;
            turn.record(event)
        })
    }

    fn events(
        &self,
        filter: EventFilter,
        after: Option<EventNumber>,
        until: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<SealedEvent>> {
        self.search(move |on| ledger::events(on, filter, after, until, limit))
    }

    fn issued_from(
        &self,
        elevation: ElevationId,
        before: Option<EventNumber>,
        limit: u32,
    ) -> Answer<'_, Vec<SealedEvent>> {
        self.ask(move |on| ledger::issued_from(on, elevation, before, limit))
    }

    fn event(&self, number: EventNumber) -> Answer<'_, Option<SealedEvent>> {
        self.ask(move |on| ledger::event(on, number))
    }

    fn head(&self) -> Answer<'_, Option<LedgerHead>> {
        self.ask(ledger::head)
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, ()> {
        let (store, to) = (self.path.clone(), to.to_owned());
        Box::pin(async move {
            let copied = tokio::task::spawn_blocking(move || backup(&store, &to));
            copied.await.map_err(cannot("make a backup"))?
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        if let Err(short) = self.reserve.look() {
            return refused(short);
        }
        self.act(|turn| {
            turn.connection().prepare_cached(PROBE)?.execute([])?;
            Ok(())
        })
    }
}

fn refused<T: Send + 'static>(why: StoreError) -> Answer<'static, T> {
    Box::pin(std::future::ready(Err(why)))
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqlite").field(&self.path).finish()
    }
}

/// A write that means nothing: an empty transaction would not notice a full disk.
const PROBE: &str = "UPDATE probes SET count = count + 1";
/// Connections for questions of one walk; more would only wait for the processors.
const READERS: usize = 4;
/// Connections for pages and lists.
const SEARCHERS: usize = 2;
