//! What is the same for all that a supervisor does, in whichever of its threads: its orders, the tiny programs, the image
//! store, the objects that the pod may name.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use serde::de::DeserializeOwned;

use super::orders::Orders;
use crate::image::Store;
use crate::linux::container::{Objects, PodContext};
use crate::linux::programs::Program;
use crate::paths::Paths;

/// See the module.
pub struct World {
    /// What `apply` chose.
    pub orders: Orders,
    /// Images by name.
    pub images: Store,
    /// The program that becomes containers' programs.
    pub stage: OwnedFd,
    objects: KeptObjects,
}

impl World {
    /// For a pod with these orders.
    pub fn new(orders: Orders, pod: &Pod) -> io::Result<World> {
        let stage = Program::Stage.open(&orders.paths.programs(&orders.uid))?;
        let images = Store::open(&orders.paths.images());
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let objects = KeptObjects { paths: orders.paths.clone(), namespace };
        Ok(World { orders, images, stage, objects })
    }

    /// For the calls of `linux::container`.
    pub fn context<'a>(&'a self, pod: &'a Pod) -> PodContext<'a> {
        PodContext {
            pod,
            paths: &self.orders.paths,
            seccomp_default: self.orders.choices.seccomp_default,
            objects: &self.objects,
            trace: self.orders.choices.trace,
            pids_limit: self.orders.choices.pod_pids_limit,
            ignore_image_volumes: self.orders.choices.ignore_image_volumes,
        }
    }

    /// Roots on disk.
    pub fn paths(&self) -> &Paths {
        &self.orders.paths
    }

    /// The pod's uid.
    pub fn uid(&self) -> &str {
        &self.orders.uid
    }

    /// The pod's log directory.
    pub fn logs(&self, pod: &Pod) -> PathBuf {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        self.paths().pod_logs(&text(&pod.metadata.namespace), &text(&pod.metadata.name), self.uid())
    }
}

/// ConfigMaps and Secrets as `apply` has stored them.
pub struct KeptObjects {
    /// Roots on disk.
    pub paths: Paths,
    /// The pod's namespace.
    pub namespace: String,
}

impl Objects for KeptObjects {
    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        read(&self.paths.object("configmaps", &self.namespace, name))
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        read(&self.paths.object("secrets", &self.namespace, name))
    }
}

/// A file that is not there is an object that does not exist; one that cannot be read is one too, aloud.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("could not read {}: {error}", path.display());
            return None;
        }
    };
    serde_json::from_slice(&bytes)
        .inspect_err(|error| tracing::warn!("{} is not what podlet writes there: {error}", path.display()))
        .ok()
}
