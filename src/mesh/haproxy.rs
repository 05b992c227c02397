//! HAProxy before a service: the name and the end of a certificate, asked for each request.
//!
//! Promises: the text of all names of a certificate is compared whole; no session is resumed.
//! Refuses: the `dns` encoding, because the order of two names is nobody's promise.

use std::fmt::Write as _;

use crate::mesh::address::{Address, TextPath};
use crate::mesh::error::MeshError;
use crate::mesh::promise::{Outlives, Promise, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::fill;
use crate::scope::Encoding;

/// HAProxy before one service.
#[derive(Clone, Debug)]
pub struct HaProxy {
    /// What it enforces.
    pub right: Right,
    /// Where it listens.
    pub listen: Address,
    /// The service behind.
    pub upstream: Address,
    /// The folder that `protem svid write` keeps for the server.
    pub svid: TextPath,
}

impl HaProxy {
    /// The snippet, commented.
    ///
    /// # Errors
    /// [`MeshError::Encoding`] under `dns`.
    pub fn print(&self) -> Result<String, MeshError> {
        if self.right.encoding() == Encoding::Dns {
            return Err(MeshError::Encoding {
                mesh: "HAProxy",
                encoding: Encoding::Dns,
                because: "it shows all names of a certificate as one text, in the order of the \
                          certificate",
                remedy: "`path` or `folded`",
            });
        }
        let title = format!(
            "HAProxy (3.1 or newer) before a service that opens for `{}`; printed by `protem mesh \
             haproxy`.",
            self.right.scope()
        );
        let mut names = String::new();
        for holder in self.right.holders() {
            let _ = writeln!(names, "acl may ssl_c_san -m str URI:{}", holder.sans.uri);
        }
        for subject in self.right.base() {
            let _ = writeln!(names, "acl may ssl_c_san -m str URI:{subject}");
        }
        let bounds = self.right.bounds();
        let text = fill(
            include_str!("haproxy/haproxy.conf"),
            &[
                ("listen", &self.listen.to_string()),
                ("upstream", &self.upstream.to_string()),
                ("svid", &self.svid.to_string()),
                ("names", &names),
                ("connection", &bounds.connection_ms().to_string()),
            ],
        );
        Ok(self.promise().head(&title, &self.right) + &text)
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let bounds = self.right.bounds();
        Promise {
            tier: Tier::Open,
            outlives: Outlives::Unbounded,
            because: format!(
                "A request is refused a second after notAfter at the latest; an answer that runs \
                 is not cut, and a tunnel ends when it was silent for {}.",
                bounds.connection()
            ),
            not_enforced: vec![
                "The end of a certificate within an answer that runs, a WebSocket, or raw TCP."
                    .to_owned(),
                "A denial before the end of a certificate.".to_owned(),
                "A new SVID of the server without a reload.".to_owned(),
                "No HAProxy was run with this: names in ssl_c_san and both switches are from its \
                 manual."
                    .to_owned(),
            ],
        }
    }
}
