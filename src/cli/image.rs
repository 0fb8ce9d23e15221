//! `podlet image`: fills and looks at the image store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Caller, Failure};

/// The words of `image`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// Take an image into the store from a directory, a tar file or an OCI layout.
    #[command(after_help = "\
Examples:
  podlet image import busybox.tar localhost/busybox:1
  podlet image import ./rootfs localhost/mine:1 --entrypoint=/bin/app
  podlet image import ./oci-layout")]
    Import(Import),
    /// List the images of the store.
    #[command(visible_alias = "list", after_help = "Examples:\n  podlet image ls\n  podlet image ls -o json")]
    Ls(Ls),
    /// Remove images from the store.
    #[command(visible_alias = "remove", after_help = "Examples:\n  podlet image rm localhost/busybox:1")]
    Rm(Rm),
    /// Show what the store knows of an image, as JSON.
    #[command(after_help = "Examples:\n  podlet image inspect podlet.local/actor")]
    Inspect(Inspect),
}

/// The words of `image import`.
#[derive(Args, Debug)]
pub struct Import {
    /// A directory, a tar file, an OCI layout, or - for a tar on standard input.
    #[arg(value_name = "SOURCE")]
    pub source: PathBuf,
    /// The name it gets; an OCI layout brings its own.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// The words of `image ls`.
#[derive(Args, Debug)]
pub struct Ls {
    /// json, yaml or name.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
}

/// The words of `image rm`.
#[derive(Args, Debug)]
pub struct Rm {
    /// Names or IDs.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// The words of `image inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// Names or IDs.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Does it.
pub fn run(words: Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, caller);
    Err(Failure::error("image is not carried out yet"))
}
