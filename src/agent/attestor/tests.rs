//! Attesting real processes. Root runs these tests: some callers are of other users.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::agent::callers::Caller;
use crate::time::SystemClock;

use super::*;

/// A socket that anybody reaches, and what attests its callers.
struct World {
    folder: TempDir,
    listener: UnixListener,
    attestor: Arc<Attestor>,
}

impl World {
    fn new() -> Self {
        Self::of(Attestor::new(SHA256_BYTES_MAX, Arc::new(SystemClock)).unwrap())
    }

    fn of(attestor: Arc<Attestor>) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "run the tests as root: they have callers of other users"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let open = fs::Permissions::from_mode(0o666);
        fs::set_permissions(folder.path().join("socket"), open).unwrap();
        attestor.need(Needs::ALL);
        Self {
            folder,
            listener,
            attestor,
        }
    }

    async fn meet(&self, caller: &mut Caller) -> Peer {
        self.try_meet(caller).await.unwrap()
    }

    async fn try_meet(&self, caller: &mut Caller) -> Result<Peer, AttestError> {
        caller.connects(&self.folder.path().join("socket"));
        let (stream, _) = self.listener.accept().await.unwrap();
        let met = self.attestor.meet(&stream, false);
        // The connection lives as long as the caller's end; the peer does not need ours.
        drop(stream);
        met
    }

    /// A program of its own that waits until its input ends.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::copy("/bin/cat", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// Waits until the process runs this file: `exec` says nothing when it is done.
async fn until_it_runs(pid: u32, program: &std::path::Path) {
    while fs::read_link(format!("/proc/{pid}/exe")).unwrap() != program {
        tokio::task::yield_now().await;
    }
}

fn texts(selectors: &BTreeSet<Selector>) -> Vec<&str> {
    selectors.iter().map(Selector::as_str).collect()
}

fn has(selectors: &BTreeSet<Selector>, text: &str) -> bool {
    texts(selectors).contains(&text)
}

fn sha256_of(path: &std::path::Path) -> String {
    let bytes = fs::read(path).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    format!("unix:sha256:{}", crate::id::hex::text(digest.as_ref()))
}

#[tokio::test]
async fn another_user_shows_other_selectors() {
    let world = World::new();
    let (mut root, mut other) = (Caller::begin(), Caller::of(61_234, &[61_235, 0, 61_236]));
    let root = world.meet(&mut root).await.attest().await.unwrap();
    let peer = world.meet(&mut other).await;
    assert_eq!((peer.uid(), peer.gid()), (61_234, 61_235));
    let other = peer.attest().await.unwrap();
    for text in [
        "unix:uid:0",
        "unix:user:root",
        "unix:gid:0",
        "unix:group:root",
    ] {
        assert!(has(&root, text) && !has(&other, text), "{text}");
    }
    for text in [
        "unix:uid:61234",
        "unix:gid:61235",
        "unix:supplementary_gid:0",
        "unix:supplementary_gid:61236",
        "unix:supplementary_group:root",
    ] {
        assert!(has(&other, text), "{text}: {:?}", texts(&other));
    }
}

#[tokio::test]
async fn the_file_that_runs_is_told_by_path_and_digest() {
    let world = World::new();
    let program = world.program("cat");
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    caller.begins(&format!("exec {}", program.display()));
    until_it_runs(peer.pid(), &program).await;
    let selectors = peer.attest().await.unwrap();
    let path = format!("unix:path:{}", program.display());
    assert!(has(&selectors, &path), "{:?}", texts(&selectors));
    assert!(has(&selectors, &sha256_of(&program)));
    // Another file under that name is not what runs; the digest stays that of what runs.
    let digest = sha256_of(&program);
    fs::rename(&program, world.folder.path().join("old")).unwrap();
    fs::write(&program, "another").unwrap();
    fs::remove_file(world.folder.path().join("old")).unwrap();
    let selectors = peer.attest().await.unwrap();
    assert!(
        !texts(&selectors)
            .iter()
            .any(|text| text.starts_with("unix:path:"))
    );
    assert!(has(&selectors, &digest));
}

#[tokio::test]
async fn a_caller_that_runs_another_program_shows_that_one() {
    let world = World::new();
    let program = world.program("cat");
    let mut caller = Caller::of(61_234, &[61_234]);
    let peer = world.meet(&mut caller).await;
    let before = peer.attest().await.unwrap();
    caller.begins(&format!("exec {}", program.display()));
    until_it_runs(peer.pid(), &program).await;
    let after = peer.attest().await.unwrap();
    assert_ne!(before, after);
    assert!(!has(&before, &sha256_of(&program)) && has(&after, &sha256_of(&program)));
}

#[tokio::test]
async fn a_caller_gains_nothing_by_a_program_that_sets_its_user() {
    let world = World::new();
    let program = world.program("cat");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut caller = Caller::of(61_234, &[61_234]);
    let peer = world.meet(&mut caller).await;
    peer.attest().await.unwrap();
    caller.begins(&format!("exec {}", program.display()));
    until_it_runs(peer.pid(), &program).await;
    let error = peer.attest().await.unwrap_err();
    assert!(matches!(*error, AttestError::Changed), "{error}");
}

