//! A batch of mints: keys made, certificates asked for, each answer checked before it counts.
//!
//! Promises: every key is new and never leaves this process. An SVID counts only if it certifies
//! that key, names whom and what was asked for, stands under the roots, lives no longer than such
//! an SVID may, and carries the number of the event that recorded it (assurance G17).
//! Refuses: to let one item of a batch fail another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::agent::holdings::{Generation, Svid};
use crate::agent::keeper::items::ItemKey;
use crate::client::keep::renewal_point;
use crate::client::{Client, ClientError, Minted, MintedError, Wanted};
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};
use crate::wire::problem::ProblemView;
use crate::wire::svid::{SvidBatchRequest, SvidRequest, SvidView};
use crate::x509::{Certificate, KeyKind, PrivateKey, PrivateKeyError, write_chain, write_request};

/// What came of one item.
pub(crate) type Outcome = (ItemKey, Result<Fresh, Trouble>);

/// A checked SVID that has no place yet.
#[derive(Debug)]
pub(crate) struct Fresh(Svid);

/// Why an item was not minted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The call as a whole gave no answer.
    #[error(transparent)]
    Call(Arc<ClientError>),
    /// The server forgot an item.
    #[error("the server's answer has no place for it")]
    Forgotten,
    /// No key could be made.
    #[error("no key could be made")]
    Key(#[from] PrivateKeyError),
    /// It lives longer than it may.
    #[error("the server's SVID lives until {0}, longer than it may")]
    Life(Timestamp),
    /// It is not what was asked for.
    #[error("the server's SVID is refused")]
    Minted(#[from] MintedError),
    /// The server said no to this item.
    #[error("{}", .0.detail)]
    Problem(Box<ProblemView>),
    /// Nothing says that it was recorded.
    #[error("the server's SVID carries no record of its making")]
    Unrecorded,
}

impl Fresh {
    /// The SVID with its place among all of this agent.
    pub(crate) fn placed(self, generation: Generation) -> Svid {
        Svid {
            generation,
            ..self.0
        }
    }
}

impl Trouble {
    /// Whether the server says that there is no such elevation to mint from any more.
    pub(crate) fn says_it_is_over(&self) -> bool {
        matches!(self, Self::Problem(view) if OVER.contains(&view.code.as_str()))
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Call(error) => error.retry_after(),
            Self::Problem(view) => view.retry_after_s.map(u64::from).map(Duration::from_secs),
            Self::Forgotten | Self::Key(_) | Self::Life(_) | Self::Minted(_) | Self::Unrecorded => {
                None
            }
        }
    }
}

/// Mints all of these in one call.
pub(crate) async fn mint(
    client: &Client,
    roots: &[Certificate],
    keys: Vec<(ItemKey, Seconds)>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(keys.len());
    let (mut asked_for, mut items) = (Vec::new(), Vec::new());
    for (key, longest) in keys {
        match request(&key) {
            Ok((private, request)) => {
                asked_for.push((key, longest, private));
                items.push(request);
            }
            Err(error) => outcomes.push((key, Err(error.into()))),
        }
    }
    let asked = client.clock.now();
    match client.mint_batch(&SvidBatchRequest { items }).await {
        Err(error) => {
            let error = Arc::new(error);
            let failed = |(key, _, _)| (key, Err(Trouble::Call(Arc::clone(&error))));
            outcomes.extend(asked_for.into_iter().map(failed));
        }
        Ok(batch) => {
            let mut answers = batch.items.into_iter();
            for (key, longest, private) in asked_for {
                let answer = answers.next().map(|answer| (answer.svid, answer.problem));
                let fresh = match answer {
                    Some((Some(view), None)) => {
                        checked(client, roots, (&key, longest), &private, &view, asked)
                    }
                    Some((None, Some(problem))) => Err(Trouble::Problem(Box::new(problem))),
                    Some((Some(_), Some(_)) | (None, None)) | None => Err(Trouble::Forgotten),
                };
                outcomes.push((key, fresh));
            }
        }
    }
    outcomes
}

fn request(key: &ItemKey) -> Result<(PrivateKey, SvidRequest), PrivateKeyError> {
    // Fresh for every certificate: an elevated key is never a base key (assurance G18).
    let private = PrivateKey::generate(KeyKind::P256)?;
    let (elevation, holder) = match key {
        ItemKey::Base(_) => (None, None),
        ItemKey::Elevated {
            elevation, holder, ..
        } => (Some(elevation.to_string()), Some(holder.to_string())),
    };
    let request = SvidRequest {
        csr: write_request(&private)?,
        scope: key.scope().map(ToString::to_string),
        elevation,
        subject: Some(key.subject().to_string()),
        ttl: None,
        holder,
    };
    Ok((private, request))
}

