//! Real stages, run as root: what a container sees of itself from inside. Each test lives in a mount namespace of its own,
//! which takes the test's mounts with it, and ends only processes that it started.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use super::super::programs::Program as Tiny;
use super::*;
use crate::image::Config;

struct Shelf;

impl Objects for Shelf {
    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        (name == "settings").then(|| serde_json::from_value(json!({"data": {"colour": "blue", "size": "7"}})).unwrap())
    }
    fn secret(&self, name: &str) -> Option<Secret> {
        (name == "db").then(|| serde_json::from_value(json!({"data": {"password": "aHVzaA=="}})).unwrap())
    }
}

/// A process that a stage became.
struct Child {
    pid: i32,
    status: File,
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: waits for a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Does what the keeper does: clones, places descriptors, executes the stage.
fn spawn(prepared: &Prepared, directory: &Path) -> Child {
    let stage = Tiny::Stage.open(directory).unwrap();
    let (status, status_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    // High numbers first, so that no dup2 meets a source.
    let high = |fd: &OwnedFd| nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(200)).unwrap();
    let mut moves: Vec<(i32, i32)> = vec![(high(&prepared.table), 3), (high(&status_end), 4)];
    moves.extend(prepared.descriptors.iter().map(|(fd, number)| (high(fd), i32::try_from(*number).unwrap())));
    let stage_number = high(&stage);
    let mut arguments = [0u64; 11];
    arguments[0] = prepared.clone_flags;
    arguments[4] = libc::SIGCHLD as u64;
    let argv = [c"stage".as_ptr(), std::ptr::null()];
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: the child makes system calls only and ends by execveat or _exit.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) as i32;
        if pid == 0 {
            for (from, to) in &moves {
                libc::dup2(*from, *to);
            }
            libc::syscall(
                libc::SYS_execveat,
                stage_number,
                c"".as_ptr(),
                argv.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
            libc::_exit(99);
        }
        pid
    };
    assert!(pid > 0, "{}", io::Error::last_os_error());
    for (number, _) in moves.into_iter().chain([(stage_number, 0)]) {
        // SAFETY: a duplicate made above.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
    Child { pid, status: status.into() }
}

impl Child {
    /// `None` when the program runs, else the failed entry and errno.
    fn failure(&mut self) -> Option<(u32, i32)> {
        let mut packet = Vec::new();
        self.status.read_to_end(&mut packet).unwrap();
        if packet.is_empty() {
            return None;
        }
        let word = |at: usize| u32::from_ne_bytes(packet[at..at + 4].try_into().unwrap());
        Some((word(4), word(8) as i32))
    }
}

/// A pod on an image that is busybox.
struct World {
    root: PathBuf,
    paths: Paths,
    pod: Pod,
    image: Image,
    pause: Child,
    pidfd: OwnedFd,
    seccomp_default: SeccompDefault,
}

const APPLETS: [&str; 24] = [
    "sh", "cat", "ls", "id", "mount", "hostname", "grep", "sleep", "env", "stat", "echo", "touch", "readlink", "tr",
    "sort", "pwd", "ip", "dd", "head", "kill", "mknod", "chroot", "wc", "unshare",
];

impl World {
    fn new(name: &str, spec: serde_json::Value) -> World {
        // SAFETY: unshares this thread's mount namespace and its file system attributes; no pointers.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "these tests need root");
        let none: Option<&str> = None;
        let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(none, "/", none, flags, none).unwrap();
        let root = std::env::temp_dir().join(format!("podlet-plan-{}-{name}", std::process::id()));
        let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
        let layer = root.join("layer");
        for directory in ["bin", "etc", "tmp", "home/app"] {
            fs::create_dir_all(layer.join(directory)).unwrap();
        }
        fs::copy("/bin/busybox", layer.join("bin/busybox")).expect("busybox-static is installed");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
            .unwrap();
        fs::write(layer.join("etc/group"), "root:x:0:\napp:x:1000:\nstaff:x:50:app\n").unwrap();
        fs::write(layer.join("bin/script"), "#!/no/interpreter\n").unwrap();
        fs::set_permissions(layer.join("bin/script"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(layer.join("bin/garbage"), "garbage").unwrap();
        fs::set_permissions(layer.join("bin/garbage"), fs::Permissions::from_mode(0o755)).unwrap();
        let uid = format!("test-{}-{name}", std::process::id());
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": uid}, "spec": spec
        }))
        .unwrap();
        let image = Image {
            reference: "localhost/busybox:1".into(),
            id: "sha256:0".into(),
            config: Config { env: vec!["PATH=/bin".into()], ..Config::default() },
            layers: vec![layer],
            binds: Vec::new(),
            size: 0,
        };
        let context =
            PodContext { pod: &pod, paths: &paths, seccomp_default: SeccompDefault::RuntimeDefault, objects: &Shelf };
        prepare_pod(&context).unwrap();
        prepare_pod(&context).expect("a second time finds all in place");
        let prepared = prepare_sandbox(&context).unwrap();
        let mut pause = spawn(&prepared, &root.join("programs"));
        assert_eq!(pause.failure().map(|(entry, errno)| explain_failure(&prepared, entry, errno)), None);
        // SAFETY: a child of this process that has not been waited for.
        let pidfd = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pause.pid, 0) as i32) };
        World { root, paths, pod, image, pause, pidfd, seccomp_default: SeccompDefault::RuntimeDefault }
    }

    fn context(&self) -> PodContext<'_> {
        PodContext { pod: &self.pod, paths: &self.paths, seccomp_default: self.seccomp_default, objects: &Shelf }
    }

    fn container(&self) -> &Container {
        &self.pod.spec.as_ref().unwrap().containers[0]
    }

    fn prepare(&self, output: &OwnedFd) -> Result<Prepared, StartFailure> {
        let null = File::open("/dev/null").unwrap();
        let stdio = [null.as_fd(), output.as_fd(), output.as_fd()];
        prepare_container(&self.context(), self.container(), 0, &self.image, self.pidfd.as_fd(), stdio).map(|(p, _)| p)
    }

    /// Runs the container to its end: its exit code and output, or why it could not start.
    fn run(&self) -> Result<(i32, String), StartFailure> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let prepared = self.prepare(&writer)?;
        drop(writer);
        let outcome = self.run_prepared(prepared, reader);
        remove_instance(&self.context(), &self.container().name, 0).unwrap();
        outcome
    }

    fn run_prepared(&self, mut prepared: Prepared, reader: OwnedFd) -> Result<(i32, String), StartFailure> {
        let mut child = spawn(&prepared, &self.root.join("programs"));
        // Only the child may hold the pipe's end, or it never ends.
        prepared.descriptors.clear();
        if let Some((entry, errno)) = child.failure() {
            let why = explain_failure(&prepared, entry, errno);
            wait(child.pid);
            return Err(why);
        }
        let mut last = child.pid;
        if prepared.second {
            assert_eq!(wait(child.pid), 0);
            last = second_of(&prepared);
        }
        let mut output = String::new();
        File::from(reader).read_to_string(&mut output).unwrap();
        Ok((wait(last), output))
    }
}

