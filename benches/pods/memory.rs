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
    /// Its page tables, which are its alone, too.
    pub tables: u64,
}

/// The processes of each pod whose supervisor has `root` among its words: the keeper's twin, the keeper, the supervisor, and
/// pause beside it.
pub fn of_pods(root: &Path) -> Vec<Vec<Resident>> {
    let all = all();
    let family = |supervisor: i32| {
        let keeper = parent(supervisor);
        let beside =
            all.iter().copied().filter(|pid| *pid != supervisor && parent(*pid) == keeper && name(*pid) == "pause");
        [parent(keeper), keeper, supervisor].into_iter().chain(beside.collect::<Vec<_>>()).map(resident).collect()
    };
    supervisors(root).into_iter().map(family).collect()
}

/// The processes of a name with a text among their words.
pub fn named_with(wanted: &str, text: &str) -> Vec<i32> {
    let words = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    all().into_iter().filter(|pid| name(*pid) == wanted && words(*pid).contains(text)).collect()
}

/// The children of a process.
pub fn children(of: i32) -> Vec<i32> {
    all().into_iter().filter(|pid| parent(*pid) == of).collect()
}

/// Whether a process has this name.
pub fn is_named(pid: i32, wanted: &str) -> bool {
    name(pid) == wanted
}

/// The supervisors of the pods below `root`.
pub fn supervisors(root: &Path) -> Vec<i32> {
    let root = root.to_string_lossy();
    let words = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    all().into_iter().filter(|pid| words(*pid).contains(&*root) && words(*pid).contains("supervise")).collect()
}

/// The first processes of containers of the pods below `root`.
pub fn containers(root: &Path) -> Vec<i32> {
    let keepers: Vec<i32> = supervisors(root).into_iter().map(parent).collect();
    all().into_iter().filter(|pid| keepers.contains(&parent(*pid)) && name(*pid) == "actor").collect()
}

/// The CPU time that a process has taken so far, its threads that have ended included, in seconds (proc_pid_stat(5)).
pub fn cpu_of(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // A tick is 10 ms.
    after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The rows of the table: one pod's processes, and what many pods' come to.
pub fn rows(one: &[Vec<Resident>], many: &[Vec<Resident>]) -> Vec<String> {
    let row = |process: &Resident| format!("| {} | {} | {} |", process.name, process.pss, process.private);
    let mut rows: Vec<String> = one.iter().flatten().map(row).collect();
    let mut supervisors: Vec<&Resident> = many.iter().filter_map(|family| family.get(2)).collect();
    supervisors.sort_by_key(|process| process.pss);
    if let (Some(least), Some(most)) = (supervisors.first(), supervisors.last()) {
        rows.push(format!(
            "| supervisor, one of {}, and {} kB of page tables | {}\u{2013}{} | {}\u{2013}{} |",
            many.len(),
            most.tables,
            least.pss,
            most.pss,
            least.private,
            most.private
        ));
        let sum = |of: fn(&Resident) -> u64| many.iter().flatten().map(of).sum::<u64>();
        rows.push(format!(
            "| all processes of {} pods together | {} | {} |",
            many.len(),
            sum(|process| process.pss),
            sum(|process| process.private)
        ));
    }
    rows
}

fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The keeper's twin, the keeper and pause of each pod below `root`, whether or not a supervisor is awake: by the keeper's log,
/// which is open in its pod's run directory.
pub fn keepers(root: &Path) -> Vec<Vec<i32>> {
    let all = all();
    let here = |pid: i32| fs::read_link(format!("/proc/{pid}/fd/2")).is_ok_and(|log| log.starts_with(root));
    let keepers: Vec<i32> = all.iter().copied().filter(|pid| name(*pid) == "keeper" && here(*pid)).collect();
    let family = |keeper: &i32| {
        let pauses = all.iter().copied().filter(|pid| parent(*pid) == *keeper && name(*pid) == "pause");
        [parent(*keeper), *keeper].into_iter().chain(pauses).collect()
    };
    keepers.iter().map(family).collect()
}

/// The first processes of containers of the pods below `root`, whether or not a supervisor is awake.
pub fn containers_anywhere(root: &Path) -> Vec<i32> {
    let keepers: Vec<i32> = keepers(root).into_iter().filter_map(|family| family.get(1).copied()).collect();
    all().into_iter().filter(|pid| keepers.contains(&parent(*pid)) && name(*pid) == "actor").collect()
}

/// The name of the pod that a container's first process is of: it stands in the keeper's words.
pub fn pod_of(program: i32) -> String {
    let words = fs::read_to_string(format!("/proc/{}/cmdline", parent(program))).unwrap_or_default();
    let pod = words.split('\0').nth(1).and_then(|name| name.split_once('/'));
    pod.map(|(_, name)| name.to_owned()).expect("a keeper is called after its pod")
}

/// The CPU time of a process's one thread so far in seconds, to the nanosecond (proc_pid_schedstat).
pub fn run_time(pid: i32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// How often a process has been switched to.
pub fn switches(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    text.split_whitespace().nth(2).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// Of one process.
pub fn resident(pid: i32) -> Resident {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let sum = |wanted: &[&str]| {
        let values = rollup.lines().filter(|line| wanted.iter().any(|key| line.starts_with(key)));
        values.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tables = status.lines().find_map(|line| line.strip_prefix("VmPTE:")?.split_whitespace().next()?.parse().ok());
    Resident {
        name: name(pid),
        pss: sum(&["Pss:"]),
        private: sum(&["Private_Clean:", "Private_Dirty:"]),
        tables: tables.unwrap_or(0),
    }
}

fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}
