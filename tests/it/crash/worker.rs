//! One workload that does everything it may, again and again, whatever happens to the server.
//!
//! A request whose answer was lost is made again with the same idempotency key until there is an
//! answer for good: the same certificate or a refusal.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protem::attestation::Bearer;
use protem::client::{Proof, SVID_KEY, SVID_PEM};
use protem::time::{Clock as _, Seconds, SystemClock, Timestamp};
use protem::wire::elevation::{ElevationQuery, ElevationRequest, RevocationRequest};
use protem::wire::svid::{SvidRequest, SvidView};
use protem::wire::token::TokenRequest;
use protem::x509::{KeyKind, PrivateKey, read_chain, write_request};

use crate::crash::WORKERS;
use crate::crash::curl::curl;
use crate::crash::house::{Dice, House, Received, is_lost, subject};

pub(crate) struct Worker {
    house: Arc<House>,
    dice: Dice,
    subject: String,
    /// Where its base SVID lies.
    folder: PathBuf,
    /// The end of the base SVID, and its key; none before the first one.
    base: Option<(Timestamp, PrivateKey)>,
    /// Open elevations, as far as it knows, with their scopes.
    elevations: Vec<(String, &'static str)>,
}

impl Worker {
    pub(crate) fn new(house: &Arc<House>, number: u64) -> Self {
        let folder = house.folders.join(number.to_string());
        fs::create_dir(&folder).unwrap();
        Self {
            house: Arc::clone(house),
            dice: Dice::new(house.seed.wrapping_add(1 + number)),
            subject: subject(number),
            folder,
            base: None,
            elevations: Vec::new(),
        }
    }

    pub(crate) async fn work(mut self) {
        while !self.house.stop.load(Ordering::Relaxed) {
            // Large: it holds a whole exchange.
            Box::pin(self.step()).await;
        }
    }

    async fn step(&mut self) {
        let soon = SystemClock.now().plus(Seconds::new(60));
        if self.base.as_ref().is_none_or(|(end, _)| *end < soon) {
            return Box::pin(self.redeem()).await;
        }
        match self.dice.below(24) {
            0 => Box::pin(self.redeem()).await,
            1 | 2 => self.renew().await,
            3..=6 => self.elevate().await,
            7 => self.elevate_with_key().await,
            8..=17 => Box::pin(self.mint()).await,
            18 | 19 => self.mint_plainly().await,
            20 => self.cancel().await,
            21 => self.give_back().await,
            _ => self.operate().await,
        }
    }

    fn proof(&self) -> Proof {
        Proof::Svid(self.folder.clone())
    }

    /// A base SVID for a new key, paid with a join token; sometimes two try to pay with the same.
    async fn redeem(&mut self) {
        let request = TokenRequest {
            subject: self.subject.clone(),
            ttl: None,
        };
        let token = match self.house.operator().create_token(&request).await {
            Ok(token) => token.token,
            Err(error) => return self.house.refused("token", &error),
        };
        let bearer = || Proof::Bearer(Bearer::parse(&token).unwrap());
        let (one, other) = (new_key(), new_key());
        let first = self.mint_once("redeem", bearer, asked(&one, None), &one);
        let (key, view) = if self.dice.below(3) == 0 {
            let second = self.mint_once("redeem", bearer, asked(&other, None), &other);
            match tokio::join!(first, second) {
                (Some(_), Some(_)) => {
                    return self.house.wrong(format!("token spent twice: {token:.40}"));
                }
                (Some(view), None) => (one, Some(view)),
                (None, view) => (other, view),
            }
        } else {
            let view = first.await;
            (one, view)
        };
        if let Some(view) = view {
            self.house.did("redeemed");
            self.hold(&view, key);
        }
    }

    /// The base SVID anew, for the same key.
    async fn renew(&mut self) {
        let Some((_, key)) = self.base.take() else {
            return;
        };
        let request = asked(&key, None);
        match self
            .mint_with("renew", || self.proof(), request, &key)
            .await
        {
            Some(view) => {
                self.house.did("renewed");
                self.hold(&view, key);
            }
            // Perhaps renewed, perhaps not: the one in the folder is still good.
            None => self.base = Some((self.held_until(), key)),
        }
    }

    async fn elevate(&mut self) {
        let (request, scope) = self.elevation();
        let client = self.house.client(self.proof(), self.dice.number());
        match client.elevate(&request).await {
            Ok(view) => self.opened(view.id, scope),
            Err(error) => {
                self.house.refused("elevate", &error);
                self.look().await;
            }
        }
    }

    /// What is open after an answer was lost.
    async fn look(&mut self) {
        let query = ElevationQuery {
            subject: Some(self.subject.clone()),
            state: Some("approved".to_owned()),
            ..ElevationQuery::default()
        };
        match self.house.client(self.proof(), 0).elevations(&query).await {
            Ok(page) => {
                for view in page.items {
                    let scope = SCOPES.into_iter().find(|scope| *scope == view.scope);
                    let known = self.elevations.iter().any(|(id, _)| *id == view.id);
                    if let Some(scope) = scope.filter(|_| !known) {
                        self.house.did("found again");
                        self.elevations.push((view.id, scope));
                    }
                }
            }
            Err(error) => self.house.refused("look", &error),
        }
    }

