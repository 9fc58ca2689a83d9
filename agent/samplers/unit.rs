//! Which systemd unit, slice and container a cgroup belongs to, by its path and systemd's rules for such paths.

/// Kinds of units that have processes.
const KINDS: &[&str] = &["service", "scope", "socket", "mount", "swap"];

/// The longest name that systemd gives a unit (`UNIT_NAME_MAX`), in bytes.
const NAME_LIMIT: usize = 255;

/// What stands before a container's id in the name of its cgroup, and who makes such names.
const RUNTIMES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("lxc.payload.", "lxc"),
];

/// Hexadecimal digits of a container's id.
const ID_DIGITS: usize = 64;

/// Where a cgroup stands. Names are as `systemctl` shows them: `\x2d` and the like are a part of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The innermost slice that holds the unit, or the cgroup itself where there is no unit.
    pub slice: Option<&'a str>,
    /// The unit of the system's systemd. What a unit was delegated, such as everything in a container, is the unit's.
    pub unit: Option<&'a str>,
    /// The unit of a user's own systemd, within `user@UID.service`.
    pub user_unit: Option<&'a str>,
    /// The container; of nested ones the outermost.
    pub container: Option<Container<'a>>,
}

/// A container, as its runtime named the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// `docker`, `podman`, `containerd`, `cri-o`, `lxc`, `nspawn`, or `kubernetes` where only that is known.
    pub runtime: &'static str,
    /// 64 hexadecimal digits, or the name where the runtime has no other (`lxc`, `nspawn`).
    pub id: &'a str,
}

/// Finds the path that systemd keeps, in `/proc/PID/cgroup` (cgroups(7)): that of its own hierarchy under cgroup v1, else
/// that of cgroup v2. Without systemd, the first controller's that is not the root.
pub fn parse_cgroup(text: &str) -> Option<&str> {
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let of = |wanted: &str| lines().find(|(controllers, _)| *controllers == wanted).map(|(_, path)| path);
    let unified = of("");
    let path = of("name=systemd")
        .or(unified.filter(|path| *path != "/"))
        .or_else(|| lines().map(|(_, path)| path).find(|path| *path != "/"))
        .or(unified)?;
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

/// Where the cgroup of that path stands (systemd's `cg_path_get_unit`).
pub fn place(path: &str) -> Place<'_> {
    let mut place = Place { container: container(path), ..Place::default() };
    let mut names = names(path);
    let (slice, first) = after_slices(&mut names);
    place.slice = slice;
    place.unit = first.filter(|name| is_unit(name));
    if place.unit.is_some_and(|unit| unit.starts_with("user@")) {
        place.user_unit = after_slices(&mut names).1.filter(|name| is_unit(name));
    }
    place
}

/// The last slice at the beginning, and what comes after it.
fn after_slices<'a>(names: &mut impl Iterator<Item = &'a str>) -> (Option<&'a str>, Option<&'a str>) {
    let mut slice = None;
    for name in names {
        if !is_kind_of(name, &["slice"]) {
            return (slice, Some(name));
        }
        slice = Some(name);
    }
    (slice, None)
}

/// The names on a path. Above the root of a cgroup namespace there are only dots; and a name that could be mistaken for
/// a file of the kernel has an underscore before it (systemd's `cg_escape`).
fn names(path: &str) -> impl Iterator<Item = &str> {
    let told = path.split('/').filter(|name| !matches!(*name, "" | "." | ".."));
    told.map(|name| name.strip_prefix('_').unwrap_or(name))
}

fn is_unit(name: &str) -> bool {
    is_kind_of(name, KINDS)
}

/// Whether it is the name of a unit of one of these kinds, and not of a template.
fn is_kind_of(name: &str, kinds: &[&str]) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let Some((stem, kind)) = name.rsplit_once('.') else { return false };
    let template = stem.is_empty() || stem.starts_with('@') || stem.ends_with('@');
    kinds.contains(&kind) && name.len() <= NAME_LIMIT && !template && name.bytes().all(allowed)
}

fn container(path: &str) -> Option<Container<'_>> {
    let mut above = "";
    for name in names(path) {
        let found = named(name).or_else(|| bare(above, name));
        if found.is_some() {
            return found;
        }
        above = name;
    }
    None
}

/// The container of a cgroup that its runtime has put its own name before.
fn named(name: &str) -> Option<Container<'_>> {
    if let Some(machine) = name.strip_prefix("systemd-nspawn@") {
        return Some(Container { runtime: "nspawn", id: machine.strip_suffix(".service")? });
    }
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    RUNTIMES.iter().find_map(|(prefix, runtime)| {
        let id = stem.strip_prefix(prefix)?;
        (is_id(id) || *runtime == "lxc" && !id.is_empty()).then_some(Container { runtime, id })
    })
}

