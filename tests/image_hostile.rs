//! Hostile images, as a user meets them: each row of the tables names the trick, and what podlet says to it. Nothing outside
//! of the store is touched, and nothing of what was refused stays. Needs root.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/image_source.rs"]
mod image_source;
#[path = "common/image.rs"]
mod scratch;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::podlet::{Podlet, container, text};
use image_source::{Layout, Tar, World, gzip, zstd};
use podlet::image::{Digest, Limits, Overrides};
use scratch::Scratch;
use serde_json::{Value, json};
use tar::{EntryType, Header};

const NAME: &str = "localhost/test:1";

/// podlet, with a canary beside its store.
struct Cage {
    podlet: Podlet,
}

/// What an archive leads to.
enum End {
    /// These words on standard error.
    Refused(&'static str),
    /// It comes in, with these words among the notes, and this is so in its (only) layer.
    TakenIn(&'static str, Box<dyn Fn(&Path)>),
}
use End::{Refused, TakenIn};

impl Cage {
    fn new() -> Cage {
        let podlet = Podlet::new();
        fs::create_dir(podlet.root.join("outside")).unwrap();
        fs::write(podlet.root.join("outside/canary"), "alive").unwrap();
        Cage { podlet }
    }

    fn outside(&self) -> String {
        self.podlet.root.join("outside").display().to_string()
    }

    /// The layers' directories and what was noted, or what was said.
    fn import(&self, source: &Path) -> Result<(Vec<PathBuf>, String), String> {
        let output = self.podlet.run(&["image", "import", &source.display().to_string(), NAME]);
        let said = text(&output.stderr).to_owned();
        match output.status.code() {
            Some(0) => {}
            Some(1) => return Err(said),
            other => panic!("ended with {other:?}: {said}"),
        }
        let seen: Value = serde_json::from_str(&self.podlet.succeed(&["image", "inspect", NAME])).unwrap();
        let layers = seen["layerDirectories"].as_array().unwrap().iter();
        Ok((layers.map(|layer| PathBuf::from(layer.as_str().unwrap())).collect(), said))
    }

    fn import_tar(&self, bytes: &[u8]) -> Result<(Vec<PathBuf>, String), String> {
        let path = self.podlet.root.join("archive.tar");
        fs::write(&path, bytes).unwrap();
        self.import(&path)
    }

    fn import_layout(
        &self,
        layers: &[Vec<u8>],
        change: impl FnOnce(&mut Layout),
    ) -> Result<(Vec<PathBuf>, String), String> {
        let path = self.podlet.root.join("layout");
        let _ = fs::remove_dir_all(&path);
        let mut layout = Layout::new(layers);
        change(&mut layout);
        layout.write(&path);
        self.import(&path)
    }

    /// What was refused is told in one line, and nothing of it is there.
    fn refused(&self, what: &str, end: Result<(Vec<PathBuf>, String), String>, why: &str) {
        let said = match end {
            Ok(_) => panic!("{what} should be refused"),
            Err(said) => said,
        };
        assert!(said.starts_with("error: ") && said.contains(why), "{what}: {said}");
        assert!(said.trim_end().lines().count() == 1 && said.len() < 5000, "{what}: {said}");
        assert!(!said.contains('\u{1b}'), "{what}: {said}");
        self.check(what);
        for directory in ["names", "layers", "blobs/sha256"] {
            let path = self.podlet.root.join("state/images").join(directory);
            assert_eq!(fs::read_dir(path).into_iter().flatten().count(), 0, "{what}: {directory}");
        }
    }

    /// The canary lives, and nothing is left of what was not finished.
    fn check(&self, what: &str) {
        let root = &self.podlet.root;
        assert_eq!(fs::read_to_string(root.join("outside/canary")).unwrap(), "alive", "{what}");
        assert_eq!(fs::metadata(root.join("outside/canary")).unwrap().mode() & 0o7777, 0o644, "{what}");
        assert_eq!(fs::read_dir(root.join("outside")).unwrap().count(), 1, "{what}");
        assert_eq!(fs::read_dir(root.join("state/images/tmp")).into_iter().flatten().count(), 0, "{what}");
        // Who is not root sees none of it, whatever modes the image has (CVE-2024-25621).
        assert_eq!(fs::metadata(root.join("state/images")).unwrap().mode() & 0o777, 0o700, "{what}");
    }
}

fn is(expected: &'static str, path: &'static str) -> Box<dyn Fn(&Path)> {
    Box::new(move |layer| assert_eq!(fs::read_to_string(layer.join(path)).unwrap(), expected, "{path}"))
}

fn xattr_is(path: &'static str, name: &'static str, expected: Option<&'static [u8]>) -> Box<dyn Fn(&Path)> {
    Box::new(move |layer| assert_eq!(xattr::get(layer.join(path), name).unwrap().as_deref(), expected, "{path} {name}"))
}

fn nothing() -> Box<dyn Fn(&Path)> {
    Box::new(|_| {})
}

/// cap_net_raw=ep of revision 2, and of revision 3 with root as 100000.
const CAPABILITY_2: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CAPABILITY_3: &[u8] = b"\x01\0\0\x03\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa0\x86\x01\0";

fn t() -> Tar {
    Tar::default()
}

/// A header's size field.
fn size_field(bytes: &'static [u8; 12]) -> impl FnOnce(&mut Header) {
    move |header| header.as_old_mut().size.copy_from_slice(bytes)
}

/// An old GNU sparse entry: (offset, length) pairs, real size.
fn gnu_sparse(pieces: &[(u64, u64)], real: u64, content: &[u8]) -> Tar {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..1].copy_from_slice(b"x");
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    let gnu = header.as_gnu_mut().unwrap();
    for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(pieces) {
        slot.offset.copy_from_slice(format!("{offset:011o}\0").as_bytes());
        slot.numbytes.copy_from_slice(format!("{length:011o}\0").as_bytes());
    }
    // Binary: it may be larger than octal digits hold.
    gnu.realsize = [0; 12];
    gnu.realsize[0] = 0x80;
    gnu.realsize[4..].copy_from_slice(&real.to_be_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Tar(bytes)
}

/// Part of the threat, what is tried, the archive, what comes of it.
type Row = (&'static str, &'static str, Vec<u8>, End);

#[test]
#[rustfmt::skip] // A row a line.
#[allow(clippy::too_many_lines)]
fn archives() {
    let cage = Cage::new();
    let outside = cage.outside();
    let canary = format!("{outside}/canary");
    let up = format!("{}{outside}", "../".repeat(9).trim_end_matches('/'));
    let rows: Vec<Row> = vec![
        ("..", "in a name", t().file("../canary", "x").end(), Refused("leads out of the image by \"..\"")),
        ("..", "in the midst", t().file("a/../../canary", "x").end(), Refused("leads out")),
        ("..", "by PAX", t().pax(&[("path", "../../canary")]).file("x", "x").end(), Refused("leads out")),
        ("..", "by GNU's long name", t().long(EntryType::GNULongName, b"../c").file("x", "x").end(), Refused("leads out")),
        ("..", "in a directory", t().directory("../outside/").end(), Refused("leads out")),
        ("..", "in a whiteout", t().file("../outside/.wh.canary", "").end(), Refused("leads out")),
        ("absolute", "a name", t().file(&canary, "x").end(), TakenIn("", nothing())),
        ("absolute", "a whiteout", t().file(&format!("{outside}/.wh.canary"), "").end(), TakenIn("", nothing())),
        ("symlink parents", "up, then through", t().symlink("d", "../../../../..").file("d/canary", "x").end(), TakenIn("", is("x", "canary"))),
        ("symlink parents", "absolute, to what is made inside", t().directory(outside.trim_start_matches('/')).symlink("d", &outside).file("d/canary", "x").end(), TakenIn("", nothing())),
        ("symlink parents", "replaced by a directory", t().symlink("d", &up).directory("d").file("d/canary", "x").end(), TakenIn("", is("x", "d/canary"))),
        ("symlink parents", "replaced by a file", t().symlink("c", &canary).file("c", "x").end(), TakenIn("", is("x", "c"))),
        ("symlink parents", "in place of a directory", t().file("d/f", "").symlink("d", &outside).end(), TakenIn("", nothing())),
        ("symlink parents", "to nowhere", t().symlink("d", "nowhere").file("d/x", "").end(), Refused("could not make")),
        ("symlink parents", "to itself", t().symlink("d", "d").file("d/x", "").end(), Refused("could not enter")),
        ("symlink parents", "a chain of 60", (0..60).fold(t(), |tar, n| tar.symlink(&format!("l{n}"), &format!("l{}", n + 1))).file("l0/x", "").end(), Refused("could not enter")),
        ("symlink parents", "whose whiteout", t().symlink("d", &outside).file("d/.wh.canary", "").end(), Refused("could not make")),
        ("symlink parents", "opaque", t().symlink("d", &outside).file("d/.wh..wh..opq", "").end(), Refused("could not make")),
        ("symlink parents", "a file as one", t().file("f", "").file("f/x", "").end(), Refused("Not a directory")),
        ("symlink parents", "/proc", t().symlink("p", "/proc/self/root").file("p/x", "").end(), Refused("could not make")),
        ("hard links", "out by ..", t().hard_link("x", "../../../outside/canary").end(), Refused("leads out")),
        ("hard links", "to the machine's file", t().hard_link("x", &canary).end(), Refused("which is in no layer of the image")),
        ("hard links", "through a link", t().symlink("d", &outside).hard_link("x", "d/canary").end(), Refused("in no layer")),
        ("hard links", "to a link, then a file", t().symlink("s", &canary).hard_link("h", "s").file("h", "x").end(), TakenIn("", is("x", "h"))),
        ("hard links", "to a directory", t().directory("d").hard_link("x", "d").end(), Refused("is no file")),
        ("hard links", "to the root", t().hard_link("x", "./").end(), Refused("is the root")),
        ("hard links", "to nothing", t().hard_link("x", "").end(), Refused("is the root")),
        ("hard links", "to itself", t().file("f", "kept").hard_link("f", "f").end(), TakenIn("", is("kept", "f"))),
        ("hard links", "to itself by a detour", t().file("f", "kept").symlink("d", ".").hard_link("d/f", "f").end(), TakenIn("", is("kept", "f"))),
        ("hard links", "to each other", t().hard_link("a", "b").hard_link("b", "a").end(), Refused("in no layer")),
        ("hard links", "to a whiteout", t().file(".wh.x", "").hard_link("y", "x").end(), Refused("is no file")),
        ("hard links", "with a content of their own", t().file("f", "kept").changed(EntryType::Link, b"l", b"f", b"other content", |_| {}).file("after", "it").end(), TakenIn("", Box::new(|layer| { is("kept", "l")(layer); is("it", "after")(layer); }))),
        // What is written through one name of several must not change the mode of a file outside (CVE-2021-32760).
        ("hard links", "that would change a mode", t().symlink("s", &canary).changed(EntryType::Link, b"h", b"s", b"", |header| header.set_mode(0o4777)).end(), TakenIn("", nothing())),
        ("whiteouts", "of no name", t().file(".wh.", "").end(), Refused("whiteout of no file")),
        ("whiteouts", ".wh.. is the directory", t().file("a/.wh..", "").end(), Refused("whiteout of no file")),
        ("whiteouts", ".wh... is its parent", t().file("a/.wh...", "").end(), Refused("whiteout of no file")),
        ("whiteouts", "of a whiteout", t().file(".wh..wh.x", "").end(), TakenIn("only aufs understands", nothing())),
        ("whiteouts", "as a directory", t().directory(".wh.d").end(), TakenIn("", Box::new(|layer| { let made = fs::symlink_metadata(layer.join("d")).unwrap(); assert!(made.file_type().is_char_device() && made.rdev() == 0); }))),
        ("whiteouts", "as a link", t().symlink(".wh.d", &canary).end(), TakenIn("", nothing())),
        ("whiteouts", "below a whiteout", t().file(".wh.d", "").file("d/x", "new").end(), TakenIn("", is("new", "d/x"))),
        ("opaque order", "after what it must not hide", t().file("d/x", "new").file("d/.wh..wh..opq", "").end(), TakenIn("", is("new", "d/x"))),
        ("opaque order", "before", t().file("d/.wh..wh..opq", "").file("d/x", "new").end(), TakenIn("", xattr_is("d", "trusted.overlay.opaque", Some(b"y")))),
        ("opaque order", "of the root", t().file(".wh..wh..opq", "").file("x", "new").end(), TakenIn("", is("new", "x"))),
        ("duplicates", "file, file", t().file("x", "first").file("x", "second").end(), TakenIn("", is("second", "x"))),
        ("duplicates", "file, directory", t().file("x", "f").directory("x").file("x/y", "in").end(), TakenIn("", is("in", "x/y"))),
        ("duplicates", "directory, file", t().file("x/y", "in").file("x", "f").end(), TakenIn("", is("f", "x"))),
        ("duplicates", "directory, directory", t().file("x/y", "in").directory("x").end(), TakenIn("", is("in", "x/y"))),
        ("duplicates", "of one file's two names", t().file("x", "a").hard_link("y", "x").file("x", "b").end(), TakenIn("", is("a", "y"))),
        ("duplicates", "the root", t().directory("./").directory("/").file("x", "").end(), TakenIn("", is("", "x"))),
        ("duplicates", "the root as a file", t().file("./", "").symlink("/", "x").end(), Refused("root is not a directory")),
        ("devices", "of characters", t().entry(EntryType::Char, b"null", b"", b"").end(), Refused("is a device")),
        ("devices", "of blocks", t().entry(EntryType::Block, b"x/sda", b"", b"").end(), Refused("is a device")),
        ("devices", "0/0, a whiteout in overlayfs' own form", t().entry(EntryType::Char, b"etc", b"", b"").end(), Refused("is a device")),
        ("devices", "below /dev", t().entry(EntryType::Char, b"dev/null", b"", b"").end(), TakenIn("gets a /dev of its own", nothing())),
        ("devices", "a pipe", t().entry(EntryType::Fifo, b"p", b"", b"").end(), TakenIn("", Box::new(|layer| { assert!(fs::symlink_metadata(layer.join("p")).unwrap().file_type().is_fifo()); }))),
        ("setuid", "kept, as the image says", t().mode(0o6755, "su", "#!").end(), TakenIn("", Box::new(|layer| { assert_eq!(fs::metadata(layer.join("su")).unwrap().mode() & 0o7777, 0o6755); }))),
        ("setuid", "with an owner", t().pax(&[("uid", "1234")]).mode(0o4755, "su", "#!").end(), TakenIn("", Box::new(|layer| { let made = fs::metadata(layer.join("su")).unwrap(); assert_eq!((made.mode() & 0o7777, made.uid()), (0o4755, 1234)); }))),
        ("setuid", "a type in the mode", t().mode(0o120_777, "f", "x").end(), TakenIn("", is("x", "f"))),
        ("owners", "user -1", t().pax(&[("uid", "4294967295")]).file("x", "y").end(), Refused("impossible user")),
        ("owners", "group beyond 32 bits", t().pax(&[("gid", "4294967296")]).file("x", "y").end(), Refused("impossible group")),
        ("owners", "no number", t().pax(&[("uid", "-5")]).file("x", "y").end(), Refused("malformed")),
        ("PAX", "trusted.overlay.opaque", t().pax(&[("SCHILY.xattr.trusted.overlay.opaque", "y")]).directory("d").end(), Refused("overlayfs is steered")),
        ("PAX", "trusted.overlay.redirect", t().pax(&[("SCHILY.xattr.trusted.overlay.redirect", "/etc")]).directory("d").end(), Refused("overlayfs is steered")),
        ("PAX", "trusted.overlay.metacopy", t().pax(&[("SCHILY.xattr.trusted.overlay.metacopy", "")]).file("f", "").end(), Refused("overlayfs is steered")),
        ("PAX", "user.overlay.opaque", t().pax(&[("SCHILY.xattr.user.overlay.opaque", "y")]).directory("d").end(), Refused("overlayfs is steered")),
        ("PAX", "an SELinux label", t().pax(&[("SCHILY.xattr.security.selinux", "x")]).file("f", "").end(), TakenIn("\"security.selinux\" of \"f\" left out", nothing())),
        ("PAX", "an ACL", t().pax(&[("SCHILY.xattr.system.posix_acl_access", "x")]).file("f", "").end(), TakenIn("left out", nothing())),
        ("PAX", "an attribute without a name", t().pax(&[("SCHILY.xattr.", "x")]).file("f", "").end(), TakenIn("\"\" of \"f\" left out", nothing())),
        ("PAX", "an attribute with a line end", t().pax(&[("SCHILY.xattr.user.a\nb", "x")]).file("f", "").end(), TakenIn("", xattr_is("f", "user.a\nb", Some(b"x")))),
        ("PAX", "an attribute of too long a name", t().pax(&[(&format!("SCHILY.xattr.user.{}", "n".repeat(300)), "x")]).file("f", "").end(), Refused("could not set an attribute of \"f\"")),
        ("PAX", "capabilities of revision 2", t().pax_bytes(&[("SCHILY.xattr.security.capability", CAPABILITY_2)]).file("f", "").end(), TakenIn("", xattr_is("f", "security.capability", Some(CAPABILITY_2)))),
        ("PAX", "capabilities of revision 3", t().pax_bytes(&[("SCHILY.xattr.security.capability", CAPABILITY_3)]).file("f", "").end(), TakenIn("", xattr_is("f", "security.capability", Some(CAPABILITY_3)))),
        ("PAX", "capabilities of no revision", t().pax(&[("SCHILY.xattr.security.capability", "\u{1}\n")]).file("f", "").end(), Refused("could not set an attribute of \"f\"")),
        ("PAX", "no length", t().entry(EntryType::XHeader, b"p", b"", b"path=x\n").file("f", "").end(), Refused("PAX header of the archive is malformed")),
        ("PAX", "a length beyond its end", t().entry(EntryType::XHeader, b"p", b"", b"99 path=x\n").file("f", "").end(), Refused("malformed")),
        ("PAX", "an empty path", t().pax(&[("path", "")]).file("f", "").end(), Refused("root is not a directory")),
        ("PAX", "a path with NUL", t().pax(&[("path", "a\0b")]).file("f", "").end(), Refused("NUL in its name")),
        ("PAX", "a name of a mebibyte", t().pax(&[("path", &"x/".repeat(600_000))]).file("x", "").end(), Refused("extension header")),
        ("PAX", "a name of 4096", t().pax(&[("path", &"x/".repeat(2048))]).file("x", "").end(), Refused("4096 bytes or more")),
        ("PAX", "a component of 256", t().pax(&[("path", &"x".repeat(256))]).file("x", "").end(), Refused("more than 255 bytes")),
        ("PAX", "a global header is none of a file's", t().entry(EntryType::XGlobalHeader, b"g", b"", b"18 path=../canary\n").file("f", "it").end(), TakenIn("", is("it", "f"))),
        ("PAX", "for an entry that never comes", t().file("f", "it").pax(&[("path", "../x")]).end(), TakenIn("", is("it", "f"))),
        ("GNU names", "200 bytes", t().long(EntryType::GNULongName, &[b'n'; 200]).file("x", "it").end(), TakenIn("", Box::new(|layer| { assert_eq!(fs::read_to_string(layer.join("n".repeat(200))).unwrap(), "it"); }))),
        ("GNU names", "a mebibyte", t().long(EntryType::GNULongName, &vec![b'n'; 1 << 21]).file("x", "").end(), Refused("extension header")),
        ("GNU names", "a long link out", t().long(EntryType::GNULongLink, b"../../etc/shadow").hard_link("x", "y").end(), Refused("leads out")),
        ("names", "a line end, an escape and bytes that are no text", t().entry(EntryType::Regular, b"a\n\x1b[31m\xff\xfe", b"", b"it").end(), TakenIn("", Box::new(|layer| { assert_eq!(fs::read_to_string(layer.join(OsStr::from_bytes(b"a\n\x1b[31m\xff\xfe"))).unwrap(), "it"); }))),
        ("names", "the same in a refusal", t().entry(EntryType::Char, b"a\n\x1b[31m\xff", b"", b"").end(), Refused(r#""a\n\u{1b}[31m\xFF" in the archive is a device"#)),
        ("names", "a link without a target", t().symlink("x", "").end(), Refused("without a usable target")),
        ("names", "an unknown type", t().entry(EntryType::new(b'Z'), b"x", b"", b"").end(), Refused("unknown type")),
        ("huge size", "PAX says another", t().pax(&[("size", "4096")]).file("x", "y").end(), Refused("two sizes, 1 and 4096")),
        ("huge size", "8 GiB by PAX, of which nothing comes", t().pax(&[("size", "8589934592")]).file("x", "").end(), Refused("ends within")),
        ("huge size", "8 GiB in octal", t().changed(EntryType::Regular, b"x", b"", b"", size_field(b"77777777777\0")).end(), Refused("ends within")),
        ("huge size", "2^62 of a directory", t().changed(EntryType::Directory, b"x", b"", b"", size_field(b"\x80\0\0\0\x40\0\0\0\0\0\0\0")).end(), Refused("ends within")),
        ("huge size", "2^63", t().changed(EntryType::Regular, b"x", b"", b"", size_field(b"\x80\0\0\0\x80\0\0\0\0\0\0\0")).end(), Refused("impossible size")),
        ("huge size", "-1", t().changed(EntryType::Regular, b"x", b"", b"", size_field(&[0xff; 12])).end(), Refused("impossible size")),
        ("huge size", "no number", t().changed(EntryType::Regular, b"x", b"", b"", size_field(b"hello world\0")).end(), Refused("damaged")),
        ("sparse", "without a map", t().pax(&[("GNU.sparse.major", "1")]).file("x", "y").end(), Refused("sparse")),
        ("sparse", "pieces that overlap", gnu_sparse(&[(0, 6), (3, 4)], 100, b"0123456789").end(), Refused("sparse file in the archive is malformed")),
        ("sparse", "a piece behind the end", gnu_sparse(&[(0, 10)], 5, b"0123456789").end(), Refused("malformed")),
        ("sparse", "less than the map says", gnu_sparse(&[(0, 100)], 100, b"0123456789").end(), Refused("malformed")),
        ("sparse", "an exbibyte of holes", gnu_sparse(&[(0, 10)], 1 << 60, b"0123456789").end(), Refused("with its holes, more than")),
        ("sparse", "a size below zero", gnu_sparse(&[(0, 10)], u64::MAX, b"0123456789").end(), Refused("malformed")),
        ("sparse", "0.1 with an odd map", t().pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,1,2")]).file("x", "y").end(), Refused("malformed")),
        ("sparse", "1.0 with a map of a thousand million", t().pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9")]).file("x", "1000000000\n").end(), Refused("pieces")),
        ("sparse", "a name out", t().pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "0"), ("GNU.sparse.name", "../x")]).file("x", &format!("0\n{}", "\0".repeat(510))).end(), Refused("leads out")),
        ("truncated", "within a file", t().file("x", &"y".repeat(5000)).end()[..2048].to_vec(), Refused("ends within a file")),
        ("truncated", "within a header", t().file("x", "").file("y", "").end()[..700].to_vec(), Refused("188 bytes of a header")),
        ("truncated", "gzip", gzip(&t().file("x", &"y".repeat(50_000)).end())[..60].to_vec(), Refused("damaged")),
        ("truncated", "gzip without its sum", { let all = gzip(&t().file("x", "y").end()); all[..all.len() - 8].to_vec() }, Refused("damaged")),
        ("truncated", "gzip with a wrong sum", { let mut all = gzip(&t().file("x", "y").end()); let at = all.len() - 5; all[at] ^= 1; all }, Refused("damaged")),
        ("truncated", "zstd", zstd(&t().file("x", &"y".repeat(50_000)).end())[..60].to_vec(), Refused("damaged")),
        ("truncated", "zstd that is none", b"\x28\xb5\x2f\xfd        ".to_vec(), Refused("damaged")),
        ("truncated", "a skippable frame", b"\x50\x2a\x4d\x18\xff\0\0\0x".to_vec(), Refused("damaged")),
        ("truncated", "a header behind an empty one", [vec![0; 512], t().file("x", "y").end()].concat(), Refused("goes on behind an empty header")),
        ("truncated", "a wrong checksum", { let mut all = t().file("x", "y").end(); all[0] ^= 1; all }, Refused("wrong checksum")),
        ("truncated", "no archive", b"hello".repeat(500), Refused("damaged")),
        ("truncated", "nothing", Vec::new(), Refused("holds no files")),
        ("truncated", "nothing but an end", vec![0; 10_240], Refused("holds no files")),
        ("packing", "two gzip members", { let all = t().file("x", "it").end(); [gzip(&all[..600]), gzip(&all[600..])].concat() }, TakenIn("", is("it", "x"))),
        ("packing", "an empty member first", [gzip(b""), gzip(&t().file("x", "it").end())].concat(), TakenIn("", is("it", "x"))),
        ("packing", "something else behind gzip", [gzip(&t().file("x", "it").end()), b"garbage that is no gzip".to_vec()].concat(), Refused("damaged")),
        ("packing", "bzip2", b"BZh91AY&SY".to_vec(), Refused("bzip2")),
        ("packing", "xz (CVE-2021-20291)", b"\xfd7zXZ\0\0\x04".to_vec(), Refused("xz")),
        ("packing", "gzip in gzip", gzip(&gzip(&t().file("x", "it").end())), Refused("damaged")),
        ("packing", "an archive in the archive", { let inner = t().file("../../canary", "x").end(); t().entry(EntryType::Regular, b"inner.tar", b"", &inner).end() }, TakenIn("", Box::new(|layer| { assert!(fs::metadata(layer.join("inner.tar")).unwrap().is_file()); }))),
        ("bombs", "80 MiB of zeros by gzip", gzip(&t().file("zeros", &"\0".repeat(80 << 20)).end()), Refused("taken for a bomb")),
        ("bombs", "80 MiB of zeros by zstd", zstd(&t().file("zeros", &"\0".repeat(80 << 20)).end()), Refused("taken for a bomb")),
        ("bombs", "zeros behind the archive's end", gzip(&[t().file("x", "").end(), vec![0; 80 << 20]].concat()), Refused("taken for a bomb")),
    ];
    for (part, what, bytes, end) in rows {
        let what = format!("{part}: {what}");
        let came = cage.import_tar(&bytes);
        match end {
            Refused(why) => cage.refused(&what, came, why),
            TakenIn(noted, check) => {
                let (layers, said) = came.unwrap_or_else(|said| panic!("{what}: {said}"));
                assert!(said.contains(noted) && !said.contains('\u{1b}'), "{what}: {said}");
                assert!(said.is_empty() || !noted.is_empty(), "{what}: {said}");
                check(&layers[0]);
                cage.check(&what);
                cage.podlet.succeed(&["image", "rm", NAME]);
            }
        }
    }
    cage.podlet.finish();
}

/// Layers that lean on each other.
#[test]
fn layers() {
    let cage = Cage::new();
    let outside = cage.outside();
    let link = t().symlink("d", &outside).end();
    // A directory of the upper layer's own hides the link (CVE-2019-14271's kin).
    let (layers, _) = cage.import_layout(&[link.clone(), t().file("d/canary", "x").end()], |_| {}).unwrap();
    assert!(fs::symlink_metadata(layers[1].join("d")).unwrap().is_dir());
    cage.check("a parent that is a link below");
    cage.podlet.succeed(&["image", "rm", NAME]);
    let whiteout = t().file("d/.wh.canary", "").end();
    cage.import_layout(&[link.clone(), whiteout], |_| {}).unwrap();
    cage.check("a whiteout through a link below");
    cage.podlet.succeed(&["image", "rm", NAME]);
    for (what, lower, upper) in [
        ("to the machine's file through a link below", link, t().hard_link("x", "d/canary").end()),
        ("through links without end", t().symlink("a", "b").symlink("b", "a").end(), t().hard_link("x", "a/y").end()),
        (
            "up and out",
            t().symlink("a", "../../../../../..").end(),
            t().hard_link("x", &format!("a{outside}/canary")).end(),
        ),
        ("to a directory", t().directory("e").end(), t().hard_link("x", "e").end()),
    ] {
        let came = cage.import_layout(&[lower, upper], |_| {});
        cage.refused(what, came, "in the");
    }
    cage.podlet.finish();
}

#[test]
#[rustfmt::skip] // A row a line.
fn layouts_that_lie() {
    let cage = Cage::new();
    let layer = || vec![t().file("a", "1").end()];
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    type Change = Box<dyn Fn(&mut Layout)>;
    let rows: Vec<(&str, &str, Change, &str)> = vec![
        ("digest", "a blob altered", Box::new(move |l| flip(&mut l.blobs[0].1)), "damaged"),
        ("digest", "another layer's blob", Box::new(|l| l.blobs[0].1 = gzip(&t().file("evil", "").end())), "layer"),
        ("digest", "a blob that is missing", Box::new(|l| l.blobs.clear()), "has no file"),
        ("digest", "another time in gzip's header", Box::new(|l| l.blobs[0].1[4] ^= 1), "has the digest sha256:"),
        ("size", "a blob too long", Box::new(|l| l.blobs[0].1.extend([0; 100])), "longer than"),
        ("size", "a blob too short", Box::new(|l| { l.blobs[0].1.pop(); }), "damaged"),
        ("size", "too small a number", Box::new(|l| l.layers[0]["size"] = json!(1)), "longer than"),
        ("size", "too large a number", Box::new(|l| l.layers[0]["size"] = json!(1_000_000)), "should have 1000000 bytes"),
        ("size", "below zero", Box::new(|l| l.layers[0]["size"] = json!(-1)), "not what it should be"),
        ("diff ID", "of another", Box::new(|l| l.config["rootfs"]["diff_ids"][0] = json!(Digest::of(b"x").to_string())), "unpacks to"),
        ("diff ID", "too few", Box::new(|l| l.config["rootfs"]["diff_ids"] = json!([])), "lists 1 layers"),
        ("diff ID", "too many", Box::new(|l| { let one = l.config["rootfs"]["diff_ids"][0].clone(); l.config["rootfs"]["diff_ids"] = json!([one.clone(), one]); }), "lists 1 layers"),
        ("a digest as a path", "of a layer", Box::new(|l| l.layers[0]["digest"] = json!("sha256:../../../../outside/canary")), "not a digest"),
        ("a digest as a path", "of another kind", Box::new(|l| l.layers[0]["digest"] = json!("../outside/canary")), "not a digest"),
        ("a digest as a path", "of a diff ID", Box::new(|l| l.config["rootfs"]["diff_ids"][0] = json!("sha256:../../x")), "not a digest"),
        ("a digest as a path", "upper case", Box::new(|l| l.layers[0]["digest"] = json!(format!("sha256:{}", "A".repeat(64)))), "not a digest"),
        ("600 layers", "", Box::new(|l| { l.layers = vec![l.layers[0].clone(); 600]; l.config["rootfs"]["diff_ids"] = json!(vec![l.config["rootfs"]["diff_ids"][0].clone(); 600]); }), "more than 128 layers"),
        ("index", "and manifest at once (CVE-2021-41190)", Box::new(|l| l.manifest_extra = json!({"manifests": []})), "either an index or a manifest"),
        ("index", "that is a number", Box::new(|l| l.index = Some(json!(7))), "not what it should be"),
        ("index", "of nothing", Box::new(|l| l.index = Some(json!({"manifests": []}))), "no image for"),
        ("index", "of a blob that is missing", Box::new(|l| l.index = Some(json!({"manifests": [{"digest": Digest::of(b"x").to_string(), "size": 1}]}))), "has no file"),
        ("index", "of an index of an index of an index of an index", Box::new(|l| { let put = |l: &mut Layout, value: &Value| { let bytes = serde_json::to_vec(value).unwrap(); let digest = Digest::of(&bytes); l.blobs.push((digest.hex().to_owned(), bytes.clone())); json!({"manifests": [{"digest": digest.to_string(), "size": bytes.len()}]}) }; let first = json!({"manifests": [{"digest": Digest::of(b"x").to_string(), "size": 1}]}); let nested = (0..5).fold(first, |inner, _| put(l, &inner)); l.index = Some(nested); }), "more than 4 indexes lead to one another"),
        ("another machine", "by the index", Box::new(|l| l.platform = json!({"os": "linux", "architecture": "s390x"})), "no image for linux/"),
        ("another machine", "by the configuration", Box::new(|l| l.config["architecture"] = json!("s390x")), "the image is for linux/s390x"),
        ("another machine", "Windows", Box::new(|l| l.config["os"] = json!("windows")), "the image is for windows/"),
        ("configuration", "NUL in the environment", Box::new(|l| l.config["config"]["Env"] = json!(["A=\0"])), "NUL"),
        ("configuration", "a thousand volumes", Box::new(|l| l.config["config"]["Volumes"] = (0..1000).map(|n| (format!("/{n}"), json!({}))).collect()), "1000 volumes"),
        ("configuration", "NUL in a volume", Box::new(|l| l.config["config"]["Volumes"] = json!({"/a\0": {}})), "NUL"),
        ("configuration", "an environment that is a text", Box::new(|l| l.config["config"]["Env"] = json!("A=1")), "not what it should be"),
        ("configuration", "of 5 MiB", Box::new(|l| l.config["x"] = json!("x".repeat(5 << 20))), "more than 4194304 bytes"),
        ("configuration", "nested a thousand deep", Box::new(|l| { l.config["x"] = (0..1000).fold(json!(1), |inner, _| json!([inner])); }), "not what it should be"),
    ];
    for (part, what, change, why) in rows {
        let came = cage.import_layout(&layer(), |layout| change(layout));
        cage.refused(&format!("{part}: {what}"), came, why);
    }
    // Blobs behind links, and pipes in place of files, are not opened.
    let path = cage.podlet.root.join("layout");
    let _ = fs::remove_dir_all(&path);
    Layout::new(&layer()).write(&path);
    fs::rename(path.join("blobs"), cage.podlet.root.join("blobs")).unwrap();
    symlink(cage.podlet.root.join("blobs"), path.join("blobs")).unwrap();
    cage.refused("blobs behind a link", cage.import(&path), "has no file");
    // Two files of one name in the archive of a layout: which one counts depends on the reader.
    let twice = t().file("manifest.json", "[]").file("manifest.json", "[]").end();
    cage.refused("manifest.json twice", cage.import_tar(&twice), "several of that name");
    let out = json!([{"Config": "../outside/canary", "RepoTags": ["x:1"], "Layers": []}]).to_string();
    cage.refused("a configuration outside", cage.import_tar(&t().file("manifest.json", &out).end()), "has no file");
    cage.podlet.finish();
}

#[test]
fn limits_are_told() {
    let world = World::new("limits");
    let zeros = t().file("zeros", &"\0".repeat(80 << 20)).end();
    let many = (0..300).fold(t(), |tar, n| tar.file(&format!("f{n}"), "")).end();
    let import = |bytes: &[u8], limits: Limits| {
        let path = world.path("bomb.tar.gz");
        fs::write(&path, bytes).unwrap();
        world.store.import(&path, Some(NAME), &Overrides::default(), limits)
    };
    for (what, bytes, limits, why) in [
        ("bytes", gzip(&zeros), Limits { bytes: 1 << 20, ..Limits::default() }, "its limit"),
        ("bytes, plain", zeros.clone(), Limits { bytes: 1 << 20, ..Limits::default() }, "its limit"),
        ("files", many, Limits { files: 299, ..Limits::default() }, "more than 299 files"),
    ] {
        let error = import(&bytes, limits).unwrap_err().to_string();
        assert!(error.contains(why), "{what}: {error}");
        world.check(what);
    }
    // Copies of one large file of the layer below count, too.
    let big = t().file("big", &"0123456789abcdef".repeat(256 << 10)).end();
    let links = (0..40).fold(t(), |tar, n| tar.hard_link(&format!("l{n}"), "big").file(&format!("l{n}"), ""));
    let layout = world.layout(&[big, links.end()], |_| {});
    let limits = Limits { bytes: 64 << 20, ..Limits::default() };
    let error = world.store.import(&layout, Some(NAME), &Overrides::default(), limits).unwrap_err().to_string();
    assert!(error.contains("unpacks to more than 67108864 bytes"), "{error}");
    world.check("copies");
    import(&gzip(&zeros), Limits { ratio: 2000, ..Limits::default() }).unwrap();
    // What is known already is not unpacked again.
    let path = world.layout(&[zeros], |_| {});
    world.store.import(&path, Some("localhost/l:1"), &Overrides::default(), Limits::default()).unwrap();
}

/// What an image's configuration says is input and no order: labels, volumes and annotations steer nothing on the machine.
#[test]
fn configurations_give_no_orders() {
    let podlet = Podlet::new();
    let shell = fs::read("/bin/busybox").unwrap();
    let change = |header: &mut Header| header.set_mode(0o755);
    let layer = t().directory("bin").changed(EntryType::Regular, b"bin/busybox", b"", &shell, change).end();
    let outside = podlet.root.join("outside");
    let mut layout = Layout::new(&[layer]);
    layout.config["config"] = json!({
        "Entrypoint": ["/bin/busybox", "sh", "-c"],
        "Cmd": ["for d in /outside /v; do [ -e $d ] && echo $d; done; pwd; exec /bin/busybox sleep 100000"],
        "WorkingDir": "/../../..",
        "StopSignal": "SIGKILL",
        "Env": ["PODLET_STATE_DIR=/x", "LD_PRELOAD=/x", "no equals sign", "=", "KUBERNETES_SERVICE_HOST=evil"],
        "Volumes": {"/../../v": {}, outside.to_str().unwrap(): {}, "/etc/../../../v": {}},
        "ExposedPorts": {"22/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "/bin/false"]},
        "Labels": {
            "podlet.dev/trace": "true",
            "io.kubernetes.pod.name": "other",
            "io.kubernetes.container.name": "other",
            "io.cri-containerd.image": "managed",
            "io.container.manager": "libpod",
        },
    });
    layout.manifest_extra = json!({"annotations": {"podlet.dev/trace": "true", "io.kubernetes.cri.sandbox-id": "x"}});
    let path = podlet.root.join("layout");
    layout.write(&path);
    podlet.succeed(&["image", "import", &path.display().to_string(), NAME]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": NAME}]},
    });
    podlet.apply(&pod.to_string());
    podlet.wait("web", |pod| container(pod, "c")["state"]["running"].is_object());
    common::podlet::until("the container has spoken", || podlet.logs("web", "c").lines().count() == 2);
    // Volumes are made in the container and nowhere else, wherever their paths lead, and up from the root is the root.
    assert_eq!(podlet.logs("web", "c"), "/v\n/\n");
    podlet.succeed(&["exec", "web", "--", "/bin/busybox", "test", "-d", outside.to_str().unwrap()]);
    assert!(!outside.exists() && !Path::new("/v").exists());
    let seen = podlet.pod("web").to_string();
    for order in ["podlet.dev/trace", "sandbox-id", "libpod", "hostPort"] {
        assert!(!seen.contains(order), "{order}: {seen}");
    }
    let environment = podlet.succeed(&["exec", "web", "--", "/bin/busybox", "env"]);
    assert!(environment.contains("PODLET_STATE_DIR"), "{environment}");
    podlet.succeed(&["delete", "pod", "web"]);
    podlet.succeed(&["image", "rm", NAME]);
    podlet.finish();
}

/// From a pipe the same is said, and nothing of the copy beside the store is left.
#[test]
fn standard_input_is_not_believed_either() {
    let cage = Cage::new();
    for (bytes, why) in [
        (gzip(&t().file("../x", "").end()), "leads out"),
        (gzip(&t().file("x", &"y".repeat(9000)).end())[..50].to_vec(), "damaged"),
        (Vec::new(), "holds no"),
    ] {
        for verb in ["import", "load"] {
            let words: &[&str] = if verb == "import" { &["image", "import", "-", NAME] } else { &["image", "load"] };
            let mut command = cage.podlet.command(words);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes);
            let output = child.wait_with_output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(why) || verb == "load", "{verb}: {said}");
            cage.check(verb);
        }
    }
    cage.podlet.finish();
}
