//! For tests that need a directory of their own or an image with a shell.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// A directory of mode 0700 that goes with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one.
    pub fn new(name: &str) -> Scratch {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("podlet-test-image-{name}-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Puts `localhost/busybox:1` into a store: the machine's static busybox (package `busybox-static`) with its applets as links,
/// and users root, daemon and app (1000).
pub fn import_busybox(store: &podlet::image::Store) -> podlet::image::Image {
    use std::os::unix::fs::{PermissionsExt, symlink};
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let scratch = Scratch::new(&format!("busybox-{number}"));
    let root = scratch.path().join("root");
    for directory in ["bin", "etc", "tmp", "home/app"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::set_permissions(root.join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("the package busybox-static is installed");
    let applets = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let passwd =
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\napp:x:1000:1000:app:/home/app:/bin/sh\n";
    std::fs::write(root.join("etc/passwd"), passwd).unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\ndaemon:x:1:\napp:x:1000:\nextra:x:2000:app\n").unwrap();
    let overrides = podlet::image::Overrides { cmd: Some(vec!["sh".to_owned()]), ..Default::default() };
    store.import(&root, Some("localhost/busybox:1"), &overrides, Default::default()).unwrap();
    store.find("localhost/busybox:1").unwrap()
}
