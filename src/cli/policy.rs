//! `protem policy`: who may hold which scope.
//!
//! Promises: `check`, `test` and `explain DIR` need no server; `activate` sends exactly the files
//! of the bundle, and the server checks them again.
//! Refuses: to send anything but bundle files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::exit::{Exit, UsageError};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::cli::serve;
use crate::client::routes;
use crate::identity::Group;
use crate::server::Supposed;
use crate::time::{Seconds, Timestamp};
use crate::wire::policy::{ExplainRequest, PolicyRequest, PolicyView};
use crate::wire::verdict::OutlookAnswer;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check a bundle: syntax, types, scopes, routes
    Check {
        /// The bundle, such as `policy`
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Run the tests of a bundle
    Test {
        /// The bundle, such as `policy`
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Tell what policy would answer, and why
    Explain(Explain),
    /// Put a bundle into force
    Activate {
        /// The bundle, such as `policy`
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Show the policy in force
    Show {
        /// Print its files
        #[arg(long)]
        files: bool,
    },
}

#[derive(Args)]
pub(crate) struct Explain {
    /// A bundle to ask instead of the server
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Who would ask
    #[arg(long, value_name = "SPIFFE_ID")]
    subject: String,
    /// For which scope
    #[arg(long)]
    scope: String,
    /// For how long; the scope's longest when absent
    #[arg(long, value_name = "SPAN")]
    duration: Option<Seconds>,
    /// With which reason
    #[arg(long)]
    reason: Option<String>,
    /// With which ticket
    #[arg(long)]
    ticket: Option<String>,
    /// As asked by a proxy
    #[arg(long)]
    on_demand: bool,
    /// As asked under the break-glass policies
    #[arg(long)]
    break_glass: bool,
    /// When; now when absent
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// A group that the subject is supposed to be in; with DIR; may be repeated
    #[arg(long = "group", value_name = "GROUP", requires = "folder")]
    groups: Vec<Group>,
    /// Approvals to suppose, such as `sre:2`; with DIR; may be repeated
    #[arg(long = "approval", value_name = "GROUP:COUNT", value_parser = approval)]
    #[arg(requires = "folder")]
    approvals: Vec<(Group, u32)>,
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Check { folder } => serve::policy_check(&folder, screen),
            Self::Test { folder } => serve::policy_test(&folder, screen),
            Self::Explain(explain) => explain.run(reach, screen).await,
            Self::Activate { folder } => {
                let files = read_bundle(&folder)?;
                let request = PolicyRequest { files };
                let done = reach.client()?.activate_policy(&request).await?;
                if screen.is_json() {
                    screen.json(&done)?;
                } else {
                    let version = done.version.to_string();
                    screen.record(&[("version", version), ("digest", done.digest)])?;
                    for warning in &done.warnings {
                        screen.say(&format!("warning: {warning}"));
                    }
                }
                Ok(Exit::Done)
            }
            Self::Show { files } => {
                show(files, reach, screen).await?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Explain {
    async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let request = ExplainRequest {
            subject: self.subject,
            scope: self.scope,
            duration: self.duration.map(|duration| duration.to_string()),
            reason: self.reason,
            ticket: self.ticket,
            on_demand: self.on_demand,
            break_glass: self.break_glass,
            at: self.at.map(Timestamp::rfc3339),
        };
        let answer = match &self.folder {
            Some(folder) => {
                let supposed = Supposed {
                    groups: self.groups,
                    approvals: self.approvals,
                };
                serve::policy_explain(folder, &request, supposed)?
            }
            None => reach.client()?.explain(&request).await?,
        };
        show_outlook(&answer, screen)
    }
}

/// Shows what would be answered; the exit code tells it too.
pub(crate) fn show_outlook(answer: &OutlookAnswer, screen: &mut Screen) -> anyhow::Result<Exit> {
    let outlook = &answer.outlook;
    let verdict = &outlook.verdict;
    if screen.is_json() {
        screen.json(answer)?;
    } else {
        screen.record(&[
            ("would be", verdict.decision.clone()),
            ("because", verdict.reason.clone().unwrap_or_default()),
            ("needs", routes(&outlook.waits_for)),
            ("for at most", outlook.duration.clone().unwrap_or_default()),
            ("decided by", verdict.policies.join(", ")),
            (
                "policy",
                format!("version {} {}", verdict.version, verdict.digest),
            ),
        ])?;
    }
    Ok(match verdict.decision.as_str() {
        "permit" => Exit::Done,
        "pending" => Exit::Waiting,
        _ => Exit::Denied,
    })
}

async fn show(files: bool, reach: &Reach, screen: &mut Screen) -> anyhow::Result<()> {
    let client = reach.client()?;
    if files {
        let view = client.policy_files().await?;
        if screen.is_json() {
            return screen.json(&view);
        }
        for (path, text) in &view.files {
            screen.text(&format!(
                "# --- {path} (version {})\n{text}\n",
                view.version
            ))?;
        }
        return Ok(());
    }
    let view: PolicyView = client.policy().await?;
    if screen.is_json() {
        return screen.json(&view);
    }
    screen.record(&[
        ("version", view.version.to_string()),
        ("digest", view.digest.clone()),
        ("author", view.author.clone()),
        ("activated", moment(&view.activated_at, Reach::now())),
    ])?;
    let rows = view.scopes.iter().map(|scope| {
        vec![
            scope.name.clone(),
            scope.owner.clone(),
            scope.encoding.clone(),
            scope.svid_life.clone(),
            scope.elevation_longest.clone(),
            scope.idle_longest.clone().unwrap_or_default(),
            scope.description.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let heads = [
        "scope",
        "owner",
        "encoding",
        "svid life",
        "longest",
        "idle",
        "description",
    ];
    screen.line("")?;
    screen.table(&heads, &rows)
}

/// The bundle files of a folder: `*.cedar` and `*.toml` in it, `*.toml` in its `tests`.
fn read_bundle(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    read_folder(folder, "", &["cedar", "toml"], &mut files)?;
    let tests = folder.join(TESTS);
    if tests.is_dir() {
        read_folder(&tests, "tests/", &["toml"], &mut files)?;
    }
    if files.is_empty() {
        let words = format!("`{}` holds no `*.cedar` and no `*.toml`", folder.display());
        return Err(UsageError(words).into());
    }
    let bytes: usize = files.values().map(String::len).sum();
    if BUNDLE_BYTES_MAX < bytes {
        let words = format!("the bundle has {bytes} bytes, more than {BUNDLE_BYTES_MAX}");
        return Err(UsageError(words).into());
    }
    Ok(files)
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    endings: &[&str],
    files: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let wrong = |path: &Path, error: std::io::Error| {
        UsageError(format!("cannot read `{}`: {error}", path.display()))
    };
    for item in fs::read_dir(folder).map_err(|error| wrong(folder, error))? {
        let path = item.map_err(|error| wrong(folder, error))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(name), true) = (name, ending.is_some_and(|one| endings.contains(&one))) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(|error| wrong(&path, error))?;
        files.insert(format!("{prefix}{name}"), text);
    }
    Ok(())
}

fn approval(text: &str) -> Result<(Group, u32), String> {
    text.split_once(':')
        .and_then(|(group, count)| Some((group.parse().ok()?, count.parse().ok()?)))
        .ok_or_else(|| "write it as GROUP:COUNT, such as `sre:2`".to_owned())
}

const TESTS: &str = "tests";
/// As the server bounds it.
const BUNDLE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_its_policies_catalogue_and_tests() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        };
        assert!(read_bundle(folder.path()).is_err());
        for path in [
            "elevate.cedar",
            "scopes.toml",
            "README.md",
            "tests/a.toml",
            "tests/b.json",
        ] {
            write(path);
        }
        let files = read_bundle(folder.path()).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["elevate.cedar", "scopes.toml", "tests/a.toml"]);
    }

    #[test]
    fn approvals_are_group_and_count() {
        assert_eq!(approval("sre:2"), Ok(("sre".parse().unwrap(), 2)));
        assert!(approval("sre").is_err());
        assert!(approval("sre:two").is_err());
    }
}
