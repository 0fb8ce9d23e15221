//! `podlet install` and `uninstall`: this program, its completions and manual pages, and what makes the machine's init start
//! pods at boot and stop them at shutdown. What was written is recorded, so that uninstall takes back that and no more.

mod files;
mod record;

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use super::ask::kept_failure;
use super::ending::{self, Way};
use super::{Caller, Failure};
use crate::supervisor::kept::{self, Claim, Standing};
use files::{Init, Planned};
use record::Record;

/// The words of `install`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sudo ./podlet install            program, completions, manual pages, start and
                                   stop with the machine
  sudo ./podlet install --dry-run  what would be written and run

A newer podlet is installed over an older one in the same way; pods that run keep the program that they were \
started with until podlet upgrade --all.")]
pub struct Install {
    /// Changes nothing, prints what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Replaces files that lie there and are not of podlet install.
    #[arg(long)]
    pub force: bool,
}

/// The words of `uninstall`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sudo podlet uninstall          what install has written; pods' state, images
                                 and logs stay
  sudo podlet uninstall --purge  and these, too, with the settings
  sudo podlet uninstall --dry-run --purge

A file that was changed since stays, and is named. Refuses while pods run. With --force they go on without the program, and with --force --purge they are deleted, \
each within its grace period.")]
pub struct Uninstall {
    /// Also removes state, images, logs and settings.
    #[arg(long)]
    pub purge: bool,
    /// Although pods run.
    #[arg(long)]
    pub force: bool,
    /// Changes nothing, prints what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

fn require_root() -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let words: Vec<String> = std::env::args().collect();
    Err(Failure::Error(format!("only root may change these places: sudo {}", words.join(" "))))
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Error(format!("could not {action} {}: {error}", path.display()))
}

/// Installs, with the manual pages of this command line.
pub fn install(words: &Install, line: clap::Command, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let exe = Path::new("/proc/self/exe");
    let program = fs::read(exe).map_err(|error| failed("read", exe, &error))?;
    let init = Init::of_machine();
    let planned = files::planned(program, line, init);
    if words.dry_run {
        for file in &planned {
            caller.print(&format!(
                "write {} (mode {:o}, {} bytes)\n",
                file.path.display(),
                file.mode,
                file.bytes.len()
            ))?;
        }
        init.commands_on_install().iter().try_for_each(|words| caller.print(&format!("run {}\n", words.join(" "))))?;
        return Ok(0);
    }
    require_root()?;
    let mut record = Record::read().map_err(Failure::Error)?;
    let foreign: Vec<String> = planned
        .iter()
        .filter(|file| !record.has(&file.path) && file.differs())
        .map(|file| file.path.display().to_string())
        .collect();
    if !foreign.is_empty() && !words.force {
        return Err(Failure::Error(format!(
            "there already, and not of podlet install: {}; move away what is to stay, or replace it with --force",
            foreign.join(", ")
        )));
    }
    for file in &planned {
        write(file, &mut record)?;
    }
    // Of an older podlet, with another init or other verbs.
    let before: Vec<PathBuf> = record.files.keys().cloned().collect();
    for path in before.iter().filter(|path| planned.iter().all(|file| file.path != **path)) {
        take_back(path, &mut record, caller)?;
    }
    record.init = init.word().to_owned();
    record.write().map_err(|error| failed("write", Path::new(record::PLACE), &error))?;
    caller.print(&format!("installed {}\n", files::PROGRAM))?;
    caller.out.flush()?;
    run(&init.commands_on_install(), caller);
    if init == Init::None {
        caller.notice(
            "Note: no systemd, OpenRC or /etc/init.d here: call podlet start --all at boot and podlet stop --all at shutdown",
        );
    }
    Ok(0)
}

/// Writes one file whole: beside its place and renamed, so that a program that runs from it goes on.
fn write(file: &Planned, record: &mut Record) -> Result<(), Failure> {
    record.make_directory_of(&file.path).map_err(|(path, error)| failed("make", &path, &error))?;
    record.files.insert(file.path.clone(), file.digest());
    // Before the file: what an interrupted install has written is known to uninstall.
    record.write().map_err(|error| failed("write", Path::new(record::PLACE), &error))?;
    let beside = file.path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut new = fs::File::options().write(true).create_new(true).mode(file.mode).open(&beside)?;
        io::Write::write_all(&mut new, &file.bytes)?;
        // The umask has been at the mode.
        new.set_permissions(fs::Permissions::from_mode(file.mode))?;
        new.sync_all()?;
        fs::rename(&beside, &file.path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed("write", &file.path, &error)
    })
}

