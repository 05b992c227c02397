//! `protem entry`: registered workloads.
//!
//! Promises: a file of entries is read whole before the first of them is put; putting it again
//! changes nothing.
//! Refuses: unknown keys in the file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::cli::exit::{Exit, UsageError};
use crate::cli::paging::{Paging, tell_next};
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::client::Client;
use crate::identity::SELECTOR_KINDS;
use crate::time::Seconds;
use crate::wire::entry::{EntryRequest, EntryView};
use crate::wire::page::{PAGE_ROWS_MAX, PageQuery};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Register workloads, or replace the whole of what is registered for them
    Put(Put),
    /// Show registered workloads
    List(Paging),
    /// Show one
    Show {
        /// Its id `en-...`, or its SPIFFE ID
        entry: String,
    },
    /// Remove one; its SVIDs are not renewed any more
    Remove {
        /// Its id `en-...`, or its SPIFFE ID
        entry: String,
    },
}

#[derive(Args)]
pub(crate) struct Put {
    /// TOML with one `[[entries]]` table for each workload
    #[arg(short, long, value_name = "FILE", conflicts_with = "subject")]
    file: Option<PathBuf>,
    /// The workload's SPIFFE ID
    #[arg(
        long,
        value_name = "SPIFFE_ID",
        required_unless_present = "file",
        requires = "owner"
    )]
    subject: Option<String>,
    /// The group that answers for the workload
    #[arg(long, value_name = "GROUP", conflicts_with = "file")]
    owner: Option<String>,
    /// A group that policy sees the workload in; may be repeated
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "file")]
    groups: Vec<String>,
    /// What the workload must show on its host, such as `unix:uid:1000`; may be repeated
    #[arg(long = "selector", value_name = "SELECTOR", conflicts_with = "file")]
    selectors: Vec<String>,
    /// Who may obtain the SVID: `token`, `x509` for an X.509-SVID of another authority that names
    /// the subject, the URL of a token issuer, an agent's SPIFFE ID, or `foreign` where another
    /// trust domain gives it; may be repeated
    #[arg(long = "obtained-by", value_name = "WHO", default_value = "token")]
    obtained_by: Vec<String>,
    /// How long a base SVID lives
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    life: Seconds,
    /// A word for the workload that tells this SVID from its others
    #[arg(long, value_name = "WORD", conflicts_with = "file")]
    hint: Option<String>,
    /// A trust domain whose bundle the workload is given beside its own; may be repeated
    #[arg(
        long = "federates-with",
        value_name = "TRUST_DOMAIN",
        conflicts_with = "file"
    )]
    federates_with: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesFile {
    entries: Vec<EntryRequest>,
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let client = reach.client()?;
        match self {
            Self::Put(put) => {
                let mut put_now = Vec::new();
                for request in put.requests()? {
                    if fits_everybody(&request) {
                        screen.say(&format!(
                            "`{}`: a program's path or digest alone fits every local user who can \
                             run it; add a user, unit or container",
                            request.subject
                        ));
                    }
                    if fits_nobody(&request) {
                        screen.say(&format!(
                            "`{}`: without a selector it fits no process at its agent: add \
                             `--selector`",
                            request.subject
                        ));
                    }
                    for selector in request.selectors.iter().filter(|one| nobody_shows(one)) {
                        screen.say(&format!(
                            "`{}`: no agent shows `{selector}`, so it fits nobody; agents show {}",
                            request.subject,
                            SELECTOR_KINDS.join(", ")
                        ));
                    }
                    let done = client.put_entry(&request).await;
                    put_now.push(done.with_context(|| format!("`{}`", request.subject))?);
                }
                show_many(&put_now, screen)?;
            }
            Self::List(paging) => {
                let page = client.entries(&paging.query()).await?;
                if screen.is_json() {
                    screen.json(&page)?;
                } else {
                    show_many(&page.items, screen)?;
                    tell_next(page.next.as_deref(), screen);
                }
            }
            Self::Show { entry } => {
                let entry = find(&client, &entry).await?;
                show_one(&entry, screen)?;
            }
            Self::Remove { entry } => {
                let entry = find(&client, &entry).await?;
                client.remove_entry(&entry.id).await?;
                screen.say(&format!(
                    "removed {} of {}; what was minted lives to its end, and open elevations go on \
                     when it is put again: protem revoke --subject {} --reason WHY",
                    entry.id, entry.subject, entry.subject
                ));
            }
        }
        Ok(Exit::Done)
    }
}

impl Put {
    fn requests(self) -> anyhow::Result<Vec<EntryRequest>> {
        if let Some(path) = &self.file {
            return read_entries(path);
        }
        Ok(vec![EntryRequest {
            subject: self.subject.unwrap_or_default(),
            selectors: self.selectors,
            obtained_by: self.obtained_by,
            owner: self.owner.unwrap_or_default(),
            groups: self.groups,
            life: self.life.to_string(),
            hint: self.hint,
            federates_with: self.federates_with,
        }])
    }
}

/// Whether the selectors say only which program runs: its user can load his own code into it.
fn fits_everybody(request: &EntryRequest) -> bool {
    let of_program = |selector: &String| OF_PROGRAM.iter().any(|kind| selector.starts_with(kind));
    !request.selectors.is_empty() && request.selectors.iter().all(of_program)
}

