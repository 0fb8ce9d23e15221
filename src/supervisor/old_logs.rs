//! Logs of instances that nobody can ask for any more. A kubelet keeps one dead container beside the current one and removes
//! the others with their logs (`container_gc.go`, MaxPerPodContainerCount 1); so do we, or a container that crashes for
//! months would fill the disk with small files. Called by [`super::effects`] when an instance's remains are cleared.

use std::fs;
use std::io;
use std::path::Path;

/// Removes the log files (`<n>.log` and its rotated parts) of all instances before `first`.
pub fn remove_before(first: u32, directory: &Path) -> io::Result<()> {
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in listing {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.split_once(".log")).map(|(number, _)| number);
        if number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number < first) {
            super::files::remove_file(&directory.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn older_instances_and_their_rotated_parts_go_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("podlet-old-logs-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for name in ["0.log", "0.log.20260101-000000.000000001", "1.log", "2.log", "10.log", "notes", "x.log"] {
            fs::write(directory.join(name), "").unwrap();
        }
        remove_before(2, &directory).unwrap();
        let mut left: Vec<String> =
            fs::read_dir(&directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["10.log", "2.log", "notes", "x.log"]);
        fs::remove_dir_all(&directory).unwrap();
        remove_before(2, &directory).unwrap();
    }
}
