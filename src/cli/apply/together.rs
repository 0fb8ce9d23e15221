//! Several new pods of one call are set going a few at a time: most of one's way is waiting, for the disk and for its
//! supervisor's first word. What becomes of each is still said in the order of the files.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use k8s_openapi::api::core::v1::Pod;

use crate::manifest::Object;
use crate::paths::Paths;
use crate::supervisor::kept;
use crate::supervisor::launch::{self, LaunchError, Launched};
use crate::supervisor::orders::Choices;

/// How many at a time.
const AT_ONCE: usize = 4;

/// What came of setting a pod going; none when its name was another's already, which is for the caller to look into.
type Answer = Option<Result<Launched, LaunchError>>;

/// Launches that are under way, in the order of the files. Dropped, no further one is begun.
pub struct Launches {
    answers: VecDeque<Receiver<Answer>>,
    given_up: Arc<AtomicBool>,
}

impl Launches {
    /// Begins with all pods among these objects, if there are several. No two have the same name: that was refused.
    pub fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        objects: &'scope [Object],
        choices: &'scope Choices,
        paths: &'scope Paths,
    ) -> Launches {
        let pods = objects.iter().filter_map(|object| match object {
            Object::Pod(pod) => Some(&**pod),
            _ => None,
        });
        let pods: Vec<&Pod> = pods.collect();
        let mut launches = Launches { answers: VecDeque::new(), given_up: Arc::default() };
        if pods.len() < 2 {
            return launches;
        }
        let mut work: VecDeque<(&Pod, Sender<Answer>)> = VecDeque::new();
        for pod in pods {
            let (tell, told) = channel();
            work.push_back((pod, tell));
            launches.answers.push_back(told);
        }
        let work = Arc::new(Mutex::new(work));
        for _ in 0..AT_ONCE {
            let (work, given_up) = (Arc::clone(&work), Arc::clone(&launches.given_up));
            scope.spawn(move || {
                while !given_up.load(Ordering::Relaxed) {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((pod, tell)) = next else { return };
                    let _ = tell.send(launch_new(pod, choices, paths));
                }
            });
        }
        launches
    }

    /// What came of the next pod, when that is known.
    pub fn next(&mut self) -> Answer {
        self.answers.pop_front().and_then(|told| told.recv().ok().flatten())
    }

    /// Begins no further one, waits for those that are under way, and answers the names of the pods that were set going
    /// and that nobody has asked for.
    pub fn finish(&mut self) -> Vec<String> {
        self.given_up.store(true, Ordering::Relaxed);
        let mut names = Vec::new();
        for told in self.answers.drain(..) {
            if let Ok(Some(Ok(launched))) = told.recv() {
                names.extend(launched.pod.metadata.name);
            }
        }
        names
    }
}

impl Drop for Launches {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

fn launch_new(pod: &Pod, choices: &Choices, paths: &Paths) -> Answer {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let taken = kept::find(paths, &text(&pod.metadata.namespace), &text(&pod.metadata.name));
    if !matches!(taken, Ok(None)) {
        return None;
    }
    match launch::launch(paths, pod.clone(), choices) {
        Err(LaunchError::NameTaken { .. }) => None,
        launched => Some(launched),
    }
}
