//! Secrets in the form in which Envoy reads them from files.
//!
//! Promises: certificate and key stand in one file, so that a rename replaces both at once and no
//! reader ever meets one without the other. JSON is YAML, so no second writer is needed.
//! Refuses: nothing. An empty list takes nothing back from a running Envoy (it keeps what it has);
//! it lets one that starts later start, and answer 503 until a secret comes.

use serde::Serialize;
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Discovery<'a> {
    resources: Vec<Secret<'a>>,
}

#[derive(Serialize)]
struct Secret<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'static str,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content<'a> {
    TlsCertificate {
        certificate_chain: Inline<'a>,
        private_key: Inline<'a>,
    },
    ValidationContext {
        trusted_ca: Inline<'a>,
    },
}

#[derive(Serialize)]
struct Inline<'a> {
    inline_string: &'a str,
}

/// The secret `default`: a chain and its key.
pub(crate) fn svid(chain: &str, key: &str) -> Zeroizing<Vec<u8>> {
    write(vec![Secret {
        kind: SECRET,
        name: "default",
        content: Content::TlsCertificate {
            certificate_chain: Inline {
                inline_string: chain,
            },
            private_key: Inline { inline_string: key },
        },
    }])
}

/// The secret `ROOTCA`: the roots.
pub(crate) fn bundle(roots: &str) -> Zeroizing<Vec<u8>> {
    write(vec![Secret {
        kind: SECRET,
        name: "ROOTCA",
        content: Content::ValidationContext {
            trusted_ca: Inline {
                inline_string: roots,
            },
        },
    }])
}

/// No secret.
pub(crate) fn nothing() -> Zeroizing<Vec<u8>> {
    write(Vec::new())
}

fn write(resources: Vec<Secret<'_>>) -> Zeroizing<Vec<u8>> {
    let discovery = Discovery { resources };
    // Room from the start: growing would leave copies of a key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES));
    // Texts with text keys always serialise, and a Vec takes all bytes.
    let _ = serde_json::to_writer(&mut *text, &discovery);
    text.push(b'\n');
    text
}

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const TEXT_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn secrets_have_the_form_that_envoy_reads() {
        let kind = "\"@type\":\"type.googleapis.com/\
                    envoy.extensions.transport_sockets.tls.v3.Secret\"";
        assert_eq!(
            text(&svid("C\n", "K\n")),
            format!(
                "{{\"resources\":[{{{kind},\"name\":\"default\",\"tls_certificate\":\
                 {{\"certificate_chain\":{{\"inline_string\":\"C\\n\"}},\
                 \"private_key\":{{\"inline_string\":\"K\\n\"}}}}}}]}}\n"
            )
        );
        assert_eq!(
            text(&bundle("R")),
            format!(
                "{{\"resources\":[{{{kind},\"name\":\"ROOTCA\",\"validation_context\":\
                 {{\"trusted_ca\":{{\"inline_string\":\"R\"}}}}}}]}}\n"
            )
        );
        assert_eq!(text(&nothing()), "{\"resources\":[]}\n");
    }
}
