//! The machine's settings: what a `KubeletConfiguration` file, the environment and flags say, each value with where it comes
//! from. Called by the verbs that set pods going and by `config view`; a pod keeps what it was set going with.
//!
//! The numbers that hold when nobody says anything are not here: they are those of the parts that use them.

mod images;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::duration;
use crate::linux::container::SeccompDefault;
use crate::manifest::quantity::{Format, Quantity};
use crate::manifest::settings::{self, Settings};
use crate::manifest::{Diagnostic, Source};
use crate::paths::Paths;
use crate::pod::backoff::go_duration;
use crate::pod::machine;
use crate::supervisor::orders::Rotation;
pub use images::Images;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody says anything.
    Default,
    /// A line of the settings file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: u32,
    },
    /// A word of the command line.
    Flag(&'static str),
    /// A variable.
    Environment(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T> {
    /// What holds.
    pub value: T,
    /// Who says so.
    pub origin: Origin,
}

impl<T> Set<T> {
    fn default(value: T) -> Set<T> {
        Set { value, origin: Origin::Default }
    }
}

/// What the command line and the environment say: it comes before the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--seccomp-default`.
    pub seccomp_default: Option<SeccompDefault>,
    /// `-v`, or `PODLET_LOG`.
    pub verbosity: Option<(u8, bool)>,
}

/// Where the settings file is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file.
    pub path: PathBuf,
    /// Somebody has named it (`PODLET_CONFIG`): then it must be there.
    pub named: bool,
}

impl Place {
    /// `PODLET_CONFIG`, else `/etc/podlet/config.yaml`, which may be absent.
    pub fn from_environment() -> Place {
        match std::env::var_os("PODLET_CONFIG").filter(|value| !value.is_empty()) {
            Some(path) => Place { path: path.into(), named: true },
            None => Place { path: crate::paths::CONFIG.into(), named: false },
        }
    }
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What stands in it is wrong, all of it.
    Wrong(Vec<Diagnostic>),
}

/// The settings that hold.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// `seccompDefault`.
    pub seccomp_default: Set<bool>,
    /// `containerLogMaxSize` in bytes; below zero logs are not rotated.
    pub container_log_max_size: Set<i64>,
    /// `containerLogMaxFiles`.
    pub container_log_max_files: Set<u32>,
    /// `maxPods`; 0: no limit.
    pub max_pods: Set<u32>,
    /// `podLogsDir`; nothing: where all logs are.
    pub pod_logs_dir: Set<Option<PathBuf>>,
    /// `podPidsLimit`; below zero there is none.
    pub pod_pids_limit: Set<i64>,
    /// `crashLoopBackOff.maxContainerRestartPeriod`.
    pub max_container_restart_period: Set<Duration>,
    /// `logging.verbosity`.
    pub verbosity: Set<u8>,
    /// `shutdownGracePeriod`: what all pods have when the machine is shut down; 0: each its own grace.
    pub shutdown: Set<Duration>,
    /// `shutdownGracePeriodCriticalPods`: what of it is left to pods of a system priority.
    pub shutdown_critical: Set<Duration>,
    /// `shutdownGracePeriodByPodPriority`: least priority and seconds.
    pub shutdown_by_priority: Set<Vec<(i32, i64)>>,
    /// `podlet.images`
    pub images: Images,
    /// What of the file is passed over, a line each.
    pub notices: Vec<String>,
}

/// One setting as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `crashLoopBackOff.maxContainerRestartPeriod`.
    pub path: &'static str,
    /// As a KubeletConfiguration has it.
    pub value: Json,
    /// Who says so.
    pub origin: Origin,
    /// What it does, for the guide.
    pub meaning: &'static str,
}

impl Default for Config {
    fn default() -> Config {
        let rotation = Rotation::default();
        let restarts = machine::Settings::default().backoff_maximum_milliseconds;
        Config {
            file: None,
            seccomp_default: Set::default(SeccompDefault::default() == SeccompDefault::RuntimeDefault),
            container_log_max_size: Set::default(i64::try_from(rotation.size).unwrap_or(i64::MAX)),
            container_log_max_files: Set::default(u32::try_from(rotation.files).unwrap_or(u32::MAX)),
            max_pods: Set::default(0),
            pod_logs_dir: Set::default(None),
            pod_pids_limit: Set::default(-1),
            max_container_restart_period: Set::default(Duration::from_millis(restarts)),
            verbosity: Set::default(0),
            shutdown: Set::default(Duration::ZERO),
            shutdown_critical: Set::default(Duration::ZERO),
            shutdown_by_priority: Set::default(Vec::new()),
            images: Images::default(),
            notices: Vec::new(),
        }
    }
}

