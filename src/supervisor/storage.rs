//! Measures the local storage of a pod whose manifest limits it, about every 10 s as a kubelet does. A disk may be slow, or not
//! answer at all, so a thread of its own goes through the directories; while it does nothing else waits, and no second one
//! is begun. Only what is too much is told to the machine, and journalled: [`crate::pod::storage`] has the rule.
//!
//! A pod with such a limit keeps its supervisor awake: a wake every 10 s would cost more than it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;

use super::clock;
use super::run::{Happening, Supervisor};
use crate::linux::{disk_usage, rootfs};
use crate::pod::input::Fact;
use crate::pod::storage::{ContainerUsage, Scope, Usage};
use crate::pod::time::BootTime;
use crate::volume;

/// Between two measurements lies so many times what the last took: however many files there are, no more than this part of a
/// processor and of a disk goes into counting them.
const REST: u32 = 20;
/// More is not needed: it holds a path of directories and what is told.
const STACK: usize = 256 * 1024;

/// What is measured, and when.
#[derive(Debug)]
pub struct Gauge {
    /// None where nothing is limited.
    scope: Option<Scope>,
    /// Next then; none where nothing is to be measured.
    due: Option<BootTime>,
    /// It is being measured.
    running: bool,
}

impl Gauge {
    /// That of a pod of which nothing was measured yet.
    pub fn of(pod: &Pod) -> Gauge {
        Gauge { scope: Scope::of(pod), due: None, running: false }
    }

    /// When it is measured next.
    pub fn wake(&self) -> Option<BootTime> {
        self.due.filter(|_| !self.running)
    }

    /// Whether it is measured at all.
    pub fn is_watching(&self) -> bool {
        self.running || self.due.is_some()
    }
}

/// Where what is measured lies.
struct Places {
    volumes: Vec<(String, PathBuf)>,
    /// Of a container its name, its writable layer and its logs.
    containers: Vec<(String, PathBuf, PathBuf)>,
}

impl Places {
    fn measure(&self) -> io::Result<Usage> {
        let mut usage = Usage::default();
        for (name, path) in &self.volumes {
            usage.volumes.insert(name.clone(), disk_usage::allocated(path)?);
        }
        for (name, layer, logs) in &self.containers {
            let used = ContainerUsage { layer: disk_usage::allocated(layer)?, logs: disk_usage::allocated(logs)? };
            usage.containers.insert(name.clone(), used);
        }
        Ok(usage)
    }
}

impl Supervisor {
    /// The machine was told something: the pod may be ending, so that nothing is to be measured any more.
    pub(super) fn follow_storage(&mut self) {
        let watched = self.gauge.scope.is_some() && !self.state.machine.is_ending();
        let first = || clock::now().boot.after(self.state.machine.settings().numbers.storage_period());
        self.gauge.due = watched.then(|| self.gauge.due.unwrap_or_else(first));
    }

    /// Begins to measure, if it is time.
    pub(super) fn measure_storage_if_due(&mut self) {
        if self.gauge.wake().is_none_or(|due| due > clock::now().boot) {
            return;
        }
        let Some(scope) = &self.gauge.scope else { return };
        let places = self.places(&self.pod(), scope);
        let happenings = self.happenings.clone();
        let thread = std::thread::Builder::new().name("podlet-storage".to_owned()).stack_size(STACK);
        let begun = thread.spawn(move || {
            let since = Instant::now();
            let usage = places.measure();
            // Nobody listens any more when the pod is over.
            let _ = happenings.send(Happening::StorageMeasured { usage, took: since.elapsed() });
        });
        self.gauge.running = begun.is_ok();
        if let Err(error) = begun {
            tracing::warn!("could not measure the local storage: {error}");
            self.measure_again_after(Duration::ZERO);
        }
    }

    fn measure_again_after(&mut self, took: Duration) {
        let period = self.state.machine.settings().numbers.storage_period().max(took.saturating_mul(REST));
        self.gauge.due = Some(clock::now().boot.after(period));
        self.gauge.running = false;
        self.follow_storage();
    }

    /// It was measured.
    pub(super) async fn storage_measured(&mut self, usage: io::Result<Usage>, took: Duration) {
        self.measure_again_after(took);
        match usage {
            Ok(usage) => {
                tracing::trace!(?usage, ?took, "local storage");
                let fact = Fact::StorageMeasured { usage };
                if self.state.machine.is_news(&fact) {
                    self.tell(fact, clock::now(), None, None).await;
                }
            }
            Err(error) => tracing::warn!("could not measure the local storage: {error}"),
        }
    }

    fn places(&self, pod: &Pod, scope: &Scope) -> Places {
        let (paths, uid) = (self.world.paths(), self.world.uid());
        let logs = self.world.logs(pod);
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volumes = volumes.filter(|volume| scope.volumes.contains(&volume.name));
        let volumes = volumes.filter_map(|one| Some((one.name.clone(), volume::source(paths, uid, one).ok()?.path)));
        let instances = if scope.containers { self.state.machine.instances() } else { Vec::new() };
        let containers = instances.into_iter().map(|(name, attempt)| {
            let layer = rootfs::layer_on_disk(&paths.container_state(uid, &name, attempt));
            let logs = logs.join(&name);
            (name, layer, logs)
        });
        Places { volumes: volumes.collect(), containers: containers.collect() }
    }
}
