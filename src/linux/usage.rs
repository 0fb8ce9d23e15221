//! What a container uses, by the counters of its cgroup: the numbers that a kubelet's summary holds (cAdvisor's reading of
//! them). Called by `top`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::cgroup::Cgroup;

/// A look at the counters.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// When it was.
    pub at: Instant,
    /// Processor time since the container began, in nanoseconds; none where no counter is mounted.
    pub processor: Option<u64>,
    /// The working set in bytes: what is charged, without file pages that were not used lately. The kubelet's figure, and what
    /// counts for an out-of-memory kill.
    pub memory: Option<u64>,
    /// Swapped out, in bytes; none where the kernel does not count it.
    pub swap: Option<u64>,
}

impl Usage {
    /// Of a container that runs; none when its cgroup is not there.
    pub fn of(cgroup: &Cgroup) -> Option<Usage> {
        if !cgroup.exists() {
            return None;
        }
        let unified = cgroup.directory("unified");
        let legacy = cgroup.directory("memory");
        Some(Usage {
            at: Instant::now(),
            processor: unified.and_then(processor_unified).or_else(|| processor_legacy(cgroup)),
            memory: legacy.and_then(memory_legacy).or_else(|| unified.and_then(memory_unified)),
            swap: legacy
                .and_then(|directory| entry(&directory.join("memory.stat"), "total_swap"))
                .or_else(|| unified.and_then(|directory| number(&directory.join("memory.swap.current")))),
        })
    }

    /// Processor time a second since an earlier look, in billionths of a processor.
    pub fn processor_since(&self, earlier: &Usage) -> Option<u64> {
        let spent = self.processor?.checked_sub(earlier.processor?)?;
        let nanoseconds = self.at.duration_since(earlier.at).as_nanos();
        u64::try_from(u128::from(spent).checked_mul(1_000_000_000)?.checked_div(nanoseconds)?).ok()
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line `key number` of a flat-keyed file.
fn entry(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `cpu.stat` tells the time also where the controller cpu is not handed down (cgroup-v2.rst).
fn processor_unified(directory: &Path) -> Option<u64> {
    entry(&directory.join("cpu.stat"), "usage_usec")?.checked_mul(1000)
}

/// cpuacct is mounted with cpu as a rule; where it is not, and no cgroup v2 is there, nothing counts.
fn processor_legacy(cgroup: &Cgroup) -> Option<u64> {
    number(&cgroup.directory("cpu")?.join("cpuacct.usage"))
}

fn memory_legacy(directory: &Path) -> Option<u64> {
    let charged = number(&directory.join("memory.usage_in_bytes"))?;
    let idle = entry(&directory.join("memory.stat"), "total_inactive_file").unwrap_or(0);
    Some(charged.saturating_sub(idle))
}

fn memory_unified(directory: &Path) -> Option<u64> {
    let charged = number(&directory.join("memory.current"))?;
    let idle = entry(&directory.join("memory.stat"), "inactive_file").unwrap_or(0);
    Some(charged.saturating_sub(idle))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn counters_are_read_in_both_versions() {
        let root = std::env::temp_dir().join(format!("podlet-usage-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        for (name, text) in [
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("memory.current", "5000\n"),
            ("memory.usage_in_bytes", "7000\n"),
            ("memory.stat", "inactive_file_more 1\ninactive_file 1000\ntotal_inactive_file 3000\n"),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        assert_eq!(processor_unified(&root), Some(1_500_000));
        assert_eq!((memory_unified(&root), memory_legacy(&root)), (Some(4000), Some(4000)));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(memory_unified(&root), None);
    }

    #[test]
    fn a_rate_is_of_the_time_between() {
        let at = Instant::now();
        let usage = |processor, at| Usage { at, processor, memory: None, swap: None };
        let (first, later) = (usage(Some(1_000), at), usage(Some(500_001_000), at + Duration::from_secs(2)));
        assert_eq!(later.processor_since(&first), Some(250_000_000));
        assert_eq!(later.processor_since(&usage(None, at)), None);
        assert_eq!(first.processor_since(&first), None);
    }
}
