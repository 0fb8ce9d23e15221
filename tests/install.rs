//! `podlet install` and `uninstall` on a machine of their own: a mount namespace in which the directories that they write to
//! are overlays, so that the real ones stay as they are. What is left after an uninstall is compared file by file.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/directory.rs"]
mod directory;

use std::process::{Command, Output, Stdio};

use common::podlet::{PROGRAM, Podlet, text};
use common::residue;
use directory::Directory;

/// Runs a script in a mount namespace of its own with overlays over /usr/local, /etc and /var, a fresh /run, and `init` made
/// to look as if the machine had that one. `state` prints all files with their sums.
fn on_a_machine(init: &str, script: &str) -> Output {
    let guard = residue::Guard::new();
    let below = Directory::new(&format!("install-{init}"));
    let setting_up = format!(
        r#"
set -eu
unset PODLET_RUN_DIR PODLET_STATE_DIR PODLET_LOG_DIR PODLET_CONFIG
mount --make-rprivate /
mount -t tmpfs tmpfs {below}
podlet={PROGRAM}
cp $podlet {below}/podlet
for directory in usr/local etc var; do
    [ ! -L /$directory ] || continue
    mkdir -p {below}/$directory/upper {below}/$directory/work
    mount -t overlay overlay -o lowerdir=/$directory,upperdir={below}/$directory/upper,workdir={below}/$directory/work /$directory
done
mount -t tmpfs tmpfs /run
# A podlet that is at home on this machine is not looked at.
rm -rf /var/lib/podlet /var/log/podlet /etc/podlet /usr/local/share/podlet /usr/local/bin/podlet
mkdir -p {below}/tools
# Whatever the machine has for this must not be run: it would speak to the real init.
for tool in systemctl rc-update rc-service update-rc.d; do
    printf '#!/bin/sh\necho "{{0##*/}} $*" | sed "s|{{0##\*/}}|%s|" >>{below}/called\n' $tool >{below}/tools/$tool
    chmod 755 {below}/tools/$tool
done
export PATH={below}/tools:$PATH
case {init} in
systemd) mkdir -p /run/systemd/system ;;
sysv) mkdir -p /etc/init.d ;;
none) rm -rf /etc/init.d ;;
esac
state() {{
    for place in /usr/local /etc /var/lib/podlet /var/log/podlet /run; do
        [ ! -e $place ] || find $place -xdev -type f -printf '%m %s %p\n' -o -xdev ! -type f -printf '%y %m %p %l\n'
    done | sort
}}
cd {below}
{script}
"#,
        below = below.0.display(),
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &setting_up]).stdin(Stdio::null()).output().unwrap();
    drop(below);
    guard.finish();
    output
}

