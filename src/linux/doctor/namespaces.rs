//! Namespaces: each kind that a pod needs is made by a thread of its own, and is gone with it (unshare(2)).

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::Finding;

/// What pods need.
const NEEDED: [(&str, CloneFlags); 6] = [
    ("mount", CloneFlags::CLONE_NEWNS),
    ("PID", CloneFlags::CLONE_NEWPID),
    ("network", CloneFlags::CLONE_NEWNET),
    ("IPC", CloneFlags::CLONE_NEWIPC),
    ("UTS", CloneFlags::CLONE_NEWUTS),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
];

/// Looks.
pub fn examine() -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut there = Vec::new();
    for (name, flag) in NEEDED {
        match std::thread::spawn(move || unshare(flag)).join() {
            Ok(Ok(())) => there.push(name),
            Ok(Err(errno)) => findings.push(Finding::missing(
                &format!("{name} namespaces"),
                errno.desc(),
                "no pod can be started",
                "run podlet as root; where that is not it: the kernel may lack them (CONFIG_NAMESPACES), or a limit in \
                 /proc/sys/user may be 0",
            )),
            // A thread that could not say: nothing is known, and the next start will tell.
            Err(_) => {}
        }
    }
    if !there.is_empty() {
        findings.push(Finding::good("namespaces", there.join(", ")));
    }
    findings.extend(mounts());
    findings.push(user_namespaces());
    findings
}

/// A mount in a mount namespace of its own: AppArmor and SELinux may refuse it to a program that has every capability, as
/// AppArmor's profile for Docker's containers does.
fn mounts() -> Option<Finding> {
    let tried = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).err()
    });
    let errno = tried.join().ok()??;
    Some(Finding::missing(
        "mounts",
        errno.desc(),
        "no pod can be started",
        "in a container, start that with --security-opt apparmor=unconfined (or label=disable), or --privileged",
    ))
}

/// unshare(2) of a user namespace is refused to a program with several threads, so what forbids it is read.
fn user_namespaces() -> Finding {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let is = |path: &str, value: &str| read(path).as_deref() == Some(value);
    let means = "podlet runs pods as root and needs none; programs in containers that make some of their own, such as \
                 browsers and builders, are refused";
    let subject = "user namespaces";
    if !std::path::Path::new("/proc/self/ns/user").exists() {
        return Finding::lesser(subject, "not known to this kernel", means, "use a kernel with CONFIG_USER_NS");
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        let remedy = "sysctl -w user.max_user_namespaces=15000";
        return Finding::lesser(subject, "user.max_user_namespaces is 0", means, remedy);
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        let remedy = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for the program \
                      that allows userns";
        return Finding::lesser(subject, "AppArmor refuses them to ordinary users' programs", means, remedy);
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        let remedy = "sysctl -w kernel.unprivileged_userns_clone=1";
        return Finding::lesser(subject, "only root may make them", means, remedy);
    }
    Finding::good(subject, "allowed")
}
