//! Who calls: the one way from a connection and a header to a [`Call`].
//!
//! Promises: a caller is proved by exactly one thing: the certificate of his connection, a bearer
//! secret that the store knows, or a token that a configured issuer signed. No handler behind the
//! door runs without one.
//! Refuses: two proofs at once, tokens anywhere but at the mint, and what proxies say about
//! others (`X-Forwarded-*`, XFCC: assurance M13). Who asks or fails too often is told when to ask
//! again.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap};
use zeroize::Zeroizing;

use crate::api::listener::Peer;
use crate::api::problem::Problem;
use crate::api::request::Noted;
use crate::attestation::{Bearer, Caller, Neighbour};
use crate::service::callers::Purpose;
use crate::service::{Call, Service, ServiceError};
use crate::wire::problem::ProblemKind;

/// A workload or an operator.
#[derive(Clone, Debug)]
pub struct Known(
    /// Who, and from where.
    pub Call,
);

/// A workload, an operator, or whoever holds an unspent join token or a token of an issuer.
#[derive(Clone, Debug)]
pub struct Arriving(
    /// Who, and from where.
    pub Call,
);

impl FromRequestParts<Arc<Service>> for Arriving {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        arriving(&parts.extensions, &parts.headers, service, Purpose::Mint)
            .await
            .map(Self)
    }
}

impl FromRequestParts<Arc<Service>> for Known {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        known(&parts.extensions, &parts.headers, service)
            .await
            .map(Self)
    }
}

/// As [`Known`], for doors that are not made of extractors.
pub(crate) async fn known(
    extensions: &Extensions,
    headers: &HeaderMap,
    service: &Service,
) -> Result<Call, Problem> {
    let call = arriving(extensions, headers, service, Purpose::Act).await?;
    match &call.caller {
        Caller::Operator(_) | Caller::Workload(_) => Ok(call),
        Caller::Claimant(_) | Caller::Token(..) => Err(Problem::new(
            ProblemKind::Forbidden,
            "token_only_mints",
            "a token obtains a base SVID and nothing else",
        )
        .with_next("obtain the SVID (`POST /v1/svids`) and call with it")),
    }
}

async fn arriving(
    extensions: &Extensions,
    headers: &HeaderMap,
    service: &Service,
    to: Purpose,
) -> Result<Call, Problem> {
    let peer = extensions.get::<Peer>();
    let source = peer.map(Peer::ip);
    let from = source.map(Neighbour::of);
    let caller = match proved(peer, headers, service, from).await {
        Ok(caller) => caller,
        Err(problem)
            if problem.kind() == ProblemKind::Unauthenticated || problem.code() == KEYS_AWAY =>
        {
            service.heed_unproved(from, problem.code())?;
            return Err(problem);
        }
        Err(problem) => return Err(problem),
    };
    service.heed(&caller)?;
    if let Some(noted) = extensions.get::<Noted>() {
        noted.caller(&caller);
    }
    let call = Call { caller, source };
    service.let_in(&call, to).await?;
    Ok(call)
}

/// What a caller shows in the header.
enum Shown {
    /// A secret of protem's own.
    Secret(Bearer),
    /// Three parts with dots between them, as tokens of issuers have.
    Token(Zeroizing<String>),
}

/// Who it is, by the one proof that he gave.
async fn proved(
    peer: Option<&Peer>,
    headers: &HeaderMap,
    service: &Service,
    from: Option<Neighbour>,
) -> Result<Caller, Problem> {
    let certificate = peer.and_then(|peer| peer.certificate.clone());
    match (bearer(headers)?, certificate) {
        (None, None) => Err(nobody()),
        (None, Some(names)) => {
            let workload = service.workload(&names).map_err(|error| {
                Problem::of(ProblemKind::Unauthenticated, "certificate", &error)
            })?;
            Ok(Caller::Workload(workload))
        }
        (Some(Shown::Secret(bearer)), None) => holder(service, &bearer).await,
        (Some(Shown::Token(token)), None) => Ok(service.claimant(&token, from).await?),
        (Some(_), Some(_)) => Err(unproved(
            "two_proofs",
            "there is a certificate and a bearer secret",
        )
        .with_next("send one of them")),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<Shown>, Problem> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = match (lines.next(), lines.next()) {
        (None, _) => return Ok(None),
        (Some(line), None) => line.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Err(unproved("two_proofs", "`Authorization` comes twice")),
    };
    let (scheme, secret) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unproved(
            "scheme",
            "`Authorization` is not of the scheme `Bearer`",
        ));
    }
    if secret.split('.').count() == 3 {
        return Ok(Some(Shown::Token(Zeroizing::new(secret.to_owned()))));
    }
    Bearer::parse(secret.trim())
        .map(|secret| Some(Shown::Secret(secret)))
        .map_err(|error| Problem::of(ProblemKind::Unauthenticated, "bearer", &error))
}

/// Whether a request says that an operator sends it; the proof comes later. Beyond the limits of
/// the listener nobody else is heard.
pub(crate) fn names_operator(headers: &HeaderMap) -> bool {
    matches!(
        bearer(headers),
        Ok(Some(Shown::Secret(Bearer::Operator(..))))
    )
}

async fn holder(service: &Service, bearer: &Bearer) -> Result<Caller, Problem> {
    let digest = bearer.digest();
    match bearer {
        Bearer::JoinToken(id, _) => Ok(service.token_holder(*id, &digest).await?),
        Bearer::Operator(id, _) => match service.operator_holder(*id, &digest).await {
            Err(ServiceError::NotFound(_)) => Err(unproved(
                "operator",
                "the operator credential is wrong or was removed",
            )),
            other => Ok(other?),
        },
    }
}

fn nobody() -> Problem {
    unproved("nobody", "the request comes with no proof of who sends it")
        .with_next("connect with an SVID, or send an operator credential or a token as bearer")
}

fn unproved(code: &'static str, detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, code, detail)
}

/// The code of a token that nobody can judge: its holder is as unproved as any stranger.
const KEYS_AWAY: &str = "keys_away";
