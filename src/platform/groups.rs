//! The limits of Linux's control groups, in which containers are: of the group that the process is in, and of all those
//! around it.

use super::Limit;

/// The limits, from the files that `text` reads.
///
/// Where a container sees only its own groups, the path of its process may lead nowhere; the groups above it, up to the
/// topmost one, are those that it sees.
pub(super) fn limits(text: &impl Fn(&str) -> Option<String>) -> Vec<Limit> {
    let mut limits = Vec::new();
    for line in text("/proc/self/cgroup").unwrap_or_default().lines() {
        // Number of the hierarchy, its controllers, the group's path.
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let mut path = path.trim_end_matches('/');
        loop {
            if number == "0" && controllers.is_empty() {
                for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
                    limits.extend(second(text, &format!("{root}{path}")));
                }
            } else if controllers.split(',').any(|controller| controller == "memory") {
                limits.extend(first(text, &format!("/sys/fs/cgroup/memory{path}")));
            }
            match path.rfind('/') {
                Some(end) => path = &path[..end],
                None => break,
            }
        }
    }
    limits
}

fn number(text: Option<String>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// Bytes of files that the group's processes read, which the system drops when memory is needed.
fn cached(text: Option<String>, keys: [&str; 2]) -> u64 {
    let text = text.unwrap_or_default();
    let of = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        keys.contains(&key).then(|| value.trim().parse::<u64>().ok()).flatten()
    };
    text.lines().filter_map(of).fold(0, u64::saturating_add)
}

/// Of a group of the second version.
fn second(text: &impl Fn(&str) -> Option<String>, group: &str) -> impl Iterator<Item = Limit> {
    let file = |name: &str| text(&format!("{group}/{name}"));
    // Without a limit they say "max".
    let bytes = [number(file("memory.max")), number(file("memory.high"))];
    let cached = cached(file("memory.stat"), ["active_file", "inactive_file"]);
    let used = number(file("memory.current")).unwrap_or(0).saturating_sub(cached);
    bytes.into_iter().flatten().map(move |bytes| Limit { bytes, used })
}

/// Of a group of the first version.
fn first(text: &impl Fn(&str) -> Option<String>, group: &str) -> impl Iterator<Item = Limit> {
    let file = |name: &str| text(&format!("{group}/{name}"));
    let cached = cached(file("memory.stat"), ["total_active_file", "total_inactive_file"]);
    let limit = |kind: &str| {
        let used = number(file(&format!("{kind}.usage_in_bytes"))).unwrap_or(0).saturating_sub(cached);
        number(file(&format!("{kind}.limit_in_bytes"))).map(|bytes| Limit { bytes, used })
    };
    [limit("memory"), limit("memory.memsw")].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Limit> {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        limits(&|path: &str| files.get(path).map(|&text| text.to_owned()))
    }

    #[test]
    fn the_second_version_is_read_upwards() {
        let found = of(&[
            ("/proc/self/cgroup", "0::/user.slice/app.scope\n"),
            ("/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n"),
            ("/sys/fs/cgroup/user.slice/app.scope/memory.high", "209715200\n"),
            ("/sys/fs/cgroup/user.slice/app.scope/memory.current", "104857600\n"),
            (
                "/sys/fs/cgroup/user.slice/app.scope/memory.stat",
                "anon 90000000\nfile 9000000\ninactive_file 4000000\nactive_file 857600\nfile_mapped 1\n",
            ),
            ("/sys/fs/cgroup/user.slice/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/user.slice/memory.current", "1073741825\n"),
        ]);
        assert_eq!(
            found,
            [
                Limit { bytes: 209_715_200, used: 100_000_000 },
                Limit { bytes: 1_073_741_824, used: 1_073_741_825 }
            ]
        );
        assert_eq!(found[1].left(), 0);
    }

    #[test]
    fn the_first_version_has_a_limit_with_swap() {
        let found = of(&[
            (
                "/proc/self/cgroup",
                "5:cpu,cpuacct:/other\n4:memory:/docker/0a:1b\n1:name=systemd:/docker/0a\n",
            ),
            ("/sys/fs/cgroup/memory/docker/0a:1b/memory.limit_in_bytes", "146800640\n"),
            ("/sys/fs/cgroup/memory/docker/0a:1b/memory.usage_in_bytes", "20000000\n"),
            ("/sys/fs/cgroup/memory/docker/0a:1b/memory.memsw.limit_in_bytes", "146800641\n"),
            ("/sys/fs/cgroup/memory/docker/0a:1b/memory.memsw.usage_in_bytes", "30000000\n"),
            (
                "/sys/fs/cgroup/memory/docker/0a:1b/memory.stat",
                "cache 7\ninactive_file 1\ntotal_inactive_file 3000000\ntotal_active_file 2000000\n",
            ),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        let expected = [(146_800_640, 15_000_000), (146_800_641, 25_000_000), (9_223_372_036_854_771_712, 0)];
        assert_eq!(found, expected.map(|(bytes, used)| Limit { bytes, used }));
    }

    #[test]
    fn a_container_that_sees_only_its_own_groups() {
        let only = [
            ("/proc/self/cgroup", "4:memory:/docker/0a1b\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "400\n"),
        ];
        assert_eq!(of(&only), [Limit { bytes: 1000, used: 400 }]);
        let namespace =
            [("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "5000\n"), ("/x", "1")];
        assert_eq!(of(&namespace), [Limit { bytes: 5000, used: 0 }]);
        // A process of another branch, as a hybrid system shows it.
        let hybrid = [("/proc/self/cgroup", "0::/../a\n"), ("/sys/fs/cgroup/unified/memory.max", "7\n")];
        assert_eq!(of(&hybrid), [Limit { bytes: 7, used: 0 }]);
    }

    #[test]
    fn nonsense_tells_nothing() {
        for text in ["", "0:", "x", "0::", ":::::", "4:memory:relative"] {
            assert!(of(&[("/proc/self/cgroup", text)]).is_empty(), "{text}");
        }
        assert!(of(&[("/proc/self/cgroup", "0::/"), ("/sys/fs/cgroup/memory.max", "-5")]).is_empty());
    }
}