/// The container of a cgroup that has but an id, or a name below `lxc`.
fn bare<'a>(above: &str, name: &'a str) -> Option<Container<'a>> {
    let runtime = match above {
        "docker" if is_id(name) => "docker",
        "lxc" => "lxc",
        pod if pod.starts_with("pod") && is_id(name) => "kubernetes",
        _ => return None,
    };
    Some(Container { runtime, id: name })
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn units(path: &str) -> (Option<&str>, Option<&str>, Option<&str>) {
        let place = place(path);
        (place.slice, place.unit, place.user_unit)
    }

    #[test]
    fn a_unit_stands_below_its_slices() {
        assert_eq!(units("/system.slice/nginx.service"), (Some("system.slice"), Some("nginx.service"), None));
        let instance = "/system.slice/system-getty.slice/getty@tty1.service";
        assert_eq!(units(instance), (Some("system-getty.slice"), Some("getty@tty1.service"), None));
        assert_eq!(units("/init.scope"), (None, Some("init.scope"), None));
        assert_eq!(units("/"), (None, None, None));
        assert_eq!(units("/system.slice"), (Some("system.slice"), None, None));
    }

    #[test]
    fn what_a_unit_was_delegated_is_the_units() {
        let nested = format!("/system.slice/docker-{ID}.scope/system.slice/nginx.service");
        assert_eq!(place(&nested).unit, Some(&*format!("docker-{ID}.scope")));
        assert_eq!(
            place("/system.slice/postgresql@16-main.service/sub/x.service").unit,
            Some("postgresql@16-main.service")
        );
        assert_eq!(place("/some/where/nginx.service").unit, None);
    }

    #[test]
    fn a_users_own_units_are_told_beside_the_systems() {
        let session = "/user.slice/user-1000.slice/session-3.scope";
        assert_eq!(units(session), (Some("user-1000.slice"), Some("session-3.scope"), None));
        let own = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.slice/a.service";
        assert_eq!(units(own), (Some("user-1000.slice"), Some("user@1000.service"), Some("a.service")));
        let init = "/user.slice/user-1000.slice/user@1000.service/init.scope";
        assert_eq!(units(init).2, Some("init.scope"));
    }

    #[test]
    fn names_are_as_systemctl_shows_them() {
        let mount = r"/system.slice/dev-disk\x2dby\x2dlabel.mount";
        assert_eq!(place(mount).unit, Some(r"dev-disk\x2dby\x2dlabel.mount"));
        assert_eq!(place("/system.slice/_cpu.service").unit, Some("cpu.service"));
        for odd in ["a b.service", ".service", "x@.service", "@x.service", "x.timer", "x", "ä.service"] {
            assert_eq!(place(&format!("/system.slice/{odd}")).unit, None, "{odd}");
        }
        assert_eq!(place(&format!("/{}.service", "x".repeat(248))).unit, None);
        assert_eq!(place(&format!("/{}.service", "x".repeat(247))).unit.map(str::len), Some(255));
    }

    #[test]
    fn above_the_root_of_a_namespace_there_are_only_dots() {
        assert_eq!(units("/../../system.slice/a.service"), (Some("system.slice"), Some("a.service"), None));
    }

    #[test]
    fn a_container_is_known_by_what_its_runtime_calls_it() {
        let pod = "pod6fa459ea_ee8a_3ca4_894e_db77e160355e";
        for (path, runtime) in [
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (format!("/docker/{ID}"), "docker"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman"),
            (format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"), "podman"),
            (format!("/kubepods.slice/kubepods-{pod}.slice/cri-containerd-{ID}.scope"), "containerd"),
            (format!("/kubepods.slice/kubepods-{pod}.slice/crio-{ID}.scope"), "cri-o"),
            (format!("/kubepods/burstable/{pod}/{ID}"), "kubernetes"),
            (format!("/system.slice/docker-{ID}.scope/docker/{}", ID.replace('0', "f")), "docker"),
        ] {
            assert_eq!(place(&path).container, Some(Container { runtime, id: ID }), "{path}");
        }
        for (path, runtime) in [
            ("/lxc.payload.web/system.slice/nginx.service", "lxc"),
            ("/lxc/web", "lxc"),
            ("/machine.slice/systemd-nspawn@web.service/payload", "nspawn"),
        ] {
            assert_eq!(place(path).container, Some(Container { runtime, id: "web" }), "{path}");
        }
    }

    #[test]
    fn what_watches_a_container_is_not_in_it() {
        let conmon = format!("/machine.slice/libpod-conmon-{ID}.scope");
        assert_eq!(place(&conmon).container, None);
        assert_eq!(place("/system.slice/docker-1234.scope").container, None);
        assert_eq!(place("/system.slice/docker.service").container, None);
    }

    #[test]
    fn the_path_that_systemd_keeps_is_found() {
        assert_eq!(parse_cgroup("0::/system.slice/a.service\n"), Some("/system.slice/a.service"));
        let legacy = "12:cpu,cpuacct:/system.slice\n1:name=systemd:/system.slice/a.service\n0::/x\n";
        assert_eq!(parse_cgroup(legacy), Some("/system.slice/a.service"));
        let without = "9:pids:/\n8:memory:/docker/1\n0::/\n";
        assert_eq!(parse_cgroup(without), Some("/docker/1"));
        assert_eq!(parse_cgroup("0::/\n"), Some("/"));
        assert_eq!(parse_cgroup("0::/system.slice/a:b.service\n"), Some("/system.slice/a:b.service"));
        assert_eq!(parse_cgroup("0::/system.slice/a.service (deleted)\n"), Some("/system.slice/a.service"));
    }

    #[test]
    fn a_file_of_something_else_has_no_path() {
        for text in ["", "hello\nworld\n", ":", "0:\n"] {
            assert_eq!(parse_cgroup(text), None, "{text:?}");
        }
    }
}
