//! Going on with what comes: logs of several containers of several pods, over restarts and rotations, until nothing more
//! can come. `logs -f` and `up` stand on it.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::super::directories::Directories;
use super::super::watching::{Sight, Watch, wait_for_news, wait_readable};
use super::super::{Caller, Failure};
use super::choose;
use super::files::{Flow, Reader, newest_attempt};
use super::lines::{Lines, Share};
use crate::paths::Paths;

/// One pod whose containers are followed.
pub struct Followed {
    /// As last seen.
    pub pod: Pod,
    watch: Watch,
    /// Nothing of it changes any more.
    pub over: bool,
    /// It has been removed.
    pub gone: bool,
}

/// One container's log.
pub struct Source {
    pod: usize,
    container: String,
    directory: PathBuf,
    reader: Option<Reader>,
    attempt: u32,
    share: Share,
    finished: bool,
}

/// All that is followed.
pub struct Follower {
    paths: Paths,
    directories: Directories,
    /// In the order in which they were added.
    pub pods: Vec<Followed>,
    sources: Vec<Source>,
    /// What is printed to.
    pub lines: Lines,
}

impl Follower {
    /// Nothing yet.
    pub fn new(paths: &Paths, lines: Lines) -> Result<Follower, Failure> {
        let directories = Directories::new()?;
        Ok(Follower { paths: paths.clone(), directories, pods: Vec::new(), sources: Vec::new(), lines })
    }

    /// A pod to be watched; answers its number.
    pub fn add_pod(&mut self, pod: Pod) -> usize {
        let watch = Watch::start(&self.paths, pod.metadata.uid.as_deref().unwrap_or_default());
        self.pods.push(Followed { pod, watch, over: false, gone: false });
        self.pods.len() - 1
    }

    /// A container of it, from the instance `attempt` on; `reader` stands where its output begins.
    pub fn add(&mut self, pod: usize, container: &str, attempt: u32, reader: Option<Reader>, share: Share) {
        let Some(followed) = self.pods.get(pod) else { return };
        self.sources.push(Source {
            pod,
            container: container.to_owned(),
            directory: directory(&self.paths, &followed.pod, container),
            reader,
            attempt,
            share,
            finished: false,
        });
    }

    /// Prints all that is there; false when nothing more can come.
    pub fn print(&mut self, caller: &mut Caller<'_>) -> Result<bool, Failure> {
        for number in 0..self.sources.len() {
            let Some(source) = self.sources.get_mut(number).filter(|source| !source.finished) else { continue };
            // Known before the last look: what was written until then is found by it.
            let over = self.pods.get(source.pod).is_none_or(|p| p.over || choose::is_over(&p.pod, &source.container));
            let flow = source.print(number, &mut self.lines, &self.directories, caller)?;
            source.finished = over || flow == Flow::Enough;
        }
        caller.out.flush()?;
        Ok(self.sources.iter().any(|source| !source.finished))
    }

    /// Waits until there is more, or until one of `others` is readable; says what each pod is now. Returns at once for a
    /// pod that was not looked at yet.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], patience: Duration) -> Result<(), Failure> {
        let fresh = self.pods.iter().any(|pod| !pod.over && pod.watch.descriptor().is_none());
        if !fresh {
            let mut descriptors = vec![self.directories.as_fd()];
            descriptors.extend(self.pods.iter().filter(|pod| !pod.over).filter_map(|pod| pod.watch.descriptor()));
            descriptors.extend_from_slice(others);
            wait_for_news(&descriptors, patience)?;
        }
        self.directories.drain();
        for pod in self.pods.iter_mut().filter(|pod| !pod.over) {
            let ready = pod.watch.descriptor().is_none_or(|descriptor| wait_readable(&[descriptor], Duration::ZERO));
            if !ready {
                continue;
            }
            match pod.watch.next()? {
                Sight::State(state, _) => pod.pod = *state,
                Sight::Still(seen) => (pod.pod, pod.over) = (seen.pod, true),
                Sight::Gone => (pod.over, pod.gone) = (true, true),
            }
        }
        Ok(())
    }
}

impl Source {
    /// Prints what is there, of this instance and of those that have been started since.
    fn print(
        &mut self,
        number: usize,
        lines: &mut Lines,
        directories: &Directories,
        caller: &mut Caller<'_>,
    ) -> Result<Flow, Failure> {
        directories.watch(&self.directory)?;
        loop {
            let (directory, attempt) = (&self.directory, self.attempt);
            let reader = self.reader.get_or_insert_with(|| Reader::new(directory, attempt));
            directories.watch_writes(&reader.current())?;
            // Looked for before reading: once there is a next one, this one is read to its end.
            let newest = newest_attempt(directory, u32::MAX).unwrap_or(0);
            let share = &mut self.share;
            let flow = reader.read(&mut |record| Ok(lines.print(number, share, record, caller)?))?;
            if flow == Flow::Enough || newest <= attempt {
                return Ok(flow);
            }
            self.attempt += 1;
            self.reader = None;
        }
    }
}

/// Where a container's logs lie.
pub fn directory(paths: &Paths, pod: &Pod, container: &str) -> PathBuf {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let metadata = &pod.metadata;
    paths.pod_logs(&text(&metadata.namespace), &text(&metadata.name), &text(&metadata.uid)).join(container)
}
