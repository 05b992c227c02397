//! `protem dev`: a whole server with safe defaults, and the commands to try next.
//!
//! Promises: every printed command works as it is printed, from the directory in which `dev` was
//! started, with the program that was started.
//! Refuses: to set anything up by itself; that is the room `server`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::server::{self, DevOptions};
use crate::telemetry;
use crate::time::SystemClock;

/// Uses the data directory of `--dir`.
#[derive(Args)]
pub(crate) struct Dev {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A policy bundle to activate instead of the example
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// What to log, such as `info` or `protem::api=debug,info`
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn,protem::api::request=info"
    )]
    log: String,
}

impl Dev {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        telemetry::start(&self.log, screen.is_json())?;
        let options = DevOptions {
            directory: reach.dir.clone(),
            listen: self.listen,
            policy: self.policy,
        };
        let dev = server::dev(&options, Arc::new(SystemClock)).await?;
        if screen.is_json() {
            screen.json(&json!({ "url": dev.url, "subjects": dev.subjects }))?;
        } else {
            let program = std::env::args().next();
            let program = program.as_deref().unwrap_or("protem");
            let subject = dev.subjects.first().map_or("SPIFFE_ID", String::as_str);
            screen.text(&next_commands(program, &dev.url, &reach.dir, subject))?;
        }
        dev.running.wait().await?;
        Ok(Exit::Done)
    }
}

/// What to try with a server at `url` that keeps its data in `data` and knows `subject`.
pub(crate) fn next_commands(program: &str, url: &str, data: &Path, subject: &str) -> String {
    let program = quoted(program);
    let bundle = quoted(&data.join("bundle.pem").to_string_lossy());
    let protem = if data == Path::new(".protem") {
        program
    } else {
        format!("{program} --dir {}", quoted(&data.to_string_lossy()))
    };
    format!(
        "\
protem serves at {url} and keeps its data in `{data}`. Ctrl-C ends it.

In another terminal, from the same directory:

# A first certificate, with tools that every machine has.
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj / \\
    -keyout key.pem -out csr.pem
curl --silent --show-error --fail-with-body --cacert {bundle} --data-binary @csr.pem \\
    --header \"Authorization: Bearer $({protem} token create {subject})\" \\
    --header 'Content-Type: application/x-pem-file' \\
    --header 'Accept: application/pem-certificate-chain' \\
    {url}/v1/svids --output chain.pem
openssl verify -x509_strict -CAfile {bundle} -untrusted chain.pem chain.pem

# The same in files that Envoy reads; without --once it is kept fresh.
{protem} svid write --out web --once \\
    --join-token \"$({protem} token create {subject})\"

# The right to `db.read`, in a certificate of its own that ends by itself.
{protem} elevate db.read --svid web --out elevated --duration 10m \\
    --reason 'to try it' --once
{protem} svid show elevated

# What happened.
{protem} audit list --subject {subject}

# A real Envoy that opens for the scope and shuts at its end (from the repository): deploy/demo/run
",
        data = data.display()
    )
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_program_and_the_directory_that_were_used() {
        let subject = "spiffe://dev.test/ns/demo/sa/web";
        let text = next_commands(
            "target/debug/protem",
            "https://a:1",
            ".protem".as_ref(),
            subject,
        );
        assert!(
            text.contains("\ntarget/debug/protem audit list --subject spiffe://"),
            "{text}"
        );
        let text = next_commands("protem", "https://a:1", "my data".as_ref(), subject);
        assert!(
            text.contains("\nprotem --dir 'my data' svid write"),
            "{text}"
        );
        assert!(text.contains("--cacert 'my data/bundle.pem' "), "{text}");
    }

    #[test]
    fn a_word_of_a_shell_stays_one_word() {
        assert_eq!(quoted("a/b.c"), "a/b.c");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
