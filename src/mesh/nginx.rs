//! nginx before a service: what it can do, which is less than a scope.
//!
//! Promises: no session is resumed; a connection has an age; the service behind gets the
//! certificate to read.
//! Refuses: to look as if nginx saw a scope: no variable of it holds a SAN.

use crate::mesh::address::{Address, TextPath};
use crate::mesh::promise::{Outlives, Promise, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::fill;

/// nginx before one service.
#[derive(Clone, Debug)]
pub struct Nginx {
    /// What the service behind must enforce.
    pub right: Right,
    /// Where it listens.
    pub listen: Address,
    /// The service behind.
    pub upstream: Address,
    /// The folder that `protem svid write` keeps for the server.
    pub svid: TextPath,
}

impl Nginx {
    /// The snippet, commented.
    #[must_use]
    pub fn print(&self) -> String {
        let title = format!(
            "nginx before a service that opens for `{}`; printed by `protem mesh nginx`.",
            self.right.scope()
        );
        let text = fill(
            include_str!("nginx/server.conf"),
            &[
                ("listen", &self.listen.to_string()),
                ("upstream", &self.upstream.to_string()),
                ("svid", &self.svid.to_string()),
                (
                    "connection",
                    &self.right.bounds().connection_ms().to_string(),
                ),
            ],
        );
        self.promise().head(&title, &self.right) + &text
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let bounds = self.right.bounds();
        Promise {
            tier: Tier::Open,
            outlives: Outlives::Unbounded,
            because: format!(
                "A new connection is refused from notAfter on, a kept one takes its last request \
                 at an age of {}; an answer that runs, or a WebSocket, runs on.",
                bounds.connection()
            ),
            not_enforced: vec![
                "The scope: nginx reads no SAN. Every SVID under these roots is let in, and the \
                 service behind must read x-client-certificate and match the name above whole. If \
                 it cannot, put an Envoy here (`protem mesh envoy --side server`)."
                    .to_owned(),
                "The end of a certificate on a connection that is open.".to_owned(),
                "A denial before the end of a certificate.".to_owned(),
                "A new SVID of the server without `nginx -s reload`.".to_owned(),
            ],
        }
    }
}
