//! Who else is let in, as configured: the desks of token issuers with the rounds that read their
//! keys, and the bundles of foreign trust domains with the round that reads them.
//!
//! Promises: keys are read on tasks of their own, never for a caller; an issuer that is away stops
//! nothing but its own tokens. Files that are configured must be there at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{IssuerConfig, ServerConfig};
use crate::identity::TrustDomain;
use crate::keyset::{KeySource, KeySourceError, KeysFrom};
use crate::lifecycle::Lifecycle;
use crate::server::bundles::Bundles;
use crate::server::start::StartError;
use crate::service::Service;
use crate::service::callers::{IssuerDesk, Strangers};
use crate::time::Clock;

/// The desks of the configured issuers, each with the source of its keys.
pub(crate) struct Desks(Vec<(Arc<IssuerDesk>, KeySource)>);

impl Desks {
    /// Makes the desks; keys that lie in files are read at once.
    pub(crate) async fn open(
        config: &[IssuerConfig],
        clock: &dyn Clock,
    ) -> Result<Self, KeySourceError> {
        let mut desks = Vec::new();
        for one in config {
            let url = one.issuer.terms().issuer.clone();
            let source = KeySource::new(url, one.keys.clone(), &one.roots, one.private_addresses)?;
            let desk = Arc::new(IssuerDesk::new(one.issuer.clone()));
            if matches!(one.keys, KeysFrom::File(_)) {
                desk.tried(Some(source.read().await?), clock.now());
            }
            desks.push((desk, source));
        }
        Ok(Self(desks))
    }

    /// What the service knows of strangers.
    pub(crate) fn strangers(&self, config: &ServerConfig) -> Strangers {
        let foreign = config.foreign.iter().map(|one| one.domain.clone());
        let issuers = self.0.iter().map(|(desk, _)| Arc::clone(desk));
        Strangers {
            foreign: foreign.collect(),
            issuers: issuers.collect(),
        }
    }

    /// Reads keys now, when somebody wishes for newer ones, and in rounds.
    pub(crate) fn run(self, lifecycle: &Lifecycle, clock: &Arc<dyn Clock>) {
        for (desk, source) in self.0 {
            let (stop, clock) = (lifecycle.stop.clone(), Arc::clone(clock));
            lifecycle.tracker.spawn(async move {
                loop {
                    let read = tokio::select! {
                        read = source.read() => read,
                        () = stop.cancelled() => return,
                    };
                    tell(&desk, &read);
                    desk.tried(read.ok(), clock.now());
                    tokio::select! {
                        () = tokio::time::sleep(KEYS_READ_EVERY) => {}
                        () = desk.wished() => {}
                        () = stop.cancelled() => return,
                    }
                }
            });
        }
    }
}

/// The bundles of other authorities, and the round that reads them again.
pub(crate) fn bundles(
    config: &ServerConfig,
    service: &Arc<Service>,
    lifecycle: &Lifecycle,
) -> Result<Arc<Bundles>, StartError> {
    let own = (config.trust_domain.clone(), config.own_bundle.clone());
    let own = [own].into_iter().filter(|(_, files)| !files.is_empty());
    let foreign = config.foreign.iter();
    let foreign = foreign.map(|one| (one.domain.name().clone(), one.bundle.clone()));
    let files: BTreeMap<TrustDomain, Vec<PathBuf>> = own.chain(foreign).collect();
    let bundles = Arc::new(Bundles::open(files, service.authority())?);
    service.take_up_roots(bundles.roots_but_of(&config.trust_domain));
    if !bundles.is_empty() {
        let (round, service) = (Arc::clone(&bundles), Arc::clone(service));
        lifecycle.repeat(BUNDLES_READ_EVERY, move || {
            match round.reread(service.authority()) {
                Ok(true) => {
                    let own = service.authority().trust_domain();
                    service.take_up_roots(round.roots_but_of(own));
                    tracing::info!("the bundles of other trust domains changed");
                }
                Ok(false) => {}
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        "the bundles of other trust domains stay as they were"
                    );
                }
            }
            std::future::ready(())
        });
    }
    Ok(bundles)
}

fn tell<T>(desk: &IssuerDesk, read: &Result<T, KeySourceError>) {
    let issuer = &desk.issuer().terms().issuer;
    match read {
        Ok(_) => tracing::debug!(issuer, "keys read"),
        Err(error) => {
            let error: &dyn std::error::Error = error;
            tracing::warn!(
                issuer,
                error,
                "keys not read; those before stay until too old"
            );
        }
    }
}

const KEYS_READ_EVERY: Duration = Duration::from_mins(5);
const BUNDLES_READ_EVERY: Duration = Duration::from_secs(2);