fn checked(
    client: &Client,
    roots: &[Certificate],
    (key, longest): (&ItemKey, Seconds),
    private: &PrivateKey,
    view: &SvidView,
    asked: Timestamp,
) -> Result<Fresh, Trouble> {
    let subject = key.subject().to_string();
    let wanted = Wanted {
        key: private.public_key(),
        scope: key.scope().map(Scope::as_str),
        subject: Some(&subject),
    };
    let minted = Minted::check(view, &wanted, roots, client.clock.now())?;
    let leaf = minted.chain.first().ok_or(MintedError::NoIssuer)?;
    if asked.plus(longest).plus(SLACK) < minted.not_after {
        return Err(Trouble::Life(minted.not_after));
    }
    if let ItemKey::Elevated { elevation, .. } = key {
        let evidence = leaf.tbs().evidence.ok_or(Trouble::Unrecorded)?;
        if evidence.elevation != *elevation.bytes() {
            return Err(Trouble::Unrecorded);
        }
    }
    if view.event == 0 {
        return Err(Trouble::Unrecorded);
    }
    let (id, name) = crate::client::svid_name(leaf)?;
    let chance = u16::from_be_bytes(client.entropy.bytes());
    let chain_der: Vec<u8> = minted
        .chain
        .iter()
        .flat_map(|one| one.der().iter().copied())
        .collect();
    Ok(Fresh(Svid {
        generation: Generation::default(),
        spiffe_id: id.parse().map_err(MintedError::SpiffeId)?,
        name,
        chain_der: Bytes::from(chain_der),
        chain_pem: Bytes::from(write_chain(&minted.chain)),
        key_der: private.to_pkcs8_der()?,
        key_pem: private.to_pkcs8_pem()?,
        serial: crate::id::hex::text(&leaf.tbs().serial),
        sha256: *leaf.fingerprint().as_bytes(),
        not_before: leaf.tbs().not_before,
        not_after: minted.not_after,
        renew_at: renewal_point(asked, minted.not_after, chance),
    }))
}

