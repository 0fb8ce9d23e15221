//! What is missing while a scenario runs with real processes: a program, an image, a ConfigMap or a directory is taken away before
//! each attempt that is to fail for the lack of it, and brought before each that is not. The journal tells which attempt is next.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::crash;
use super::journals::Journals;
use super::real::{eldest, failure};
use crate::cli::resource::Kind;
use crate::cli::{Failure, stored};
use crate::image::{Store, actor_as, damage, forget};
use crate::linux::cgroup::Cgroup;
use crate::linux::pidfd;
use crate::paths::Paths;
use crate::pod::input::ImageFailure;
use crate::simulation::scenario::real::ills::{self, Attempts, Ills, Lack};
use crate::simulation::scenario::real::{DIRECTORY, HOLD, MOUNT, RELEASE};

/// What can be missing, and is.
pub struct Missing {
    paths: Paths,
    namespace: String,
    uid: String,
    /// What the containers see.
    stage: PathBuf,
    /// The directory of the volume.
    directory: PathBuf,
    /// The images of containers whose image may be missing.
    images: BTreeMap<String, String>,
    /// What each attempt lacks, the last one repeating, and what is missing now.
    attempts: BTreeMap<Attempts, (Vec<Option<Lack>>, Option<Lack>)>,
}

impl Missing {
    /// Brings all that may be missing, and takes away what the first attempts lack. The run's directories lie in `root`, and of the
    /// pod nothing is there yet.
    pub fn new(paths: Paths, namespace: &str, uid: &str, root: &Path, ills: &Ills) -> Result<Missing, Failure> {
        let mut missing = Missing {
            paths,
            namespace: namespace.to_owned(),
            uid: uid.to_owned(),
            stage: root.join("stage"),
            directory: root.join(DIRECTORY),
            images: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        for lack in &ills.all {
            if let Lack::Image(name, _) = lack {
                missing.images.extend(ills.image(name).map(|(image, _)| (name.clone(), image)));
            }
        }
        for lack in &ills.all {
            match lack {
                Lack::Directory => {
                    let made = fs::DirBuilder::new().mode(0o700).create(&missing.directory);
                    made.map_err(|error| failure("make", &missing.directory, &error))?;
                }
                lack => missing.bring(lack)?,
            }
        }
        missing.attempts = ills.attempts.iter().map(|(of, list)| (of.clone(), (list.clone(), None))).collect();
        missing.follow(|_| Ok(0))?;
        Ok(missing)
    }

    /// The next attempts lack something, as many as that.
    pub fn miss(&mut self, lack: &Lack, times: u32, journals: &Journals) -> Result<(), Failure> {
        let of = lack.attempts();
        let next = journals.count(|fact| of.are_told_by(fact))?;
        ills::interpose(&mut self.attempts.entry(of).or_default().0, next, lack, times);
        self.look(journals)
    }

    /// Takes away and brings what the next attempts lack and need.
    pub fn look(&mut self, journals: &Journals) -> Result<(), Failure> {
        self.follow(|of| journals.count(|fact| of.are_told_by(fact)))
    }

    fn follow(&mut self, count: impl Fn(&Attempts) -> Result<usize, Failure>) -> Result<(), Failure> {
        let mut attempts = std::mem::take(&mut self.attempts);
        for (of, (list, now)) in &mut attempts {
            let next = count(of)?;
            let lack = list.get(next).or(list.last()).cloned().flatten();
            if lack != *now {
                now.as_ref().map_or(Ok(()), |lack| self.bring(lack))?;
                lack.as_ref().map_or(Ok(()), |lack| self.take(lack))?;
                now.clone_from(&lack);
            }
            if let (Attempts::Container(name), Some(_)) = (of, lack) {
                let taken = self.stage.join(ills::taken(name, next));
                fs::write(&taken, "").map_err(|error| failure("write", &taken, &error))?;
            }
        }
        self.attempts = attempts;
        Ok(())
    }

    fn bring(&self, lack: &Lack) -> Result<(), Failure> {
        match lack {
            Lack::Program(name) => self.link(name, "/actor"),
            Lack::ConfigMap(name) => {
                let name = ills::config_map(name);
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                };
                let data = Some(ills::config_map_data());
                let object = ConfigMap { metadata, data, ..ConfigMap::default() };
                stored::store(&self.paths, Kind::ConfigMap, &self.namespace, &name, &object)
            }
            // Not to be had.
            Lack::Image(_, ImageFailure::InvalidImageName) => Ok(()),
            Lack::Image(name, _) => {
                actor_as(&self.store(), self.image(name)).map_err(|error| Failure::Error(error.to_string()))
            }
            Lack::Memory(name, _) => {
                self.signal(name, RELEASE);
                Ok(())
            }
            Lack::Directory => rename(&away(&self.directory), &self.directory),
            Lack::Root(_) | Lack::Sandbox => {
                let directory = self.blocked(lack);
                match fs::remove_file(&directory) {
                    // There was nothing in its place.
                    Err(error)
                        if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory) => {}
                    removed => removed.map_err(|error| failure("remove", &directory, &error))?,
                }
                rename(&away(&directory), &directory)
            }
        }
    }

    fn take(&self, lack: &Lack) -> Result<(), Failure> {
        match lack {
            Lack::Program(name) => self.link(name, &format!("{MOUNT}/missing")),
            Lack::ConfigMap(name) => {
                let name = ills::config_map(name);
                stored::remove(&self.paths, Kind::ConfigMap, &self.namespace, &name).map(|_| ())
            }
            Lack::Image(_, ImageFailure::InvalidImageName) => Ok(()),
            Lack::Image(name, reason) => {
                let away = if *reason == ImageFailure::ImageInspectError { damage } else { forget };
                away(&self.store(), self.image(name)).map_err(|error| Failure::Error(error.to_string()))
            }
            Lack::Memory(name, bytes) => {
                self.signal(name, HOLD);
                let cgroup = Cgroup::of_container(&self.uid, name);
                // One that does not run, or ends meanwhile, uses none: then the resize is not refused.
                crash::wait(|| {
                    eldest(&cgroup, |_| true).is_none() || cgroup.memory_usage().is_none_or(|used| used >= *bytes)
                });
                Ok(())
            }
            Lack::Directory => rename(&self.directory, &away(&self.directory)),
            Lack::Root(_) | Lack::Sandbox => {
                let directory = self.blocked(lack);
                rename(&directory, &away(&directory))?;
                let above = directory.parent().unwrap_or(&directory);
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(above);
                made.and_then(|()| fs::write(&directory, "")).map_err(|error| failure("write", &directory, &error))
            }
        }
    }

    /// Sends a signal to a container, if it runs.
    fn signal(&self, container: &str, number: i32) {
        if let Some(pid) = eldest(&Cgroup::of_container(&self.uid, container), |_| true) {
            // One that has ended meanwhile needs none.
            let _ = pidfd::open(pid).and_then(|process| pidfd::signal(process.as_fd(), number));
        }
    }

    /// The directory of the pod's own in the place of which a file lies.
    fn blocked(&self, lack: &Lack) -> PathBuf {
        match lack {
            Lack::Root(name) => {
                let first = self.paths.container_state(&self.uid, name, 0);
                first.parent().unwrap_or(&first).to_owned()
            }
            _ => self.paths.sandbox_root(&self.uid),
        }
    }

    fn store(&self) -> Store {
        Store::open(&self.paths.images())
    }

    fn image(&self, container: &str) -> &str {
        self.images.get(container).map(String::as_str).unwrap_or_default()
    }

    /// Whoever starts the program meanwhile finds the one or the other.
    fn link(&self, container: &str, target: &str) -> Result<(), Failure> {
        let path = self.stage.join(ills::program(container));
        let new = path.with_extension("new");
        let linked = symlink(target, &new).and_then(|()| fs::rename(&new, &path));
        linked.map_err(|error| failure("link", &path, &error))
    }
}

/// Where a directory lies while it is missing.
fn away(directory: &Path) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    // No name of a container or of podlet's.
    name.push(".away");
    directory.with_file_name(name)
}

/// Whoever made it so before has done it.
fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failure("rename", from, &error)),
        _ => Ok(()),
    }
}
