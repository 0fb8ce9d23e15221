//! An input that makes the machine panic must not be replayed for ever. podlet is built with `panic = "abort"`: a panic ends
//! the supervisor, the keeper starts another, and the input comes again. A panic hook writes down which input it was; at the
//! second time the input is set aside and named in the status.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::pod::input::Fact;

/// The fact that the machine is being told, as JSON.
static TOLD: Mutex<Option<String>> = Mutex::new(None);

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Panic {
    fact: String,
    panic: String,
}

/// From here on a panic of this process is written down if the machine was being told a fact.
pub fn watch(file: PathBuf) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("panic: {panic}");
        if let Ok(told) = TOLD.try_lock()
            && let Some(fact) = told.as_ref()
        {
            let _ = write_down(&file, &Panic { fact: fact.clone(), panic: panic.to_string() });
        }
        usual(panic);
    }));
}

fn write_down(file: &Path, panic: &Panic) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(panic).map_err(std::io::Error::from)?;
    line.push(b'\n');
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file)?.write_all(&line)
}

/// Does something with the machine that tells it this fact.
pub fn telling<T>(fact: &Fact, tell: impl FnOnce() -> T) -> T {
    set(serde_json::to_string(fact).ok());
    let answer = tell();
    set(None);
    answer
}

fn set(fact: Option<String>) {
    if let Ok(mut told) = TOLD.lock() {
        *told = fact;
    }
}

/// The facts at which the machine has panicked twice, and what it said.
pub struct Poisons(Vec<(String, String)>);

impl Poisons {
    /// As written down by this supervisor's predecessors. Lines that are none are passed over.
    pub fn read(file: &Path) -> Poisons {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let panics: Vec<Panic> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut twice: Vec<(String, String)> = Vec::new();
        for (number, panic) in panics.iter().enumerate() {
            let earlier = panics.iter().take(number).any(|other| other.fact == panic.fact);
            if earlier && !twice.iter().any(|(fact, _)| *fact == panic.fact) {
                twice.push((panic.fact.clone(), panic.panic.clone()));
            }
        }
        Poisons(twice)
    }

    /// What the machine said when it was told this fact, if it must not be told again.
    pub fn find(&self, fact: &Fact) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let fact = serde_json::to_string(fact).ok()?;
        self.0.iter().find(|(poison, _)| *poison == fact).map(|(_, panic)| panic.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fact_is_set_aside_at_its_second_panic() {
        let file = std::env::temp_dir().join(format!("podlet-poison-{}", std::process::id()));
        let fact = Fact::SandboxExited { attempt: 3 };
        let other = Fact::SandboxExited { attempt: 4 };
        let panic = |fact: &Fact| Panic { fact: serde_json::to_string(fact).unwrap(), panic: "at x".into() };
        assert_eq!(Poisons::read(&file).find(&fact), None);
        write_down(&file, &panic(&fact)).unwrap();
        write_down(&file, &panic(&other)).unwrap();
        assert_eq!(Poisons::read(&file).find(&fact), None);
        write_down(&file, &panic(&fact)).unwrap();
        assert_eq!(Poisons::read(&file).find(&fact), Some("at x"));
        assert_eq!(Poisons::read(&file).find(&other), None);
        std::fs::remove_file(file).unwrap();
    }
}
