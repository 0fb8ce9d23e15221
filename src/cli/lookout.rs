//! All pods of a namespace, or one of them, under watch: those that run, those that have ended, those that are made later.
//! `get -w` and `events -w` stand on it; one pod that is known already is watched by [`super::watching`] alone.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::Failure;
use super::ask::kept_failure;
use super::directories::Directories;
use super::resource::is_name;
use super::watching::{Sight, Watch, left, wait_for_news};
use crate::paths::Paths;
use crate::supervisor::kept::{self, Claim, Seen, Standing};

/// How long a pod whose name is claimed may take until its supervisor answers, before it is shown as it lies there.
const BIRTH: Duration = Duration::from_secs(2);
/// How often it is looked at in that time.
const BIRTH_LOOK: Duration = Duration::from_millis(20);

/// What has happened to a pod.
#[derive(Debug)]
pub enum News {
    /// It is there, or is otherwise than it was.
    Changed(Box<Seen>),
    /// It has been removed; as it was last seen.
    Gone(Box<Seen>),
}

/// Which pods.
#[derive(Clone, Debug)]
pub struct Scope {
    /// None: of all namespaces.
    pub namespace: Option<String>,
    /// None: all of them.
    pub name: Option<String>,
}

impl Scope {
    fn holds(&self, claim: &Claim) -> bool {
        self.name.as_ref().is_none_or(|name| *name == claim.name)
    }
}

struct Watched {
    claim: Claim,
    watch: Watch,
    since: Instant,
    shown: Option<Seen>,
    /// Nobody will tell of its changes; its directory is watched, and it is looked at when something happens there.
    still: bool,
    look: bool,
}

/// Pods under watch.
pub struct Lookout {
    paths: Paths,
    scope: Scope,
    directories: Directories,
    pods: BTreeMap<String, Watched>,
    rescan: bool,
}

impl Lookout {
    /// Nothing is looked at before [`Lookout::next`].
    pub fn start(paths: &Paths, scope: Scope) -> Result<Lookout, Failure> {
        let directories = Directories::new()?;
        Ok(Lookout { paths: paths.clone(), scope, directories, pods: BTreeMap::new(), rescan: true })
    }

    /// What has happened since; in the first call what is there, which may be nothing. Later calls wait for something.
    pub fn next(&mut self) -> Result<Vec<News>, Failure> {
        self.next_before(None).map(Option::unwrap_or_default)
    }

    /// The same, until the deadline: none when nothing has happened by then.
    pub fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Vec<News>>, Failure> {
        let first = self.pods.is_empty() && self.rescan;
        loop {
            let mut news = Vec::new();
            if std::mem::take(&mut self.rescan) {
                self.scan(&mut news)?;
            }
            self.look(&mut news)?;
            let settled = !self.pods.values().any(|pod| pod.shown.is_none());
            if !news.is_empty() || first && settled {
                return Ok(Some(news));
            }
            if left(deadline).is_zero() {
                return Ok(None);
            }
            self.wait(left(deadline))?;
        }
    }

    /// Compares the names with what is under watch. The watches come first: what is made between is told afterwards.
    fn scan(&mut self, news: &mut Vec<News>) -> Result<(), Failure> {
        if self.scope.namespace.as_deref().is_some_and(|namespace| !is_name(namespace)) {
            return Ok(());
        }
        match &self.scope.namespace {
            Some(namespace) => self.directories.watch(&self.paths.names().join(namespace))?,
            None => {
                self.directories.watch(&self.paths.names())?;
                for entry in std::fs::read_dir(self.paths.names()).into_iter().flatten().flatten() {
                    self.directories.watch(&entry.path())?;
                }
            }
        }
        let mut claims = kept::list(&self.paths, self.scope.namespace.as_deref()).map_err(|e| kept_failure(&e))?;
        claims.retain(|claim| self.scope.holds(claim));
        // A running pod's supervisor says itself when it is removed.
        let gone: Vec<String> = self
            .pods
            .iter()
            .filter(|(uid, pod)| pod.still && !claims.iter().any(|claim| claim.uid == **uid))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in gone {
            news.extend(self.pods.remove(&uid).and_then(|pod| pod.shown).map(|seen| News::Gone(Box::new(seen))));
        }
        for claim in claims {
            let watch = Watch::start(&self.paths, &claim.uid);
            self.pods.entry(claim.uid.clone()).or_insert(Watched {
                claim,
                watch,
                since: Instant::now(),
                shown: None,
                still: false,
                look: true,
            });
        }
        Ok(())
    }

    /// Looks at every pod that has something to say.
    fn look(&mut self, news: &mut Vec<News>) -> Result<(), Failure> {
        let mut order: Vec<(Claim, String)> = Vec::new();
        order.extend(self.pods.iter().filter(|(_, pod)| pod.look).map(|(uid, pod)| (pod.claim.clone(), uid.clone())));
        order.sort();
        for (_, uid) in order {
            let Some(pod) = self.pods.get_mut(&uid) else { continue };
            pod.look = false;
            let seen = match pod.watch.next()? {
                Sight::State(state, events) => {
                    pod.still = false;
                    Seen { pod: *state, events, standing: Standing::Live }
                }
                Sight::Still(seen) => {
                    // It may have changed before its directory was watched: one more look.
                    pod.look = !std::mem::replace(&mut pod.still, true);
                    self.directories.watch(&self.paths.pod_state(&uid))?;
                    pod.watch = Watch::start(&self.paths, &uid);
                    let unborn = seen.standing == Standing::Unattended && !self.paths.pod_kept(&uid).exists();
                    if pod.shown.is_none() && unborn && pod.since.elapsed() < BIRTH {
                        continue;
                    }
                    *seen
                }
                Sight::Gone => {
                    news.extend(self.pods.remove(&uid).and_then(|p| p.shown).map(|seen| News::Gone(Box::new(seen))));
                    // The name may be another pod's by now.
                    self.rescan = true;
                    continue;
                }
            };
            let same = |shown: &Seen| shown.pod == seen.pod && shown.events == seen.events;
            if !pod.shown.as_ref().is_some_and(same) {
                pod.shown = Some(seen.clone());
                news.push(News::Changed(Box::new(seen)));
            }
        }
        Ok(())
    }

    /// Waits until somebody has something to say, and marks who.
    fn wait(&mut self, patience: Duration) -> Result<(), Failure> {
        if self.rescan || self.pods.values().any(|pod| pod.look) {
            return Ok(());
        }
        let mut descriptors = vec![self.directories.as_fd()];
        let mut uids = Vec::new();
        for (uid, pod) in &self.pods {
            if let Some(descriptor) = pod.watch.descriptor() {
                descriptors.push(descriptor);
                uids.push(uid.clone());
            }
        }
        let unborn = self.pods.values().any(|pod| pod.shown.is_none());
        let ready = wait_for_news(&descriptors, if unborn { BIRTH_LOOK.min(patience) } else { patience })?;
        let ready = ready.into_iter().skip(1);
        for (uid, _) in uids.iter().zip(ready).filter(|(_, ready)| *ready) {
            if let Some(pod) = self.pods.get_mut(uid) {
                pod.look = true;
            }
        }
        let told = self.directories.drain();
        self.rescan = self.rescan || told;
        for pod in self.pods.values_mut() {
            pod.look = pod.look || (told && pod.still) || (unborn && pod.shown.is_none());
        }
        Ok(())
    }
}
