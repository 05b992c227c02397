//! `protem agent`: the agent of this machine, and what it gives to the calling process.
//!
//! Promises: asks as any workload does, over the SPIFFE Workload API; whatever else gives that API
//! is good enough for `fetch`, `watch` and `write`.
//! Refuses: to print a private key.

mod fetch;
mod run;
mod show;
mod socket;
mod status;
mod watch;
mod write;

use clap::Subcommand;

pub(crate) use crate::cli::agent::show::{json_of_ms, text_of_ms};
pub(crate) use crate::cli::agent::socket::Socket;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show once what the calling process holds
    Fetch(fetch::Fetch),
    /// Run the agent of this machine
    Run(run::Run),
    /// Show how the agent fares, and what it holds
    Status(status::Status),
    /// Show what the calling process holds, again after each change
    Watch(watch::Watch),
    /// Keep an SVID in a folder, for workloads that do not speak the Workload API
    Write(write::Write),
}

impl Verb {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Fetch(args) => args.run(screen).await,
            Self::Run(args) => args.run().await,
            Self::Status(args) => args.run(screen).await,
            Self::Watch(args) => args.run(screen).await,
            Self::Write(args) => args.run(screen).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use clap::Parser as _;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::agent::stand::{Served, Stand, identity};
    use crate::cli::agent::watch::{Follower, News};
    use crate::cli::agent::write::{Choice, Keeping, OVER, TAKEN_BACK};
    use crate::cli::exit::report;
    use crate::cli::reach::tests::reach;
    use crate::cli::screen::tests::Paper;
    use crate::config::WorkloadEndpoint;
    use crate::time::{ManualClock, Seconds};

