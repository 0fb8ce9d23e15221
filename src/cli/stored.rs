//! ConfigMaps and Secrets as stored: a JSON file each, readable by its owner only. `apply` writes them, `delete` removes
//! them, `get` and `describe` read them here; supervisors read the same files when a container starts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::resource::{Kind, is_name};
use crate::paths::Paths;
use crate::supervisor::client::{self, Client, ClientError};
use crate::supervisor::control::{ObjectKind, Request};
use crate::supervisor::files::{self, Durability};
use crate::supervisor::kept;

fn failure(action: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Server { reason: "InternalError", message: format!("could not {action} {}: {error}", path.display()) }
}

/// All of one kind, in the order of namespace and name.
pub fn list<T: DeserializeOwned>(paths: &Paths, kind: Kind, namespace: Option<&str>) -> Result<Vec<T>, Failure> {
    let root = paths.objects(kind.plural());
    let namespaces = match namespace {
        Some(namespace) => vec![root.join(namespace)],
        None => entries(&root)?,
    };
    let mut all = Vec::new();
    for namespace in namespaces {
        for file in entries(&namespace)? {
            if file.extension().is_some_and(|extension| extension == "json") {
                all.extend(read(&file)?);
            }
        }
    }
    Ok(all)
}

/// The names of a namespace's objects of one kind.
pub fn names(paths: &Paths, kind: Kind, namespace: &str) -> Result<Vec<String>, Failure> {
    if !is_name(namespace) {
        return Ok(Vec::new());
    }
    let files = entries(&paths.objects(kind.plural()).join(namespace))?;
    let name = |file: &PathBuf| Some(file.file_name()?.to_str()?.strip_suffix(".json")?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// One, if it is stored.
pub fn find<T: DeserializeOwned>(paths: &Paths, kind: Kind, namespace: &str, name: &str) -> Result<Option<T>, Failure> {
    read(&paths.object(kind.plural(), namespace, name))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failure("read", directory, &error)),
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| failure("read", directory, &error))?.path();
        // A file that is being written begins with a dot.
        if !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failure("understand", path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure("read", path, &error)),
    }
}

/// Stores one, whole or not at all: written beside its place and renamed.
pub fn store(paths: &Paths, kind: Kind, namespace: &str, name: &str, object: &impl Serialize) -> Result<(), Failure> {
    let path = paths.object(kind.plural(), namespace, name);
    let bytes = serde_json::to_vec(object).map_err(|error| failure("write", &path, &error))?;
    write(&path, &bytes).map_err(|error| failure("write", &path, &error))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    files::private_directory(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    files::replace(path, bytes, Durability::Power)
}

/// Tells the pods of a namespace that an object has changed, and comes back when the volumes that show it show it as it is
/// now. Answers what to say of a pod that could not be told: it sees the change when its sandbox is made anew.
pub fn tell_pods(paths: &Paths, kind: Kind, namespace: &str, name: &str) -> Vec<String> {
    let kind = match kind {
        Kind::ConfigMap => ObjectKind::ConfigMap,
        Kind::Secret => ObjectKind::Secret,
        Kind::Pod | Kind::Event => return Vec::new(),
    };
    let request = Request::ObjectChanged { kind, name: name.to_owned() };
    let mut failures = Vec::new();
    for claim in kept::list(paths, Some(namespace)).unwrap_or_default() {
        match client::again(|| Client::connect(paths, &claim.uid)?.ask(&request)) {
            Ok(()) | Err(ClientError::NotRunning) => {}
            Err(error) => failures.push(format!("pod/{} was not told of the change: {error}", claim.name)),
        }
    }
    failures
}

/// Removes one; says whether it was there.
pub fn remove(paths: &Paths, kind: Kind, namespace: &str, name: &str) -> Result<bool, Failure> {
    let path = paths.object(kind.plural(), namespace, name);
    match fs::remove_file(&path) {
        Ok(()) => {
            // The namespace's directory and the kind's, when this was the last in them; else the system refuses.
            for directory in path.ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(directory);
            }
            let _ = paths.usual_roots().into_iter().map(fs::remove_dir).count();
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure("remove", &path, &error)),
    }
}
