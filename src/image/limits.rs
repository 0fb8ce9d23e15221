//! What an image may cost, and what one has cost so far.

use std::sync::atomic::AtomicU64;

use serde::{Deserialize, Serialize};

/// What an archive may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of one image when unpacked, headers included.
    pub bytes: u64,
    /// Files, directories and links of one image.
    pub files: u64,
    /// Layers of one image; overlayfs itself ends at 500.
    pub layers: usize,
    /// Unpacked bytes for each compressed one, looked at beyond [`Limits::RATIO_FROM`].
    pub ratio: u64,
}

impl Limits {
    /// Below this many unpacked bytes any ratio will do.
    pub const RATIO_FROM: u64 = 64 << 20;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 64 << 30, files: 4_000_000, layers: 128, ratio: 200 }
    }
}

/// What an image has cost so far.
#[derive(Default)]
pub struct Spent {
    /// Files, directories and links.
    pub files: AtomicU64,
    /// Bytes of the tar streams.
    pub bytes: AtomicU64,
}
