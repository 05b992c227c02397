//! One issuance, followed through the code.
//!
//! A workload `web` holds a base SVID and wants `db.read` for some minutes. It opens an elevation
//! (`POST /v1/elevations`) and then asks for the certificate (`POST /v1/svids`). The second is the
//! walk; the first is the same question without a signature ([`Service::elevate`]).
//!
//! ```text
//! TLS peer or bearer --Arriving--> Caller                                 the door
//! body ------------- mint -------> IssueRequest                           api
//! ---------------------------------------------------------------------------------
//! CSR bytes --VerifiedCsr::parse--> a public key, possession proved       service::issue
//! subject, elevation --Store::standing--> Facts, each with its version
//! Facts + Ask + now --policy::decide--> Permit | Denial
//! Permit + key --Authority::plan_svid--> Plan    exact bytes, linted
//! Plan --store::record--> Recorded               durable; versions still hold
//! Recorded --Authority::finish--> Svid           signed, read back, durable
//! ---------------------------------------------------------------------------------
//! Svid --> 201: chain, notAfter, event number                             the door
//! ```
//!
//! # The steps
//!
//! 1. **Connection.** [`Door`] accepts within [`Limits`]. TLS 1.3, a full handshake every time
//!    ([`server_config`]). [`Peer`] reads the verified leaf with protem's own strict reader. The
//!    connection is closed when that leaf ends.
//! 2. **Request.** [`Passage`] gives it an id, refuses an ended peer, a second host and chunked
//!    bodies, and carries an act to its end when the caller hangs up.
//! 3. **Caller.** [`Arriving`] takes exactly one proof: the certificate ([`Workload::from_peer`])
//!    or a bearer ([`Bearer`], [`Jws`]). Only this endpoint takes tokens.
//! 4. **Question.** The handler `api::http::svid::mint` parses texts into an [`IssueRequest`] and
//!    calls [`Service::issue`]. It decides nothing.
//! 5. **Key.** [`VerifiedCsr::parse`] bounds, decodes and verifies the request. The public key is
//!    taken; what else was asked for is listed as ignored, or refused where the profile is strict.
//! 6. **Facts.** [`Store::standing`] reads policy version, kill switch, entry and elevation at one
//!    moment. Only the store makes [`Facts`].
//! 7. **Verdict.** [`decide`] asks the bundle. A [`Permit`] names the version of every fact, the
//!    determining policies, and the last second at which the answer is still yes. A [`Denial`] says
//!    why and whom it waits for, and is recorded.
//! 8. **Plan.** [`Authority::plan_svid`] takes names from the permit, the key from the request, the
//!    end from the earliest of right, profile, scope, elevation and issuer. rcgen builds the bytes
//!    with a key that signs nothing; [`lint()`] reads them back with other code and compares.
//! 9. **Record.** [`record()`] hands the bytes and their event to [`Store::intend`]. In one
//!    transaction: fact versions still hold, the serial is new, the token is spent, the elevation
//!    is activated or its instance bound, the log index is written into the bytes, the event is
//!    sealed. A stale fact sends the walk back to step 6, at most eight times.
//! 10. **Signature.** [`Authority::finish`] lets the issuer sign the recorded bytes. The
//!     certificate is read back and compared with what was recorded; its signature is verified now
//!     and then (`decisions::certificates` says when).
//!     [`Store::conclude`] makes the outcome durable. Only then is there an [`Svid`].
//! 11. **Answer.** 201 with the chain, or a [`Problem`].
//!
//! What the authority signs for itself (root, intermediates, its server certificate) goes from step
//! 8 on the same way, under a [`Warrant`] of its own: `Authority::rotate`,
//! `Authority::mint_service`.
//!
//! # Where it can die
//!
//! - **Before the intent's commit.** Nothing is durable. A join token is unspent; ask again.
//! - **After it, before the signature.** The intent and the exact bytes are durable, the token is
//!   spent, the elevation is active. The next start signs those very bytes if their time lasts,
//!   the issuer's key is held, minting is not stopped and the elevation still open; else it records
//!   `svid.failed`.
//! - **After the signature, before the outcome's commit.** The same. The lost signature was shown
//!   to nobody.
//! - **After the outcome's commit, before the answer.** Everything is durable. The same idempotency
//!   key gets the same certificate ([`Authority::again`]).
//! - **While a group commits.** Every caller of the group hears that the store is unavailable. The
//!   writer opens the file anew and reads the ledger's end from it; nothing is assumed.
//! - **Between an issuer's key file and its certificate.** The next start removes the key. A
//!   certificate that is finished for it is in the ledger and has no holder. A root's key is kept
//!   instead, and gets its certificate anew.
//!
//! The start works this off before it serves ([`Authority::open`], [`leftovers`]), unless its clock
//! stands before the last event, and a round every five seconds works off what an outcome that
//! could not be recorded left while serving. It tells how
//! many it finished and how many it could only tell of ([`Started`]). A signature made twice over
//! the same bytes is two encodings of one certificate; the first was shown to nobody, and only the
//! second is in the ledger.
//!
//! # The promises
//!
//! Where each is kept, and which test tries to break it. `issue::` and the like are files of
//! `tests/it`; other tests stand at the end of the file that they test.
//!
//! 1. **Nothing is minted that policy did not permit at that moment.** Kept by: [`decide`],
//!    [`Permit::fact_versions`], the guards of [`Store::intend`]. Tried by:
//!    `a_changed_fact_refuses`, `stopped_minting_refuses`,
//!    `issue::a_revoked_elevation_cannot_renew`,
//!    `nothing_is_permitted_without_an_entry_or_while_minting_is_stopped`,
//!    `tidy::guarded_values_have_one_maker`.
//! 2. **Nothing is signed that is not recorded.** Kept by: [`Recorded`] has two makers; the signer
//!    takes nothing else. Tried by: `issue::every_step_is_in_the_ledger_without_a_gap`,
//!    `an_intent_has_one_outcome`, `store_sqlite::a_failed_commit_fails_its_group_and_no_other`.
//! 3. **No certificate outlives its right.** Kept by: [`Permit::last_second`],
//!    [`Elevation::mintable`], the lint. Tried by: `issue::no_svid_outlives_its_elevation`,
//!    `the_last_second_is_permitted_and_the_next_is_not_or_is_too_far`,
//!    `the_end_is_fixed_at_activation_and_never_moves`.
//! 4. **A request gives a key and nothing else.** Kept by: [`VerifiedCsr`] has no other field that
//!    is used. Tried by: `hostile_csr::every_hostile_request_gets_its_answer`,
//!    `mutated_requests_never_panic_and_never_change_the_key`.
//! 5. **An elevated SVID is no default identity and renews nothing.** Kept by: the guardrail
//!    `guardrail-elevated-caller`; `protem elevate` refuses the folder of `--svid`. Tried by:
//!    `issue::an_elevated_svid_opens_nothing_at_the_authority`,
//!    `an_elevated_caller_gets_nothing_more`.
//! 6. **No one approves for himself.** Kept by: there are no votes yet: the number of approvals is
//!    always none. Tried by: `approvals_only_ever_help`,
//!    `a_dead_source_neither_silences_a_forbid_nor_helps_a_permit`.
//! 7. **Keys stay where they are made.** Kept by: no field for a private key on the wire; no
//!    Display, no Clone. Tried by: `debug_shows_the_public_half_only`,
//!    `a_secret_is_shown_and_read_back_and_never_debugged`,
//!    `store_sqlite::nobody_else_reads_the_files`.
//! 8. **Protem's own TLS never resumes and ends with the peer.** Kept by: [`server_config`],
//!    [`Door`]. Tried by: `doors::no_session_resumes_and_no_ticket_is_sent`,
//!    `doors::an_open_connection_closes_when_its_certificate_ends`.
//! 9. **An auditor needs nobody's word.** Kept by: canonical bytes, commitments and gapless
//!    numbers; the Merkle log is not there yet. Tried by: `values_write_and_read_back`,
//!    `numbers_have_no_gap`, `store_sqlite::a_changed_event_shows`.
//! 10. **Bad input gets a clear problem and changes nothing.** Kept by: [`Problem`], the
//!     extractors. Tried by: `doors::every_refusal_is_a_problem_that_names_its_request`,
//!     `doors::a_body_is_read_in_one_way`, `doors::heads_are_bounded_and_strict`.
//!
//! # In small
//!
//! A name with a scope is written into SANs and read back; a subject can never look like one:
//!
//! ```
//! use protem::identity::Subject;
//! use protem::scope::{Encoding, SvidName};
//!
//! let name = SvidName::Elevated {
//!     subject: "spiffe://prod.example/ns/shop/sa/web".parse()?,
//!     scope: "db.read".parse()?,
//!     encoding: Encoding::Path,
//! };
//! let sans = name.sans()?;
//! let written = sans.uri.to_string();
//! assert_eq!(written, "spiffe://prod.example/ns/shop/sa/web/scope/db.read");
//! assert_eq!(SvidName::from_sans(&sans.uri, None)?, name);
//! assert!(written.parse::<Subject>().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request proves possession of its key, and nothing else is taken from it:
//!
//! ```
//! use protem::x509::{CsrRules, KeyKind, PrivateKey, VerifiedCsr, write_request};
//!
//! let rules = CsrRules { strict: true, keys: [KeyKind::P256].into(), blocked: [].into() };
//! let key = PrivateKey::generate(KeyKind::P256)?;
//! let csr = VerifiedCsr::parse(write_request(&key)?.as_bytes(), &rules)?;
//! assert_eq!(csr.public_key(), key.public_key());
//! assert!(VerifiedCsr::parse(b"-----BEGIN PRIVATE KEY-----", &rules).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Made-up facts get an outlook. Only the store's facts get a permit:
//!
//! ```
//! use protem::id::{EntryId, PolicyVersion, entropy::Entropy};
//! use protem::policy::{
//!     Act, Ask, Bundle, BundleSource, ElevateAct, EntryFact, FactParts, Forecast, MintingFact,
//!     PolicyFact, Principal, suppose,
//! };
//! use protem::time::Seconds;
//!
//! let source = BundleSource::collect([
//!     (
//!         "scopes.toml",
//!         r#"
//!         [scope."db.read"]
//!         description = "read the orders"
//!         owner = "data"
//!         servers = ["spiffe://prod.example/ns/data/sa/db"]
//!         svid_life = "5m"
//!         elevation_longest = "30m"
//!         "#,
//!     ),
//!     (
//!         "elevate.cedar",
//!         r#"
//!         @id("shop-reads-with-sre")
//!         @route("sre:1")
//!         permit (
//!           principal in Group::"shop",
//!           action == Action::"elevate",
//!           resource == Scope::"db.read"
//!         ) when {
//!           context.elevation.hasTag("sre") && context.elevation.getTag("sre") >= 1
//!         };
//!         "#,
//!     ),
//! ])?;
//! let bundle = Bundle::compile(&source)?;
//! let subject: protem::identity::Subject = "spiffe://prod.example/ns/shop/sa/web".parse()?;
//! let facts = FactParts {
//!     policy: PolicyFact { version: PolicyVersion::FIRST, digest: bundle.digest() },
//!     minting: MintingFact { stopped: false, version: 1 },
//!     entry: Some(EntryFact {
//!         id: EntryId::random(&Entropy::seeded(1)),
//!         version: 1,
//!         subject: subject.clone(),
//!         selectors: vec![],
//!         owner: "shop".parse()?,
//!         groups: vec!["shop".parse()?],
//!         deputies: vec![],
//!         life: Seconds::new(3_600),
//!     }.into()),
//!     elevation: None,
//!     signals: vec![],
//! };
//! let ask = Ask {
//!     principal: Principal::Workload { subject: subject.clone(), elevated: false },
//!     act: Act::Elevate(ElevateAct {
//!         subject,
//!         scope: "db.read".parse()?,
//!         asked: Seconds::new(600),
//!         has_reason: true,
//!         ticket: None,
//!         scheduled: false,
//!         on_demand: false,
//!         break_glass: false,
//!     }),
//!     source: None,
//! };
//! let noon = "2026-01-07T12:00:00Z".parse()?;
//! let outlook = suppose(&bundle, &ask, &facts, noon, Seconds::new(300));
//! assert_eq!(outlook.forecast, Forecast::Pending);
//! assert_eq!(outlook.waits_for.unwrap().to_string(), "sre:1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An event has one text, and reading takes exactly that text:
//!
//! ```
//! use protem::audit::{Event, EventKind, Key, SealedEvent};
//! use protem::id::EventNumber;
//!
//! let event = Event::new(EventKind::EntryPut, "2026-01-07T12:00:00Z".parse()?, "server")
//!     .with(Key::Subject, "spiffe://prod.example/web");
//! let sealed = event.seal(EventNumber::new(7).unwrap())?;
//! assert_eq!(
//!     sealed.bytes(),
//!     r#"{"at":"2026-01-07T12:00:00.000Z","caller":"server","form":1,"kind":"entry.put","#
//!         .to_owned()
//!         + r#""number":7,"subject":"spiffe://prod.example/web"}"#
//! );
//! assert_eq!(SealedEvent::parse(sealed.bytes())?, sealed);
//! assert!(SealedEvent::parse(&sealed.bytes().replace(",", ", ")).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Arriving`]: crate::api::extract::Arriving
//! [`Authority::again`]: crate::pki::Authority::again
//! [`Authority::finish`]: crate::pki::Authority::finish
//! [`Authority::open`]: crate::pki::Authority::open
//! [`Authority::plan_svid`]: crate::pki::Authority::plan_svid
//! [`Bearer`]: crate::attestation::Bearer
//! [`Jws`]: crate::attestation::Jws
//! [`Denial`]: crate::policy::Denial
//! [`Door`]: crate::api::listener::Door
//! [`Elevation::mintable`]: crate::elevation::Elevation::mintable
//! [`Elevation::mintable`]: crate::elevation::Elevation::mintable
//! [`Facts`]: crate::policy::Facts
//! [`IssueRequest`]: crate::service::issue::IssueRequest
//! [`Limits`]: crate::api::listener::limits::Limits
//! [`Passage`]: crate::api::request::Passage
//! [`Peer`]: crate::api::listener::Peer
//! [`Permit`]: crate::policy::Permit
//! [`Permit::fact_versions`]: crate::policy::Permit::fact_versions
//! [`Permit::last_second`]: crate::policy::Permit::last_second
//! [`Problem`]: crate::api::problem::Problem
//! [`Recorded`]: crate::store::Recorded
//! [`Service::elevate`]: crate::service::Service::elevate
//! [`Service::issue`]: crate::service::Service::issue
//! [`Started`]: crate::pki::Started
//! [`Store::conclude`]: crate::store::Store::conclude
//! [`Store::intend`]: crate::store::Store::intend
//! [`Store::standing`]: crate::store::Store::standing
//! [`Svid`]: crate::pki::Svid
//! [`VerifiedCsr`]: crate::x509::VerifiedCsr
//! [`VerifiedCsr::parse`]: crate::x509::VerifiedCsr::parse
//! [`Warrant`]: crate::pki::Warrant
//! [`Workload::from_peer`]: crate::attestation::Workload::from_peer
//! [`decide`]: crate::policy::decide
//! [`leftovers`]: crate::store::leftovers
//! [`lint()`]: crate::x509::lint
//! [`record()`]: crate::store::record
//! [`server_config`]: crate::api::listener::tls::server_config