/// The pid that the kernel wrote into the table.
fn second_of(prepared: &Prepared) -> i32 {
    use std::os::unix::fs::FileExt;
    let mut word = [0; 4];
    let table = File::from(prepared.table.try_clone().unwrap());
    table.read_exact_at(&mut word, pause::table::SECOND_OFFSET as u64).unwrap();
    i32::from_ne_bytes(word)
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: a child of this process that has not been waited for.
        unsafe { libc::kill(self.pause.pid, libc::SIGKILL) };
        wait(self.pause.pid);
        // After a failed assertion a container may still run.
        let cgroup = Cgroup::of_pod(self.context().uid());
        for pid in cgroup.processes() {
            // SAFETY: everything in this cgroup is a child of this process.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            wait(pid);
        }
        let torn = tear_down(&self.context());
        let _ = fs::remove_dir_all(&self.root);
        if !std::thread::panicking() {
            torn.unwrap();
        }
    }
}

fn shell(script: &str) -> serde_json::Value {
    json!({"name": "c", "image": "busybox", "command": ["sh", "-c", script]})
}

fn with(mut container: serde_json::Value, key: &str, value: serde_json::Value) -> serde_json::Value {
    container[key] = value;
    container
}

fn output(name: &str, container: serde_json::Value) -> String {
    let world = World::new(name, json!({"containers": [container]}));
    let (code, output) = world.run().unwrap();
    assert_eq!(code, 0, "{output}");
    output
}