    const A: &str = "spiffe://td/a";

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        verb: Verb,
    }

    /// Runs a command of `protem agent` and gives what it showed.
    async fn run(served: &Served, line: &str) -> (Result<Exit, Exit>, String) {
        let line = format!("agent {line} --socket {}", served.path.display());
        let verb = Line::try_parse_from(line.split(' ')).ok().unwrap().verb;
        let paper = Paper::default();
        let mut screen = paper.screen();
        let ran = verb.run(&mut screen).await;
        let ran = ran.map_err(|error| report(&error, &mut screen));
        (ran, paper.text())
    }

    fn hold(stand: &Stand, generation: u64) {
        let svid = stand.base(A, generation);
        let elevated = stand.elevated(A, "db.read", generation + 1);
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![identity(A, None, Some(svid))];
            holdings.elevated = vec![elevated];
        });
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn fetch_shows_all_and_writes_what_may_stay() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let out = tempfile::tempdir().unwrap();
        let out = out.path().join("out");
        let (exit, shown) = run(&served, &format!("fetch --write {}", out.display())).await;
        assert_eq!(exit, Ok(Exit::Done));
        assert!(shown.starts_with("SPIFFE ID "), "{shown}");
        assert!(
            shown.contains("spiffe://td/a/scope/db.read  scope/db.read  "),
            "{shown}"
        );
        assert_eq!(mode(&out.join("svid.key")), 0o600);
        let chain = || fs::read_to_string(out.join("svid.pem")).unwrap();
        let base = chain();
        let line = format!("fetch --hint scope/db.read --write {}", out.display());
        let (exit, shown) = run(&served, &line).await;
        assert_eq!(exit, Err(Exit::Usage));
        assert!(shown.contains("`protem agent write DIR"), "{shown}");
        assert_eq!(chain(), base, "nobody would take it away at its end");
        let (exit, shown) = run(&served, "fetch --hint scope/db.read").await;
        assert_eq!(exit, Ok(Exit::Done));
        assert!(
            !shown.contains("spiffe://td/a  "),
            "that one alone: {shown}"
        );
        tokio::time::pause();
        let line = format!("fetch --hint no --write {}", out.display());
        let (exit, shown) = run(&served, &line).await;
        assert_eq!(exit, Err(Exit::Usage));
        assert!(shown.contains("there is: scope/db.read"), "{shown}");
    }

    #[tokio::test]
    async fn json_holds_no_key() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let agent = crate::client::AgentSocket::connect(&served.path)
            .await
            .unwrap();
        let json = show::json_of(&agent.fetch().await.unwrap());
        assert_eq!(json["svids"][1]["hint"], "scope/db.read");
        assert!(!json.to_string().contains("PRIVATE"));
    }

    #[tokio::test]
    async fn refusals_have_their_exit_codes() {
        let stand = Stand::new();
        let served = stand.serve();
        stand.tell(|holdings| holdings.told = true);
        let (exit, shown) = run(&served, "fetch").await;
        assert_eq!(exit, Err(Exit::Denied));
        assert!(shown.contains("no identity issued"), "{shown}");
        let (exit, shown) = run(&served, "status").await;
        assert_eq!(exit, Ok(Exit::Done), "{shown}");
        fs::remove_file(&served.path).unwrap();
        let (exit, shown) = run(&served, "fetch").await;
        assert_eq!(exit, Err(Exit::Unreachable));
        assert!(shown.contains("`SPIFFE_ENDPOINT_SOCKET`"), "{shown}");
    }

    #[tokio::test]
    async fn a_kept_folder_follows_the_agent_to_the_end_of_the_right() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        let (paper, key) = (Paper::default(), out.join("svid.key"));
        let mut screen = paper.screen();
        let endpoint = WorkloadEndpoint::named(served.path.to_str().unwrap()).unwrap();
        let mut follower = Follower::new(endpoint).unwrap();
        let choice = Choice::of("scope/db.read");
        let mut keeping = Keeping::open(&out, choice).unwrap();
        let mut follow = async || {
            let changed = match follower.next(&mut screen).await.unwrap().unwrap() {
                News::Held(fetched) => keeping.put(&fetched, stand.now(), &mut screen),
                News::Lost => keeping.clear(TAKEN_BACK, &mut screen),
            };
            changed.unwrap()
        };
        assert!(follow().await && key.exists());
        let base = stand.base(A, 9);
        stand.tell(|holdings| holdings.identities[0].svid = Some(base));
        assert!(!follow().await, "another one was renewed");
        stand.tell(|holdings| holdings.elevated.clear());
        assert!(follow().await && !key.exists());
        hold(&stand, 20);
        assert!(follow().await && key.exists());
        stand.tell(|holdings| holdings.identities.clear());
        assert!(follow().await && !key.exists());
        hold(&stand, 30);
        assert!(follow().await && key.exists());
        let clock = ManualClock::new(stand.now());
        assert!(keeping.over(&clock).now_or_never().is_none());
        clock.advance(Seconds::new(901));
        keeping.over(&clock).await;
        assert!(keeping.clear(OVER, &mut screen).unwrap() && !key.exists());
        assert!(keeping.over(&clock).now_or_never().is_none());
        let said = paper.text();
        assert!(said.contains("no identity issued"), "{said}");
        assert!(said.contains("the agent gives no such SVID"), "{said}");
    }

    #[tokio::test]
    async fn a_command_runs_without_a_shell_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("$HOME;x");
        let paper = Paper::default();
        let command = write::words_of(&format!("touch  {}", made.display())).unwrap();
        write::run(&command, &mut paper.screen()).await;
        assert!(made.exists());
        for (command, words) in [("false", "`false` failed"), ("/no/such", "did not start")] {
            let command = write::words_of(command).unwrap();
            write::run(&command, &mut paper.screen()).await;
            assert!(paper.text().contains(words), "{}", paper.text());
        }
        assert!(write::words_of(" ").is_err());
    }

    #[tokio::test]
    async fn what_the_server_or_the_agent_says_to_an_elevation_is_told() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let elevate = async |scope: &str| {
            let socket = served.path.display();
            let line = format!("elevate {scope} --socket {socket} --reason fire");
            let elevate = ElevateLine::try_parse_from(line.split(' ')).ok().unwrap();
            let paper = Paper::default();
            let mut screen = paper.screen();
            let ran = elevate
                .elevate
                .run(&reach(Path::new("nowhere")), &mut screen)
                .await;
            let ran = ran.map_err(|error| report(&error, &mut screen));
            (ran, paper.text())
        };
        let (exit, shown) = elevate("db.read").await;
        assert_eq!(exit, Err(Exit::Unreachable), "{shown}");
        assert!(
            shown.contains("cannot reach https://127.0.0.1:1"),
            "{shown}"
        );
        let (exit, shown) = elevate("No-Scope").await;
        assert_eq!(exit, Err(Exit::Usage), "{shown}");
    }

    #[derive(clap::Parser)]
    struct ElevateLine {
        #[command(flatten)]
        elevate: crate::cli::elevate::Elevate,
    }
}
