//! `protem.agent.v1.Agents/Watch`: what concerns an agent, told for as long as it listens.
//!
//! Promises: a stream lives as long as the caller's certificate, and ends at once, in words, when
//! the server stops. Nothing is read ahead of a peer that does not listen.
//! Refuses: everybody whom [`crate::service::agents`] refuses.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use http::Extensions;
use tonic::{Response, Status};

use crate::api::extract::known;
use crate::api::listener::{Lasting, LastingStream};
use crate::api::problem::Problem;
use crate::api::request::Noted;
use crate::elevation::{Elevation, End, Instances, State};
use crate::proto::agent;
use crate::proto::agent::agents_server::Agents;
use crate::proto::agent::change::What;
use crate::proto::agent::elevation::Instances as WireInstances;
use crate::service::Service;
use crate::service::agents::{Telling, Watch};
use crate::time::Timestamp;
use crate::wire::problem::ProblemKind;

/// Who answers agents.
pub(crate) struct AgentsDesk {
    service: Arc<Service>,
}

/// One stream that is open.
struct Open {
    service: Arc<Service>,
    watch: Watch,
    noted: Option<Noted>,
    lasting: Option<LastingStream>,
}

type Told = Result<agent::Change, Status>;

impl AgentsDesk {
    pub(crate) const fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    async fn open(
        &self,
        extensions: &Extensions,
        headers: &http::HeaderMap,
        asked: &agent::WatchRequest,
    ) -> Result<Open, Problem> {
        let call = known(extensions, headers, &self.service).await?;
        let watch = self.service.watch(&call, asked.deny_list).await?;
        let version = shown(&asked.version);
        tracing::info!(caller = %call.caller, version, "an agent watches");
        Ok(Open {
            service: Arc::clone(&self.service),
            watch,
            noted: extensions.get::<Noted>().cloned(),
            lasting: extensions.get::<Lasting>().map(Lasting::begin),
        })
    }
}

#[tonic::async_trait]
impl Agents for AgentsDesk {
    type WatchStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

    async fn watch(
        &self,
        request: tonic::Request<agent::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, extensions, asked) = request.into_parts();
        let headers = metadata.into_headers();
        match self.open(&extensions, &headers, &asked).await {
            Ok(open) => Ok(Response::new(Box::pin(unfold(Some(open), next)))),
            Err(problem) => {
                let status = problem.grpc(None);
                // The passage logs it, and tells it with the request's id.
                if let Some(noted) = extensions.get::<Noted>() {
                    noted.refusal(problem);
                }
                Err(status)
            }
        }
    }
}

/// What is told next, and whether anything comes after it.
async fn next(open: Option<Open>) -> Option<(Told, Option<Open>)> {
    let mut open = open?;
    let stopped = async {
        match &open.lasting {
            Some(lasting) => lasting.stopped().await,
            None => std::future::pending().await,
        }
    };
    let told = tokio::select! {
        biased;
        () = stopped => Err(stopping()),
        told = open.watch.next() => told.map_err(Problem::from),
    };
    match told {
        Ok(telling) => {
            let change = change(telling, open.service.now());
            Some((Ok(change), Some(open)))
        }
        Err(problem) => {
            let status = match &open.noted {
                Some(noted) => problem.grpc_of(&noted.problem(&problem)),
                None => problem.grpc(None),
            };
            tracing::info!(watch = ?open.watch, code = problem.code(), "a watch ends");
            Some((Err(status), None))
        }
    }
}

fn stopping() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "stopping",
        "the server is stopping",
    )
    .with_next("connect again; another server, or this one, listens soon")
}

/// A version as a log shows it: what a client sends is his.
fn shown(version: &str) -> String {
    let legal = version.chars().filter(char::is_ascii_graphic);
    legal.take(VERSION_CHARS_MAX).collect()
}

fn change(telling: Telling, now: Timestamp) -> agent::Change {
    let what = match telling {
        Telling::Beat => What::Beat(agent::Beat {}),
        Telling::Bundle(name, roots) => What::Bundle(agent::Bundle {
            trust_domain: name.to_string(),
            certificates: roots.to_vec(),
        }),
        Telling::Denied(denial, given_back) => What::Denied(agent::Denied {
            sha256: denial.fingerprint.as_bytes().to_vec().into(),
            not_after_ms: denial.not_after.unix_ms(),
            given_back,
        }),
        Telling::Elevation(elevation) => What::Elevation(of_elevation(&elevation)),
        Telling::Entry(entry) => {
            let terms = entry.terms;
            let texts = |texts: Vec<_>| texts.iter().map(ToString::to_string).collect();
            What::Entry(agent::Entry {
                id: entry.id.to_string(),
                version: entry.version,
                subject: terms.subject.to_string(),
                selectors: texts(terms.selectors),
                life_s: terms.life.count(),
                hint: terms.hint.unwrap_or_default(),
                federates_with: terms
                    .federates_with
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            })
        }
        Telling::EntryRemoved(id) => What::EntryRemoved(id.to_string()),
        Telling::Ready => What::Ready(agent::Ready {}),
    };
    agent::Change {
        now_ms: now.unix_ms(),
        what: Some(what),
    }
}

fn of_elevation(elevation: &Elevation) -> agent::Elevation {
    let request = &elevation.request;
    let ms = |at: Option<Timestamp>| at.map_or(0, Timestamp::unix_ms);
    let (mut decide_by, mut activate_by, mut ends_at, mut ended) = (None, None, None, "");
    match &elevation.state {
        State::Active { ends_at: at, .. } => ends_at = Some(*at),
        State::Approved { activate_by: at } => activate_by = Some(*at),
        State::Ended { how, .. } => ended = End::as_str(*how),
        State::Pending { decide_by: at, .. } => decide_by = Some(*at),
        State::Cancelled { .. } | State::Denied { .. } | State::Lapsed { .. } => {}
    }
    agent::Elevation {
        id: elevation.id.to_string(),
        version: elevation.version,
        subject: request.subject.to_string(),
        scope: request.scope.to_string(),
        state: elevation.state.name().as_str().to_owned(),
        ended: ended.to_owned(),
        instances: Some(match request.instances {
            Instances::All => WireInstances::All(true),
            Instances::Count(count) => WireInstances::Count(u32::from(count)),
            Instances::One(one) => WireInstances::One(one.bytes().to_vec().into()),
        }),
        duration_s: request.duration.count(),
        decide_by_ms: ms(decide_by),
        not_before_ms: ms(request.not_before),
        activate_by_ms: ms(activate_by),
        ends_at_ms: ms(ends_at),
    }
}

/// As much of a version as a log line shows.
const VERSION_CHARS_MAX: usize = 32;
