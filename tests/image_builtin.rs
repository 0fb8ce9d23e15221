//! The two images that podlet brings along: what is in them, that they are made once, and that nothing else of the machine
//! is on the host's list.
#![allow(clippy::unwrap_used)]

#[path = "common/image.rs"]
mod common;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use podlet::image::{ImageError, Store};

use common::Scratch;

#[test]
fn the_actor_is_made_once() {
    let scratch = Scratch::new("actor");
    let store = Store::open(&scratch.path().join("images"));
    let image = store.find("podlet.local/actor").unwrap();
    assert_eq!(image.reference, "podlet.local/actor:latest");
    assert_eq!(image.config.entrypoint, ["/actor"]);
    assert!(image.binds.is_empty());
    let program = image.layers[0].join("actor");
    let made = program.metadata().unwrap().modified().unwrap();
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(store.find("podlet.local/actor:latest").unwrap(), image);
    assert_eq!(program.metadata().unwrap().modified().unwrap(), made);
    assert!(matches!(store.find("podlet.local/actor:2"), Err(ImageError::Absent(_))));
}

#[test]
fn a_damaged_or_outdated_record_of_a_built_in_image_is_made_anew() {
    let scratch = Scratch::new("outdated");
    let store = Store::open(&scratch.path().join("images"));
    let image = store.find("podlet.local/actor").unwrap();
    let record = scratch.path().join("images/names/podlet.local/actor/_tags/latest.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let outdated = text.replace("\"madeBy\":\"", "\"madeBy\":\"old");
    assert_ne!(text, outdated);
    for content in [outdated.as_str(), "{", ""] {
        std::fs::write(&record, content).unwrap();
        assert_eq!(store.find("podlet.local/actor").unwrap(), image);
        assert_ne!(std::fs::read_to_string(&record).unwrap(), content);
    }
}

#[test]
fn the_store_belongs_to_its_owner_alone() {
    let scratch = Scratch::new("modes");
    let root = scratch.path().join("images");
    Store::open(&root).find("podlet.local/host").unwrap();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        let metadata = directory.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{directory:?}");
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            // The unpacked tree has the image's modes, and is out of reach behind its parent's.
            if path.is_dir() && path.file_name().unwrap() != "fs" {
                directories.push(path);
            }
        }
    }
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Store::open(&root).find("podlet.local/actor").unwrap_err().to_string();
    assert!(error.contains("only its owner"), "{error}");
}

/// All that the allow-list may bring in; a path of the machine that is not here is a leak.
const ALLOWED: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lib.usr-is-merged",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
];

#[test]
fn nothing_of_the_machine_but_the_list_is_in_the_host_image() {
    let scratch = Scratch::new("host");
    let store = Store::open(&scratch.path().join("images"));
    let image = store.find("podlet.local/host").unwrap();
    assert_eq!(image.config.cmd, ["sh"]);
    assert_eq!(image.layers.len(), 1);
    for (host, inside) in &image.binds {
        assert!(ALLOWED.iter().any(|allowed| Path::new(allowed) == inside), "{host:?} at {inside:?}");
        // The mount point is there, of the right kind.
        let point = image.layers[0].join(inside.strip_prefix("/").unwrap());
        assert_eq!(point.is_dir(), host.is_dir(), "{point:?}");
        assert_eq!(point.is_file(), host.is_file(), "{point:?}");
    }
    assert!(image.binds.iter().any(|(host, inside)| host == Path::new("/usr") && inside == Path::new("/usr")));

    // The skeleton itself: every path with what it is.
    let mut found = BTreeSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(image.layers[0].join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(path.clone());
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                let into = target.strip_prefix("/").unwrap_or(&target).to_owned();
                assert!(into.starts_with("usr") || into == Path::new("run"), "{path:?} -> {target:?}");
            }
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    let own = "dev etc etc/group etc/nsswitch.conf etc/passwd etc/ssl home media mnt opt proc root run srv sys tmp var var/cache \
               var/lib var/log var/run var/spool var/tmp";
    let mut expected: BTreeSet<String> = own.split_whitespace().map(str::to_owned).collect();
    expected.extend(image.binds.iter().map(|(_, inside)| inside.to_string_lossy()[1..].to_owned()));
    for top in ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "lib.usr-is-merged"] {
        if Path::new("/").join(top).is_symlink() {
            expected.insert(top.to_owned());
        }
    }
    // The way to Fedora's certificates, where there are any.
    found.retain(|path| !["etc/pki", "etc/pki/tls", "etc/pki/ca-trust"].contains(&path.as_str()));
    assert_eq!(found, expected);

    let passwd = std::fs::read_to_string(image.layers[0].join("etc/passwd")).unwrap();
    let users: Vec<&str> = passwd.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(users, ["root", "daemon", "nobody"]);
    let mode = |path: &str| image.layers[0].join(path).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(""), mode("tmp"), mode("root"), mode("var/tmp")), (0o755, 0o1777, 0o700, 0o1777));
}

#[test]
fn bad_and_unknown_names_have_the_kubelets_words() {
    let scratch = Scratch::new("names");
    let store = Store::open(&scratch.path().join("images"));
    assert_eq!(
        store.find("Bad Name").unwrap_err().to_string(),
        "couldn't parse image name \"Bad Name\": invalid reference format: repository name (library/Bad Name) must be lowercase"
    );
    assert_eq!(
        store.find("busybox").unwrap_err().to_string(),
        "docker.io/library/busybox:latest is not in podlet's image store"
    );
    // Looking makes nothing.
    assert!(!scratch.path().join("images").exists());
}