    /// With an idempotency key of its own, again until it is answered, and once more: one id.
    async fn elevate_with_key(&mut self) {
        let (request, scope) = self.elevation();
        let body = serde_json::to_string(&request).unwrap();
        let key = format!("Idempotency-Key: {:016x}", self.dice.number());
        let words = ["-H", JSON, "-H", &key, "--data-raw", &body];
        let mut ids = Vec::new();
        for _ in 0..TRIES_MAX {
            let Some((status, answer)) =
                curl(&self.house, &self.folder, "/v1/elevations", &words).await
            else {
                continue;
            };
            if status != 201 && status != 200 {
                return self.house.did(&format!("elevate with key: {status}"));
            }
            let view: serde_json::Value = serde_json::from_str(&answer).unwrap();
            ids.push(view["id"].as_str().unwrap().to_owned());
            if ids.len() == 2 {
                break;
            }
        }
        ids.dedup();
        match ids.as_slice() {
            [] => self.house.did("elevate with key: no answer"),
            [id] => self.opened(id.clone(), scope),
            more => self.house.wrong(format!("one key, {more:?}")),
        }
    }

    /// An elevated SVID for a new key; sometimes asked for twice at once, or again afterwards.
    async fn mint(&mut self) {
        let Some((elevation, scope)) = self.any_elevation() else {
            return;
        };
        let key = new_key();
        let mut request = asked(&key, Some(scope));
        request.elevation = (self.dice.below(4) != 0).then(|| elevation.clone());
        let again = self.dice.number();
        let ask = || async {
            let proof = || self.proof();
            self.mint_keyed("mint", proof, &request, &key, again).await
        };
        self.asked_once(&key);
        let views = match self.dice.below(6) {
            0 => {
                let (one, other) = tokio::join!(ask(), ask());
                vec![one, other]
            }
            1 => vec![ask().await, ask().await],
            _ => vec![ask().await],
        };
        let views: Vec<_> = views.into_iter().flatten().collect();
        match views.as_slice() {
            // Over, most likely.
            [] => self.elevations.retain(|(id, _)| *id != elevation),
            [_] => self.house.did("minted"),
            [one, other] if one.fingerprint == other.fingerprint => {
                self.house.did("repeated and the same");
            }
            _ => self.house.wrong(format!("one key, {views:?}")),
        }
    }

    /// By another program, without an idempotency key: what is lost is lost.
    async fn mint_plainly(&mut self) {
        let Some((elevation, scope)) = self.any_elevation() else {
            return;
        };
        let key = new_key();
        self.asked_once(&key);
        let request = write_request(&key).unwrap();
        let path = format!("/v1/svids?scope={scope}&elevation={elevation}");
        let words = ["-H", PKCS10, "-H", PEM_CHAIN, "--data-raw", &request];
        match curl(&self.house, &self.folder, &path, &words).await {
            Some((200 | 201, chain)) => {
                let received = Received {
                    certificate: read_chain(chain.as_bytes()).unwrap().swap_remove(0),
                    elevation: Some(elevation),
                    event: None,
                };
                self.house.tally.lock().unwrap().received.push(received);
                self.house.did("minted without key");
            }
            Some((status, _)) => self.house.did(&format!("mint without key: {status}")),
            None => self.house.did("mint without key: no answer"),
        }
    }

    /// Takes back a fresh elevation.
    async fn cancel(&mut self) {
        self.elevate().await;
        let Some((id, _)) = self.elevations.pop() else {
            return;
        };
        match self.house.client(self.proof(), 0).cancel(&id).await {
            Ok(_) => self.house.did("cancelled"),
            Err(error) => self.house.refused("cancel", &error),
        }
    }

    /// Ends one of its own.
    async fn give_back(&mut self) {
        let Some((id, _)) = self.any_elevation() else {
            return;
        };
        let client = self.house.client(self.proof(), 0);
        match client.revoke_one(&id, "done with it").await {
            Ok(_) => self.house.did("given back"),
            Err(error) => self.house.refused("give back", &error),
        }
    }

    /// As the operator: revokes one elevation, or many, or all and lets minting go on.
    async fn operate(&mut self) {
        let operator = self.house.operator();
        let reason = "drill".to_owned();
        let one = {
            let opened = self.house.opened.lock().unwrap();
            let newest = opened
                .len()
                .saturating_sub(self.dice.below(24) as usize + 1);
            opened.get(newest).cloned()
        };
        let revoked = match (self.dice.below(48), one) {
            (0, _) => {
                let request = RevocationRequest {
                    all: true,
                    reason,
                    ..RevocationRequest::default()
                };
                let revoked = operator.revoke(&request).await.map(|_| ());
                self.release().await;
                revoked
            }
            (1, _) => {
                let request = RevocationRequest {
                    scope: Some(SCOPES[self.dice.below(2) as usize].to_owned()),
                    reason,
                    ..RevocationRequest::default()
                };
                operator.revoke(&request).await.map(|_| ())
            }
            (2..=4, _) => {
                let request = RevocationRequest {
                    subject: Some(subject(self.dice.below(WORKERS))),
                    reason,
                    ..RevocationRequest::default()
                };
                operator.revoke(&request).await.map(|_| ())
            }
            (_, Some(id)) => operator.revoke_one(&id, &reason).await.map(|_| ()),
            (_, None) => return,
        };
        match revoked {
            Ok(()) => self.house.did("revoked by an operator"),
            Err(error) => self.house.refused("revoke", &error),
        }
    }