#[tokio::test]
async fn a_caller_that_steps_down_connects_again() {
    let world = World::new();
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    caller.does("become 61234 61234");
    let error = peer.attest().await.unwrap_err();
    assert!(matches!(*error, AttestError::Changed), "{error}");
    let again = world.meet(&mut caller).await.attest().await.unwrap();
    assert!(has(&again, "unix:uid:61234"));
}

#[tokio::test]
async fn a_caller_that_is_gone_has_nothing() {
    let world = World::new();
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    assert!(peer.lives());
    caller.dies();
    peer.ended().await;
    assert!(!peer.lives());
    let error = peer.attest().await.unwrap_err();
    assert!(matches!(*error, AttestError::Gone), "{error}");
    // Each is counted, few are logged.
    assert!(peer.is_root_of_host());
    let lines = (0..100).filter_map(|_| peer.failed());
    assert_eq!(lines.count(), 1);
    let mut sheet = Sheet::default();
    world.attestor.on(&mut sheet);
    let counted = "protem_agent_attestations_failed_total 100";
    assert!(sheet.text().contains(counted), "{}", sheet.text());
}

#[tokio::test]
async fn a_caller_that_was_gone_before_is_not_met() {
    let world = World::new();
    let mut caller = Caller::begin();
    caller.connects(&world.folder.path().join("socket"));
    caller.dies();
    let (stream, _) = world.listener.accept().await.unwrap();
    let error = world.attestor.meet(&stream, false).unwrap_err();
    assert!(matches!(error, AttestError::Gone), "{error}");
}

#[tokio::test]
async fn who_got_the_connection_from_a_caller_that_ended_has_nothing() {
    let world = World::new();
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    caller.does("hand_over");
    caller.is_over();
    peer.ended().await;
    let error = peer.attest().await.unwrap_err();
    assert!(matches!(*error, AttestError::Gone), "{error}");
}

#[tokio::test]
async fn a_caller_that_ends_while_it_is_attested_has_all_or_nothing() {
    let world = World::new();
    for round in 0..8 {
        let mut caller = Caller::begin();
        let peer = world.meet(&mut caller).await;
        let killed = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            caller.dies();
        };
        let (attested, ()) = tokio::join!(peer.attest(), killed);
        match attested {
            Ok(selectors) => assert!(has(&selectors, "unix:uid:0")),
            Err(error) => assert!(matches!(*error, AttestError::Gone), "{error}"),
        }
    }
}

#[tokio::test]
async fn what_nobody_uses_is_not_looked_for() {
    let world = World::new();
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    let mut needs = world.attestor.needs();
    needs.mark_unchanged();
    world.attestor.need(Needs::default());
    assert!(needs.has_changed().unwrap());
    let selectors = peer.attest().await.unwrap();
    for text in texts(&selectors) {
        let dear = ["unix:user:", "unix:group:", "unix:path:", "unix:sha256:"];
        assert!(!dear.iter().any(|kind| text.starts_with(kind)), "{text}");
    }
    assert_eq!(world.attestor.digests.files_read(), 0);
    world.attestor.need(Needs::default());
    needs.mark_unchanged();
    world.attestor.need(Needs::default());
    assert!(!needs.has_changed().unwrap());
}

#[tokio::test]
async fn a_file_is_read_once_for_many_callers() {
    let world = World::new();
    let program = world.program("cat");
    // Just after a change of a file its digest is not kept: another might not show.
    let clock = crate::time::ManualClock::new(SystemClock.now());
    clock.advance(crate::time::Seconds::new(60));
    let world = World {
        attestor: Attestor::new(SHA256_BYTES_MAX, Arc::new(clock)).unwrap(),
        ..world
    };
    world.attestor.need(Needs::ALL);
    let mut callers: Vec<_> = (0..5).map(|_| Caller::begin()).collect();
    let mut peers = Vec::new();
    for caller in &mut callers {
        peers.push(world.meet(caller).await);
        caller.begins(&format!("exec {}", program.display()));
        until_it_runs(caller.pid(), &program).await;
    }
    let attested = futures_util::future::join_all(peers.iter().map(Peer::attest)).await;
    for selectors in attested {
        assert!(has(&selectors.unwrap(), &sha256_of(&program)));
    }
    peers[0].attest().await.unwrap();
    assert_eq!(world.attestor.digests.files_read(), 1);
}

