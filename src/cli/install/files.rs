//! What is installed where, and how each kind of init is told of it. Data only; `install` carries it out.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::completion;

/// The program's place.
pub const PROGRAM: &str = "/usr/local/bin/podlet";

/// One file.
pub struct Planned {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub bytes: Vec<u8>,
    /// `0o755` or `0o644`.
    pub mode: u32,
}

impl Planned {
    /// Of what is to be written.
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// Something else lies in its place.
    pub fn differs(&self) -> bool {
        self.path.symlink_metadata().is_ok() && fs::read(&self.path).ok().as_ref() != Some(&self.bytes)
    }
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What starts services on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// sd_booted(3): it runs.
    Systemd,
    /// Alpine, Gentoo.
    OpenRc,
    /// Scripts in /etc/init.d.
    SysV,
    /// Nothing that is known here.
    None,
}

impl Init {
    /// That of this machine.
    pub fn of_machine() -> Init {
        if Path::new("/run/systemd/system").is_dir() {
            Init::Systemd
        } else if Path::new("/sbin/openrc-run").exists() {
            Init::OpenRc
        } else if Path::new("/etc/init.d").is_dir() {
            Init::SysV
        } else {
            Init::None
        }
    }

    /// As the record has it.
    pub fn word(self) -> &'static str {
        match self {
            Init::Systemd => "systemd",
            Init::OpenRc => "openrc",
            Init::SysV => "sysv",
            Init::None => "none",
        }
    }

    /// The one of that word.
    pub fn named(word: &str) -> Init {
        [Init::Systemd, Init::OpenRc, Init::SysV].into_iter().find(|init| init.word() == word).unwrap_or(Init::None)
    }

    fn file(self) -> Option<Planned> {
        let (path, text, mode) = match self {
            Init::Systemd => ("/etc/systemd/system/podlet.service", UNIT, 0o644),
            Init::OpenRc => ("/etc/init.d/podlet", OPENRC, 0o755),
            Init::SysV => ("/etc/init.d/podlet", SYSV, 0o755),
            Init::None => return None,
        };
        Some(Planned { path: path.into(), bytes: text.into(), mode })
    }

    /// Makes it known. The unit is started, too: only what is active is stopped at shutdown.
    pub fn commands_on_install(self) -> Vec<Vec<&'static str>> {
        match self {
            Init::Systemd => {
                vec![vec!["systemctl", "daemon-reload"], vec!["systemctl", "enable", "--now", "podlet.service"]]
            }
            Init::OpenRc => vec![vec!["rc-update", "add", "podlet", "default"], vec!["rc-service", "podlet", "start"]],
            Init::SysV if has_update_rc() => vec![vec!["update-rc.d", "podlet", "defaults"]],
            Init::SysV | Init::None => Vec::new(),
        }
    }

    /// While its file is still there. Not stopped: whether pods go on has been decided by then.
    pub fn commands_before_removal(self) -> Vec<Vec<&'static str>> {
        match self {
            Init::Systemd => vec![vec!["systemctl", "disable", "podlet.service"]],
            Init::OpenRc => vec![vec!["rc-update", "del", "podlet", "default"]],
            Init::SysV | Init::None => Vec::new(),
        }
    }

    /// Once it is gone.
    pub fn commands_after_removal(self) -> Vec<Vec<&'static str>> {
        match self {
            Init::Systemd => vec![vec!["systemctl", "daemon-reload"]],
            Init::SysV if has_update_rc() => vec![vec!["update-rc.d", "podlet", "remove"]],
            Init::OpenRc | Init::SysV | Init::None => Vec::new(),
        }
    }
}

fn has_update_rc() -> bool {
    Path::new("/usr/sbin/update-rc.d").exists()
}

/// All that is installed on a machine with this init.
pub fn planned(program: Vec<u8>, mut line: clap::Command, init: Init) -> Vec<Planned> {
    let mut files = vec![Planned { path: PROGRAM.into(), bytes: program, mode: 0o755 }];
    for (shell, path) in [
        ("bash", "/usr/local/share/bash-completion/completions/podlet"),
        ("zsh", "/usr/local/share/zsh/site-functions/_podlet"),
        ("fish", "/usr/local/share/fish/vendor_completions.d/podlet.fish"),
    ] {
        let bytes = completion::script(shell, PROGRAM);
        files.push(Planned { path: path.into(), bytes, mode: 0o644 });
    }
    line.build();
    pages(&line, "podlet", &mut files);
    files.extend(init.file());
    files
}

/// A manual page a verb, `podlet-image-import.1` for a verb of a verb.
fn pages(command: &clap::Command, name: &str, files: &mut Vec<Planned>) {
    let mut bytes = Vec::new();
    let page = clap_mangen::Man::new(command.clone()).title(name);
    // Into memory: nothing can fail, and half a page is none.
    if page.render(&mut bytes).is_ok() {
        files.push(Planned { path: format!("/usr/local/share/man/man1/{name}.1").into(), bytes, mode: 0o644 });
    }
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        pages(verb, &format!("{name}-{}", verb.get_name()), files);
    }
}

/// Pods live in cgroups of podlet's own, beside the unit's: nothing of them may be killed with it (KillMode), and stopping
/// takes as long as the pods' grace periods say (TimeoutStopSec).
const UNIT: &str = "\
[Unit]
Description=Pods of podlet
Documentation=man:podlet(1)
Wants=network-online.target
After=network-online.target local-fs.target remote-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/podlet start --all
ExecStop=/usr/local/bin/podlet stop --all
Delegate=yes
KillMode=process
TimeoutStartSec=infinity
TimeoutStopSec=infinity

[Install]
WantedBy=multi-user.target
";

const OPENRC: &str = "\
#!/sbin/openrc-run
description=\"Pods of podlet\"

depend() {
    use net
    after localmount bootmisc cgroups
}

start() {
    ebegin \"Starting pods\"
    /usr/local/bin/podlet start --all
    eend $?
}

stop() {
    ebegin \"Stopping pods\"
    /usr/local/bin/podlet stop --all
    eend $?
}
";

const SYSV: &str = "\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          podlet
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Should-Start:      $network cgroupfs-mount
# Should-Stop:       $network cgroupfs-mount
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Pods of podlet
### END INIT INFO

case \"$1\" in
    start) exec /usr/local/bin/podlet start --all ;;
    stop) exec /usr/local/bin/podlet stop --all ;;
    restart | force-reload) /usr/local/bin/podlet stop --all && exec /usr/local/bin/podlet start --all ;;
    status) exec /usr/local/bin/podlet get pods -A ;;
    *)
        echo \"Usage: $0 {start|stop|restart|force-reload|status}\" >&2
        exit 2
        ;;
esac
";
