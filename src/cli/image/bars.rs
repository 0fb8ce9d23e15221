//! How far a pull is, drawn below the cursor on stderr and wiped at the end: a bar for each layer that comes, and one for all.
//! Where no colour is wanted no escape codes are written, and one line says it.

use std::time::Instant;

use super::super::Caller;
use super::super::live_line::{LiveLine, width};
use super::listing::size;
use crate::image::{LayerProgress, Progress};

/// Letters of a bar: in wide terminals, and where there is room for little.
const LENGTH: usize = 24;
const LENGTH_MIN: usize = 4;
/// Letters of the line for all layers beside its bar, `  99 of 99 layers [] 12.3MB of 45.6MB 12.3MB/s`.
const BESIDE: usize = 46;
/// Layers that are shown: as many as come at the same time.
const SHOWN: usize = 3;

/// What is drawn.
pub struct Bars {
    wanted: bool,
    name: String,
    /// For those who want no colour, and before the layers are known.
    line: LiveLine,
    began: Instant,
    drawn: usize,
}

impl Bars {
    /// Nothing is drawn yet.
    pub fn new(wanted: bool, name: &str) -> Bars {
        let name = name.chars().filter(|letter| !letter.is_control()).collect();
        Bars { wanted, name, line: LiveLine::new(wanted), began: Instant::now(), drawn: 0 }
    }

    /// Draws how it is now.
    pub fn draw(&mut self, progress: &Progress, caller: &mut Caller<'_>) {
        if !self.wanted {
            return;
        }
        let layers = progress.layers();
        let room = width().saturating_sub(1);
        if !caller.colour || layers.is_empty() {
            let length = room.saturating_sub(BESIDE + self.name.chars().count()).clamp(LENGTH_MIN, LENGTH);
            let text = if layers.is_empty() { progress.phase() } else { total(&layers, self.began, length) };
            self.line.show(&format!("{}: {text}", self.name), "", caller);
            return;
        }
        self.clear(caller);
        let length = room.saturating_sub(BESIDE).clamp(LENGTH_MIN, LENGTH);
        let coming = layers.iter().filter(|layer| !layer.is_done() && layer.received() > 0).take(SHOWN);
        let mut lines = vec![format!("{}: {}", self.name, progress.phase())];
        lines.extend(coming.map(|layer| {
            let short = layer.digest.strip_prefix("sha256:").unwrap_or(&layer.digest).get(..12).unwrap_or_default();
            format!("  {short} {}", bar(layer.received(), layer.size, length))
        }));
        lines.push(format!("  {}", total(&layers, self.began, length)));
        let text: String = lines.iter().map(|line| line.chars().take(room).collect::<String>() + "\n").collect();
        let _ = write!(caller.err, "{text}");
        let _ = caller.err.flush();
        self.drawn = lines.len();
    }

    /// Wipes it.
    pub fn clear(&mut self, caller: &mut Caller<'_>) {
        self.line.clear(caller);
        if self.drawn > 0 {
            let _ = write!(caller.err, "\x1b[{}A\r\x1b[J", self.drawn);
            let _ = caller.err.flush();
            self.drawn = 0;
        }
    }
}

fn total(layers: &[std::sync::Arc<LayerProgress>], began: Instant, length: usize) -> String {
    let wanted = layers.iter().filter(|layer| !layer.known);
    let (received, size_of_all) = wanted.fold((0, 0), |(r, s), layer| (r + layer.received(), s + layer.size));
    let done = layers.iter().filter(|layer| layer.is_done()).count();
    let speed = (received as f64 / began.elapsed().as_secs_f64().max(0.1)) as u64;
    format!("{done} of {} layers {} {}/s", layers.len(), bar(received, size_of_all, length), size(speed))
}

/// `[=======>     ] 12.3MB of 45.6MB`
fn bar(received: u64, of: u64, length: usize) -> String {
    let filled = (received.min(of) as u128 * length as u128).checked_div(u128::from(of)).unwrap_or(0) as usize;
    let head = if (1..length).contains(&filled) { ">" } else { "" };
    let done = "=".repeat(filled - head.len()) + head;
    format!("[{done:length$}] {} of {}", size(received), size(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_what_has_come() {
        assert_eq!(bar(0, 100, LENGTH), format!("[{}] 0B of 100B", " ".repeat(24)));
        assert_eq!(bar(50, 100, LENGTH), format!("[{}>{}] 50B of 100B", "=".repeat(11), " ".repeat(12)));
        assert_eq!(bar(100, 100, LENGTH), format!("[{}] 100B of 100B", "=".repeat(24)));
        assert_eq!(bar(200, 100, LENGTH), format!("[{}] 200B of 100B", "=".repeat(24)));
        assert_eq!(bar(0, 0, LENGTH), format!("[{}] 0B of 0B", " ".repeat(24)));
        assert!(bar(u64::MAX, u64::MAX, 4).starts_with("[="));
    }
}
