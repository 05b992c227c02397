//! Who else is let in: jobs with tokens, workloads with SVIDs from elsewhere; and whose root it is.
//!
//! Nobody is, unless the configuration says so. Fields are documented in
//! `deploy/config/server.toml`.
//!
//! # Whose root
//!
//! | | Base SVIDs from | Elevated SVIDs under | Take it when |
//! |---|---|---|---|
//! | (a) | the mesh's CA, same trust domain | an issuer below that CA | you can sign a sub-CA |
//! | (b) | protem, or as (c) | protem's root, added to the mesh | you cannot, or try it out |
//! | (c) | SPIRE, Istio, cert-manager elsewhere | as (a) or (b) | both must stay apart |
//!
//! **(a)** `issuer_key` and `issuer_chain` bring the issuer (`pki/README.md` has the steps), and
//! `own_bundle` names the mesh's roots, so that the SVIDs which SPIRE, Istio or cert-manager mint
//! in this very trust domain open the door. Proxies trust what protem mints already. *The danger:*
//! whoever signs below those roots can call as any workload of the trust domain, agents too. That
//! is what a root means, but here it reaches the rights. A certificate of theirs that looks
//! elevated is no caller, and the entry of a subject that they may vouch for says `foreign`, or
//! `x509` where the subject begins with their SVID and goes on with protem's own (below).
//!
//! **(b)** Leave both out, and add `bundle.pem` to what the proxies trust for this trust domain.
//! *The danger:* for a proxy that does not tell trust domains apart, its root can name anybody.
//!
//! **(c)** A `[[foreign_trust_domain]]` for each, and servers that trust protem's trust domain.
//! `spiffe://cluster.local/ns/shop/sa/web` is `/foreign/cluster.local/ns/shop/sa/web` there, and
//! gets that name with its scope. *The danger:* that authority can call as each of its own
//! subjects, and as nobody else: a leaf is verified by the bundle of the trust domain that it
//! names, and by no other.
//!
//! # A workload with an SVID from elsewhere
//!
//! ```text
//! protem entry put --subject spiffe://prod.example/foreign/cluster.local/ns/shop/sa/web \
//!     --obtained-by foreign --owner shop --group shop
//! protem elevate db.read --svid DIR --out OTHER --reason "why"
//! ```
//!
//! `DIR` holds `svid.pem` (chain, leaf first) and `svid.key` (PKCS#8), as `spire-agent api fetch
//! x509` or a helper writes them under other names. What is asked of the leaf: exactly one URI name
//! with a path and without reserved parts; no names but URI and DNS; client authentication and
//! `digitalSignature` said, no certificate signing. A connection ends with the leaf.
//!
//! Not looked at: revocation lists, and whether an intermediate ends before its leaf.
//!
//! # An agent on a host that has an identity already
//!
//! A host that SPIRE, Istio or cert-manager gave an SVID needs no join token: its entry says
//! `x509`, and whoever proves the subject with that SVID obtains a base SVID of protem's own.
//!
//! ```text
//! protem entry put --subject spiffe://prod.example/foreign/cluster.local/ns/infra/sa/agent \
//!     --obtained-by x509 --owner infra
//! protem svid write --svid DIR --out OTHER
//! ```
//!
//! What is asked of the leaf is the same. It obtains this one thing: to act, call with what it
//! obtained, which renews itself from then on, also when the other authority is gone. *The danger:*
//! so does what a thief of that SVID obtained while it lasted; removing the entry ends both. Where
//! the subject must be proved elsewhere again and again, say `foreign`.
//!
//! # A job with a token
//!
//! ```text
//! protem entry put --subject spiffe://prod.example/ci/4711/815 \
//!     --obtained-by https://token.actions.githubusercontent.com --owner shop --group shop
//! protem svid write --token-file FILE --out DIR
//! protem elevate db.write --svid DIR --out OTHER --reason "deploy" --ticket OPS-7
//! ```
//!
//! The job asks its CI system for a token with the configured audience and writes it to `FILE`,
//! which is read again for each renewal. A pod names a projected service account token there; the
//! cluster is an issuer like any other, inside your network (`private_addresses`, `ca_file`), whose
//! keys must be readable for strangers, or lie in `jwks_file`. Its subjects are
//! `/ns/{kubernetes.io>namespace}/sa/{kubernetes.io>serviceaccount>name}`, and its tokens live for
//! a little more than an hour.
//!
//! What goes wrong, and what one sees:
//!
//! | Code | Means |
//! |---|---|
//! | `issuer_token` | the token does not hold; the detail says which rule |
//! | `keys_away` | the issuer's keys cannot be read; the log says why, every five minutes |
//! | `not_allowed` | the claims make a subject without an entry, or one that names another issuer |
//! | `token_only_mints` | ask with the SVID that the token obtains |
//!
//! # What is asked of an issuer
//!
//! TLS 1.3, no proxy, no redirect, answers of at most 64 KiB within five seconds, at most 32 keys,
//! none of them secret. RSA keys have 2048 to 4096 bits and the exponent 65537. `exp` and `iat` are
//! whole seconds.