impl Config {
    /// What holds: flags and environment before the file, the file before the defaults.
    pub fn load(place: &Place, overrides: &Overrides) -> Result<Config, Error> {
        let mut config = match std::fs::read(&place.path) {
            Ok(bytes) => {
                let source = Source { name: place.path.display().to_string(), bytes };
                let mut settings = settings::read(&source).map_err(Error::Wrong)?;
                Config::of_file(&place.path, &mut settings)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !place.named => Config::default(),
            Err(source) => return Err(Error::Unreadable { path: place.path.clone(), source }),
        };
        if let Some(profile) = overrides.seccomp_default {
            let value = profile == SeccompDefault::RuntimeDefault;
            config.seccomp_default = Set { value, origin: Origin::Flag("--seccomp-default") };
        }
        if let Some((value, by_flag)) = overrides.verbosity {
            let origin = if by_flag { Origin::Flag("-v") } else { Origin::Environment("PODLET_LOG") };
            config.verbosity = Set { value, origin };
        }
        Ok(config)
    }

    fn of_file(path: &Path, settings: &mut Settings) -> Result<Config, Error> {
        let mut config = Config { file: Some(path.to_owned()), ..Config::default() };
        config.notices = std::mem::take(&mut settings.notices);
        let mut reader = Reader { path, settings, wrong: Vec::new() };
        reader.take("seccompDefault", &mut config.seccomp_default, |value| value.as_bool().ok_or_else(unexpected));
        reader.take("containerLogMaxSize", &mut config.container_log_max_size, log_size);
        reader.take("containerLogMaxFiles", &mut config.container_log_max_files, log_files);
        reader.take("maxPods", &mut config.max_pods, pods_limit);
        reader.take("podLogsDir", &mut config.pod_logs_dir, logs_directory);
        reader.take("podPidsLimit", &mut config.pod_pids_limit, pids_limit);
        let restarts = "crashLoopBackOff.maxContainerRestartPeriod";
        reader.take(restarts, &mut config.max_container_restart_period, restart_period);
        reader.take("logging.verbosity", &mut config.verbosity, verbosity);
        reader.take(SHUTDOWN, &mut config.shutdown, shutdown_period);
        reader.take(SHUTDOWN_CRITICAL, &mut config.shutdown_critical, shutdown_period);
        reader.take(SHUTDOWN_BY_PRIORITY, &mut config.shutdown_by_priority, by_priority);
        config.images.read(&mut reader);
        if reader.settings.get(FAIL_SWAP_ON) == Some(&json!(true)) {
            let text = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
            if let Some(area) = swap_area(&text) {
                let text = format!("this machine swaps to {area}: swapoff {area} ends it, failSwapOn: false bears it");
                reader.wrong.push(reader.settings.fault(FAIL_SWAP_ON, text));
            }
        }
        let (all, critical) = (config.shutdown.value, config.shutdown_critical.value);
        if critical > all {
            let text = format!(
                "must be <= shutdownGracePeriod, which is {}, found {}",
                go_duration(all),
                go_duration(critical)
            );
            reader.wrong.push(reader.settings.fault(SHUTDOWN_CRITICAL, text));
        }
        if !config.shutdown_by_priority.value.is_empty() && !all.is_zero() {
            let text = "cannot be specified beside shutdownGracePeriod";
            reader.wrong.push(reader.settings.fault(SHUTDOWN_BY_PRIORITY, text));
        }
        if reader.wrong.is_empty() { Ok(config) } else { Err(Error::Wrong(reader.wrong)) }
    }

    /// All of them, for people and programs.
    pub fn rows(&self) -> Vec<Row> {
        let size = Quantity::from_value(self.container_log_max_size.value, Format::BinarySi).to_string();
        let restarts = go_duration(self.max_container_restart_period.value);
        let period =
            |(priority, seconds): &(i32, i64)| json!({"priority": priority, "shutdownGracePeriodSeconds": seconds});
        let by_priority: Vec<Json> = self.shutdown_by_priority.value.iter().map(period).collect();
        let row = |path, value, origin: &Origin, meaning| Row { path, value, origin: origin.clone(), meaning };
        let mut rows = vec![
            row(
                "seccompDefault",
                json!(self.seccomp_default.value),
                &self.seccomp_default.origin,
                "containers whose manifest names no seccomp profile run under `RuntimeDefault`; `false` leaves them unconfined",
            ),
            row(
                "containerLogMaxSize",
                json!(size),
                &self.container_log_max_size.origin,
                "a container's log file is put aside when it has this size; below zero never",
            ),
            row(
                "containerLogMaxFiles",
                json!(self.container_log_max_files.value),
                &self.container_log_max_files.origin,
                "so many files are kept, the one that is written included",
            ),
            row(
                "podLogsDir",
                json!(self.pod_logs_dir.value.clone().unwrap_or_else(|| Paths::from_environment().logs.join("pods"))),
                &self.pod_logs_dir.origin,
                "where logs of pods lie, as `NAMESPACE_NAME_UID/CONTAINER/N.log`; where all logs usually are a link leads there",
            ),
            row(
                "maxPods",
                json!(self.max_pods.value),
                &self.max_pods.origin,
                "so many pods run at once, one more is Failed (`OutOfpods`); 0 is no limit",
            ),
            row(
                "podPidsLimit",
                json!(self.pod_pids_limit.value),
                &self.pod_pids_limit.origin,
                "the most processes and threads of a pod; -1 is no limit",
            ),
            row(
                "crashLoopBackOff.maxContainerRestartPeriod",
                json!(restarts),
                &self.max_container_restart_period.origin,
                "the longest back-off between restarts, 1s to 300s",
            ),
            row(
                "logging.verbosity",
                json!(self.verbosity.value),
                &self.verbosity.origin,
                "of the supervisors' own logs: from 4 on debug, from 6 on trace",
            ),
            row(
                SHUTDOWN,
                json!(go_duration(self.shutdown.value)),
                &self.shutdown.origin,
                "the most that `podlet stop --all` gives pods to end; `0s`: each pod its own grace period",
            ),
            row(
                SHUTDOWN_CRITICAL,
                json!(go_duration(self.shutdown_critical.value)),
                &self.shutdown_critical.origin,
                "what of it is kept for pods of system priority, which are stopped last",
            ),
            row(
                SHUTDOWN_BY_PRIORITY,
                Json::Array(by_priority),
                &self.shutdown_by_priority.origin,
                "instead of the two: seconds for the pods from each priority on, the lowest first",
            ),
        ];
        rows.extend(self.images.rows());
        rows
    }

    /// For the containers whose manifest names no profile.
    pub fn seccomp_default(&self) -> SeccompDefault {
        if self.seccomp_default.value { SeccompDefault::RuntimeDefault } else { SeccompDefault::Unconfined }
    }

    /// For the logs of containers.
    pub fn rotation(&self) -> Rotation {
        Rotation {
            // No file comes to the largest number.
            size: u64::try_from(self.container_log_max_size.value).unwrap_or(u64::MAX),
            files: usize::try_from(self.container_log_max_files.value).unwrap_or(usize::MAX),
        }
    }

    /// The most pods at once.
    pub fn max_pods(&self) -> Option<u32> {
        Some(self.max_pods.value).filter(|most| *most > 0)
    }

    /// The most processes and threads of one pod.
    pub fn pod_pids_limit(&self) -> Option<u64> {
        u64::try_from(self.pod_pids_limit.value).ok()
    }

    /// The seconds that the pods from a priority on have when the machine is shut down, lowest first; none: each its own grace.
    pub fn shutdown_periods(&self) -> Vec<(i32, i64)> {
        let seconds = |period: Duration| i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
        if !self.shutdown.value.is_zero() {
            let critical = self.shutdown_critical.value;
            return vec![
                (0, seconds(self.shutdown.value.saturating_sub(critical))),
                (SYSTEM_CRITICAL, seconds(critical)),
            ];
        }
        let mut periods = self.shutdown_by_priority.value.clone();
        periods.sort_unstable();
        periods
    }

    /// The supervisor's own log: a kubelet's `-v` as `-v` of the command line.
    pub fn log_level(&self) -> tracing::Level {
        match self.verbosity.value {
            0..=3 => tracing::Level::INFO,
            4..=5 => tracing::Level::DEBUG,
            _ => tracing::Level::TRACE,
        }
    }
}

/// A kubelet's rule: a line behind the headings of `/proc/swaps` (proc(5)) is an area that is swapped to.
fn swap_area(swaps: &str) -> Option<&str> {
    swaps.lines().nth(1)?.split_whitespace().next()
}

const FAIL_SWAP_ON: &str = "failSwapOn";
const SHUTDOWN: &str = "shutdownGracePeriod";
const SHUTDOWN_CRITICAL: &str = "shutdownGracePeriodCriticalPods";
const SHUTDOWN_BY_PRIORITY: &str = "shutdownGracePeriodByPodPriority";

/// From here on a pod's priority is the system's (`SystemCriticalPriority` of `pkg/apis/scheduling`).
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// Takes values out of a file and gathers what is wrong with them.
struct Reader<'a> {
    path: &'a Path,
    settings: &'a Settings,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn take<T>(&mut self, path: &str, place: &mut Set<T>, read: impl Fn(&Json) -> Result<T, String>) {
        match self.settings.get(path).map(read) {
            None => {}
            Some(Ok(value)) => {
                let origin = Origin::File { path: self.path.to_owned(), line: self.settings.line(path) };
                *place = Set { value, origin };
            }
            Some(Err(text)) => self.wrong.push(self.settings.fault(path, text)),
        }
    }
}

