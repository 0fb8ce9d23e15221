//! `podlet version`: podlet's version, and that of Kubernetes whose rules it follows.

use clap::Args;
use serde_json::json;

use super::{Caller, Failure, print};

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
    /// podlet has no server; taken and passed over for kubectl's sake.
    #[arg(long, hide = true)]
    pub client: bool,
}

/// Prints it.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let value = json!({
        "podlet": version,
        "kubernetes": KUBERNETES,
        "controlProtocol": crate::supervisor::control::VERSION,
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    match words.output.as_deref().unwrap_or_default() {
        "" => caller.print(&format!("podlet {version} (Kubernetes {KUBERNETES})\n"))?,
        "json" => print::json(&value, caller.out)?,
        "yaml" => print::yaml(&value, caller.out)?,
        _ => return Err(Failure::error("--output must be 'yaml' or 'json'")),
    }
    Ok(0)
}
