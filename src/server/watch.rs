//! The look after the server: can it do its work, and who is told.
//!
//! Promises: in rounds it asks what `/readyz` answers, so that a probe costs nothing: a write goes
//! through the store's one writer, the clock is trusted, a policy is in force. A store that does
//! not answer in time is not ready either. The service manager hears `READY=1` with the first good
//! look after the doors are open, and a sign of life for every look that the store answered,
//! whatever it answered: a stuck writer or runtime is what a new start may heal; a full disk, a
//! clock in doubt and a missing policy are not.
//! Refuses: to be given up as too slow to start while it waits for a person's word.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::timeout;

use crate::api::health::Probes;
use crate::api::traffic::Traffic;
use crate::lifecycle::{Lifecycle, Supervisor};
use crate::metric::Sheet;
use crate::metric::table::{BUILD, READY, SERVER_NOT_AFTER};
use crate::server::certificate::ServerCertificate;
use crate::service::{Service, ServiceError};
use crate::store::sqlite::Meters;

/// The look after one server.
pub(crate) struct Watch {
    service: Arc<Service>,
    supervisor: Supervisor,
    /// Written by looks alone.
    found: RwLock<Found>,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// All is well.
    Ready,
    /// The store did not answer in time.
    Silent,
    /// The store answered, and something is missing.
    Unready(String),
    /// A person must decide.
    WaitsForPerson(String),
}

impl Watch {
    /// Looks for the first time, before anybody can ask.
    pub(crate) async fn begin(service: Arc<Service>) -> Arc<Self> {
        let watch = Self {
            service,
            supervisor: Supervisor::of_process(),
            found: RwLock::new(Found::Ready),
        };
        let found = watch.look().await;
        // A missing policy is told by `serve`; `dev` is about to bring one.
        if found != watch.found() && watch.service.in_force().is_ok() {
            found.log();
        }
        watch.take(found);
        Arc::new(watch)
    }

    /// Tells what the first look found, and goes on looking until the stop.
    pub(crate) fn go_on(self: &Arc<Self>, lifecycle: &Lifecycle) {
        self.tell();
        let watch = Arc::clone(self);
        lifecycle.repeat(self.pause(), move || {
            let watch = Arc::clone(&watch);
            async move {
                let found = watch.look().await;
                if found != watch.found() {
                    found.log();
                }
                watch.take(found);
                watch.tell();
            }
        });
    }

    /// Tells the service manager that the server is ending.
    pub(crate) fn stopping(&self) {
        self.supervisor.stopping();
    }

    /// What the probes answer; the metrics are those of all rooms.
    pub(crate) fn probes(
        self: &Arc<Self>,
        certificate: Arc<ServerCertificate>,
        store: Meters,
        traffic: Traffic,
    ) -> Probes {
        let (ready, measured) = (Arc::clone(self), Arc::clone(self));
        Probes {
            unready: Arc::new(move || {
                let reason = ready.reason();
                Box::pin(std::future::ready(reason.into_iter().collect()))
            }),
            metrics: Arc::new(move || {
                let mut sheet = Sheet::default();
                measured.show_metrics(&mut sheet);
                measured.service.show_metrics(&mut sheet);
                traffic.show_metrics(&mut sheet);
                store.show_metrics(&mut sheet);
                let end = SERVER_NOT_AFTER.gauge();
                end.set(certificate.not_after().unix_s());
                end.on(&mut sheet);
                sheet.text()
            }),
        }
    }

    /// Why the server cannot do its work: of the store as the last look found it, of what a person
    /// must decide as it is now.
    fn reason(&self) -> Option<String> {
        match self.found() {
            found @ (Found::Silent | Found::Unready(_)) => found.reason(),
            Found::Ready | Found::WaitsForPerson(_) => {
                self.service.willing().err().map(|error| error.to_string())
            }
        }
    }

    async fn look(&self) -> Found {
        let asked = timeout(self.patience(), self.service.ready()).await;
        let found = match asked {
            Err(_) => Found::Silent,
            Ok(Ok(())) => Found::Ready,
            Ok(Err(error @ (ServiceError::ClockInDoubt(_) | ServiceError::NoPolicy))) => {
                Found::WaitsForPerson(error.to_string())
            }
            Ok(Err(error)) => Found::Unready(error.to_string()),
        };
        // Where it fails, the look has found out why, or the next one does.
        let _ = timeout(self.patience(), self.service.measure()).await;
        found
    }

    fn tell(&self) {
        let found = self.found();
        if found != Found::Silent {
            self.supervisor.alive();
        }
        match &found {
            Found::Ready => self.supervisor.ready("ready"),
            Found::Silent | Found::Unready(_) => {}
            Found::WaitsForPerson(_) => self.supervisor.wait_for_person(PERSON_PATIENCE),
        }
        if let Some(why) = found.reason() {
            self.supervisor.unready(&format!("not ready: {why}"));
        }
    }

    fn show_metrics(&self, sheet: &mut Sheet) {
        let build = BUILD.gauges();
        build.set(env!("CARGO_PKG_VERSION"), 1);
        build.on(sheet);
        let ready = READY.gauge();
        ready.set(i64::from(self.reason().is_none()));
        ready.on(sheet);
    }

    fn take(&self, found: Found) {
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn found(&self) -> Found {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    /// Four looks in the time after which the manager gives the server up.
    fn pause(&self) -> Duration {
        let watchdog = self.supervisor.watchdog();
        watchdog.map_or(LOOK_EVERY, |longest| LOOK_EVERY.min(longest / 4))
    }

    fn patience(&self) -> Duration {
        let watchdog = self.supervisor.watchdog();
        watchdog.map_or(LOOK_PATIENCE, |longest| LOOK_PATIENCE.min(longest / 2))
    }
}

impl Found {
    fn log(&self) {
        if let Some(why) = self.reason() {
            tracing::warn!(why, "not ready");
        } else {
            tracing::info!("ready");
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Silent => Some("the store does not answer".to_owned()),
            Self::Unready(why) | Self::WaitsForPerson(why) => Some(why.clone()),
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the store may take for one write before it counts as silent.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// By how much each look moves the end of the manager's patience with a start.
const PERSON_PATIENCE: Duration = Duration::from_mins(1);
