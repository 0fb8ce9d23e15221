//! Prints what the actor sees of its own world, from /proc.

use std::fs;

/// What can be shown.
pub const TOPICS: [&str; 10] = [
    "ids",
    "namespaces",
    "mounts",
    "hostname",
    "capabilities",
    "cgroup",
    "environment",
    "arguments",
    "descriptors",
    "limits",
];

/// The topics, or all.
pub fn show(topics: &[String]) -> String {
    let all: Vec<&str> = if topics.is_empty() { TOPICS.to_vec() } else { topics.iter().map(String::as_str).collect() };
    let mut text = String::new();
    for topic in all {
        text.push_str(&format!("{topic}:\n"));
        for line in lines(topic) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

fn lines(topic: &str) -> Vec<String> {
    match topic {
        "ids" => status(&["Pid", "PPid", "Uid", "Gid", "Groups"]),
        "namespaces" => links("/proc/self/ns"),
        "mounts" => file("/proc/self/mountinfo"),
        "hostname" => file("/proc/sys/kernel/hostname"),
        "capabilities" => status(&["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]),
        "cgroup" => file("/proc/self/cgroup"),
        "environment" => std::env::vars_os()
            .map(|(key, value)| format!("{}={}", key.to_string_lossy(), value.to_string_lossy()))
            .collect(),
        "arguments" => std::env::args_os().map(|word| format!("{:?}", word.to_string_lossy())).collect(),
        "descriptors" => links("/proc/self/fd"),
        "limits" => file("/proc/self/limits"),
        _ => Vec::new(),
    }
}

fn file(path: &str) -> Vec<String> {
    match fs::read_to_string(path) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) => vec![format!("{path}: {error}")],
    }
}

/// Lines of /proc/self/status by their keys, blanks made one.
fn status(keys: &[&str]) -> Vec<String> {
    let wanted = |line: &String| keys.iter().any(|key| line.split(':').next() == Some(key));
    let joined = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    file("/proc/self/status").into_iter().filter(wanted).map(joined).collect()
}

fn links(directory: &str) -> Vec<String> {
    let mut lines: Vec<String> = match fs::read_dir(directory) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| {
                // The descriptor of the listing itself is gone by now.
                let target = fs::read_link(entry.path()).ok()?;
                Some(format!("{} {}", entry.file_name().to_string_lossy(), target.to_string_lossy()))
            })
            .collect(),
        Err(error) => vec![format!("{directory}: {error}")],
    };
    lines.sort();
    lines
}
