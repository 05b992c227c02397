//! `protem mesh lint`: files in, holes out, an exit code for CI.
//!
//! Promises: reads nothing but what is named, and of a directory only YAML and JSON; in one order
//! on every machine; links are not followed inside a directory.
//! Refuses: more files and bytes than a person can mean: a mistyped `/` must not read a disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::{Exit, UsageError};
use crate::cli::screen::Screen;
use crate::mesh::lint::{Catalogue, FILE_BYTES_MAX, Json, Severity, Text, lint, sarif, told};

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Lint {
    /// Files, or directories that hold `*.yaml`, `*.yml` and `*.json`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Look into the directories below, too
    #[arg(long, short)]
    recursive: bool,
    /// The catalogue `scopes.toml`: also name scopes that no rule guards, and rules on others
    #[arg(long, value_name = "FILE")]
    scopes: Option<PathBuf>,
    /// Fail also on findings that are no errors: `warnings`, or `notes` and warnings
    #[arg(long, value_name = "SEVERITY", default_value = "errors")]
    deny: Severity,
    /// Print SARIF 2.1.0
    #[arg(long)]
    sarif: bool,
}

impl Lint {
    pub(crate) fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let catalogue = self.scopes.as_deref().map(read_catalogue).transpose()?;
        let texts = self.texts()?;
        let report = lint(&texts, catalogue.as_ref());
        if self.sarif {
            screen.json(&sarif(&report))?;
        } else if screen.is_json() {
            screen.json(&Json::from(&report))?;
        } else {
            screen.text(&told(&report))?;
        }
        Ok(if report.reaches(self.deny) {
            Exit::Failed
        } else {
            Exit::Done
        })
    }

    fn texts(&self) -> anyhow::Result<Vec<Text>> {
        let mut paths = Vec::new();
        for file in &self.files {
            if file.is_dir() {
                let mut found = Vec::new();
                collect(file, self.recursive, DEPTH_MAX, &mut found)?;
                paths.extend(found.into_iter().map(|path| (path, false)));
            } else {
                paths.push((file.clone(), true));
            }
        }
        let mut texts: Vec<Text> = Vec::new();
        let mut known = BTreeSet::new();
        let mut bytes = 0_usize;
        for (path, meant) in paths {
            let text = read(&path)?;
            bytes = bytes.saturating_add(text.len());
            if BYTES_MAX < bytes {
                let words = format!("the files have more than {BYTES_MAX} bytes together");
                return Err(UsageError(words).into());
            }
            let name = path.display().to_string();
            if known.insert(name.clone()) {
                texts.push(Text { name, text, meant });
            }
        }
        Ok(texts)
    }
}

/// The YAML and JSON files of a directory, by name.
fn collect(
    folder: &Path,
    recursive: bool,
    depth: usize,
    paths: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    if depth == 0 {
        let words = format!("`{}` is too deep", folder.display());
        return Err(UsageError(words).into());
    }
    let mut items = Vec::new();
    for item in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        items.push(item.map_err(|error| unreadable(folder, &error))?);
    }
    items.sort_by_key(fs::DirEntry::file_name);
    for item in items {
        let path = item.path();
        let kind = item
            .file_type()
            .map_err(|error| unreadable(&path, &error))?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        if kind.is_dir() && recursive {
            collect(&path, recursive, depth - 1, paths)?;
        } else if kind.is_file() && ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
            paths.push(path);
        }
        if FILES_MAX < paths.len() {
            let words = format!("`{}` holds more than {FILES_MAX} files", folder.display());
            return Err(UsageError(words).into());
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let file = fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let most = u64::try_from(FILE_BYTES_MAX)?.saturating_add(1);
    let mut bytes = Vec::new();
    let read = file.take(most).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    // What is no UTF-8 cannot be read by Envoy either: the linter tells the line.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_catalogue(path: &Path) -> anyhow::Result<Catalogue> {
    let name = path.display().to_string();
    Catalogue::read(&name, &read(path)?)
        .map_err(|error| UsageError(format!("`{name}`: {error}")).into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> UsageError {
    UsageError(format!("cannot read `{}`: {error}", path.display()))
}

const HELP: &str = "\
Exit codes:
  0  nothing found that is denied
  1  an error was found, or what --deny names
  2  the command line is wrong, or a file cannot be opened

A finding is allowed by a comment in its line or above it, with the reason:
  # protem: allow PM104 health checks only";

const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];
const BYTES_MAX: usize = 512 * 1024 * 1024;
const DEPTH_MAX: usize = 32;
const FILES_MAX: usize = 20_000;