/// Removes what install has written; what was changed since is somebody's work and stays, aloud.
fn take_back(path: &Path, record: &mut Record, caller: &mut Caller<'_>) -> Result<(), Failure> {
    if record.was_changed(path) {
        caller.notice(&format!("Note: {} was changed since it was installed, and stays", path.display()));
    } else if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed("remove", path, &error));
    }
    record.files.remove(path);
    Ok(())
}

/// Runs commands of the machine's init; one that fails is told, and what was written stays.
fn run(commands: &[Vec<&str>], caller: &mut Caller<'_>) {
    for words in commands {
        let Some((program, arguments)) = words.split_first() else { continue };
        let outcome = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).output();
        match outcome {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                caller.notice(&format!("Warning: {} failed: {} {}", words.join(" "), output.status, said.trim()));
            }
            Err(error) => caller.notice(&format!("Warning: {} could not be run: {error}", words.join(" "))),
        }
    }
}

/// Uninstalls.
pub fn uninstall(words: &Uninstall, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if !words.dry_run {
        require_root()?;
    }
    let mut record = Record::read().map_err(Failure::Error)?;
    let claims = kept::list(&caller.paths, None).map_err(|e| kept_failure(&e))?;
    let running = running(&claims, caller)?;
    if !running.is_empty() && !words.force && !words.dry_run {
        let way = if words.purge { "have them deleted with --force" } else { "or leave them running with --force" };
        return Err(Failure::Error(format!(
            "pods run: {}; end them (podlet stop --all, podlet delete pods --all -A), {way}",
            running.join(", ")
        )));
    }
    let init = Init::named(&record.init);
    let roots = [&caller.paths.run, &caller.paths.state, &caller.paths.logs].map(Clone::clone);
    let settings = Path::new(crate::paths::CONFIG);
    if words.dry_run {
        for words in init.commands_before_removal() {
            caller.print(&format!("run {}\n", words.join(" ")))?;
        }
        for path in record.files.keys() {
            let what = if record.was_changed(path) { "keep (changed since)" } else { "remove" };
            caller.print(&format!("{what} {}\n", path.display()))?;
        }
        if words.purge {
            claims.iter().try_for_each(|claim| {
                caller.print(&format!("delete pod/{} in namespace {}\n", claim.name, claim.namespace))
            })?;
            let all = roots.iter().map(PathBuf::as_path).chain([settings]).filter(|path| path.exists());
            all.into_iter().try_for_each(|path| caller.print(&format!("remove {}\n", path.display())))?;
        }
        return Ok(0);
    }
    if words.purge {
        for claim in &claims {
            ending::ask(&caller.paths, claim, Way::default())?;
        }
        for claim in &claims {
            ending::wait_gone(claim, None, caller)?;
        }
    }
    run(&init.commands_before_removal(), caller);
    let paths: Vec<PathBuf> = record.files.keys().cloned().collect();
    let any = !paths.is_empty();
    for path in &paths {
        take_back(path, &mut record, caller)?;
    }
    run(&init.commands_after_removal(), caller);
    record.remove().map_err(|error| failed("remove", Path::new(record::PLACE), &error))?;
    if words.purge {
        for root in &roots {
            match fs::remove_dir_all(root) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", root, &error)),
                _ => {}
            }
        }
        match fs::remove_file(settings) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", settings, &error)),
            Ok(()) => drop(settings.parent().map(fs::remove_dir)),
            Err(_) => {}
        }
    }
    caller.print(if any { "uninstalled\n" } else { "nothing was installed\n" })?;
    Ok(0)
}

/// The pods that run, by namespace and name.
fn running(claims: &[Claim], caller: &Caller<'_>) -> Result<Vec<String>, Failure> {
    let mut running = Vec::new();
    for claim in claims {
        let seen = kept::see(&caller.paths, &claim.uid).map_err(|e| kept_failure(&e))?;
        // Of one that nobody attends to something may live on.
        if seen.is_some_and(|seen| matches!(seen.standing, Standing::Live | Standing::Unattended)) {
            running.push(format!("{}/{}", claim.namespace, claim.name));
        }
    }
    Ok(running)
}