#[test]
fn a_container_sees_what_kubernetes_gives_it() {
    let script = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups|Uid|SigBlk|SigIgn)' /proc/self/status; echo dev; ls /dev; \
        echo fds; ls /proc/self/fd; echo pid $$$$; hostname; cat /etc/hostname; pwd; \
        echo masked; wc -c </proc/keys; ls /sys/firmware; mount | grep -E ' on (/|/proc|/sys|/dev|/dev/shm|/proc/sys) '; \
        touch /sys/x 2>/dev/null || echo ro; ip link show lo | head -1; echo done >/dev/termination-log; umask; \
        ls -ld /dev/shm; stat -c %a /dev/termination-log";
    let text = output("default", shell(script));
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
        "SigBlk:\t0000000000000000",
        "Uid:\t0\t0\t0\t0",
        "pid 1",
        "ro",
        "0022",
        "666",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let devices: Vec<&str> = text.lines().skip_while(|l| *l != "dev").skip(1).take_while(|l| *l != "fds").collect();
    assert_eq!(
        devices.join(" "),
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout termination-log tty urandom zero"
    );
    // 3 is ls's own look at the directory.
    let open: Vec<&str> =
        text.lines().skip_while(|l| *l != "fds").skip(1).take_while(|l| !l.starts_with("pid")).collect();
    assert_eq!(open, ["0", "1", "2", "3"]);
    assert!(text.contains("\nweb\nweb\n/\nmasked\n0\n"), "{text}");
    for mount in [
        "tmpfs on /dev type tmpfs (rw,nosuid",
        "proc on /proc/sys type proc (ro,nosuid,nodev,noexec",
        "overlay on / type overlay (rw",
        "sysfs on /sys type sysfs (ro,nosuid,nodev,noexec",
    ] {
        assert!(text.contains(mount), "{mount} in\n{text}");
    }
    assert!(text.contains("LOOPBACK,UP,LOWER_UP") || text.contains("<LOOPBACK,UP"), "{text}");
    assert!(text.contains("drwxrwxrwt"), "{text}");
}

#[test]
fn another_user_and_its_pipes() {
    let container = with(
        shell("id -u; id -g; id -G; echo $HOME; echo out >/dev/stdout; pwd; grep CapEff /proc/self/status"),
        "securityContext",
        json!({"runAsUser": 1000, "allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_ADMIN"]}}),
    );
    let container = with(container, "workingDir", json!("/new/work"));
    let spec = json!({"securityContext": {"supplementalGroups": [77], "fsGroup": 88}, "containers": [container]});
    let world = World::new("user", spec);
    let (code, text) = world.run().unwrap();
    assert_eq!(
        (code, text.as_str()),
        (0, "1000\n1000\n1000 50 77 88\n/home/app\nout\n/new/work\nCapEff:\t0000000000000000\n")
    );
}

#[test]
fn the_filter_in_both_orders() {
    for (name, escalation) in [("first", true), ("last", false)] {
        let script = "grep -E '^(Seccomp:|NoNewPrivs)' /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; true";
        let context = json!({"allowPrivilegeEscalation": escalation, "capabilities": {"add": ["SYS_PTRACE"]}});
        let text = output(name, with(shell(script), "securityContext", context));
        assert!(text.contains("Seccomp:\t2"), "{text}");
        assert!(text.contains(if escalation { "NoNewPrivs:\t0" } else { "NoNewPrivs:\t1" }), "{text}");
        assert!(text.contains("Operation not permitted") && text.contains("permission denied"), "{text}");
    }
}