/// The server's codes for an elevation that is not there or not open.
const OVER: [&str; 3] = ["elevation_state", "no_elevation", "not_found"];
/// For clocks that differ.
const SLACK: Seconds = Seconds::new(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::stand::Root;
    use crate::client::Proof;
    use crate::id::entropy::Entropy;
    use crate::id::{ElevationId, Holder};
    use crate::scope::SvidName;
    use crate::time::ManualClock;

    const WEB: &str = "spiffe://td/web";

    /// A server that answers what it likes.
    struct Server {
        root: Root,
        client: Client,
        now: Timestamp,
    }

    impl Server {
        fn new() -> Self {
            let now = Timestamp::from_unix_s(1_800_000_000).unwrap();
            let client = Client {
                address: "https://localhost:1".parse().unwrap(),
                bundle: "/nowhere".into(),
                proof: Proof::None,
                clock: Arc::new(ManualClock::new(now)),
                entropy: Arc::new(Entropy::seeded(1)),
            };
            let root = Root::new("td", now);
            Self { root, client, now }
        }

        /// What becomes of an answer for `name` that lives so long, to what was asked as `key`.
        fn answers(
            &self,
            name: SvidName,
            life_s: u32,
            key: &ItemKey,
            change: impl FnOnce(&mut SvidView, &mut PrivateKey),
        ) -> Result<Fresh, Trouble> {
            let svid = self.root.svid(name, 7, self.now, Seconds::new(life_s));
            let mut private = PrivateKey::from_pkcs8_pem(&svid.key_pem).unwrap();
            let mut view = SvidView {
                spiffe_id: svid.spiffe_id.to_string(),
                subject: WEB.to_owned(),
                scope: None,
                elevation: None,
                serial: svid.serial.clone(),
                fingerprint: String::new(),
                not_before: svid.not_before.rfc3339(),
                not_after: svid.not_after.rfc3339(),
                chain: String::from_utf8(svid.chain_pem.to_vec()).unwrap(),
                event: 9,
                ignored: Vec::new(),
            };
            change(&mut view, &mut private);
            let roots = [Certificate::parse(&self.root.der).unwrap()];
            let longest = match key {
                ItemKey::Base(_) => Seconds::new(86_400),
                ItemKey::Elevated { .. } => Seconds::new(900),
            };
            checked(
                &self.client,
                &roots,
                (key, longest),
                &private,
                &view,
                self.now,
            )
        }
    }

    fn base(of: &str) -> SvidName {
        SvidName::Base(of.parse().unwrap())
    }

    fn wanted() -> ItemKey {
        ItemKey::Base(WEB.parse().unwrap())
    }

    #[test]
    fn every_certificate_is_asked_for_with_a_key_of_its_own() {
        let spki = || {
            let (private, _) = request(&wanted()).unwrap();
            private.public_key().spki_der().to_vec()
        };
        assert_ne!(spki(), spki());
    }

    #[test]
    fn an_answer_that_is_what_was_asked_for_counts() {
        let server = Server::new();
        let fresh = server.answers(base(WEB), 3_600, &wanted(), |_, _| {});
        let svid = fresh.unwrap().placed(Generation(3));
        assert_eq!(svid.spiffe_id.to_string(), WEB);
        assert!(server.now < svid.renew_at && svid.renew_at < svid.not_after);
    }

    #[test]
    fn a_malicious_answer_never_counts() {
        let server = Server::new();
        let other = Server::new();
        let key = wanted();
        let refused = |answer: Result<Fresh, Trouble>| answer.unwrap_err();
        let none = |_: &mut SvidView, _: &mut PrivateKey| {};
        // Somebody else's name, and a base SVID that carries a scope.
        let error = refused(server.answers(base("spiffe://td/root"), 60, &key, none));
        assert!(
            matches!(error, Trouble::Minted(MintedError::Subject(_))),
            "{error:?}"
        );
        let scoped = "spiffe://td/web/scope/db.read".parse().unwrap();
        let scoped = SvidName::from_sans(&scoped, None).unwrap();
        let error = refused(server.answers(scoped.clone(), 60, &key, none));
        assert!(
            matches!(error, Trouble::Minted(MintedError::Scope)),
            "{error:?}"
        );
        // Another key, so that somebody else could use it.
        let swap = |_: &mut SvidView, key: &mut PrivateKey| {
            *key = PrivateKey::generate(KeyKind::P256).unwrap();
        };
        let error = refused(server.answers(base(WEB), 60, &key, swap));
        assert!(
            matches!(error, Trouble::Minted(MintedError::Key)),
            "{error:?}"
        );
        // Another root of the same name, no chain, a life beyond all lives, no record.
        let forged = |view: &mut SvidView, private: &mut PrivateKey| {
            let svid = other.root.svid(base(WEB), 7, other.now, Seconds::new(60));
            view.chain = String::from_utf8(svid.chain_pem.to_vec()).unwrap();
            *private = PrivateKey::from_pkcs8_pem(&svid.key_pem).unwrap();
        };
        let error = refused(server.answers(base(WEB), 60, &key, forged));
        assert!(matches!(error, Trouble::Minted(_)), "{error:?}");
        let empty = |view: &mut SvidView, _: &mut PrivateKey| view.chain.clear();
        let error = refused(server.answers(base(WEB), 60, &key, empty));
        assert!(matches!(error, Trouble::Minted(_)), "{error:?}");
        let error = refused(server.answers(base(WEB), 86_400 + 120, &key, none));
        assert!(matches!(error, Trouble::Life(_)), "{error:?}");
        let unrecorded = |view: &mut SvidView, _: &mut PrivateKey| view.event = 0;
        let error = refused(server.answers(base(WEB), 60, &key, unrecorded));
        assert!(matches!(error, Trouble::Unrecorded), "{error:?}");
        // An elevated one must say which elevation it is of, and live minutes.
        let elevated = ItemKey::Elevated {
            subject: WEB.parse().unwrap(),
            scope: "db.read".parse().unwrap(),
            elevation: ElevationId::random(&Entropy::seeded(2)),
            holder: Holder::host(),
        };
        let error = refused(server.answers(scoped.clone(), 60, &elevated, none));
        assert!(matches!(error, Trouble::Unrecorded), "{error:?}");
        let error = refused(server.answers(scoped, 1_000, &elevated, none));
        assert!(matches!(error, Trouble::Life(_)), "{error:?}");
    }
}
