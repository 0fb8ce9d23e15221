//! What a pod's own processes keep in memory, from `smaps_rollup`.

use std::fs;
use std::path::Path;

/// One process, in kB.
pub struct Resident {
    /// Its name.
    pub name: String,
    /// Its share of what it maps.
    pub pss: u64,
    /// What is its alone.
    pub private: u64,
}

/// The processes of the pod whose supervisor has `root` among its words: the supervisor, its keeper, the keeper's twin above
/// it, and pause beside it.
pub fn of_pod(root: &Path) -> Vec<Resident> {
    let root = root.to_string_lossy();
    let all: Vec<i32> = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let words = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let Some(supervisor) =
        all.iter().copied().find(|pid| words(*pid).contains(&*root) && words(*pid).contains("supervise"))
    else {
        return Vec::new();
    };
    let keeper = parent(supervisor);
    let beside =
        all.iter().copied().filter(|pid| *pid != supervisor && parent(*pid) == keeper && name(*pid) == "pause");
    let family: Vec<i32> = [parent(keeper), keeper, supervisor].into_iter().chain(beside).collect();
    family.into_iter().map(resident).collect()
}

fn resident(pid: i32) -> Resident {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let sum = |wanted: &[&str]| {
        let values = rollup.lines().filter(|line| wanted.iter().any(|key| line.starts_with(key)));
        values.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    };
    Resident { name: name(pid), pss: sum(&["Pss:"]), private: sum(&["Private_Clean:", "Private_Dirty:"]) }
}

fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}
