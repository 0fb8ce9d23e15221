//! Paths that an image's author has chosen to lead out of the image. Nothing may: not by links, not by renames under way.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// `<base>/image`, which is the root, and `<base>/outside`, which is not, in a mount namespace of this thread's own.
struct Tree {
    base: PathBuf,
}

impl Tree {
    fn new(name: &str) -> Tree {
        // SAFETY: unshares this thread's mount namespace and its file system attributes; no pointers.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "these tests need root");
        let none: Option<&str> = None;
        let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(none, "/", none, flags, none).unwrap();
        let base = std::env::temp_dir().join(format!("podlet-resolve-{}-{name}", std::process::id()));
        for directory in ["image/etc", "image/real/deep", "image/proc", "outside/etc", "outside/real/deep"] {
            fs::create_dir_all(base.join(directory)).unwrap();
        }
        for file in ["image/etc/passwd", "image/real/deep/file", "outside/etc/passwd", "outside/real/deep/file"] {
            fs::write(base.join(file), file).unwrap();
        }
        Tree { base }
    }

    fn image(&self) -> File {
        File::open(self.base.join("image")).unwrap()
    }

    fn link(&self, name: &str, to: impl AsRef<Path>) {
        symlink(to, self.base.join("image").join(name)).unwrap();
    }

    /// Names in `outside`, so that something made there shows.
    fn outside(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![self.base.join("outside")];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                found.push(entry.path().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    left.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.base.join("image/proc"), nix::mount::MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(&self.base);
    }
}

#[test]
fn hostile_links_stay_inside() {
    let tree = Tree::new("links");
    let none: Option<&str> = None;
    nix::mount::mount(Some("proc"), &tree.base.join("image/proc"), Some("proc"), nix::mount::MsFlags::empty(), none)
        .unwrap();
    let outside = tree.base.join("outside");
    for (name, to) in [
        ("absolute", "/etc"),
        ("up", "../../../../../../../../../../etc"),
        ("dots", "real/../../../../etc/../etc"),
        ("root", "/"),
        ("parent", ".."),
        ("one", "two"),
        ("two", "/three"),
        ("three", "./up"),
        ("loop", "loop"),
        ("ping", "pong"),
        ("pong", "/ping"),
        ("nowhere", "/not/there"),
        ("to-proc-root", "/proc/self/root"),
        ("to-proc-cwd", "proc/self/cwd"),
        ("to-init", "/proc/1/root/etc"),
        ("file", "/etc/passwd"),
        ("real/back", "../.."),
        ("real/deep/back", "../../../etc"),
        ("trailing", "/etc/"),
    ] {
        tree.link(name, to);
    }
    tree.link("out", &outside);
    tree.link("out-file", outside.join("etc/passwd"));
    let (there, gone, around) = (0, libc::ENOENT, libc::ELOOP);
    let held = File::open(&outside).unwrap();
    let by_descriptor = format!("/proc/self/fd/{}", held.as_raw_fd());
    let table: Vec<(&str, i32)> = vec![
        ("/etc/passwd", there),
        ("etc/passwd", there),
        ("../../../../etc/passwd", there),
        ("/../etc/passwd", there),
        ("/real/../../etc/passwd", there),
        ("/absolute/passwd", there),
        ("/absolute/../etc/passwd", there),
        ("/up/passwd", there),
        ("/dots/passwd", there),
        ("/root/etc/passwd", there),
        ("/root/root/root/up/passwd", there),
        ("/parent/parent/parent/etc/passwd", there),
        ("/parent/../parent/../etc/passwd", there),
        ("/one/passwd", there),
        ("/two/../up/passwd", there),
        ("/file", there),
        ("/real/back/etc/passwd", there),
        ("/real/back/back", gone),
        ("/real/deep/back/passwd", there),
        ("/real/deep/back/../../../../etc/passwd", there),
        ("/trailing/passwd", there),
        ("/", there),
        ("..", there),
        ("/..", there),
        ("//etc//passwd", there),
        ("/etc/./././passwd", there),
        ("/loop", around),
        ("/loop/etc", around),
        ("/ping", around),
        ("/ping/x", around),
        ("/nowhere", gone),
        ("/nowhere/../etc/passwd", gone),
        ("/out", gone),
        ("/out/etc/passwd", gone),
        ("/out/../../etc/passwd", gone),
        ("/out-file", gone),
        ("/proc/self/root", around),
        ("/proc/self/root/etc/passwd", around),
        ("/proc/self/cwd", around),
        ("/proc/1/root/etc/passwd", around),
        ("/to-proc-root/etc", around),
        ("/to-proc-cwd/etc", around),
        ("/to-init/passwd", around),
        (&by_descriptor, around),
    ];
    assert!(table.len() >= 40);
    let image = tree.image();
    let root = Root(image.as_fd());
    let before = tree.outside();
    let inside = tree.base.join("image");
    for (path, expected) in table {
        match root.open(path, libc::O_PATH) {
            Ok(found) => {
                let real = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).unwrap();
                assert!(real.starts_with(&inside), "{path} leads to {}", real.display());
                assert_eq!(expected, there, "{path} leads to {}", real.display());
            }
            Err(error) => {
                // Another process's links may be refused by the rules of ptrace(2) before they are by their kind.
                let found = error.raw_os_error().map(|errno| if errno == libc::EACCES { around } else { errno });
                assert_eq!(found, Some(expected), "{path}: {error}");
            }
        }
        // Whatever comes of it: nothing is made outside.
        let _ = root.make_mount_point(&format!("{path}/made/here"), Shape::File);
        assert_eq!(tree.outside(), before, "{path}");
    }
}

