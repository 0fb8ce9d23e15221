//! `podlet version`: podlet's version, that of Kubernetes whose rules it follows, and which pods run on another podlet.

use clap::Args;
use serde_json::{Value, json};

use super::{Caller, Failure, print, running};
use crate::paths::Paths;
use crate::supervisor::PROGRAM;
use crate::supervisor::kept::{self, Claim, Standing};

/// The version of Kubernetes whose rules podlet follows.
pub const KUBERNETES: &str = "1.36";

/// The words of `version`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet version
  podlet version -o json")]
pub struct Words {
    /// json or yaml.
    #[arg(short, long, value_name = "json|yaml")]
    pub output: Option<String>,
    /// Says nothing of pods.
    #[arg(long)]
    pub client: bool,
}

/// Prints it.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let version = crate::VERSION;
    let pods = if words.client { Vec::new() } else { versions_of_pods(&caller.paths) };
    let value = json!({
        "podlet": version,
        "kubernetes": KUBERNETES,
        "controlProtocol": crate::supervisor::control::VERSION,
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        "pods": pods.iter().map(|(claim, version)| {
            json!({"namespace": claim.namespace, "name": claim.name, "podlet": version})
        }).collect::<Vec<Value>>(),
    });
    match words.output.as_deref().unwrap_or_default() {
        "" => {
            caller.print(&format!("podlet {version} (Kubernetes {KUBERNETES})\n"))?;
            for (claim, other) in pods.iter().filter(|(_, other)| other != version) {
                caller.print(&format!("{} runs on podlet {other} (podlet upgrade)\n", running::title(claim)))?;
            }
        }
        "json" => print::json(&value, caller.out)?,
        "yaml" => print::own_yaml(&value, caller.out)?,
        _ => return Err(Failure::error("--output must be 'yaml' or 'json'")),
    }
    Ok(0)
}

/// The pods that run, and the version of podlet that each runs on, as far as this user may know.
fn versions_of_pods(paths: &Paths) -> Vec<(Claim, String)> {
    let version = |claim: &Claim| {
        let seen = kept::see(paths, &claim.uid).ok()??;
        (seen.standing == Standing::Live).then(|| seen.pod.metadata.annotations?.remove(PROGRAM))?
    };
    let claims = kept::list(paths, None).unwrap_or_default();
    claims.into_iter().filter_map(|claim| version(&claim).map(|version| (claim, version))).collect()
}