#[tokio::test]
async fn a_file_beyond_the_bound_has_no_digest() {
    let bound = fs::metadata("/bin/cat").unwrap().len() - 1;
    let attestor = Attestor::new(bound, Arc::new(SystemClock)).unwrap();
    let world = World::of(attestor);
    let program = world.program("cat");
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    caller.begins(&format!("exec {}", program.display()));
    until_it_runs(peer.pid(), &program).await;
    let selectors = peer.attest().await.unwrap();
    assert!(has(&selectors, &format!("unix:path:{}", program.display())));
    assert!(
        !texts(&selectors)
            .iter()
            .any(|text| text.starts_with("unix:sha256:"))
    );
    assert_eq!(world.attestor.digests.files_read(), 0);
}

#[tokio::test]
async fn a_name_with_a_space_is_no_selector() {
    let world = World::new();
    let program = world.program("c at");
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    let link = world.folder.path().join("link");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    caller.begins(&format!("exec {}", link.display()));
    until_it_runs(peer.pid(), &program).await;
    let selectors = peer.attest().await.unwrap();
    assert!(
        !texts(&selectors)
            .iter()
            .any(|text| text.starts_with("unix:path:"))
    );
    assert!(has(&selectors, &sha256_of(&program)));
}

/// Any user can make a namespace in which a path of his choice leads to a file of his choice.
#[tokio::test]
async fn a_path_of_another_view_is_not_believed() {
    let world = World::new();
    let (honest, rogue) = (world.program("honest"), world.program("cat"));
    fs::write(&honest, "what root put here").unwrap();
    let script = format!(
        "mount --bind {rogue} {honest} && exec {honest}",
        rogue = rogue.display(),
        honest = honest.display()
    );
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    let file = world.folder.path().join("script");
    fs::write(&file, script).unwrap();
    caller.begins(&format!(
        "exec /usr/bin/unshare -m /bin/sh {}",
        file.display()
    ));
    until_it_runs(peer.pid(), &honest).await;
    let selectors = peer.attest().await.unwrap();
    assert!(
        !texts(&selectors)
            .iter()
            .any(|text| text.starts_with("unix:path:"))
    );
    assert!(has(&selectors, &sha256_of(&rogue)));
}

#[tokio::test]
async fn a_kernel_that_names_no_process_takes_only_those_that_are_old() {
    let old = Attestor::open(SHA256_BYTES_MAX, Arc::new(SystemClock), false).unwrap();
    let world = World::of(Arc::new(old));
    let mut caller = Caller::begin();
    let peer = loop {
        match world.try_meet(&mut caller).await {
            Err(AttestError::Uncertain) => {}
            met => break met.unwrap(),
        }
    };
    assert!(!world.attestor.is_young(peer.began()));
    assert!(has(&peer.attest().await.unwrap(), "unix:uid:0"));
    // Whoever stood in line for long may have ended there.
    caller.connects(&world.folder.path().join("socket"));
    let (stream, _) = world.listener.accept().await.unwrap();
    let error = world.attestor.meet(&stream, true).unwrap_err();
    assert!(matches!(error, AttestError::Uncertain), "{error}");
}

#[tokio::test]
async fn holders_are_told_by_number_and_start() {
    let world = World::new();
    let mut caller = Caller::begin();
    let peer = world.meet(&mut caller).await;
    assert_eq!(peer.pid(), caller.pid());
    let holder = format!("process:{}:{}", peer.pid(), peer.began());
    assert_eq!(peer.holder().as_str(), holder);
    assert!(peer.began() > 0);
}

#[tokio::test]
async fn a_caller_of_many_groups_shows_a_bounded_number() {
    let world = World::new();
    let groups: Vec<u32> = (100_000..103_000).collect();
    let mut caller = Caller::of(61_234, &groups);
    let selectors = world.meet(&mut caller).await.attest().await.unwrap();
    let of_groups = texts(&selectors).into_iter();
    let of_groups = of_groups.filter(|text| text.starts_with("unix:supplementary_gid:"));
    assert_eq!(of_groups.count(), GROUPS_MAX);
    assert!(has(&selectors, "unix:supplementary_gid:100001"));
}

#[tokio::test]
async fn who_is_root_in_a_namespace_of_his_own_is_who_he_is_outside() {
    let world = World::new();
    let mut caller = Caller::of(61_234, &[61_234]);
    let cat = fs::canonicalize("/bin/cat").unwrap();
    let peer = world.meet(&mut caller).await;
    caller.begins("exec /usr/bin/unshare -Ur /bin/cat");
    until_it_runs(peer.pid(), &cat).await;
    let map = fs::read_to_string(format!("/proc/{}/uid_map", peer.pid())).unwrap();
    assert_eq!(
        map.split_whitespace().collect::<Vec<_>>(),
        ["0", "61234", "1"]
    );
    let selectors = peer.attest().await.unwrap();
    assert!(has(&selectors, "unix:uid:61234") && !has(&selectors, "unix:uid:0"));
}

#[test]
fn one_user_has_at_most_a_quarter_of_the_looks() {
    const { assert!(LOOKS_OF_UID_MAX <= LOOKS_AT_ONCE_MAX / 4) };
    const { assert!(GLANCES_OF_UID_MAX <= GLANCES_AT_ONCE_MAX / 4) };
}