#[test]
fn unconfined_and_privileged() {
    let script = "grep -E '^(Seccomp:|CapEff)' /proc/self/status; wc -c </proc/keys; mount | grep ' on /sys '";
    let text = output("privileged", with(shell(script), "securityContext", json!({"privileged": true})));
    let all = Machine::get().capabilities;
    assert!(text.contains("Seccomp:\t0") && text.contains(&format!("CapEff:\t{:016x}", all.0)), "{text}");
    assert!(text.contains("sysfs on /sys type sysfs (rw,") && !text.contains("\n0\n"), "{text}");
}

#[test]
fn a_read_only_root_with_writable_volumes() {
    let script = "touch /x 2>&1; touch /data/y && touch /memory/z && cat /config/colour /secret/pw; ls -l /config/colour /secret; \
        touch /config/w 2>&1; ls -ld /data /memory; touch /etc/hosts 2>&1; mount | grep -E ' on /(memory|data/inner) '; ls /data; cat /host/here; touch /host/t 2>&1; true";
    let mut container = with(shell(script), "securityContext", json!({"readOnlyRootFilesystem": true}));
    container["volumeMounts"] = json!([
        {"name": "inner", "mountPath": "/data/inner"}, {"name": "data", "mountPath": "/data"}, {"name": "memory", "mountPath": "/memory/"},
        {"name": "config", "mountPath": "config"}, {"name": "secret", "mountPath": "/secret"},
        {"name": "host", "mountPath": "/host", "readOnly": true}
    ]);
    let host = std::env::temp_dir().join(format!("podlet-plan-host-{}", std::process::id()));
    fs::create_dir_all(&host).unwrap();
    fs::write(host.join("here"), "machine\n").unwrap();
    let world = World::new(
        "volumes",
        json!({"containers": [container], "volumes": [
            {"name": "data", "emptyDir": {}}, {"name": "inner", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "config", "configMap": {"name": "settings", "defaultMode": 256}},
            {"name": "secret", "secret": {"secretName": "db", "items": [{"key": "password", "path": "pw"}]}},
            {"name": "host", "hostPath": {"path": host, "type": "Directory"}}
        ]}),
    );
    let (code, text) = world.run().unwrap();
    fs::remove_dir_all(host).unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("/x: Read-only file system") && text.contains("/etc/hosts: Read-only file system"), "{text}");
    assert!(text.contains("bluehush") && text.contains("/config/w: Read-only file system"), "{text}");
    assert!(text.contains("drwxrwxrwx") && text.contains("drwxrwxrwt") && text.contains("size=1024k"), "{text}");
    assert!(text.contains("inner\ny\n") && text.contains("machine\n/") || text.contains("machine\ntouch"), "{text}");
    assert!(text.contains("/host/t: Read-only file system"), "{text}");
}

#[test]
fn limits_and_the_oom_counter() {
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /proc/self/oom_score_adj; \
        cat /proc/self/cgroup; head -c 200000000 /dev/zero | sort >/dev/null; exit 3";
    let resources = json!({"limits": {"memory": "24Mi", "cpu": "500m"}, "requests": {"memory": "24Mi", "cpu": "100m"}});
    let world = World::new("limits", json!({"containers": [with(shell(script), "resources", resources)]}));
    let (code, text) = world.run().unwrap();
    assert!(code == 3 || code == 137, "{code} {text}");
    assert!(text.contains("25165824"), "{text}");
    let cgroup = container_cgroup(&world.context(), "c");
    assert!(cgroup.oom_kills() > 0, "{text}");
    assert!(text.contains(&format!("podlet/pod{}/c", world.context().uid())), "{text}");
    assert!(text.lines().any(|line| line == "997" || line == "999"), "{text}");
}