/// Whether an agent obtains it, and nothing says for which process.
fn fits_nobody(request: &EntryRequest) -> bool {
    let of_agent = |who: &String| who.starts_with("spiffe://");
    request.selectors.is_empty() && request.obtained_by.iter().any(of_agent)
}

/// Whether no process ever shows a selector: its kind is none, or its number no number.
fn nobody_shows(selector: &str) -> bool {
    let kind = SELECTOR_KINDS
        .iter()
        .find_map(|kind| Some((kind, selector.strip_prefix(kind)?.strip_prefix(':')?)));
    match kind {
        Some((kind, value)) => NUMBERS.contains(kind) && value.parse::<u32>().is_err(),
        None => true,
    }
}

fn read_entries(path: &Path) -> anyhow::Result<Vec<EntryRequest>> {
    let text = fs::read_to_string(path)
        .map_err(|error| UsageError(format!("cannot read `{}`: {error}", path.display())))?;
    let file: EntriesFile = toml::from_str(&text)
        .map_err(|error| UsageError(format!("`{}`: {error}", path.display())))?;
    Ok(file.entries)
}

async fn find(client: &Client, wanted: &str) -> anyhow::Result<EntryView> {
    if !wanted.starts_with("spiffe://") {
        return Ok(client.entry(wanted).await?);
    }
    let mut query = PageQuery {
        limit: Some(PAGE_ROWS_MAX),
        cursor: None,
    };
    for _ in 0..PAGES_MAX {
        let page = client.entries(&query).await?;
        if let Some(entry) = page.items.into_iter().find(|one| one.subject == wanted) {
            return Ok(entry);
        }
        if page.next.is_none() {
            break;
        }
        query.cursor = page.next;
    }
    anyhow::bail!("no entry has the subject `{wanted}`: see `protem entry list`")
}

fn show_many(entries: &[EntryView], screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&entries);
    }
    let rows = entries.iter().map(|entry| {
        vec![
            entry.id.clone(),
            entry.subject.clone(),
            entry.owner.clone(),
            entry.groups.join(","),
            entry.obtained_by.join(","),
            entry.selectors.join(","),
            entry.life.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let heads = [
        "id",
        "subject",
        "owner",
        "groups",
        "obtained by",
        "selectors",
        "life",
    ];
    screen.table(&heads, &rows)
}

fn show_one(entry: &EntryView, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(entry);
    }
    screen.record(&[
        ("id", entry.id.clone()),
        ("subject", entry.subject.clone()),
        ("owner", entry.owner.clone()),
        ("groups", entry.groups.join(", ")),
        ("selectors", entry.selectors.join(", ")),
        ("obtained by", entry.obtained_by.join(", ")),
        ("life", entry.life.clone()),
        ("hint", entry.hint.clone().unwrap_or_default()),
        ("federates with", entry.federates_with.join(", ")),
        ("version", entry.version.to_string()),
    ])
}

/// Kinds whose values are numbers.
const NUMBERS: [&str; 3] = ["unix:uid", "unix:gid", "unix:supplementary_gid"];
const OF_PROGRAM: [&str; 2] = ["unix:path:", "unix:sha256:"];
/// A million entries: more than one server is built for.
const PAGES_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_a_program_alone_are_warned_of() {
        for (selectors, warned) in [
            (&[][..], false),
            (&["unix:path:/usr/bin/web"], true),
            (&["unix:path:/usr/bin/web", "unix:sha256:00"], true),
            (&["unix:path:/usr/bin/web", "unix:uid:7"], false),
            (&["systemd:id:web.service"], false),
        ] {
            let request = EntryRequest {
                selectors: selectors.iter().map(ToString::to_string).collect(),
                ..EntryRequest::default()
            };
            assert_eq!(fits_everybody(&request), warned, "{selectors:?}");
        }
    }

    #[test]
    fn selectors_that_nobody_shows_are_warned_of() {
        for shown in [
            "unix:uid:0",
            "unix:supplementary_gid:7",
            "unix:user:web",
            "unix:path:/a:b",
            "systemd:id:web.service",
            "container:id:00",
        ] {
            assert!(!nobody_shows(shown), "{shown}");
        }
        for typo in [
            "uid:0",
            "unix:uid:root",
            "unix:gid:-1",
            "unix:uid",
            "unix:name:a",
        ] {
            assert!(nobody_shows(typo), "{typo}");
        }
    }

    #[test]
    fn a_file_of_entries_is_read_whole_and_strictly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entries.toml");
        let good = "[[entries]]\nsubject = \"spiffe://td/a\"\nowner = \"shop\"\n\
                    obtained_by = [\"token\"]\nlife = \"1h\"\n";
        fs::write(&path, good.repeat(2)).unwrap();
        let entries = read_entries(&path).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].life, "1h");

        fs::write(&path, format!("{good}colour = \"red\"\n")).unwrap();
        let error = read_entries(&path).unwrap_err();
        assert!(error.is::<UsageError>());
        assert!(
            error.to_string().contains("unknown field `colour`"),
            "{error}"
        );
    }
}