/// The decoder has seen to the form; what is told here cannot be.
fn unexpected() -> String {
    "not a value of the right form".to_owned()
}

/// A kubelet takes any quantity; below zero it does not rotate. With 0 it would put aside every file that it looks at.
fn log_size(value: &Json) -> Result<i64, String> {
    let text = value.as_str().ok_or_else(unexpected)?;
    let quantity =
        Quantity::parse(text).map_err(|error| format!("expected a quantity such as 10Mi, found {text:?}: {error}"))?;
    match quantity.value() {
        0 => Err("expected more than 0 bytes, or a negative number for no rotation".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A kubelet's rule: more than one, the file that is written included.
fn log_files(value: &Json) -> Result<u32, String> {
    let number = value.as_i64().ok_or_else(unexpected)?;
    match u32::try_from(number) {
        Ok(files) if files > 1 => Ok(files),
        _ => Err(format!("must be greater than 1, found {number}")),
    }
}

/// A kubelet's rule; with 0 it has its 110, and podlet no limit.
fn pods_limit(value: &Json) -> Result<u32, String> {
    let number = value.as_i64().ok_or_else(unexpected)?;
    u32::try_from(number).map_err(|_| format!("must not be a negative number, found {number}"))
}

/// A kubelet's rules: it becomes part of paths.
fn logs_directory(value: &Json) -> Result<Option<PathBuf>, String> {
    let text = value.as_str().ok_or_else(unexpected)?;
    if !text.starts_with('/') {
        return Err(format!("must be an absolute path, found {text:?}"));
    }
    let normal = text == "/" || text.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if !normal {
        return Err(format!("must be normalized (no `.`, `..`, double or last slash), found {text:?}"));
    }
    if !text.is_ascii() || text.contains('\0') {
        return Err(format!("must contain ASCII characters only, found {text:?}"));
    }
    Ok(Some(PathBuf::from(text)))
}

/// A kubelet takes every number below zero for none. With 0 not even the sandbox's first process could be made.
fn pids_limit(value: &Json) -> Result<i64, String> {
    match value.as_i64().ok_or_else(unexpected)? {
        0 => Err("expected a number above 0, or -1 for no limit".to_owned()),
        below if below < 0 => Ok(-1),
        limit => Ok(limit),
    }
}

/// A kubelet's bounds.
fn restart_period(value: &Json) -> Result<Duration, String> {
    let text = value.as_str().ok_or_else(unexpected)?;
    let period = duration::parse(text)?;
    if (1000..=300_000).contains(&period.as_millis()) {
        return Ok(period);
    }
    Err(format!("must be set between 1s and 300s, found {}", go_duration(period)))
}

/// A kubelet's rule.
fn shutdown_period(value: &Json) -> Result<Duration, String> {
    let period = duration::parse(value.as_str().ok_or_else(unexpected)?)?;
    if !period.is_zero() && period < Duration::from_secs(1) {
        return Err(format!("must be either zero or otherwise >= 1 sec, found {}", go_duration(period)));
    }
    Ok(period)
}

fn by_priority(value: &Json) -> Result<Vec<(i32, i64)>, String> {
    let one = |entry: &Json| {
        let number = |name: &str| entry.get(name).map_or(Some(0), Json::as_i64);
        let priority = number("priority").and_then(|number| i32::try_from(number).ok()).ok_or_else(unexpected)?;
        match number("shutdownGracePeriodSeconds").ok_or_else(unexpected)? {
            below if below < 0 => Err(format!("shutdownGracePeriodSeconds must not be negative, found {below}")),
            seconds => Ok((priority, seconds)),
        }
    };
    value.as_array().ok_or_else(unexpected)?.iter().map(one).collect()
}

fn verbosity(value: &Json) -> Result<u8, String> {
    let number = value.as_i64().ok_or_else(unexpected)?;
    u8::try_from(number).map_err(|_| format!("expected a number from 0 to 10, found {number}"))
}

#[cfg(test)]
mod tests;
