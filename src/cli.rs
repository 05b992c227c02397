//! The command line: `protem <noun> <verb>`.
//!
//! Promises: tables for people, `--json` for programs, one documented exit code for each way to
//! end; whatever a server wrote is cleaned before it reaches a terminal; secrets are printed only
//! where printing them is the command's purpose, alone on standard output.
//! Refuses: to reach into the server's rooms. All but `serve` and its kin is a client that asks
//! through the door, also when both run on one machine.

mod agent;
mod audit;
mod bundle;
mod clock;
mod completion;
mod dev;
mod doctor;
mod elevate;
mod elevation;
mod entry;
mod exit;
mod keep;
mod mesh;
mod minting;
mod paging;
mod policy;
mod reach;
mod revoke;
mod screen;
mod serve;
mod svid;
mod token;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;

/// Mints minutes-long SPIFFE X.509 SVIDs whose scope a service mesh enforces.
#[derive(Parser)]
#[command(
    name = "protem",
    version,
    after_help = exit::HELP,
    max_term_width = 100,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Start a server with safe defaults and a demo workload in the data directory
    Dev(dev::Dev),
    /// Start the server
    Serve(serve::Serve),
    /// Tell what is wrong with this server's place, or with a mesh's endpoint
    Doctor(doctor::Doctor),
    /// Get and keep SVIDs
    #[command(subcommand)]
    Svid(svid::Verb),
    /// Hold a scope for some minutes, asked for with the base SVID of `--svid`
    Elevate(elevate::Elevate),
    /// See and end elevations
    #[command(subcommand)]
    Elevation(elevation::Verb),
    /// End elevations by subject, scope or instance, or all of them
    Revoke(revoke::Revoke),
    /// What the agent of this machine gives to the calling process
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Registered workloads
    #[command(subcommand)]
    Entry(entry::Verb),
    /// One-use join tokens, the first proof of a workload without an SVID
    #[command(subcommand)]
    Token(token::Verb),
    /// Print the roots that verifiers need
    Bundle(bundle::Bundle),
    /// What happened
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Who may hold which scope
    #[command(subcommand)]
    Policy(policy::Verb),
    /// What a mesh must be told so that a right ends, and the holes of what it was told
    #[command(subcommand)]
    Mesh(mesh::Verb),
    /// Whether the server mints
    #[command(subcommand)]
    Minting(minting::Verb),
    /// The server's clock
    #[command(subcommand)]
    Clock(clock::Verb),
    /// Copy the store while the server runs
    Backup(serve::Backup),
    /// Put a copy of the store in its place, while no server runs
    Restore(serve::Restore),
    /// Print the completion script of a shell
    Completion(completion::Completion),
    /// Print the version
    Version(version::Version),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where even the help cannot be printed, the exit code is all that is left to say.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.code()
            } else {
                Exit::Done.code()
            };
        }
    };
    let mut screen = Screen::of_process(cli.reach.json, cli.reach.color);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match &runtime {
        Ok(runtime) => runtime.block_on(perform(cli, &mut screen)),
        Err(error) => Err(anyhow::anyhow!("the runtime does not start: {error}")),
    };
    match outcome {
        Ok(exit) => exit.code(),
        Err(error) => {
            let exit = exit::report(&error, &mut screen);
            if let Ok(runtime) = runtime {
                // A server that was told twice to stop waits for no thread that is stuck.
                runtime.shutdown_background();
            }
            exit.code()
        }
    }
}

/// The whole command line, for its help and its completion.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

async fn perform(cli: Cli, screen: &mut Screen) -> anyhow::Result<Exit> {
    let reach = &cli.reach;
    match cli.noun {
        Noun::Agent(verb) => verb.run(screen).await,
        Noun::Audit(verb) => verb.run(reach, screen).await,
        Noun::Backup(args) => args.run(reach, screen),
        Noun::Bundle(args) => args.run(reach, screen).await,
        Noun::Clock(verb) => verb.run(reach, screen).await,
        Noun::Completion(args) => args.run(screen),
        Noun::Dev(args) => args.run(reach, screen).await,
        Noun::Doctor(args) => args.run(reach, screen).await,
        Noun::Elevate(args) => args.run(reach, screen).await,
        Noun::Elevation(verb) => verb.run(reach, screen).await,
        Noun::Entry(verb) => verb.run(reach, screen).await,
        Noun::Mesh(verb) => verb.run(screen),
        Noun::Minting(verb) => verb.run(reach, screen).await,
        Noun::Policy(verb) => verb.run(reach, screen).await,
        Noun::Restore(args) => args.run(reach, screen),
        Noun::Revoke(args) => args.run(reach, screen).await,
        Noun::Serve(args) => args.run().await,
        Noun::Svid(verb) => verb.run(reach, screen).await,
        Noun::Token(verb) => verb.run(reach, screen).await,
        Noun::Version(args) => args.run(screen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_after_the_verb() {
        for line in [
            "protem --dir d token create spiffe://td/a --ttl 5m",
            "protem token create spiffe://td/a --dir d --ttl 5m",
            "protem --dir d dev",
            "protem --dir d svid write --join-token T --out o",
            "protem svid write --svid d --out o --scope db.read --once",
            "protem --dir d elevate db.read --svid w --out e --duration 60s",
            "protem revoke --all --reason fire",
            "protem entry put -f entries.toml",
            "protem entry put --subject spiffe://td/a --owner shop --group web --life 1h",
            "protem audit export --scope db.read --from 2026-01-01T00:00:00Z",
            "protem policy explain policy --subject spiffe://td/a --scope b --group sre --approval sre:2",
            "protem policy explain --subject spiffe://td/a --scope db.read",
            "protem completion bash",
            "protem agent fetch --socket unix:///run/a.sock --write d --hint scope/db.read",
            "protem agent write d --on-change true",
            "protem elevate db.read --socket a.sock --reason fire --wait",
            "protem mesh envoy --scope a --subject spiffe://td/a --side server --upstream h:1",
            "protem mesh nginx --scope a --subject spiffe://td/a --upstream [::1]:1",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "protem",
            "protem revoke --reason fire",
            "protem elevate db.read --socket a.sock --out d",
            "protem elevate db.read --subject spiffe://td/a --out d",
            "protem revoke --all --scope a --reason fire",
            "protem entry put",
            "protem policy explain --subject spiffe://td/a --scope b --group sre",
            "protem entry put -f e.toml --subject spiffe://td/a --owner b",
            "protem svid write --svid d --join-token T --out o",
            "protem --svid d --operator f token list",
            "protem elevate db.read --out e --once --wait --duration soon",
            "protem mesh envoy --scope a --subject spiffe://td/a/scope/b --side server --upstream h:1",
            "protem mesh envoy --scope A --subject spiffe://td/a --side server --upstream h:1",
            "protem mesh linkerd --scope a --subject spiffe://td/a --target-port 0",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
