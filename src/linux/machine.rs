//! What podlet needs to know of the machine and finds out once in a process: capabilities, sizes, which paths of /proc and
//! /sys are there to be masked, what its kernel can do.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use crate::plan::{Capabilities, Shape};

/// Facts found once.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Capabilities that this process has and may pass on.
    pub capabilities: Capabilities,
    /// Bytes of memory.
    pub memory: u64,
    /// Processors that this process may use, in thousandths.
    pub cpu_milli: i64,
    /// Highest number of open files that may be set.
    pub open_files: Option<u64>,
    /// Masked paths that exist here.
    pub masked: Vec<(String, Shape)>,
    /// Read-only paths that exist here.
    pub read_only: Vec<String>,
    /// The host name.
    pub hostname: String,
}

/// Hidden from containers: the list of the kubelet of Kubernetes 1.36.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Read-only in containers: the same list's other half.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Files that a container may have open where nothing else says so: what containerd's units allow.
const OPEN_FILES: u64 = 1_048_576;

impl Machine {
    /// The facts.
    pub fn get() -> &'static Machine {
        static MACHINE: OnceLock<Machine> = OnceLock::new();
        MACHINE.get_or_init(Machine::find)
    }

    fn find() -> Machine {
        let memory = read("/proc/meminfo");
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let memory =
            memory.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let shape = |path: &str| {
            fs::metadata(path).ok().map(|found| if found.is_dir() { Shape::Directory } else { Shape::File })
        };
        let mut masked: Vec<String> = MASKED.iter().map(|path| (*path).to_owned()).collect();
        masked.extend(throttle_directories());
        Machine {
            capabilities: capabilities(),
            memory,
            cpu_milli: i64::try_from(processors).unwrap_or(1).saturating_mul(1000),
            open_files: limit.ok().map(|(_, hard)| hard.min(OPEN_FILES)),
            masked: masked.into_iter().filter_map(|path| shape(&path).map(|shape| (path, shape))).collect(),
            read_only: READ_ONLY.iter().filter(|path| shape(path).is_some()).map(|path| (*path).to_owned()).collect(),
            hostname: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default(),
        }
    }
}

/// Capabilities that this process has and may pass on; [`Machine::get`] knows them too, and takes longer.
pub fn capabilities() -> Capabilities {
    let status = read("/proc/self/status");
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).ok()
    };
    Capabilities(set("CapPrm").unwrap_or(0) & set("CapBnd").unwrap_or(0))
}

/// A file that the kernel makes as it is read. Its length is not known before: read in one go instead of in growing pieces.
fn read(path: &str) -> String {
    let mut text = String::with_capacity(8192);
    // What cannot be read says nothing.
    let _ = fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}

/// `/sys/devices/system/cpu/cpuN/thermal_throttle` of each processor that has one.
fn throttle_directories() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix("cpu").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
        .map(|name| format!("/sys/devices/system/cpu/{name}/thermal_throttle"))
        .filter(|path| Path::new(path).is_dir())
        .collect();
    found.sort();
    found
}