    async fn release(&self) {
        for _ in 0..TRIES_MAX {
            match self.house.operator().release_minting("drill over").await {
                Ok(_) => return self.house.did("released"),
                Err(error) => self.house.refused("release", &error),
            }
        }
    }

    fn elevation(&self) -> (ElevationRequest, &'static str) {
        let scope = SCOPES[self.dice.below(2) as usize];
        let shortest = if scope == SCOPES[0] { 5 } else { 10 };
        let request = ElevationRequest {
            scope: scope.to_owned(),
            reason: Some("a drill".to_owned()),
            duration: Some(format!("{}s", shortest + self.dice.below(11))),
            ..ElevationRequest::default()
        };
        (request, scope)
    }

    fn opened(&mut self, id: String, scope: &'static str) {
        self.house.did("elevation opened");
        self.house.opened.lock().unwrap().push(id.clone());
        self.elevations.push((id, scope));
        if self.elevations.len() > ELEVATIONS_KNOWN {
            self.elevations.remove(0);
        }
    }

    fn any_elevation(&self) -> Option<(String, &'static str)> {
        let known = self.elevations.len() as u64;
        (known > 0).then(|| self.elevations[self.dice.below(known) as usize].clone())
    }

    async fn mint_once(
        &self,
        act: &str,
        proof: impl Fn() -> Proof,
        request: SvidRequest,
        key: &PrivateKey,
    ) -> Option<SvidView> {
        self.asked_once(key);
        self.mint_with(act, proof, request, key).await
    }

    async fn mint_with(
        &self,
        act: &str,
        proof: impl Fn() -> Proof,
        request: SvidRequest,
        key: &PrivateKey,
    ) -> Option<SvidView> {
        let again = self.dice.number();
        self.mint_keyed(act, proof, &request, key, again).await
    }

    /// Asks with one idempotency key until there is an answer for good.
    async fn mint_keyed(
        &self,
        act: &str,
        proof: impl Fn() -> Proof,
        request: &SvidRequest,
        key: &PrivateKey,
        again: u64,
    ) -> Option<SvidView> {
        let mut lost = false;
        for _ in 0..TRIES_MAX {
            match self.house.client(proof(), again).mint(request).await {
                Ok(view) => {
                    let scope = request.scope.as_deref();
                    self.house.received(&view, key.public_key(), scope);
                    if lost {
                        self.house.did("answered after a lost answer");
                    }
                    return Some(view);
                }
                Err(error) if is_lost(&error) => lost = true,
                Err(error) => {
                    if lost {
                        self.house.did("refused after a lost answer");
                    }
                    self.house.refused(act, &error);
                    return None;
                }
            }
        }
        self.house.wrong(format!("{act}: never answered"));
        None
    }

    fn asked_once(&self, key: &PrivateKey) {
        let fingerprint = key.public_key().fingerprint();
        let mut tally = self.house.tally.lock().unwrap();
        tally.asked_once.push(fingerprint);
    }

    /// Puts the base SVID where calls find it.
    fn hold(&mut self, view: &SvidView, key: PrivateKey) {
        let pem = key.to_pkcs8_pem().unwrap();
        fs::write(self.folder.join(SVID_KEY), pem.as_bytes()).unwrap();
        fs::write(self.folder.join(SVID_PEM), &view.chain).unwrap();
        if self
            .base
            .as_ref()
            .is_some_and(|(_, old)| old.public_key() != key.public_key())
        {
            // Elevations belong to the instance that asked for them.
            self.elevations.clear();
        }
        self.base = Some((view.not_after.parse().unwrap(), key));
    }

    fn held_until(&self) -> Timestamp {
        let pem = fs::read(self.folder.join(SVID_PEM)).unwrap();
        read_chain(&pem).unwrap()[0].tbs().not_after
    }
}

fn asked(key: &PrivateKey, scope: Option<&str>) -> SvidRequest {
    SvidRequest {
        csr: write_request(key).unwrap(),
        scope: scope.map(str::to_owned),
        elevation: None,
        subject: None,
        ttl: None,
        holder: None,
    }
}

fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyKind::P256).unwrap()
}

const SCOPES: [&str; 2] = ["crash.read", "crash.write"];
const JSON: &str = "Content-Type: application/json";
const PKCS10: &str = "Content-Type: application/pkcs10";
const PEM_CHAIN: &str = "Accept: application/pem-certificate-chain";
/// More than a start takes, at three attempts each.
const TRIES_MAX: u32 = 200;
/// How many of its elevations a worker keeps in mind.
const ELEVATIONS_KNOWN: usize = 6;
