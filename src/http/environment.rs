//! The variables by which a user says how other machines are reached. They are taken from the process that the user has
//! started; a pod's supervisor has nothing of it, and its pulls get what `apply` had.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that is looked at, here and for the credentials of registries.
const VARIABLES: &[&str] = &[
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REGISTRY_AUTH_FILE",
    "CONTAINERS_REGISTRIES_CONF",
    "DOCKER_CONFIG",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "HOME",
    "PATH",
    "SUDO_USER",
];

/// Values by name; one that is not set, or is empty, is not in it. A proxy's address may hold a password: kept in files of
/// mode 0600 only, and never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Of this process.
    pub fn of_process() -> Environment {
        let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Environment(VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect())
    }

    /// These and no others, for tests.
    pub fn of(values: &[(&str, &str)]) -> Environment {
        Environment(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// One value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// With another value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// One value, written in capitals or not: proxies are named in either way.
    pub(super) fn either(&self, name: &str) -> Option<&str> {
        self.get(name).or_else(|| self.get(&name.to_lowercase()))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
