//! What images may cost: limits of unpacking, how long a registry may say nothing, and whether their volumes are made. No kubelet has these settings; they
//! stand below `podlet.images` in the settings file. The numbers that hold when nobody says anything are those of
//! [`crate::image::Limits`] and [`crate::http::PATIENCE`].

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Reader, Row, Set, unexpected};
use crate::duration;
use crate::http;
use crate::image::Limits;
use crate::manifest::quantity::{Format, Quantity};
use crate::pod::backoff::go_duration;

const IGNORE_VOLUMES: &str = "podlet.images.ignoreVolumes";
const MAX_BYTES: &str = "podlet.images.maxBytes";
const MAX_FILES: &str = "podlet.images.maxFiles";
const MAX_LAYERS: &str = "podlet.images.maxLayers";
const MAX_RATIO: &str = "podlet.images.maxRatio";
const STALL_TIMEOUT: &str = "podlet.images.stallTimeout";

/// Overlayfs takes no more lower directories (`OVL_MAX_STACK` of the kernel's `fs/overlayfs`), and podlet's own is one.
const LAYERS_MOST: usize = 499;

/// The settings of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// `podlet.images.ignoreVolumes`
    pub ignore_volumes: Set<bool>,
    /// `podlet.images.maxBytes`
    pub max_bytes: Set<u64>,
    /// `podlet.images.maxFiles`
    pub max_files: Set<u64>,
    /// `podlet.images.maxLayers`
    pub max_layers: Set<usize>,
    /// `podlet.images.maxRatio`
    pub max_ratio: Set<u64>,
    /// `podlet.images.stallTimeout`
    pub stall_timeout: Set<Duration>,
}

impl Default for Images {
    fn default() -> Images {
        let limits = Limits::default();
        Images {
            ignore_volumes: Set::default(false),
            max_bytes: Set::default(limits.bytes),
            max_files: Set::default(limits.files),
            max_layers: Set::default(limits.layers),
            max_ratio: Set::default(limits.ratio),
            stall_timeout: Set::default(http::PATIENCE),
        }
    }
}

impl Images {
    /// As the unpacking of images has them.
    pub fn limits(&self) -> Limits {
        Limits {
            bytes: self.max_bytes.value,
            files: self.max_files.value,
            layers: self.max_layers.value,
            ratio: self.max_ratio.value,
        }
    }

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) {
        reader.take(IGNORE_VOLUMES, &mut self.ignore_volumes, |value| value.as_bool().ok_or_else(unexpected));
        reader.take(MAX_BYTES, &mut self.max_bytes, bytes);
        reader.take(MAX_FILES, &mut self.max_files, above_zero);
        reader.take(MAX_LAYERS, &mut self.max_layers, layers);
        reader.take(MAX_RATIO, &mut self.max_ratio, above_zero);
        reader.take(STALL_TIMEOUT, &mut self.stall_timeout, timeout);
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let bytes = Quantity::from_value(i64::try_from(self.max_bytes.value).unwrap_or(i64::MAX), Format::BinarySi);
        let row = |path, value, origin: &super::Origin, meaning| Row { path, value, origin: origin.clone(), meaning };
        vec![
            row(
                IGNORE_VOLUMES,
                json!(self.ignore_volumes.value),
                &self.ignore_volumes.origin,
                "nothing is made of an image's `VOLUME`s (`ignore_image_defined_volumes` of containerd)",
            ),
            row(
                MAX_BYTES,
                json!(bytes.to_string()),
                &self.max_bytes.origin,
                "an image that unpacks to more is refused",
            ),
            row(
                MAX_FILES,
                json!(self.max_files.value),
                &self.max_files.origin,
                "an image of more files, directories and links is refused",
            ),
            row(
                MAX_LAYERS,
                json!(self.max_layers.value),
                &self.max_layers.origin,
                "an image of more layers is refused; 499 at most",
            ),
            row(
                MAX_RATIO,
                json!(self.max_ratio.value),
                &self.max_ratio.origin,
                "beyond 64 MiB no layer unpacks to more than so many times its compressed size",
            ),
            row(
                STALL_TIMEOUT,
                json!(go_duration(self.stall_timeout.value)),
                &self.stall_timeout.origin,
                "a registry that says nothing for so long is given up, or asked again",
            ),
        ]
    }
}

fn bytes(value: &Json) -> Result<u64, String> {
    let text = value.as_str().ok_or_else(unexpected)?;
    let quantity =
        Quantity::parse(text).map_err(|error| format!("expected a quantity such as 64Gi, found {text:?}: {error}"))?;
    match u64::try_from(quantity.value()) {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(format!("must be more than 0 bytes, found {text:?}")),
    }
}

fn above_zero(value: &Json) -> Result<u64, String> {
    let number = value.as_i64().ok_or_else(unexpected)?;
    match u64::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("must be greater than 0, found {number}")),
    }
}

fn layers(value: &Json) -> Result<usize, String> {
    let number = value.as_i64().ok_or_else(unexpected)?;
    match usize::try_from(number) {
        Ok(layers) if (1..=LAYERS_MOST).contains(&layers) => Ok(layers),
        _ => Err(format!("must be between 1 and {LAYERS_MOST}, found {number}")),
    }
}

fn timeout(value: &Json) -> Result<Duration, String> {
    let timeout = duration::parse(value.as_str().ok_or_else(unexpected)?)?;
    if timeout < Duration::from_secs(1) {
        return Err(format!("must be at least 1s, found {}", go_duration(timeout)));
    }
    Ok(timeout)
}
