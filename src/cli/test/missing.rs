//! What is missing while a scenario runs with real processes: a program, an image, a ConfigMap or a directory is taken away, and
//! brought when as many starts have failed as the scenario says. The journal tells how many have.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::cli::resource::Kind;
use crate::cli::{Failure, stored};
use crate::image::{ImageError, Store, actor_as};
use crate::paths::Paths;
use crate::simulation::scenario::real::ills::{self, Ills, Lack};
use crate::simulation::scenario::real::{DIRECTORY, MOUNT};
use crate::supervisor::history::History;

/// What can be missing, and is.
pub struct Missing {
    paths: Paths,
    namespace: String,
    /// What the containers see.
    stage: PathBuf,
    /// The directory of the volume.
    directory: PathBuf,
    /// Where the journal is kept.
    journal: PathBuf,
    /// What is missing now, and until how many starts have failed of it: none where it never comes.
    now: Vec<(Lack, Option<u64>)>,
}

impl Missing {
    /// Brings all that may be missing, and takes away what is from the beginning. The run's directories lie in `root`.
    pub fn new(paths: Paths, namespace: &str, root: &Path, ills: &Ills) -> Result<Missing, Failure> {
        let mut missing = Missing {
            paths,
            namespace: namespace.to_owned(),
            stage: root.join("stage"),
            directory: root.join(DIRECTORY),
            journal: root.join("journal"),
            now: Vec::new(),
        };
        let absent = |lack: &&Lack| !ills.first.iter().any(|(first, _)| first == *lack);
        for lack in &ills.all {
            if *lack == Lack::Directory {
                let made = fs::DirBuilder::new().mode(0o700).create(&missing.directory);
                made.map_err(|error| failure("make", &missing.directory, &error))?;
            } else if absent(&lack) {
                missing.bring(lack)?;
            }
        }
        for (lack, times) in &ills.first {
            if matches!(lack, Lack::Program(_)) {
                missing.take(lack)?;
            }
            missing.now.push((lack.clone(), times.map(u64::from)));
        }
        Ok(missing)
    }

    /// Takes something away for so many starts.
    pub fn miss(&mut self, lack: &Lack, times: u32) -> Result<(), Failure> {
        let failed = self.failed(lack)?;
        self.take(lack)?;
        self.now.retain(|(other, _)| other != lack);
        self.now.push((lack.clone(), Some(failed + u64::from(times))));
        Ok(())
    }

    /// Brings what was missing for long enough.
    pub fn look(&mut self) -> Result<(), Failure> {
        let (mut still, mut found) = (Vec::new(), Vec::new());
        for (lack, until) in std::mem::take(&mut self.now) {
            match until {
                Some(until) if self.failed(&lack)? >= until => found.push(lack),
                until => still.push((lack, until)),
            }
        }
        self.now = still;
        found.iter().try_for_each(|lack| self.bring(lack))
    }

    /// How many starts have failed of it so far.
    fn failed(&self, lack: &Lack) -> Result<u64, Failure> {
        let history = History::open(&self.journal).map_err(|error| Failure::Error(error.to_string()))?;
        let inputs = history.parts.iter().flat_map(|part| &part.entries).filter_map(|entry| entry.input.as_ref());
        Ok(inputs.filter(|input| lack.is_told_by(&input.fact)).count() as u64)
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
            Lack::Image(name, reason) => {
                let image = ills::image(name, *reason);
                actor_as(&Store::open(&self.paths.images()), &image).map_err(|error| Failure::Error(error.to_string()))
            }
            Lack::Directory => self.rename(&self.away(), &self.directory),
            Lack::Profile(_) => Ok(()),
        }
    }

    fn take(&self, lack: &Lack) -> Result<(), Failure> {
        match lack {
            Lack::Program(name) => self.link(name, &format!("{MOUNT}/missing")),
            Lack::ConfigMap(name) => {
                let name = ills::config_map(name);
                stored::remove(&self.paths, Kind::ConfigMap, &self.namespace, &name).map(|_| ())
            }
            Lack::Image(name, reason) => {
                match Store::open(&self.paths.images()).remove(&ills::image(name, *reason), &[]) {
                    Ok(_) | Err(ImageError::Absent(_)) => Ok(()),
                    Err(error) => Err(Failure::Error(error.to_string())),
                }
            }
            Lack::Directory => self.rename(&self.directory, &self.away()),
            Lack::Profile(_) => Ok(()),
        }
    }

    fn away(&self) -> PathBuf {
        self.directory.with_extension("away")
    }

    /// Whoever made it so before has done it.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        match fs::rename(from, to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failure("rename", from, &error)),
            _ => Ok(()),
        }
    }

    /// Whoever starts the program meanwhile finds the one or the other.
    fn link(&self, container: &str, target: &str) -> Result<(), Failure> {
        let path = self.stage.join(ills::program(container));
        let new = path.with_extension("new");
        let linked = symlink(target, &new).and_then(|()| fs::rename(&new, &path));
        linked.map_err(|error| failure("link", &path, &error))
    }
}

fn failure(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Error(format!("could not {action} {}: {error}", path.display()))
}
