//! The options that every command has: where the server is, who asks, and how to show the answer.
//!
//! Promises: flags win over the files of `--dir`; what is missing is named together with the
//! command that provides it.
//! Refuses: to send the operator's secret of `--dir` to a server of another authority: it goes
//! only with the bundle that lies beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::exit::UsageError;
use crate::cli::screen::Color;
use crate::client::{BUNDLE_PEM, Client, Proof, ServerAddress};
use crate::id::entropy::Entropy;
use crate::time::{Clock, SystemClock, Timestamp};

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Reach {
    /// Data directory of a server on this machine
    #[arg(long, global = true, value_name = "DIR", default_value = ".protem")]
    pub(crate) dir: PathBuf,
    /// Address of the server, such as `https://localhost:8443`
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Roots that the server's certificate must stand under, PEM
    #[arg(long, global = true, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Prove the caller with the operator credential in this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "svid")]
    operator: Option<PathBuf>,
    /// Prove the caller with the SVID in this folder
    #[arg(long, global = true, value_name = "DIR")]
    svid: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto"
    )]
    pub(crate) color: Color,
}

impl Reach {
    /// A client for the caller that the options name, the operator of `--dir` by default.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let proof = match (&self.svid, &self.operator) {
            (Some(folder), _) => Proof::Svid(folder.clone()),
            (None, Some(file)) => Proof::BearerFile(file.clone()),
            (None, None) => self.operator_of_dir(),
        };
        self.client_as(proof)
    }

    /// A client for one caller.
    pub(crate) fn client_as(&self, proof: Proof) -> anyhow::Result<Client> {
        Ok(Client {
            address: self.address()?,
            bundle: self.bundle()?,
            proof,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::system()),
        })
    }

    /// The folder of `--svid`.
    pub(crate) fn svid(&self) -> Option<&Path> {
        self.svid.as_deref()
    }

    /// The folder of `--svid`, for commands that need one.
    pub(crate) fn svid_needed(&self) -> anyhow::Result<&Path> {
        let missing = "this is asked for with a base SVID: name its folder with `--svid DIR`, or \
                       get one with `protem svid write --join-token TOKEN --out DIR`";
        self.svid()
            .ok_or_else(|| UsageError(missing.to_owned()).into())
    }

    /// The time, for what is shown as remaining.
    pub(crate) fn now() -> Timestamp {
        SystemClock.now()
    }

    fn address(&self) -> anyhow::Result<ServerAddress> {
        let (text, from) = match &self.server {
            Some(text) => (text.clone(), "`--server`".to_owned()),
            None => self.address_of_dir()?,
        };
        text.parse()
            .map_err(|error| UsageError(format!("{from}: {error}")).into())
    }

    fn address_of_dir(&self) -> anyhow::Result<(String, String)> {
        let path = self.dir.join(SERVER_URL);
        match fs::read_to_string(&path) {
            Ok(text) => Ok((text, format!("`{}`", path.display()))),
            Err(error) => Err(UsageError(format!(
                "no server is known (`{}`: {error}): start one with `protem dev`, point `--dir` \
                 to the data directory of one, or name one with `--server URL --bundle FILE`",
                path.display()
            ))
            .into()),
        }
    }

    fn bundle(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.bundle {
            return Ok(path.clone());
        }
        let path = self.dir.join(BUNDLE_PEM);
        if path.is_file() {
            return Ok(path);
        }
        Err(UsageError(format!(
            "nothing says which server to trust: `{}` is not there; name the roots of the server \
             with `--bundle FILE` (its operator has them: `protem bundle --format pem`)",
            path.display()
        ))
        .into())
    }

    fn operator_of_dir(&self) -> Proof {
        let path = self.dir.join(OPERATOR_TOKEN);
        if self.bundle.is_none() && path.is_file() {
            Proof::BearerFile(path)
        } else {
            Proof::None
        }
    }
}

const SERVER_URL: &str = "server.url";
const OPERATOR_TOKEN: &str = "operator.token";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn reach(dir: &Path) -> Reach {
        Reach {
            dir: dir.to_owned(),
            server: None,
            bundle: None,
            operator: None,
            svid: None,
            json: false,
            color: Color::Never,
        }
    }

    fn usage(reach: &Reach) -> String {
        reach
            .client()
            .unwrap_err()
            .downcast::<UsageError>()
            .unwrap()
            .to_string()
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let mut reach = reach(dir.path());
        assert!(usage(&reach).contains("`protem dev`"));
        reach.server = Some("http://localhost".to_owned());
        assert!(usage(&reach).starts_with("`--server`: "));
        reach.server = Some("https://localhost:1".to_owned());
        assert!(usage(&reach).contains("`--bundle FILE`"));
        assert!(reach.svid_needed().is_err());
    }

    #[test]
    fn the_secret_of_the_directory_goes_with_its_own_bundle_only() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (SERVER_URL, "https://localhost:8443\n"),
            (BUNDLE_PEM, ""),
            (OPERATOR_TOKEN, ""),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let mut reach = reach(dir.path());
        let client = reach.client().unwrap();
        assert_eq!(client.address.to_string(), "https://localhost:8443");
        assert!(matches!(client.proof, Proof::BearerFile(_)));
        reach.bundle = Some("other.pem".into());
        assert!(matches!(reach.client().unwrap().proof, Proof::None));
        reach.svid = Some("svid".into());
        assert!(matches!(reach.client().unwrap().proof, Proof::Svid(_)));
    }
}
