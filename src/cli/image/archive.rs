//! `podlet image load` and `podlet image save`: archives that podman and Docker write and read.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::{Caller, Failure};
use crate::config::Images;
use crate::image::{ImageError, Store};

/// The words of `image load`.
#[derive(Args, Debug)]
pub struct Load {
    /// An archive or an OCI layout; - or nothing means standard input.
    #[arg(value_name = "SOURCE", conflicts_with = "input")]
    source: Option<PathBuf>,
    /// The same, as podman and Docker have it.
    #[arg(short, long, value_name = "SOURCE")]
    input: Option<PathBuf>,
    /// Prints nothing.
    #[arg(short, long)]
    quiet: bool,
}

/// The words of `image save`.
#[derive(Args, Debug)]
pub struct Save {
    /// Names of images; several go into one archive.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// A file, or a directory with --format=oci-dir; - or nothing means standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Both archives are the same file, which holds an OCI layout and Docker's list.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::DockerArchive)]
    format: Format,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tar file.
    DockerArchive,
    /// A tar file.
    OciArchive,
    /// A directory.
    OciDir,
}

fn failure(error: &ImageError) -> Failure {
    Failure::Error(error.to_string())
}

/// Loads all images of an archive.
pub fn load(words: Load, store: &Store, images: &Images, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let source = words.source.or(words.input).unwrap_or_else(|| PathBuf::from("-"));
    if source == *"-" && io::stdin().is_terminal() {
        return Err(Failure::Error("standard input is a terminal; name an archive, or redirect one here".to_owned()));
    }
    let loaded = store.load(&source, images.limits()).map_err(|error| failure(&error))?;
    for imported in loaded {
        imported.notes.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
        if !words.quiet {
            caller.print(&format!("Loaded image: {}\n", imported.record.name))?;
        }
    }
    Ok(0)
}

/// Saves images.
pub fn save(words: &Save, store: &Store, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut images = Vec::new();
    for word in &words.images {
        let found = super::records_of(word, store)?;
        images.push(found.first().map_or_else(|| word.clone(), |record| record.name.clone()));
    }
    let output = words.output.clone().filter(|output| *output != *"-");
    let notes = match (words.format, output) {
        (Format::OciDir, Some(directory)) => store.save_directory(&images, &directory),
        (Format::OciDir, None) => {
            return Err(Failure::Error("--format=oci-dir needs a directory: --output=DIRECTORY".to_owned()));
        }
        (_, None) if caller.out_terminal => {
            return Err(Failure::Error(
                "an archive is not written to a terminal; redirect it, or name a file: --output=FILE".to_owned(),
            ));
        }
        (_, None) => store.save(&images, &mut *caller.out),
        (_, Some(path)) => {
            // Beside it and renamed: nobody finds half an archive.
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}", std::process::id()));
            let aside = path.with_file_name(name);
            let saved = fs::File::create(&aside)
                .map_err(|error| ImageError::Unreadable(format!("could not make {aside:?}: {error}")))
                .and_then(|file| {
                    let mut writer = io::BufWriter::with_capacity(1 << 20, file);
                    let notes = store.save(&images, &mut writer)?;
                    let renamed = writer.flush().and_then(|()| fs::rename(&aside, &path));
                    renamed.map_err(|error| ImageError::Unreadable(format!("could not write {path:?}: {error}")))?;
                    Ok(notes)
                });
            if saved.is_err() {
                let _ = fs::remove_file(&aside);
            }
            saved
        }
    };
    notes.map_err(|error| failure(&error))?.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
    Ok(0)
}
