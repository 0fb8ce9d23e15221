//! Images from directories, tar files, OCI layouts and `docker save`, as they come in. Hostile ones: `image_hostile.rs`.
//! Needs root: owners, whiteouts and `trusted.` attributes are root's.
#![allow(clippy::unwrap_used)]

#[path = "common/image.rs"]
mod common;
#[path = "common/image_source.rs"]
mod source;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use podlet::image::{Digest, ImageError, Limits, Overrides, Store};
use serde_json::json;
use tar::EntryType;

use common::Scratch;
use source::{Tar, World, gzip, read, zstd};

#[test]
fn a_tar_file_keeps_what_it_says() {
    let world = World::new("tar");
    let archive = Tar::default()
        .directory("./")
        .directory("etc/")
        .file("/etc/absolute", "inside")
        .file("a/b/c/deep", "parents are made")
        .symlink("link", "/etc")
        .file("link/through", "within the root")
        .hard_link("hard", "etc/absolute")
        .pax(&[("path", "long/name"), ("uid", "1234"), ("mtime", "5.5"), ("SCHILY.xattr.user.x", "y\nz")])
        .file("short", "renamed by PAX")
        .entry(EntryType::Fifo, b"pipe", b"", b"")
        .file("dup", "first")
        .file("dup", "second")
        .end();
    // As tools write it whose layers can be fetched in parts: several frames, and a table that a reader skips.
    let (first, second) = archive.split_at(700);
    let skipped = b"\x5e\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let frames = [skipped.clone(), zstd(first), skipped.clone(), zstd(second), skipped].concat();
    for (what, bytes) in
        [("plain", archive.clone()), ("gzip", gzip(&archive)), ("zstd", zstd(&archive)), ("zstd frames", frames)]
    {
        let image = world.import_tar(&bytes).unwrap();
        assert_eq!(image.layers.len(), 1, "{what}");
        assert_eq!(read(&image, 0, "etc/absolute"), "inside");
        assert_eq!(read(&image, 0, "a/b/c/deep"), "parents are made");
        assert_eq!(read(&image, 0, "etc/through"), "within the root");
        assert_eq!(read(&image, 0, "dup"), "second");
        let stat = |path: &str| fs::symlink_metadata(image.layers[0].join(path)).unwrap();
        assert_eq!(stat("hard").ino(), stat("etc/absolute").ino());
        assert_eq!(
            (stat("long/name").uid(), stat("long/name").mtime(), stat("long/name").mtime_nsec()),
            (1234, 5, 500_000_000)
        );
        assert_eq!(stat("etc").mtime(), 1_000_000_000);
        assert!(stat("pipe").file_type().is_fifo());
        assert_eq!(xattr::get(image.layers[0].join("long/name"), "user.x").unwrap().unwrap(), b"y\nz");
        assert_eq!(image.config.env.len(), 1);
        world.check(what);
    }
}

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let world = World::new("whiteouts");
    let lower =
        Tar::default().file("gone", "").file("kept", "").file("d/old", "").file("e/old", "").file("f/old", "").end();
    let upper = Tar::default()
        .file(".wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .file("d/new", "")
        // Before or after: what the layer brings itself stays.
        .file(".wh.kept", "")
        .file("kept", "new")
        .file(".wh.e", "")
        .file("e/new", "")
        .directory("f")
        .file("f/new", "")
        .file(".wh.f", "")
        .file(".wh..wh.plnk", "")
        .end();
    let image = world.import(&world.layout(&[lower, upper], |_| {})).unwrap();
    let gone = fs::symlink_metadata(image.layers[1].join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(read(&image, 1, "kept"), "new");
    for directory in ["d", "e", "f"] {
        let opaque = xattr::get(image.layers[1].join(directory), "trusted.overlay.opaque").unwrap();
        assert_eq!(opaque.as_deref(), Some(&b"y"[..]), "{directory}");
        assert!(image.layers[1].join(directory).join("new").exists());
        assert_eq!(image.layers[1].join(directory).metadata().unwrap().mode() & 0o7777, 0o755);
    }
    assert_eq!(xattr::get(&image.layers[1], "trusted.overlay.opaque").unwrap(), None);
    world.check("whiteouts");
}

#[test]
fn an_oci_layout_comes_in_with_its_own_name_and_id() {
    let world = World::new("oci");
    let layers = [Tar::default().file("a", "1").end(), Tar::default().file("b", "2").end()];
    let path = world.layout(&layers, |_| {});
    let imported = world.store.import(&path, None, &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.record.name, "localhost/from-layout:2");
    let image = world.store.find("localhost/from-layout:2").unwrap();
    assert_eq!((read(&image, 0, "a"), read(&image, 1, "b")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(image.config.cmd, ["sh"]);
    assert!(image.binds.is_empty());
    let by_digest = world.store.find(&format!("localhost/from-layout@{}", imported.record.digest)).unwrap();
    assert_eq!(by_digest, image);
    let inspection = world.store.inspect("localhost/from-layout:2").unwrap();
    assert_eq!(inspection.configuration["history"][0]["created_by"], "a test");

    // The same as a tar file, with other words for the configuration: layers are shared, labels kept, the ID is another.
    let archive = world.path("layout.tar");
    let mut builder = tar::Builder::new(fs::File::create(&archive).unwrap());
    builder.append_dir_all(".", &path).unwrap();
    builder.into_inner().unwrap();
    let overrides = Overrides {
        entrypoint: Some(vec!["/a".to_owned()]),
        env: vec!["A=2".to_owned(), "B=3".to_owned()],
        user: Some("7".to_owned()),
        ..Overrides::default()
    };
    world.store.import(&archive, Some("localhost/other:1"), &overrides, Limits::default()).unwrap();
    let other = world.store.find("localhost/other:1").unwrap();
    assert_eq!(other.layers, image.layers);
    assert_ne!(other.id, image.id);
    assert_eq!((other.config.entrypoint, other.config.cmd), (vec!["/a".to_owned()], vec![]));
    assert_eq!((other.config.env, other.config.user), (vec!["A=2".to_owned(), "B=3".to_owned()], Some("7".to_owned())));
    let labels = &world.store.inspect("localhost/other:1").unwrap().configuration["config"]["Labels"];
    assert_eq!(labels["podlet.dev/x"], "y");
    world.check("oci");
}

#[test]
fn a_directory_comes_in_whole_and_the_same_each_time() {
    let world = World::new("directory");
    let root = world.path("root");
    fs::create_dir_all(root.join("etc/x")).unwrap();
    fs::write(root.join("etc/file"), "content").unwrap();
    fs::set_permissions(root.join("etc/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(root.join("etc/file"), root.join("second")).unwrap();
    std::os::unix::fs::lchown(root.join("etc/x"), Some(5), Some(6)).unwrap();
    symlink("/outside/../..", root.join("link")).unwrap();
    let long = "n".repeat(200);
    fs::write(root.join(&long), "long").unwrap();
    xattr::set(root.join("etc/file"), "user.mime", b"a\0b").unwrap();
    fs::create_dir(root.join("dev")).unwrap();
    nix::sys::stat::mknod(
        &root.join("dev/null"),
        nix::sys::stat::SFlag::S_IFCHR,
        nix::sys::stat::Mode::empty(),
        nix::sys::stat::makedev(1, 3),
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

    let imported =
        world.store.import(&root, Some("localhost/dir:1"), &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.notes.len(), 2, "{:?}", imported.notes);
    let image = world.store.find("localhost/dir:1").unwrap();
    let stat = |path: &str| fs::symlink_metadata(image.layers[0].join(path)).unwrap();
    assert_eq!(stat("etc/file").mode() & 0o7777, 0o4711);
    assert_eq!(stat("etc/file").ino(), stat("second").ino());
    assert_eq!((stat("etc/x").uid(), stat("etc/x").gid()), (5, 6));
    assert_eq!(fs::read_link(image.layers[0].join("link")).unwrap(), Path::new("/outside/../.."));
    assert_eq!(read(&image, 0, &long), "long");
    assert_eq!(xattr::get(image.layers[0].join("etc/file"), "user.mime").unwrap().unwrap(), b"a\0b");
    assert!(!image.layers[0].join("dev/null").exists());
    let again = world.store.import(&root, Some("localhost/dir:2"), &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(again.record.id, imported.record.id);
    world.check("directory");

    for (path, why) in [(world.path("nothing"), "No such file"), (world.scratch.path().to_owned(), "store itself")] {
        let error = world.store.import(&path, Some("localhost/x:1"), &Overrides::default(), Limits::default());
        assert!(error.unwrap_err().to_string().contains(why));
    }
    fs::create_dir(world.path("empty")).unwrap();
    let nameless = world.store.import(&root, None, &Overrides::default(), Limits::default()).unwrap_err();
    assert!(nameless.to_string().contains("give a name"));
    for name in ["podlet.local/host", "podlet.local/actor:latest", "Bad Name"] {
        assert!(world.store.import(&root, Some(name), &Overrides::default(), Limits::default()).is_err(), "{name}");
    }
}

#[test]
fn an_archive_of_docker_save_comes_in() {
    let world = World::new("docker");
    let layer = Tar::default().file("a", "docker").end();
    let config = json!({"os": "linux", "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }, "config": {"Entrypoint": ["/a"]}, "rootfs": {"diff_ids": [Digest::of(&layer).to_string()]}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["busybox:9"], "Layers": ["x/layer.tar"]}]);
    let text = String::from_utf8(layer).unwrap();
    let archive = Tar::default()
        .file("x/layer.tar", &text)
        .file("config.json", &config.to_string())
        .file("manifest.json", &manifest.to_string())
        .end();
    fs::write(world.path("docker.tar"), archive).unwrap();
    let imported =
        world.store.import(&world.path("docker.tar"), None, &Overrides::default(), Limits::default()).unwrap();
    assert_eq!(imported.record.name, "docker.io/library/busybox:9");
    let image = world.store.find("busybox:9").unwrap();
    assert_eq!(read(&image, 0, "a"), "docker");
    assert_eq!(image.config.entrypoint, ["/a"]);
}

/// Docker before 25 wrote a layer that two images share once, and a link in the other one's directory.
#[test]
fn all_images_of_an_archive_come_in_nameless_ones_too() {
    let world = World::new("several");
    let layer = String::from_utf8(Tar::default().file("a", "shared").end()).unwrap();
    let config = |n: u32| {
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let digest = Digest::of(layer.as_bytes()).to_string();
        let config = json!({"os": "linux", "architecture": architecture, "config": {"Env": [format!("N={n}")]}, "rootfs": {"diff_ids": [digest]}});
        config.to_string()
    };
    let image = |config: &str, tags, layer: &str| json!({"Config": config, "RepoTags": tags, "Layers": [layer]});
    let manifest = json!([
        image("0123456789abcdef.json", json!(["one:1", "one:2"]), "x/layer.tar"),
        image("fedcba9876543210.json", json!(null), "y/layer.tar"),
        image("three.json", json!([]), "y/layer.tar"),
    ]);
    let archive = Tar::default()
        .symlink("y/layer.tar", "../x/layer.tar")
        .file("x/layer.tar", &layer)
        .file("0123456789abcdef.json", &config(1))
        .file("fedcba9876543210.json", &config(2))
        .file("three.json", &config(3))
        .file("manifest.json", &manifest.to_string())
        .end();
    fs::write(world.path("all.tar.gz"), gzip(&archive)).unwrap();
    let loaded = world.store.load(&world.path("all.tar.gz"), Limits::default()).unwrap();
    let names: Vec<_> = loaded.iter().map(|imported| imported.record.name.as_str()).collect();
    let expected =
        ["docker.io/library/one:1", "docker.io/library/one:2", "localhost/all:fedcba987654", "localhost/all:image-3"];
    assert_eq!(names, expected);
    assert_eq!(read(&world.store.find("localhost/all:image-3").unwrap(), 0, "a"), "shared");
    let notes: Vec<_> = loaded.iter().flat_map(|imported| &imported.notes).collect();
    assert!(
        notes.len() == 2 && notes[0].ends_with("has no name and is loaded as localhost/all:fedcba987654"),
        "{notes:?}"
    );
    world.check("several");
}

#[test]
fn names_share_layers_and_the_last_one_takes_them_along() {
    let world = World::new("remove");
    let busybox = common::import_busybox(&world.store);
    assert_eq!(busybox.config.cmd, ["sh"]);
    assert_eq!(fs::read_link(busybox.layers[0].join("bin/sh")).unwrap(), Path::new("busybox"));
    // The same once more: its links are of another second perhaps, and so its layer is another one.
    let busybox = common::import_busybox(&world.store);
    let image = world.import_tar(&Tar::default().file("a", "").end()).unwrap();
    fs::copy(world.path("archive.tar"), world.path("b.tar")).unwrap();
    world
        .store
        .import(&world.path("b.tar"), Some("localhost/test:2"), &Overrides::default(), Limits::default())
        .unwrap();
    let names = |store: &Store| store.list().unwrap().into_iter().map(|record| record.name).collect::<Vec<_>>();
    assert_eq!(names(&world.store), ["localhost/busybox:1", "localhost/test:1", "localhost/test:2"]);

    assert_eq!(world.store.remove("localhost/test:1", &[]).unwrap().deleted, None);
    assert!(image.layers[0].exists());
    let error = world.store.remove("localhost/test:2", std::slice::from_ref(&image.id)).unwrap_err();
    assert_eq!(error.to_string(), "localhost/test:2 is in use by a pod; delete the pod first");
    assert_eq!(world.store.remove("localhost/test:2", &[]).unwrap().deleted, Some(image.id.clone()));
    assert!(!image.layers[0].exists());
    assert!(busybox.layers[0].exists());
    assert!(matches!(world.store.remove("localhost/test:2", &[]), Err(ImageError::Absent(_))));

    // A newer image under the same name leaves the old one's layers to the pod that uses them.
    let old = world.import_tar(&Tar::default().file("old", "").end()).unwrap();
    let new = world.import_tar(&Tar::default().file("new", "").end()).unwrap();
    world.store.remove("localhost/busybox:1", std::slice::from_ref(&old.id)).unwrap();
    assert!(old.layers[0].exists() && new.layers[0].exists());
    world.store.remove("localhost/test:1", &[]).unwrap();
    assert!(!old.layers[0].exists() && !new.layers[0].exists());
    assert_eq!(names(&world.store), [""; 0]);
    world.check("remove");
}

#[test]
fn a_writer_that_died_leaves_nothing_for_long() {
    let world = World::new("crash");
    world.import_tar(&Tar::default().file("a", "").end()).unwrap();
    // As a killed process leaves it: a directory in tmp that nobody holds, deeper than any path can name.
    let mut directory = fs::File::open(world.path("images/tmp")).unwrap();
    for _ in 0..3000 {
        use nix::fcntl::{OFlag, openat};
        use nix::sys::stat::{Mode, mkdirat};
        mkdirat(&directory, "left", Mode::from_bits_truncate(0o700)).unwrap();
        directory = openat(&directory, "left", OFlag::O_DIRECTORY, Mode::empty()).unwrap().into();
    }
    drop(directory);
    world.import_tar(&Tar::default().file("b", "").end()).unwrap();
    world.check("crash");
}

#[test]
fn two_writers_of_one_image_do_not_meet() {
    let world = World::new("two");
    let archive = (0..200).fold(Tar::default(), |tar, n| tar.file(&format!("d{}/f{n}", n % 7), "x")).end();
    fs::write(world.path("a.tar"), &archive).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let name = format!("localhost/two:{}", number % 2);
                let store = world.store.clone();
                store.import(&world.path("a.tar"), Some(&name), &Overrides::default(), Limits::default()).unwrap();
                store.find(&name).unwrap();
                store.find("podlet.local/actor").unwrap();
            });
        }
    });
    assert_eq!(world.store.list().unwrap().len(), 3);
    world.check("two");
}

/// What a lower layer has counts for the ones above it, and only there.
#[test]
fn a_layer_takes_from_those_below_what_it_leaves_out() {
    let world = World::new("below");
    let lower = Tar::default()
        .changed(EntryType::Directory, b"tmp", b"", b"", |header| {
            header.set_mode(0o1777);
            header.set_uid(7);
        })
        .directory("usr/bin")
        .mode(0o4755, "usr/bin/tool", "tool")
        .symlink("bin", "usr/bin")
        .symlink("usr/bin/other", "tool")
        .file("hidden", "")
        .end();
    let middle = Tar::default().file(".wh.hidden", "").end();
    let upper = Tar::default()
        .file("tmp/new", "")
        .hard_link("first", "bin/tool")
        .hard_link("second", "usr/bin/tool")
        .hard_link("link", "/bin/other")
        .end();
    let image = world.import(&world.layout(&[lower.clone(), middle.clone(), upper.clone()], |_| {})).unwrap();
    let stat = |layer: usize, path: &str| fs::symlink_metadata(image.layers[layer].join(path)).unwrap();
    // A directory that the archive does not name is as it was.
    assert_eq!((stat(2, "tmp").mode() & 0o7777, stat(2, "tmp").uid()), (0o1777, 7));
    assert_eq!(stat(2, "tmp").mtime(), 1_000_000_000);
    // A link to a lower layer's file is a copy of it, set-user-ID bit and time included; two links are one file.
    assert_eq!(read(&image, 2, "first"), "tool");
    assert_eq!((stat(2, "first").mode() & 0o7777, stat(2, "first").mtime()), (0o4755, 1_000_000_000));
    assert_eq!((stat(2, "first").ino(), stat(2, "first").nlink()), (stat(2, "second").ino(), 2));
    assert_ne!(stat(2, "first").ino(), stat(0, "usr/bin/tool").ino());
    assert_eq!(fs::read_link(image.layers[2].join("link")).unwrap(), Path::new("tool"));

    // The same layer above another one is another layer; what it shares it shares.
    let other = Tar::default().directory("tmp").file("usr/bin/tool", "another").symlink("bin", "usr/bin");
    let other = other.file("usr/bin/other", "o").end();
    let second = world.import(&world.layout(&[other, middle.clone(), upper], |_| {})).unwrap();
    assert_eq!(read(&second, 2, "first"), "another");
    assert_eq!(fs::metadata(second.layers[2].join("tmp")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!((second.layers[1] == image.layers[1], second.layers[2] == image.layers[2]), (true, false));

    // What a whiteout hides cannot be linked to.
    let late = Tar::default().hard_link("x", "hidden").end();
    let hidden = world.import(&world.layout(&[lower, middle, late], |_| {})).unwrap_err().to_string();
    assert!(hidden.contains("\"x\" in the archive is a hard link to \"hidden\", which is in no layer"), "{hidden}");
    // All of it goes with the last name.
    world.store.remove("localhost/test:1", &[]).unwrap();
    assert_eq!(fs::read_dir(world.path("images/layers")).unwrap().count(), 0);
    world.check("below");
}

/// umoci and others end an archive with the last byte of its last file.
#[test]
fn an_archive_may_end_without_filling_and_mark() {
    let world = World::new("unfilled");
    let mut archive = Tar::default().file("a", "one").file("b", "two").0;
    archive.truncate(archive.len() - 512 + 3);
    let image = world.import_tar(&archive).unwrap();
    assert_eq!(read(&image, 0, "b"), "two");
    archive.truncate(archive.len() - 1);
    let error = world.import_tar(&archive).unwrap_err().to_string();
    assert!(error.contains("ends within"), "{error}");
    world.check("unfilled");
}

#[test]
fn files_keep_their_holes() {
    let world = World::new("sparse");
    let root = world.path("root");
    fs::create_dir(&root).unwrap();
    let file = fs::File::create(root.join("holes")).unwrap();
    for at in [0u64, 1 << 20, 40 << 20] {
        std::os::unix::fs::FileExt::write_at(&file, format!("at {at}").as_bytes(), at).unwrap();
    }
    file.set_len(64 << 20).unwrap();
    let expected = fs::read(root.join("holes")).unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=0.0"],
    ] {
        let archive = world.path("sparse.tar");
        let tar = std::process::Command::new("tar")
            .args(["-cS", "-f"])
            .arg(&archive)
            .args(format)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status()
            .unwrap();
        assert!(tar.success());
        assert!(fs::metadata(&archive).unwrap().len() < 1 << 20, "the archive is sparse");
        let image = world.import(&archive).unwrap();
        let made = image.layers[0].join("holes");
        assert_eq!(fs::read(&made).unwrap(), expected, "{format:?}");
        assert!(fs::metadata(&made).unwrap().blocks() < 4096, "{format:?}");
    }
    world.check("sparse");
}

/// Whoever made an image: what is saved has its ID and its layers, and is the same again when it is loaded and saved elsewhere.
#[test]
fn what_is_saved_is_the_image_that_came_in() {
    let world = World::new("saved");
    let lower = Tar::default()
        .directory("./")
        .directory("d")
        .pax(&[("mtime", "5.25"), ("SCHILY.xattr.user.x", "y")])
        .file("d/a", &"content ".repeat(40_000))
        .hard_link("hard", "d/a")
        .symlink("link", "d")
        .file("link/b", "through a link")
        .file("empty", "")
        .entry(EntryType::Fifo, b"pipe", b"", b"");
    // As GNU tar fills its last record.
    let mut lower = lower.end();
    lower.resize(lower.len().next_multiple_of(10_240), 0);
    let upper =
        Tar::default().file("d/.wh.b", "").file("new/file", "in a directory that is not named").hard_link("up", "d/a");
    let layout = world.layout(&[lower, upper.end()], |_| {});
    let image = world.import(&layout).unwrap();
    let names = ["localhost/test:1".to_owned()];
    let archive = world.path("saved.tar");
    let save = |store: &Store, to: &Path| store.save(&names, fs::File::create(to).unwrap()).unwrap();
    assert_eq!(save(&world.store, &archive), Vec::<String>::new());
    let other = Store::open(&world.path("other"));
    let loaded = other.load(&archive, Limits::default()).unwrap().remove(0).record;
    let record = world.store.list().unwrap().remove(0);
    assert_eq!((loaded.id.to_string(), &loaded.layers), (image.id, &record.layers));
    // Its layers came in compressed, which cannot be done again by another program.
    assert_ne!(loaded.digest, record.digest);
    let again = world.path("again.tar");
    assert_eq!(save(&other, &again), Vec::<String>::new());
    assert!(fs::read(&archive).unwrap() == fs::read(&again).unwrap());
    world.check("saved");
}

/// A file that an archive has twice is in the layer once: the archive cannot be written again, and that is told.
#[test]
fn a_layer_that_is_packed_anew_is_told() {
    let world = World::new("saved-anew");
    let image = world.import_tar(&Tar::default().file("twice", "first").file("twice", "second").end()).unwrap();
    let archive = world.path("saved.tar");
    let notes = world.store.save(&["localhost/test:1".to_owned()], fs::File::create(&archive).unwrap()).unwrap();
    assert!(notes[0].contains(" is packed anew, as sha256:"), "{notes:?}");
    let other = Store::open(&world.path("other"));
    let loaded = other.load(&archive, Limits::default()).unwrap().remove(0).record;
    assert_eq!(notes[1..], [format!("localhost/test:1 gets another ID, {}", loaded.id)]);
    assert_ne!(loaded.id.to_string(), image.id);
    assert_eq!(read(&other.find("localhost/test:1").unwrap(), 0, "twice"), "second");
    world.check("saved anew");
}
