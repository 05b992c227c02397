//! Where a socket may lie, and what is refused there.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};

use super::{World, mode, mode_of};
use crate::agent::socket::{Place, SocketError};

#[tokio::test]
async fn folder_and_socket_are_made_and_the_socket_is_removed() {
    let world = World::new();
    let incoming = world.open().unwrap();
    assert_eq!(mode_of(&world.path("run")), 0o755);
    assert_eq!(mode_of(&world.socket()), 0o666);
    assert!(
        fs::symlink_metadata(world.socket())
            .unwrap()
            .file_type()
            .is_socket()
    );
    drop(incoming);
    assert!(!world.socket().exists());
    world.open().unwrap();
}

#[tokio::test]
async fn a_socket_has_the_mode_and_group_that_it_is_given() {
    let world = World::new();
    let place = |mode, group: Option<&str>| Place {
        path: world.socket(),
        mode,
        group: group.map(str::to_owned),
    };
    let incoming = world.open_at(place(0o660, Some("daemon"))).unwrap();
    assert_eq!(mode_of(&world.socket()), 0o660);
    let daemon = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    let gid = fs::symlink_metadata(world.socket()).unwrap().gid();
    assert_eq!(gid, daemon.gid.as_raw());
    drop(incoming);
    for wrong in [0o777, 0o4666, 0o060, 0o466, 0] {
        let error = world.open_at(place(wrong, None)).err().unwrap();
        assert!(matches!(error, SocketError::Mode(_)), "{error}");
    }
    let error = world.open_at(place(0o666, Some("no such"))).err().unwrap();
    assert!(matches!(error, SocketError::UnknownGroup(_)), "{error}");
    assert!(!world.socket().exists());
}

#[tokio::test]
async fn what_is_no_path_of_a_socket_is_refused() {
    let world = World::new();
    for bad in ["", "agent.sock", "run/agent.sock", "@agent", "/", "\0agent"] {
        let error = world.open_at(Place::open_to_all(bad)).err().unwrap();
        assert!(matches!(error, SocketError::BadPath(_)), "{bad}: {error}");
    }
    let long = world.path(&"x".repeat(200));
    let error = world.open_at(Place::open_to_all(long)).err().unwrap();
    assert!(matches!(error, SocketError::PathTooLong(_)), "{error}");
}

#[tokio::test]
async fn a_folder_that_others_can_change_is_refused() {
    let world = World::new();
    let run = world.path("run");
    fs::create_dir(&run).unwrap();
    for open in [0o775, 0o757, 0o777, 0o1777, 0o2775] {
        mode(&run, open);
        let error = world.open().err().unwrap();
        assert!(
            matches!(error, SocketError::FolderIsOpen(_)),
            "{open:o}: {error}"
        );
    }
    mode(&run, 0o755);
    std::os::unix::fs::chown(&run, Some(61_234), None).unwrap();
    let error = world.open().err().unwrap();
    assert!(error.to_string().contains("user 61234"), "{error}");
    let error = world.open_at(Place::open_to_all("/tmp/protem-agent.sock"));
    let error = error.err().unwrap();
    assert!(matches!(error, SocketError::FolderIsOpen(_)), "{error}");
}

#[tokio::test]
async fn a_folder_below_one_that_others_can_change_is_refused() {
    let world = World::new();
    let open = world.path("open");
    fs::create_dir(&open).unwrap();
    let place = || Place::open_to_all(open.join("run/agent.sock"));
    mode(&open, 0o777);
    let error = world.open_at(place()).err().unwrap();
    assert!(matches!(error, SocketError::FolderIsOpen(_)), "{error}");
    // As in /tmp: others may add to it, not take away.
    mode(&open, 0o1777);
    world.open_at(place()).unwrap();
    std::os::unix::fs::chown(&open, Some(61_234), None).unwrap();
    let error = world.open_at(place()).err().unwrap();
    assert!(
        matches!(error, SocketError::FolderOfAnother { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_or_a_socket_is_refused() {
    let world = World::new();
    fs::create_dir(world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), world.path("run")).unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::FolderIsLink(_)), "{error}");
    fs::remove_file(world.path("run")).unwrap();
    fs::create_dir(world.path("run")).unwrap();
    for to in ["elsewhere", "nowhere"] {
        symlink(world.path(to), world.socket()).unwrap();
        let error = world.open().err().unwrap();
        assert!(matches!(error, SocketError::Occupied(_)), "{error}");
        fs::remove_file(world.socket()).unwrap();
    }
    let lock = world.path("run/agent.sock.lock");
    fs::remove_file(&lock).unwrap();
    symlink(world.path("elsewhere/lock"), &lock).unwrap();
    let error = world.open().err().unwrap();
    assert!(error.to_string().starts_with("can't lock"), "{error}");
    assert!(!world.path("elsewhere/lock").exists());
}

#[tokio::test]
async fn what_is_no_socket_of_ours_stays() {
    let world = World::new();
    fs::create_dir(world.path("run")).unwrap();
    fs::write(world.socket(), "precious").unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::Occupied(_)), "{error}");
    assert_eq!(fs::read(world.socket()).unwrap(), b"precious");
    fs::remove_file(world.socket()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(world.socket()).unwrap());
    std::os::unix::fs::chown(world.socket(), Some(61_234), None).unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::Occupied(_)), "{error}");
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not() {
    let world = World::new();
    fs::create_dir(world.path("run")).unwrap();
    let other = std::os::unix::net::UnixListener::bind(world.socket()).unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::InUse(_)), "{error}");
    drop(other);
    let incoming = world.open().unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::InUse(_)), "{error}");
    // The lock speaks, also where the socket is gone.
    fs::remove_file(world.socket()).unwrap();
    let error = world.open().err().unwrap();
    assert!(matches!(error, SocketError::InUse(_)), "{error}");
    drop(incoming);
    world.open().unwrap();
}
