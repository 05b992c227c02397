//! What the control groups of a process say: its systemd unit, its container.
//!
//! The kernel writes one line for each hierarchy, `number:controllers:path`; names below a group
//! that was given away (a user's own manager, a container) are chosen by whom it was given to.
//!
//! Promises: only names that root or the container runtime chose are believed: the outermost unit,
//! as systemd itself reads it, and a container only below groups that runtimes make. A name further
//! inside never overrides one outside. Where hierarchies disagree, nothing is said.
//! Refuses: containers below a user's own manager (rootless ones): that user can write any id.

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Belonging<'t> {
    /// The unit of the system's manager, such as `nginx.service`.
    pub(super) unit: Option<&'t str>,
    /// 64 lower-case hex digits.
    pub(super) container: Option<&'t str>,
}

/// One answer of several hierarchies.
#[derive(Clone, Copy)]
enum Word<'t> {
    Nothing,
    Said(&'t str),
    Disputed,
}

/// Reads the text of `/proc/PID/cgroup`.
pub(super) fn belonging(text: &str) -> Belonging<'_> {
    let (mut unit, mut container) = (Word::Nothing, Word::Nothing);
    for line in text.split('\n') {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let unified = number == "0" && controllers.is_empty();
        if unified || controllers == SYSTEMD_HIERARCHY {
            unit.hear(unit_of(path));
        }
        container.hear(container_of(path));
    }
    Belonging {
        unit: unit.said(),
        container: container.said(),
    }
}

impl<'t> Word<'t> {
    fn hear(&mut self, word: Option<&'t str>) {
        *self = match (*self, word) {
            (before, None) => before,
            (Self::Nothing, Some(word)) => Self::Said(word),
            (Self::Said(before), Some(word)) if before == word => Self::Said(word),
            (Self::Said(_) | Self::Disputed, Some(_)) => Self::Disputed,
        };
    }

    const fn said(self) -> Option<&'t str> {
        match self {
            Self::Said(word) => Some(word),
            Self::Nothing | Self::Disputed => None,
        }
    }
}

/// The first group that is no slice, where it has the name of a unit: what `cg_path_get_unit` of
/// systemd does. Whatever is deeper belongs to that unit and is its own business.
fn unit_of(path: &str) -> Option<&str> {
    let mut groups = path.strip_prefix('/')?.split('/');
    let first = groups.find(|group| !is_slice(group))?;
    // systemd escapes names that would collide with the kernel's by one line below.
    let name = first.strip_prefix('_').unwrap_or(first);
    let (stem, kind) = name.rsplit_once('.')?;
    let legal = UNIT_KINDS.contains(&kind) && !stem.is_empty() && !stem.ends_with('@');
    (legal && is_unit_text(name)).then_some(name)
}

fn is_slice(group: &str) -> bool {
    group.len() > SLICE.len() && group.ends_with(SLICE) && is_unit_text(group)
}

fn is_unit_text(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":_.\\@-".contains(&byte);
    name.len() <= UNIT_BYTES_MAX && name.bytes().all(allowed)
}

/// The outermost container, where every group around it is one that only root makes.
fn container_of(path: &str) -> Option<&str> {
    // `..` leads out of the agent's own group namespace: what it hides lies around the agent too.
    let mut groups = path.strip_prefix('/')?.split('/');
    let outer = groups.find(|group| *group != "..")?;
    for group in std::iter::once(outer).chain(groups) {
        if let Some(id) = container(group) {
            return Some(id);
        }
        if !is_around_containers(group) {
            return None;
        }
    }
    None
}

/// The container whose group bears this name.
fn container(group: &str) -> Option<&str> {
    // containerd below systemd while the kubelet writes slices: `SLICE:cri-containerd:ID`.
    if let Some((around, named)) = group.split_once(':') {
        let (runtime, id) = named.split_once(':')?;
        let known = is_slice(around) && RUNTIMES.contains(&runtime);
        return id_of(id).filter(|_| known);
    }
    let bare = group.strip_suffix(SCOPE).unwrap_or(group);
    let named = RUNTIMES
        .iter()
        .find_map(|runtime| bare.strip_prefix(runtime)?.strip_prefix('-'));
    match named {
        Some(id) => id_of(id),
        None => id_of(group),
    }
}

fn id_of(text: &str) -> Option<&str> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == ID_DIGITS && text.bytes().all(hex)).then_some(text)
}

fn is_around_containers(group: &str) -> bool {
    AROUND.contains(&group) || is_slice(group) || is_pod(group)
}

