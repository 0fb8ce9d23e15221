//! `podlet upgrade`: running pods go on under this program. What is done is in [`crate::supervisor::upgrade`].

use clap::Args;

use super::everywhere::Everywhere;
use super::running::{Which, title};
use super::{Caller, Failure, choices};
use crate::paths::Paths;
use crate::supervisor::kept::{self, Claim, Standing};
use crate::supervisor::launch;
use crate::supervisor::upgrade::{self, UpgradeError};

/// The words of `upgrade`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet upgrade --all      after a newer podlet was installed
  podlet upgrade web        this pod only

A pod's supervisor and keeper become those of the podlet that is typed here, also of an older one that understands \
what they have written. No container is touched: nothing is started again, no line of a log is lost, and podlet \
exec goes on. podlet version says which pods run on another podlet.")]
pub struct Words {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

/// Upgrades. A pod that cannot be is told, and the others go on.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let claims = words.which.claims("upgrade", everywhere, &caller.paths)?;
    let mut failed = false;
    for claim in claims {
        match upgrade_one(&claim, &caller.paths) {
            Ok(Some(text)) => caller.print(&format!("{} {text}\n", title(&claim)))?,
            Ok(None) if words.which.all => {}
            Ok(None) => caller.print(&format!("{} unchanged (it does not run)\n", title(&claim)))?,
            Err(text) => {
                failed = true;
                caller.notice(&format!("error: {}: {text}", title(&claim)));
            }
        }
        caller.out.flush()?;
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// What became of it; nothing when nothing of it runs.
fn upgrade_one(claim: &Claim, paths: &Paths) -> Result<Option<String>, String> {
    let ours = crate::VERSION;
    match upgrade::upgrade(paths, &claim.uid) {
        Ok(None) => return Ok(Some(format!("unchanged ({ours})"))),
        Ok(Some(before)) if before == ours => return Ok(Some(format!("upgraded ({ours}, another build)"))),
        Ok(Some(before)) => return Ok(Some(format!("upgraded ({before} \u{2192} {ours})"))),
        Err(UpgradeError::NotRunning) => {}
        Err(error) => return Err(error.to_string()),
    }
    let seen = kept::see(paths, &claim.uid).map_err(|error| error.to_string())?;
    if seen.is_none_or(|seen| seen.standing != Standing::Unattended) {
        return Ok(None);
    }
    // Something of it lives on without anybody of podlet's: this program takes it up.
    launch::relaunch(paths, &claim.uid, &choices::usual()).map_err(|error| error.to_string())?;
    Ok(Some(format!("taken up ({ours})")))
}
