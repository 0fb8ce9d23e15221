//! The files of a configMap or secret volume, laid out so that they change all at once: user-visible links point through
//! `..data` into a dated directory, and one rename turns `..data`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::KeyToPath;

/// Data of a ConfigMap or Secret.
pub type Keys = BTreeMap<String, Vec<u8>>;
/// Relative path to content and permission bits.
pub type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Kubernetes' own default of `defaultMode`.
const DEFAULT_MODE: i32 = 0o644;

/// Chooses the files: all keys, or the `items`. The error is the first key that is missing.
pub fn project(keys: &Keys, items: Option<&[KeyToPath]>, mode: Option<i32>, optional: bool) -> Result<Files, String> {
    let bits = |mode: Option<i32>| u32::try_from(mode.unwrap_or(DEFAULT_MODE)).unwrap_or(0o644) & 0o777;
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(keys.iter().map(|(key, content)| (key.clone(), (content.clone(), bits(mode)))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match keys.get(&item.key) {
            Some(content) => {
                files.insert(item.path.clone(), (content.clone(), bits(item.mode.or(mode))));
            }
            None if optional => {}
            None => return Err(item.key.clone()),
        }
    }
    Ok(files)
}

/// Refuses what would leave the volume; validation has done so before, with better words.
fn checked(path: &str) -> io::Result<()> {
    let bad = path.is_empty()
        || path.starts_with('/')
        || path.starts_with("..")
        || path.len() > 4096
        || path.contains('\0')
        || path.split('/').any(|element| element.is_empty() || element == ".." || element.len() > 255);
    if bad { Err(io::Error::new(io::ErrorKind::InvalidInput, format!("invalid path \"{path}\""))) } else { Ok(()) }
}

/// Writes the files into a volume; does nothing when the same are there. `nested` are directories made for mounts; `finish`
/// is called with the new directory before anybody can see it.
pub fn write(
    volume: &Path,
    files: &Files,
    nested: &[String],
    finish: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    files.keys().try_for_each(|path| checked(path))?;
    let data = volume.join("..data");
    let old = fs::read_link(&data).ok();
    if old.is_some() && same(&data, files) {
        return Ok(());
    }
    let dated = dated_directory(volume)?;
    let inside = volume.join(&dated);
    for (path, (content, mode)) in files {
        let file = inside.join(path);
        if let Some(parent) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode))?;
    }
    finish(&inside)?;
    let turning = volume.join("..data_tmp");
    let _ = fs::remove_file(&turning);
    symlink(&dated, &turning)?;
    fs::rename(&turning, &data)?;
    let wanted: std::collections::BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), &link)?;
        }
    }
    for entry in fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_symlink() && !name.starts_with("..") && !wanted.contains(name.as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    // A name in this directory, and never the one above.
    if let Some(old) = old.filter(|old| old.file_name() == Some(old.as_os_str())) {
        let _ = fs::remove_dir_all(volume.join(old));
    }
    for path in nested {
        checked(path)?;
        fs::DirBuilder::new().recursive(true).mode(0o755).create(volume.join(path))?;
    }
    Ok(())
}

fn same(data: &Path, files: &Files) -> bool {
    fn count(directory: &Path) -> io::Result<usize> {
        let mut number = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            number += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
        }
        Ok(number)
    }
    let equal = |(path, (content, mode)): (&String, &(Vec<u8>, u32))| {
        let file = data.join(path);
        fs::read(&file).is_ok_and(|found| found == *content)
            && fs::metadata(&file).is_ok_and(|found| {
                let bits = found.permissions().mode() & 0o777;
                // fsGroup lets its group read.
                bits == *mode || bits == *mode | 0o440
            })
    };
    count(&data.join(".")).is_ok_and(|number| number == files.len()) && files.iter().all(equal)
}

/// A new directory `..YYYY_MM_DD_HH_MM_SS.<nanoseconds>`, in UTC.
fn dated_directory(volume: &Path) -> io::Result<String> {
    loop {
        let now = SystemTime::now();
        let nanoseconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let stamp = jiff::Timestamp::try_from(now).unwrap_or_default().strftime("..%Y_%m_%d_%H_%M_%S").to_string();
        let name = format!("{stamp}.{nanoseconds:09}");
        match fs::DirBuilder::new().mode(0o755).create(volume.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                fs::set_permissions(volume.join(&name), fs::Permissions::from_mode(0o755))?;
                return Ok(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keys(list: &[(&str, &str)]) -> Keys {
        list.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
    }

    fn item(key: &str, path: &str, mode: Option<i32>) -> KeyToPath {
        KeyToPath { key: key.to_owned(), path: path.to_owned(), mode }
    }

    #[test]
    fn items() {
        let keys = keys(&[("a", "1"), ("b", "2")]);
        let files = project(&keys, Some(&[item("a", "x/y", Some(0o400))]), Some(0o600), false).unwrap();
        assert_eq!(files.into_iter().collect::<Vec<_>>(), [("x/y".to_owned(), (b"1".to_vec(), 0o400))]);
        assert_eq!(project(&keys, Some(&[item("c", "c", None)]), None, false), Err("c".to_owned()));
        assert_eq!(project(&keys, Some(&[item("c", "c", None)]), None, true), Ok(Files::new()));
        assert_eq!(project(&keys, None, None, false).unwrap().len(), 2);
    }

    #[test]
    fn layout_and_update() {
        let root = std::env::temp_dir().join(format!("podlet-payload-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let files = project(&keys(&[("a", "1"), ("b", "2")]), None, Some(0o640), false).unwrap();
        write(&root, &files, &["sub/dir".to_owned()], |_| Ok(())).unwrap();
        assert_eq!(fs::read_link(root.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
        assert_eq!(fs::metadata(root.join("b")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(root.join("sub/dir").is_dir());
        let first = fs::read_link(root.join("..data")).unwrap();
        write(&root, &files, &[], |_| Ok(())).unwrap();
        assert_eq!(fs::read_link(root.join("..data")).unwrap(), first);
        let next = project(&keys(&[("a", "9"), ("c", "3")]), None, Some(0o640), false).unwrap();
        write(&root, &next, &[], |_| Ok(())).unwrap();
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "9");
        assert!(fs::symlink_metadata(root.join("b")).is_err() && root.join("c").is_file());
        assert!(!root.join(first).exists());
        for bad in ["../x", "/x", "a//b", "..x", "a/../b", ""] {
            let files: Files = [(bad.to_owned(), (vec![], 0o644))].into();
            assert!(write(&root, &files, &[], |_| Ok(())).is_err(), "{bad}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
