//! What a container sees of itself from inside.

use nix::mount::{MntFlags, umount2};

use super::*;

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

/// The container's cgroup as it sees it: on cgroup v2 the root of a namespace of its own.
fn shown_cgroup(world: &World) -> String {
    if super::super::super::cgroup::Layout::of_machine().is_unified() {
        return "0::/\n".to_owned();
    }
    format!("/podlet/pod{}/c\n", world.context().uid())
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
    assert!(text.contains(&shown_cgroup(&world)), "{text}");
    let score = crate::plan::resources::oom_score(&world.pod, world.container(), Machine::get().memory).to_string();
    // Without CAP_SYS_RESOURCE the score cannot be lowered below the machine's own.
    assert!(text.lines().any(|line| line == score || line == "997" || line == "999"), "{score} in {text}");
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
    assert_eq!(refuse("directory", json!(["/etc"])), "exec: \"/etc\": is a directory");
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
    // The shell becomes sleep only after it has told.
    while fs::read_to_string(format!("/proc/{}/comm", first.pid)).unwrap() != "sleep\n" {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let run = |script: &str| {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let stdio = [null.as_fd(), writer.as_fd(), writer.as_fd()];
        let prepared = prepare_exec(
            &world.context(),
            world.container(),
            &world.image,
            init.as_fd(),
            &Session { command: &command, tty: false, stdio, environment: None },
        )
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
    assert!(text.contains(&shown_cgroup(&world)), "{text}");
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

#[test]
fn mount_targets_behind_links_of_the_image() {
    let outside = std::env::temp_dir().join(format!("podlet-plan-outside-{}", std::process::id()));
    let escape = format!("../../../../..{}", outside.display());
    let mut container = shell(
        "echo a >/link/data/a; echo b >/escape/deep/data/b; cat /real/data/a /escape/deep/data/b; \
        grep -cE ' (/real/data|/tmp/podlet[^ ]*/deep/data) ' /proc/self/mountinfo",
    );
    container["volumeMounts"] = json!([
        {"name": "one", "mountPath": "/link/data"}, {"name": "two", "mountPath": "/escape/deep/data"}
    ]);
    let volumes = json!([{"name": "one", "emptyDir": {}}, {"name": "two", "emptyDir": {}}]);
    let world = World::new("linked", json!({"containers": [container], "volumes": volumes}));
    let layer = &world.image.layers[0];
    fs::create_dir_all(layer.join("real")).unwrap();
    fs::create_dir_all(layer.join(outside.strip_prefix("/").unwrap())).unwrap();
    std::os::unix::fs::symlink("/real", layer.join("link")).unwrap();
    std::os::unix::fs::symlink(&escape, layer.join("escape")).unwrap();
    assert_eq!(world.run().unwrap(), (0, "a\nb\n2\n".to_owned()));
    assert!(!outside.exists(), "a mount target was made on the machine");
}

#[test]
fn read_only_with_and_without_what_is_mounted_below() {
    for (name, recursive, expected) in [("shallow", "Disabled", "ro\n"), ("deep", "Enabled", "ro\nro below\n")] {
        let host = std::env::temp_dir().join(format!("podlet-plan-{name}-{}", std::process::id()));
        let script = "touch /host/x 2>/dev/null || echo ro; touch /host/below/x 2>/dev/null || echo ro below";
        let mut container = shell(script);
        container["volumeMounts"] =
            json!([{"name": "host", "mountPath": "/host", "readOnly": true, "recursiveReadOnly": recursive}]);
        let volumes = json!([{"name": "host", "hostPath": {"path": host}}]);
        fs::create_dir_all(host.join("below")).unwrap();
        let world = World::new(name, json!({"containers": [container], "volumes": volumes}));
        let none: Option<&str> = None;
        let below = host.join("below");
        nix::mount::mount(Some("tmpfs"), &below, Some("tmpfs"), nix::mount::MsFlags::empty(), none).unwrap();
        let outcome = world.run();
        umount2(&below, MntFlags::MNT_DETACH).unwrap();
        fs::remove_dir_all(&host).unwrap();
        assert_eq!(outcome.unwrap(), (0, expected.to_owned()), "{recursive}");
    }
}

#[test]
fn a_volume_belongs_to_the_group_of_the_pod() {
    let mut container =
        shell("id -G; stat -c '%g %a' /data /config/; touch /data/x && stat -c %g /data/x; cat /config/colour");
    container["securityContext"] = json!({"runAsUser": 1000});
    container["volumeMounts"] =
        json!([{"name": "data", "mountPath": "/data"}, {"name": "config", "mountPath": "/config"}]);
    let volumes = json!([
        {"name": "data", "emptyDir": {}}, {"name": "config", "configMap": {"name": "settings", "defaultMode": 256}}
    ]);
    let spec = json!({"securityContext": {"fsGroup": 88}, "containers": [container], "volumes": volumes});
    let (code, text) = World::new("group", spec).run().unwrap();
    assert_eq!((code, text.as_str()), (0, "1000 50 88\n88 2777\n88 2777\n88\nblue"));
}

#[test]
fn an_exec_on_a_terminal_has_it_as_its_own() {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let world = World::new("terminal", json!({"containers": [shell("echo up; exec sleep 1000")]}));
    let mut prepared = world.prepare(&writer).unwrap();
    drop(writer);
    let mut first = spawn(&prepared, &world.root.join("programs"));
    prepared.descriptors.clear();
    assert_eq!(first.failure(), None);
    File::from(reader).read_exact(&mut [0; 3]).unwrap();
    // SAFETY: a child of this process that has not been waited for.
    let init = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, first.pid, 0) as i32) };
    let pty = nix::pty::openpty(None, None).unwrap();
    let stdio = [pty.slave.as_fd(), pty.slave.as_fd(), pty.slave.as_fd()];
    let script = "test -t 0 && echo terminal; echo own >/dev/tty; exit 4";
    let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let mut session = prepare_exec(
        &world.context(),
        world.container(),
        &world.image,
        init.as_fd(),
        &Session { command: &command, tty: true, stdio, environment: None },
    )
    .unwrap();
    let mut child = spawn(&session, &world.root.join("programs"));
    session.descriptors.clear();
    assert_eq!(child.failure().map(|(entry, errno)| explain_failure(&session, entry, errno)), None);
    assert_eq!(wait(child.pid), 0);
    assert_eq!(wait(second_of(&session)), 4);
    // The slave is still open here, so that reading gives what was written and no end of file.
    let mut seen = [0; 64];
    let mut master = File::from(pty.master);
    let mut text = String::new();
    while !text.ends_with("own\r\n") {
        let length = master.read(&mut seen).unwrap();
        text.push_str(&String::from_utf8_lossy(&seen[..length]));
    }
    assert_eq!(text, "terminal\r\nown\r\n");
    container_cgroup(&world.context(), "c").kill().unwrap();
    assert_eq!(wait(first.pid), 137);
    remove_instance(&world.context(), "c", 0).unwrap();
}
