//! Requests and limits of a cgroup, and what its controllers count.

use std::fs;
use std::io;
use std::path::Path;

use super::{Cgroup, Layout, put};
use crate::plan::resources::{CPU_PERIOD, Limits};

impl Cgroup {
    /// Writes requests and limits, as far as the controllers were handed down ([`Cgroup::without_effect`]).
    pub fn limit(&self, limits: &Limits) -> io::Result<()> {
        let unified = Layout::of_machine().is_unified();
        for (name, directory) in &self.directories {
            match *name {
                "cpu" => {
                    put(&directory.join("cpu.shares"), &limits.cpu_shares.to_string())?;
                    if let Some(quota) = limits.cpu_quota {
                        put(&directory.join("cpu.cfs_period_us"), &CPU_PERIOD.to_string())?;
                        put(&directory.join("cpu.cfs_quota_us"), &quota.to_string())?;
                    }
                }
                "memory" => {
                    if let Some(bytes) = limits.memory {
                        put(&directory.join("memory.limit_in_bytes"), &bytes.to_string())?;
                        // No swap beside it, where the kernel accounts for swap at all.
                        match put(&directory.join("memory.memsw.limit_in_bytes"), &bytes.to_string()) {
                            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                            _ => {}
                        }
                    }
                }
                "pids" => {
                    if let Some(processes) = limits.processes {
                        put(&directory.join("pids.max"), &processes.to_string())?;
                    }
                }
                "unified" if unified => {
                    if let Some(processes) = limits.processes {
                        put_if_there(&directory.join("pids.max"), &processes.to_string())?;
                    }
                    put_if_there(&directory.join("cpu.weight"), &limits.cpu_weight().to_string())?;
                    if let Some(quota) = limits.cpu_quota {
                        put_if_there(&directory.join("cpu.max"), &format!("{quota} {CPU_PERIOD}"))?;
                    }
                    if let Some(bytes) = limits.memory {
                        put_if_there(&directory.join("memory.max"), &bytes.to_string())?;
                        // Kernels without swap accounting have no such file.
                        put_if_there(&directory.join("memory.swap.max"), "0")?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The memory limit in force, in bytes; none where there is none or nothing can limit it.
    pub fn memory_limit(&self) -> Option<u64> {
        // A cgroup of v1 without a limit has the largest number of whole pages.
        const UNLIMITED: u64 = 1 << 62;
        self.read_number("memory", "memory.limit_in_bytes", "memory.max").filter(|bytes| *bytes < UNLIMITED)
    }

    /// The memory that is charged to it now, in bytes.
    pub fn memory_usage(&self) -> Option<u64> {
        self.read_number("memory", "memory.usage_in_bytes", "memory.current")
    }

    /// The CPU quota in force, in microseconds a period; none without one.
    pub fn cpu_quota(&self) -> Option<u64> {
        self.read_number("cpu", "cpu.cfs_quota_us", "cpu.max")
    }

    /// The first number of a file of a controller, by its names in v1 and v2; none for `max` and `-1`.
    fn read_number(&self, controller: &str, legacy: &str, unified: &str) -> Option<u64> {
        let path = match (self.directory(controller), self.directory("unified")) {
            (Some(directory), _) => directory.join(legacy),
            (None, Some(directory)) => directory.join(unified),
            (None, None) => return None,
        };
        fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Changes the memory limit of a cgroup in which processes run. On v1 the limit with swap may never be the smaller one, so
    /// which is written first depends on the direction; a limit below what cannot be reclaimed is refused there (EBUSY).
    pub fn change_memory(&self, bytes: u64) -> io::Result<()> {
        if let Some(directory) = self.directory("memory") {
            let value = bytes.to_string();
            let limit = || put(&directory.join("memory.limit_in_bytes"), &value);
            let with_swap = || match put(&directory.join("memory.memsw.limit_in_bytes"), &value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
            if self.memory_limit().is_some_and(|now| now < bytes) {
                with_swap()?;
                return limit();
            }
            limit()?;
            return with_swap();
        }
        match self.directory("unified").filter(|_| Layout::of_machine().is_unified()) {
            Some(directory) => {
                put_if_there(&directory.join("memory.max"), &bytes.to_string())?;
                put_if_there(&directory.join("memory.swap.max"), "0")
            }
            None => Ok(()),
        }
    }

    /// Changes what it may have of the processors.
    pub fn change_cpu(&self, limits: &Limits) -> io::Result<()> {
        self.limit(&Limits { memory: None, processes: None, ..*limits })
    }

    /// On cgroup v2, what of requests and limits has no effect in it, a line each; it must have been made.
    pub fn without_effect(&self) -> Vec<String> {
        let Some(directory) = self.directory("unified").filter(|_| Layout::of_machine().is_unified()) else {
            return Vec::new();
        };
        let mut wanted = vec![("cpu", "cpu.weight"), ("memory", "memory.max")];
        wanted.extend(Layout::limits_processes().then_some(("pids", "pids.max")));
        let absent = wanted.into_iter().filter(|(_, file)| !directory.join(file).exists());
        let text = |(name, _): (&str, &str)| {
            format!(
                "the cgroup controller \"{name}\" cannot be handed down to {}: requests and limits of {name} are without \
                 effect (a cgroup above it has processes of its own, or its cgroup.subtree_control may not be written)",
                directory.display()
            )
        };
        absent.map(text).collect()
    }

    /// On cgroup v2: when memory runs out, all processes of the container go together, as under a kubelet.
    pub fn kill_together(&self) {
        if let (true, Some(directory)) = (Layout::of_machine().is_unified(), self.directory("unified")) {
            let _ = put(&directory.join("memory.oom.group"), "1");
        }
    }

    /// How many processes the memory controller has killed in it.
    pub fn oom_kills(&self) -> u64 {
        let legacy = self.directory("memory").map(|directory| directory.join("memory.oom_control"));
        let unified = self.directory("unified").map(|directory| directory.join("memory.events"));
        [legacy, unified].into_iter().flatten().filter_map(|path| oom_kills_in(&fs::read_to_string(path).ok()?)).sum()
    }
}

fn oom_kills_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// [`put`], unless there is no such file: the controller that has it was not handed down.
fn put_if_there(path: &Path, value: &str) -> io::Result<()> {
    match put(path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_controller_that_is_not_handed_down_is_passed_over() {
        let directory = std::env::temp_dir().join(format!("podlet-cgroup-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let file = directory.join("memory.max");
        assert!(put(&file, "1").is_err());
        put_if_there(&file, "1").unwrap();
        fs::write(&file, "0").unwrap();
        put_if_there(&file, "1").unwrap();
        let written = fs::read_to_string(&file);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(written.unwrap(), "1");
    }

    #[test]
    fn counters() {
        assert_eq!(oom_kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(oom_kills_in("low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\noom_group_kill 1\n"), Some(2));
        assert_eq!(oom_kills_in(""), None);
    }
}