/// `pod` and the id of a Kubernetes pod, with or without dashes.
fn is_pod(group: &str) -> bool {
    let Some(id) = group.strip_prefix("pod") else {
        return false;
    };
    let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
    let rest = id.bytes().filter(|byte| b"-_".contains(byte)).count();
    digits == POD_ID_DIGITS && digits.checked_add(rest) == Some(id.len())
}

/// How a runtime begins the name of a container's group. Its monitors (`libpod-conmon-ID`) have a
/// word between, and are no container.
const RUNTIMES: &[&str] = &["docker", "cri-containerd", "crio", "libpod", "nerdctl"];
/// Groups around containers that are no slice, each made by root's runtimes.
const AROUND: &[&str] = &[
    "besteffort",
    "burstable",
    "containerd.service",
    "crio.service",
    "docker",
    "guaranteed",
    "kubelet",
    "kubepods",
    "libpod_parent",
];
/// Units that have processes.
const UNIT_KINDS: &[&str] = &["mount", "scope", "service", "socket", "swap"];
const SYSTEMD_HIERARCHY: &str = "name=systemd";
const SLICE: &str = ".slice";
const SCOPE: &str = ".scope";
const ID_DIGITS: usize = 64;
const POD_ID_DIGITS: usize = 32;
/// The longest name of a unit (`UNIT_NAME_MAX` of systemd, less its end).
const UNIT_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use proptest::sample::select;

    use super::*;

    const A: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";
    const B: &str = "00b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

    /// `A` and `B` in a text stand for the two ids.
    #[track_caller]
    fn says(text: &str, unit: Option<&str>, container: Option<&str>) {
        let whole = |text: &str| text.replace("{A}", A).replace("{B}", B);
        let text = whole(text);
        let (unit, container) = (unit.map(whole), container.map(whole));
        let wanted = Belonging {
            unit: unit.as_deref(),
            container: container.as_deref(),
        };
        assert_eq!(belonging(&text), wanted, "{text}");
    }

    #[test]
    fn units_are_read_as_systemd_reads_them() {
        let rows = [
            ("0::/system.slice/nginx.service\n", "nginx.service"),
            ("0::/system.slice/nginx.service", "nginx.service"),
            ("0::/init.scope\n", "init.scope"),
            (
                "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
                "postgresql@15-main.service",
            ),
            (
                "0::/user.slice/user-1000.slice/session-2.scope\n",
                "session-2.scope",
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n",
                "user@1000.service",
            ),
            (
                "0::/system.slice/_cpu.service/sub\n",
                "cpu.service", // escaped: the kernel has files of that beginning
            ),
            (
                "12:pids:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n\
                 0::/system.slice/ssh.service\n",
                "ssh.service",
            ),
            (
                "2:cpu:/\n1:name=systemd:/system.slice/cron.service\n",
                "cron.service",
            ),
            (
                "0::/system.slice/dev-disk-by\\x2dlabel.mount\n",
                "dev-disk-by\\x2dlabel.mount",
            ),
        ];
        for (text, unit) in rows {
            says(text, Some(unit), None);
        }
    }

    #[test]
    fn containers_are_found_below_what_runtimes_make() {
        let rows = [
            "0::/docker/{A}\n",
            "0::/docker/{A}/init.scope\n",
            "11:memory:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/docker/{A}\n",
            "12:pids:/kubepods/burstable/pod0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{A}\n",
            "12:pids:/kubepods/besteffort/pod0f1a2b3c4d5e6f708192a3b4c5d6e7f8/{A}\n",
            "12:pids:/kubepods/pod0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{A}\n",
            "12:pids:/kubepods/burstable/pod0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8/crio-{A}\n",
            "0::/kubelet/kubepods/burstable/pod0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{A}\n",
            "0::/../../pod0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{A}\n",
            "0::/../{A}\n",
            "0::/../cri-containerd-{A}.scope\n",
            "0::/libpod_parent/libpod-{A}\n",
        ];
        for text in rows {
            says(text, None, Some("{A}"));
        }
    }

    #[test]
    fn a_scope_of_the_system_is_a_unit_and_a_container() {
        let rows = [
            ("0::/system.slice/docker-{A}.scope\n", "docker-{A}.scope"),
            (
                "0::/system.slice/docker-{A}.scope/system.slice/nginx.service\n",
                "docker-{A}.scope",
            ),
            (
                "0::/machine.slice/libpod-{A}.scope/container\n",
                "libpod-{A}.scope",
            ),
            (
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f1a2b3c_4d5e\
                 _6f70_8192_a3b4c5d6e7f8.slice/cri-containerd-{A}.scope\n",
                "cri-containerd-{A}.scope",
            ),
            (
                "0::/kubepods.slice/kubepods-pod0f1a.slice/crio-{A}.scope\n",
                "crio-{A}.scope",
            ),
            (
                "0::/system.slice/containerd.service/kubepods-pod0f1a.slice:cri-containerd:{A}\n",
                "containerd.service",
            ),
            ("0::/system.slice/nerdctl-{A}.scope\n", "nerdctl-{A}.scope"),
        ];
        for (text, unit) in rows {
            says(text, Some(unit), Some("{A}"));
        }
    }

    #[test]
    fn nobody_takes_a_name_by_a_group_of_his_own() {
        let user = "0::/user.slice/user-1000.slice/user@1000.service";
        let mine = Some("user@1000.service");
        // A user's own manager makes whatever its user asks for.
        says(&format!("{user}/app.slice/nginx.service\n"), mine, None);
        says(
            &format!("{user}/user.slice/libpod-{{A}}.scope\n"),
            mine,
            None,
        );
        says(&format!("{user}/docker/{{A}}\n"), mine, None);
        says(&format!("{user}/{{A}}\n"), mine, None);
        // A container whose tree was given to it.
        says("0::/docker/{A}/{B}\n", None, Some("{A}"));
        says("0::/docker/{A}/docker/{B}\n", None, Some("{A}"));
        says("0::/docker/{A}/nginx.service\n", None, Some("{A}"));
        // A service that has its tree (`Delegate=yes`).
        says(
            "0::/system.slice/job.service/{A}\n",
            Some("job.service"),
            None,
        );
        says("0::/lxc.payload.box/docker/{A}\n", None, None);
        says("0::/lxc/box/system.slice/nginx.service\n", None, None);
        // Hierarchies that disagree.
        says("2:cpu:/docker/{A}\n1:pids:/docker/{B}\n", None, None);
        says(
            "1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n",
            None,
            None,
        );
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        for text in [
            "",
            "\n",
            "0::/\n",
            "0::\n",
            "0:/system.slice/nginx.service\n",
            "nginx.service\n",
            "0::nginx.service\n",
            "1::/system.slice/nginx.service\n", // the unified hierarchy has number 0
            "3:cpu:/system.slice/nginx.service\n", // systemd manages no such hierarchy alone
            "0::/system.slice\n",
            "0::/system.slice/\n",
            "0::/system.slice/.service\n",
            "0::/system.slice/nginx@.service\n",
            "0::/system.slice/nginx.service (deleted)\n",
            "0::/system.slice/ngi nx.service\n",
            "0::/system.slice/nginx.service\r\n",
            "0::/system.slice/n\u{fffd}.service\n",
            "0::/.slice/nginx\n",
            "0::/../nginx.service\n",
            "0::/system.slice/nginx.target\n",
            "0::/machine.slice/libpod-conmon-{A}\n",
            "0::/docker/{A}0\n",
            "0::/docker/A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F90\n",
            "0::/docker/../{A}\n",
            "0::/podslurp/{A}\n",
            "0::/pod/{A}\n",
        ] {
            says(text, None, None);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail_or_say_what_is_no_name(text in any::<String>()) {
            prop_assert!(is_sound(&text));
        }

        #[test]
        fn nor_does_one_of_the_right_words(
            parts in proptest::collection::vec(select(PIECES), 0..14)
        ) {
            prop_assert!(is_sound(&parts.concat()));
        }
    }

    fn is_sound(text: &str) -> bool {
        let found = belonging(text);
        let fits = |kind: &str, value: Option<&str>| {
            value.is_none_or(|value| {
                value.len() > 200
                    || format!("{kind}:{value}")
                        .parse::<crate::identity::Selector>()
                        .is_ok()
            })
        };
        fits("systemd:id", found.unit)
            && fits("container:id", found.container)
            && found.container.is_none_or(|id| id_of(id).is_some())
    }

    const PIECES: &[&str] = &[
        "0::",
        "1:name=systemd:",
        "2:cpu,cpuacct:",
        "/",
        ":",
        "\n",
        "..",
        "_",
        " ",
        "\u{0}",
        "é",
        ".slice",
        ".scope",
        ".service",
        "system.slice",
        "user@1000.service",
        "docker",
        "docker-",
        "cri-containerd-",
        ":cri-containerd:",
        "libpod-",
        "kubepods",
        "pod",
        A,
        B,
        "nginx.service",
    ];
}