fn succeed(init: &str, script: &str) -> String {
    let output = on_a_machine(init, script);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

const THERE_AND_BACK: &str = r#"
state >before
./podlet install --dry-run >planned
state | cmp before -
./podlet install
sed -n 's/^write \([^ ]*\) .*/\1/p' planned | while read -r path; do [ -s $path ]; done
cmp podlet /usr/local/bin/podlet
/usr/local/bin/podlet version >/dev/null
grep -q complete /usr/local/share/bash-completion/completions/podlet
grep -q '^.TH podlet' /usr/local/share/man/man1/podlet.1
grep -q 'dry' /usr/local/share/man/man1/podlet-apply.1
[ -s /usr/local/share/man/man1/podlet-image-import.1 ]
# Again, as an upgrade does, and over a file that was changed meanwhile.
./podlet install
echo '# mine' >>/usr/local/share/man/man1/podlet.1
if ./podlet install 2>refused; then exit 9; fi
grep -q '^error: there already, and not of podlet install: /usr/local/share/man/man1/podlet.1; move away' refused
./podlet install --force
echo ==
cat called 2>/dev/null || true
echo ==
! [ -e /etc/systemd/system/podlet.service ] || cat /etc/systemd/system/podlet.service
! [ -e /etc/init.d/podlet ] || cat /etc/init.d/podlet
echo ==
: >called
mkdir -p /etc/podlet /var/lib/podlet/images
printf 'kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n' >/etc/podlet/config.yaml
podlet=/usr/local/bin/podlet
cp $podlet ./installed
./installed uninstall --purge --dry-run | grep -q '^remove /etc/podlet/config.yaml$'
[ -x $podlet ]
$podlet uninstall --purge
cat called
echo ==
state | diff before - >&2
./podlet uninstall
"#;

#[test]
fn with_systemd_the_unit_is_made_known_and_all_is_taken_back() {
    let said = succeed("systemd", THERE_AND_BACK);
    let parts: Vec<&str> = said.split("==\n").collect();
    assert!(parts[0].starts_with("installed /usr/local/bin/podlet\n"), "{said}");
    assert!(parts[1].starts_with("systemctl daemon-reload\nsystemctl enable --now podlet.service\n"), "{said}");
    for line in
        ["ExecStart=/usr/local/bin/podlet start --all", "ExecStop=/usr/local/bin/podlet stop --all", "Delegate=yes"]
    {
        assert!(parts[2].lines().any(|found| found == line), "{said}");
    }
    assert_eq!(parts[3], "uninstalled\nsystemctl disable podlet.service\nsystemctl daemon-reload\n");
    assert_eq!(parts[4], "nothing was installed\n");
}

#[test]
fn without_systemd_a_script_of_init_d_does_it() {
    let said = succeed("sysv", THERE_AND_BACK);
    let parts: Vec<&str> = said.split("==\n").collect();
    assert!(parts[2].contains("### BEGIN INIT INFO") && parts[2].contains("podlet stop --all"), "{said}");
    // The script is one: it says what it takes.
    let usage = succeed("sysv", "./podlet install >/dev/null\n/etc/init.d/podlet 2>&1 || echo $?");
    assert!(usage.ends_with("Usage: /etc/init.d/podlet {start|stop|restart|force-reload|status}\n2\n"), "{usage}");
}

#[test]
fn a_file_of_somebody_elses_is_not_replaced_unasked() {
    let script = "mkdir -p /usr/local/bin\necho theirs >/usr/local/bin/podlet\nstate >before\n\
                  if ./podlet install; then exit 9; fi\nstate | cmp before -\n\
                  ./podlet install --force\ncmp podlet /usr/local/bin/podlet";
    let output = on_a_machine("none", script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("not of podlet install: /usr/local/bin/podlet;"), "{said}");
    assert!(said.contains("call podlet start --all at boot"), "{said}");
}

#[test]
fn a_file_that_was_changed_since_outlives_its_installation() {
    let script = "./podlet install >/dev/null 2>&1\necho '# mine' >>/etc/init.d/podlet\n\
                  ./podlet uninstall --purge --dry-run | grep -Fx 'keep (changed since) /etc/init.d/podlet'\n\
                  ./podlet uninstall --purge\ntail -n 1 /etc/init.d/podlet\n[ ! -e /usr/local/bin/podlet ]\n\
                  ./podlet uninstall";
    let output = on_a_machine("sysv", script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.ends_with("uninstalled\n# mine\nnothing was installed\n"), "{said}");
    let told = text(&output.stderr);
    assert!(told.contains("Note: /etc/init.d/podlet was changed since it was installed, and stays\n"), "{told}");
}

/// It is asked for on the machine as it is: nothing is touched.
#[test]
fn uninstall_refuses_while_pods_run() {
    let podlet = Podlet::new();
    podlet.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: runs}\nspec: {containers: [{name: a, image: podlet.local/actor, \
         args: [sleep, forever]}]}\n",
    );
    for words in [&["uninstall"][..], &["uninstall", "--purge"]] {
        let said = podlet.fail(words);
        assert!(said.starts_with("error: pods run: default/runs; end them (podlet stop --all,"), "{said}");
    }
    let planned = podlet.succeed(&["uninstall", "--purge", "--dry-run"]);
    assert!(planned.contains("delete pod/runs in namespace default\n"), "{planned}");
    assert!(planned.contains(&format!("remove {}\n", podlet.root.join("state").display())), "{planned}");
    podlet.wait("runs", |pod| pod["status"]["phase"] == "Running");
    podlet.finish();
}