fn exchange(one: &Path, other: &Path) {
    let c = |path: &Path| c_string(path.to_str().unwrap()).unwrap();
    let (one, other) = (c(one), c(other));
    // SAFETY: two strings that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

/// A directory and a link out of the image change places all the time, another moves out of the image and back.
#[test]
fn renames_under_way_do_not_lead_out() {
    let tree = Tree::new("race");
    let image = tree.base.join("image");
    tree.link("trap", format!("../../../..{}", tree.base.join("outside").display()));
    tree.link("trap-absolute", tree.base.join("outside/real"));
    fs::create_dir_all(image.join("moving/deep")).unwrap();
    let before = tree.outside();
    let stop = AtomicBool::new(false);
    let (mut opened, mut made) = (0u64, 0u64);
    std::thread::scope(|scope| {
        let flip = |one: PathBuf, other: PathBuf| {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    exchange(&one, &other);
                    // The second puts things back as they were.
                    exchange(&one, &other);
                }
            });
        };
        flip(image.join("real"), image.join("trap-absolute"));
        flip(image.join("moving"), tree.base.join("outside/etc"));
        let file = tree.image();
        let root = Root(file.as_fd());
        let begun = Instant::now();
        // And on until each has come about: on one busy core, turns are long.
        let both = |opened, made| opened > 0 && made > 0 || begun.elapsed() > Duration::from_secs(120);
        while begun.elapsed() < Duration::from_secs(2) || !both(opened, made) {
            for path in
                ["/real/deep/file", "/real/../trap/real/deep/file", "/trap/etc/passwd", "/real/deep/../deep/file"]
            {
                if let Ok(text) = root.read_text(path, 1 << 16) {
                    assert!(text.is_empty() || text.starts_with("image/"), "{path} reads {text}");
                    opened += u64::from(!text.is_empty());
                }
            }
            // From a directory that is moved away, `..` must not go on outside.
            for path in ["/moving/deep/../../../outside/etc/passwd", "/moving/deep/../../outside/real/deep/file"] {
                let text = root.read_text(path, 1 << 16).unwrap_or_default();
                assert_eq!(text, "", "{path}");
            }
            made += u64::from(root.make_mount_point("/real/made", Shape::File).is_ok());
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened > 0 && made > 0, "nothing was opened: {opened}, or made: {made}");
    assert_eq!(tree.outside(), before);
}
