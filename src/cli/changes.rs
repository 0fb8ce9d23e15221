//! Objects of a kind under watch. Pods are told of by their supervisors, state after state; of stored objects the files are
//! watched; events are those of the pods. `get -w` and `wait` stand on it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Instant;

use super::Failure;
use super::ask::{self, Object};
use super::directories::Directories;
use super::lookout::{Lookout, News, Scope};
use super::resource::Kind;
use super::select::Selector;
use super::watching::{left, wait_for_news};
use crate::paths::Paths;

/// What has become of an object.
pub struct Change {
    /// As it is now or, when it has been removed, as it was.
    pub object: Object,
    /// It has been removed.
    pub gone: bool,
}

/// All objects of a kind, or one of them, under watch.
pub struct Changes {
    paths: Paths,
    kind: Kind,
    namespace: Option<String>,
    source: Source,
}

/// Where changes come from.
enum Source {
    Pods(Lookout, BTreeMap<String, Object>),
    Events(Lookout, BTreeMap<String, Object>),
    Stored { directories: Directories, shown: BTreeMap<String, Object>, begun: bool },
}

impl Changes {
    /// Of this kind; of all namespaces, or of all names, where none is named. Of objects that are stored and of events a name
    /// narrows nothing down: whoever asks for one takes what is its own.
    pub fn of(kind: Kind, namespace: Option<&str>, name: Option<&str>, paths: &Paths) -> Result<Changes, Failure> {
        let scope =
            |name: Option<&str>| Scope { namespace: namespace.map(str::to_owned), name: name.map(str::to_owned) };
        let source = match kind {
            Kind::Pod => Source::Pods(Lookout::start(paths, scope(name))?, BTreeMap::new()),
            Kind::Event => Source::Events(Lookout::start(paths, scope(None))?, BTreeMap::new()),
            Kind::ConfigMap | Kind::Secret => {
                Source::Stored { directories: Directories::new()?, shown: BTreeMap::new(), begun: false }
            }
        };
        Ok(Changes { paths: paths.clone(), kind, namespace: namespace.map(str::to_owned), source })
    }

    /// What has changed since; in the first call what is there, which may be nothing. Later calls wait for something.
    pub fn next(&mut self) -> Result<Vec<Change>, Failure> {
        self.next_before(None).map(Option::unwrap_or_default)
    }

    /// The same, until the deadline: none when nothing has changed by then.
    pub fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Vec<Change>>, Failure> {
        match &mut self.source {
            Source::Pods(lookout, shown) => {
                let mut changes = Vec::new();
                let Some(all) = lookout.next_before(deadline)? else { return Ok(None) };
                for news in all {
                    match news {
                        // That only its events have changed is nothing of the pod's own.
                        News::Changed(seen) => {
                            let object = Object::pod(*seen);
                            changes.extend(compare(shown, [(key(&object), object)].into_iter(), Removed::Stay));
                        }
                        News::Gone(seen) => {
                            let object = Object::pod(*seen);
                            shown.remove(&key(&object));
                            changes.push(Change { object, gone: true });
                        }
                    }
                }
                Ok(Some(changes))
            }
            Source::Events(lookout, shown) => {
                let mut changes = Vec::new();
                let Some(all) = lookout.next_before(deadline)? else { return Ok(None) };
                for news in all {
                    // A removed pod's events go with it and are not told one by one.
                    if let News::Changed(seen) = news {
                        let events = seen.events.into_iter().map(Object::event).map(|object| (key(&object), object));
                        changes.extend(compare(shown, events, Removed::Stay));
                    }
                }
                Ok(Some(changes))
            }
            Source::Stored { directories, shown, begun } => loop {
                let root = self.paths.objects(self.kind.plural());
                directories.watch(&root)?;
                for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
                    directories.watch(&entry.path())?;
                }
                let objects = ask::list(&self.paths, self.kind, self.namespace.as_deref(), &Selector::default())?;
                let changes = compare(shown, objects.into_iter().map(|object| (key(&object), object)), Removed::Go);
                if !std::mem::replace(begun, true) || !changes.is_empty() {
                    return Ok(Some(changes));
                }
                wait_for_news(&[directories.as_fd()], left(deadline))?;
                if !directories.drain() && left(deadline).is_zero() {
                    return Ok(None);
                }
            },
        }
    }
}

/// Whether what is not in the newer list has been removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removed {
    Go,
    Stay,
}

fn key(object: &Object) -> String {
    format!("{}/{}", object.namespace(), object.name())
}

fn compare(
    shown: &mut BTreeMap<String, Object>,
    now: impl Iterator<Item = (String, Object)>,
    removed: Removed,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut there = Vec::new();
    for (key, object) in now {
        there.push(key.clone());
        if shown.get(&key).is_none_or(|before| before.wire() != object.wire()) {
            shown.insert(key, object.clone());
            changes.push(Change { object, gone: false });
        }
    }
    if removed == Removed::Go {
        let gone: Vec<String> = shown.keys().filter(|key| !there.contains(key)).cloned().collect();
        changes.extend(gone.iter().filter_map(|key| shown.remove(key)).map(|object| Change { object, gone: true }));
    }
    changes
}
