//! The command line as a person and a script meet it: its help, its exit codes, its words.
//!
//! The help of each command stands in `tests/cmd/<command>.txt`. After a wanted change write it
//! anew with `PROTEM_WRITE_HELP=1 cargo test --test it cli::`, and read the difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::test_server::TestAuthority;

/// Runs the built program in an empty directory.
pub(crate) fn protem(directory: &Path, arguments: &[&str]) -> Output {
    protem_with(directory, arguments, &[])
}

/// With something in its environment.
pub(crate) fn protem_with(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Output {
    Command::new(env!("CARGO_BIN_EXE_protem"))
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(directory)
        .output()
        .expect("the program starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_is_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let mut root = protem::cli::command().term_width(100);
    root.build();
    let mut pages = vec![("protem".to_owned(), root.render_long_help().to_string())];
    for noun in root
        .get_subcommands_mut()
        .filter(|noun| noun.get_name() != "help")
    {
        let mut page = String::new();
        write_help(noun, &mut page);
        pages.push((noun.get_name().to_owned(), page));
    }
    let mut wrong = Vec::new();
    for (name, page) in &pages {
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("PROTEM_WRITE_HELP").is_some() {
            fs::write(&path, page).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != *page {
            wrong.push(format!("tests/cmd/{name}.txt"));
        }
    }
    let stale: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            !pages.iter().any(|(page, _)| page == name)
        })
        .collect();
    assert!(
        stale.is_empty(),
        "no command has these pages, remove them: {stale:?}"
    );
    assert!(
        wrong.is_empty(),
        "the help differs from {wrong:?}: if that is wanted, run \
         `PROTEM_WRITE_HELP=1 cargo test --test it cli::` and read the difference"
    );
}

fn write_help(command: &mut clap::Command, page: &mut String) {
    // What every command has stands once, on the page of the program.
    let help = command.render_long_help().to_string();
    let own = help.split("\nOptions of every command:").next().unwrap();
    page.push_str(own);
    for verb in command
        .get_subcommands_mut()
        .filter(|verb| verb.get_name() != "help")
    {
        page.push_str("\n----\n\n");
        write_help(verb, page);
    }
}

#[test]
fn what_is_missing_is_told_with_a_remedy() {
    let empty = tempfile::tempdir().unwrap();
    let output = protem(empty.path(), &["entry", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`protem dev`"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_server_that_is_not_there_has_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    // Asked for and given back: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let authority = TestAuthority::new();
    fs::write(directory.path().join("bundle.pem"), authority.root_pem()).unwrap();
    let server = format!("https://{free}");
    let arguments = [
        "--server",
        &server,
        "--bundle",
        "bundle.pem",
        "minting",
        "show",
        "--json",
    ];
    let output = protem(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(told["exit"], 5);
}

#[test]
fn completion_and_version_need_no_server() {
    let empty = tempfile::tempdir().unwrap();
    let script = stdout(&protem(empty.path(), &["completion", "bash"]));
    assert!(script.contains("--join-token"));
    let version = stdout(&protem(empty.path(), &["version"]));
    assert_eq!(version, format!("protem {}\n", env!("CARGO_PKG_VERSION")));
}
