//! The options that tell a right, and the catalogue that may tell a part of it.
//!
//! Promises: what `scopes.toml` says need not be said again.
//! Refuses: to choose where the options and the catalogue differ.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::UsageError;
use crate::cli::mesh::usage;
use crate::identity::Subject;
use crate::mesh::{MeshError, Right, Terms};
use crate::scope::{Encoding, Scope};
use crate::time::Seconds;

#[derive(Args)]
pub(crate) struct RightOptions {
    /// Which scope
    #[arg(long)]
    scope: Scope,
    /// Who may hold it; may be repeated
    #[arg(long = "subject", value_name = "SPIFFE_ID")]
    subjects: Vec<Subject>,
    /// Whose base SVID may do the same here; nobody's when absent; may be repeated
    #[arg(long = "base-rights", value_name = "SPIFFE_ID")]
    base_rights: Vec<Subject>,
    /// The longest life of one elevated SVID, from which every bound is computed
    #[arg(long, value_name = "SPAN")]
    svid_life: Option<Seconds>,
    /// How the scope is written into the certificate: path, folded or dns; path when absent
    #[arg(long)]
    encoding: Option<Encoding>,
    /// The policy bundle whose scopes.toml says life, encoding and server of the scope
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
}

impl RightOptions {
    /// The right, and the servers that the catalogue names.
    pub(crate) fn read(&self) -> Result<(Right, Vec<Subject>), UsageError> {
        let terms = self.terms()?;
        let life = agreed(
            "svid_life",
            self.svid_life,
            terms.as_ref().map(|t| t.svid_life),
        );
        let life = life.map_err(usage)?.ok_or_else(|| {
            usage(MeshError::Missing {
                what: "the life of an elevated SVID, from which every bound is computed,",
                remedy: "`--svid-life SPAN`, or `--policy DIR` that says it",
            })
        })?;
        let encoding = agreed(
            "encoding",
            self.encoding,
            terms.as_ref().map(|t| t.encoding),
        );
        let right = Right::new(
            self.scope.clone(),
            encoding.map_err(usage)?.unwrap_or_default(),
            &self.subjects,
            &self.base_rights,
            life,
        );
        let servers = terms.map(|terms| terms.servers).unwrap_or_default();
        Ok((right.map_err(usage)?, servers))
    }

    fn terms(&self) -> Result<Option<Terms>, UsageError> {
        let Some(folder) = &self.policy else {
            return Ok(None);
        };
        let path = folder.join("scopes.toml");
        let text = fs::read_to_string(&path).map_err(|error| {
            let path = path.display();
            UsageError(format!(
                "cannot read {path}: {error}: name the folder of a policy bundle, such as `policy`"
            ))
        })?;
        Terms::read(&text, &self.scope).map(Some).map_err(usage)
    }
}

/// What the option says, else the catalogue; they may not differ.
fn agreed<T: PartialEq + ToString>(
    key: &'static str,
    given: Option<T>,
    catalogue: Option<T>,
) -> Result<Option<T>, MeshError> {
    match (given, catalogue) {
        (Some(given), Some(catalogue)) if given != catalogue => Err(MeshError::Contradiction {
            key,
            given: given.to_string(),
            catalogue: catalogue.to_string(),
        }),
        (given, catalogue) => Ok(given.or(catalogue)),
    }
}