#[test]
fn programs_that_cannot_be_started() {
    let refuse = |name: &str, command: serde_json::Value| {
        let world = World::new(name, json!({"containers": [{"name": "c", "command": command}]}));
        let why = world.run().unwrap_err();
        assert_eq!(why.stage, StartStage::Run);
        why.message
    };
    assert_eq!(refuse("absent", json!(["nope"])), "exec: \"nope\": executable file not found in $PATH");
    assert_eq!(refuse("path", json!(["/no/such"])), "exec: \"/no/such\": stat /no/such: no such file or directory");
    assert!(refuse("directory", json!(["/etc"])).contains("permission denied"));
    assert!(refuse("mode", json!(["/etc/passwd"])).contains("permission denied"));
    assert!(refuse("format", json!(["garbage"])).contains("exec format error"));
    assert!(refuse("interpreter", json!(["script"])).contains("no such file or directory"));
}

#[test]
fn a_pod_that_shares_its_processes() {
    let spec = json!({"shareProcessNamespace": true, "containers": [shell("echo pid $$$$; cat /proc/1/comm; ls /proc/1/root/ 2>&1; cat /proc/1/environ 2>&1 | wc -c; mount | grep ' on /proc '")]});
    let world = World::new("shared", spec);
    let (code, text) = world.run().unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("pid 1\n") && text.contains("\npause\n"), "{text}");
    assert!(text.contains("proc on /proc type proc"), "{text}");
}

#[test]
fn hosts_namespaces() {
    let spec = json!({"hostNetwork": true, "hostPID": true, "hostIPC": true, "containers": [shell("for n in net uts ipc pid; do readlink /proc/self/ns/$n; done")]});
    let world = World::new("host", spec);
    let (_, text) = world.run().unwrap();
    let own: String = ["net", "uts", "ipc", "pid"]
        .map(|name| format!("{}\n", fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display()))
        .concat();
    assert_eq!(text, own);
}

#[test]
fn exec_joins_the_container_and_nothing_else() {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut container = shell("touch /started; echo up; exec sleep 1000");
    container["env"] = json!([{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]);
    let world = World::new("exec", json!({"containers": [container]}));
    let mut prepared = world.prepare(&writer).unwrap();
    drop(writer);
    let plan = serde_json::to_string(&prepared.plan).unwrap() + &prepared.plan.to_string();
    assert!(plan.contains("<secret db/password>") && !plan.contains("hush"), "{plan}");
    let mut first = spawn(&prepared, &world.root.join("programs"));
    prepared.descriptors.clear();
    assert_eq!(first.failure(), None);
    let mut up = [0; 3];
    File::from(reader.try_clone().unwrap()).read_exact(&mut up).unwrap();
    // SAFETY: a child of this process that has not been waited for.
    let init = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, first.pid, 0) as i32) };
    let run = |script: &str| {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let stdio = [null.as_fd(), writer.as_fd(), writer.as_fd()];
        let prepared =
            prepare_exec(&world.context(), world.container(), 0, &world.image, init.as_fd(), &command, false, stdio)
                .unwrap();
        drop(writer);
        world.run_prepared(prepared, reader).unwrap()
    };
    let (code, text) = run(
        "ls /started; echo $PW; ls /proc/self/fd; grep -E '^(CapEff|Seccomp:|PPid)' /proc/$$/status; cat /proc/1/comm; cat /proc/self/cgroup; exit 7",
    );
    assert_eq!(code, 7, "{text}");
    let expected = "/started\nhush\n0\n1\n2\n3\nPPid:\t0\nCapEff:\t00000000a80425fb\nSeccomp:\t2\nsleep\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains(&format!("/podlet/pod{}/c\n", world.context().uid())), "{text}");
    let cgroup = container_cgroup(&world.context(), "c");
    assert!(cgroup.processes().contains(&first.pid));
    cgroup.kill().unwrap();
    assert_eq!(wait(first.pid), 137);
    drop(init);
    remove_instance(&world.context(), "c", 0).unwrap();
}

#[test]
fn devices_of_the_machine_stay_shut() {
    let script = "cd /tmp; mknod kmsg c 1 11 && cat kmsg 2>&1; mknod null c 1 3 && echo x >null && echo fine";
    let text = output("devices", shell(script));
    assert_eq!(text, "cat: can't open 'kmsg': Operation not permitted\nfine\n");
}
