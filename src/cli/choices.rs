//! What a user may choose for a pod's whole life, and what the machine is called: gathered once, at `apply` and `up`.

use std::net::UdpSocket;
use std::time::Duration;

use clap::Args;

use super::everywhere::Everywhere;
use crate::config::Config;
use crate::duration;
use crate::http::Environment;
use crate::pod::backoff::go_duration;
use crate::pod::machine::Settings;
use crate::supervisor::orders::Choices;

/// Words of `apply` and `up` that the supervisor keeps.
#[derive(Args, Clone, Debug, Default)]
pub struct ChoiceWords {
    /// For podlet's own tests: the machine panics at the end of a container's instance of this number.
    #[arg(long, hide = true, value_name = "NUMBER")]
    panic_at_exit: Option<u32>,
    /// For podlet's own tests: the first crash back-off, in milliseconds (lifecycle 4.4: 10 s).
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    crash_backoff_initial: Option<u64>,
    /// The largest (300 s).
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    crash_backoff_max: Option<u64>,
    /// A run longer than this clears it (600 s).
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    crash_backoff_reset: Option<u64>,
    /// After so long without anything to do the pod's supervisor ends, until the next event (5s); never: it stays.
    /// PODLET_SLEEP_AFTER says the same.
    #[arg(long, value_name = "DURATION", value_parser = SleepAfter::parse)]
    sleep_after: Option<SleepAfter>,
}

/// What `--sleep-after` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SleepAfter {
    Never,
    Quiet(Duration),
}

impl SleepAfter {
    /// When nobody says anything.
    const USUAL: SleepAfter = SleepAfter::Quiet(Duration::from_secs(5));

    fn parse(text: &str) -> Result<SleepAfter, String> {
        match text {
            "never" => Ok(SleepAfter::Never),
            _ => duration::parse(text).map(SleepAfter::Quiet).map_err(|error| format!("{error}, or never")),
        }
    }

    fn milliseconds(self) -> Option<u64> {
        match self {
            SleepAfter::Never => None,
            SleepAfter::Quiet(after) => Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl ChoiceWords {
    fn settings(&self, config: &Config) -> Settings {
        let usual = Settings::default();
        let most = u64::try_from(config.max_container_restart_period.value.as_millis()).unwrap_or(u64::MAX);
        Settings {
            backoff_initial_milliseconds: self.crash_backoff_initial.unwrap_or(usual.backoff_initial_milliseconds),
            backoff_maximum_milliseconds: self.crash_backoff_max.unwrap_or(most),
            backoff_reset_milliseconds: self.crash_backoff_reset.unwrap_or(usual.backoff_reset_milliseconds),
            node_name: node_name(),
            host_ip: host_ip(),
            numbers: usual.numbers,
        }
    }
}

/// The choices for a pod that is set going now.
pub fn choices(words: &ChoiceWords, config: &Config, trace: bool, everywhere: &Everywhere) -> Choices {
    // The flag and the variable have words (warn, error) that the setting has no numbers for.
    let level = everywhere.level().unwrap_or_else(|| config.log_level());
    Choices {
        settings: words.settings(config),
        seccomp_default: config.seccomp_default(),
        log_level: level.as_str().to_lowercase(),
        trace,
        panic_at_exit: words.panic_at_exit,
        rotation: config.rotation(),
        pod_pids_limit: config.pod_pids_limit(),
        max_pods: config.max_pods(),
        pod_logs_dir: config.pod_logs_dir.value.clone(),
        environment: Environment::of_process(),
        image_limits: config.images.limits(),
        ignore_image_volumes: config.images.ignore_volumes.value,
        registry_patience: config.images.stall_timeout.value,
        sleep_after: words.sleep_after.or_else(sleep_after_by_environment).unwrap_or(SleepAfter::USUAL).milliseconds(),
    }
}

/// After how long a quiet pod's supervisor falls asleep when no flag says otherwise, and who says so.
pub fn sleep_after() -> (String, &'static str) {
    let (after, origin) = match sleep_after_by_environment() {
        Some(after) => (after, "environment PODLET_SLEEP_AFTER"),
        None => (SleepAfter::USUAL, "default"),
    };
    let word = match after {
        SleepAfter::Never => "never".to_owned(),
        SleepAfter::Quiet(after) => go_duration(after),
    };
    (word, origin)
}

/// What cannot be read says nothing, as with `PODLET_LOG`.
fn sleep_after_by_environment() -> Option<SleepAfter> {
    SleepAfter::parse(std::env::var("PODLET_SLEEP_AFTER").ok()?.trim()).ok()
}

/// For a pod that is only brought back to be ended: no fault in the settings may stand in the way of that.
pub fn usual() -> Choices {
    choices(&ChoiceWords::default(), &Config::default(), false, &Everywhere::default())
}

/// The kubelet's name for a node: the host name in lower case.
fn node_name() -> String {
    match nix::unistd::gethostname() {
        Ok(name) => name.to_string_lossy().trim().to_lowercase(),
        Err(_) => "localhost".to_owned(),
    }
}

/// The address that this machine would send from. connect(2) on a datagram socket sends nothing.
fn host_ip() -> Option<String> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then(|| address.to_string())
}
