//! `--detach-keys`: the keys that let go of a container, in the notation of kubectl and docker (`ctrl-p,ctrl-q`).

use super::Filter;

/// Looks for them in what is typed.
pub struct DetachKeys {
    keys: Vec<u8>,
    /// So many of them were typed and are held back.
    typed: usize,
}

impl DetachKeys {
    /// Reads the notation: single characters and `ctrl-` with `a` to `z` or one of `@ [ \ ] ^ _`, joined by commas.
    pub fn parse(text: &str) -> Result<DetachKeys, String> {
        let text = if text.is_empty() { "ctrl-p,ctrl-q" } else { text };
        let keys = text.split(',').map(|word| key(word).ok_or_else(|| unknown(word))).collect::<Result<_, _>>()?;
        Ok(DetachKeys { keys, typed: 0 })
    }
}

fn unknown(word: &str) -> String {
    format!("could not bind detach keys: Unknown character: '{word}'")
}

fn key(word: &str) -> Option<u8> {
    match (word.as_bytes(), word.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([single], _) => Some(*single),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some([b'@'])) => Some(0),
        (_, Some([sign @ b'['..=b'_'])) => Some(sign - b'A' + 1),
        _ => None,
    }
}

impl Filter for DetachKeys {
    fn pass(&mut self, typed: Vec<u8>) -> Option<Vec<u8>> {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.typed) != Some(&byte) {
                // They were meant for the container after all, and this may be the first again.
                passed.extend(self.keys.iter().take(std::mem::take(&mut self.typed)));
            }
            if self.keys.get(self.typed) == Some(&byte) {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    return None;
                }
            } else {
                passed.push(byte);
            }
        }
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_notation() {
        assert_eq!(DetachKeys::parse("ctrl-p,ctrl-q").unwrap().keys, [16, 17]);
        assert_eq!(DetachKeys::parse("").unwrap().keys, [16, 17]);
        assert_eq!(DetachKeys::parse("a,ctrl-@,ctrl-[,ctrl-_").unwrap().keys, [b'a', 0, 27, 31]);
        for text in ["ctrl-", "ctrl-A", "ctrl-1", "ab", "a,,b"] {
            assert!(DetachKeys::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_found_across_reads_and_others_pass() {
        let mut keys = DetachKeys::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys.pass(b"ls\r".to_vec()).unwrap(), b"ls\r");
        assert_eq!(keys.pass(vec![16]).unwrap(), b"");
        assert_eq!(keys.pass(b"x".to_vec()).unwrap(), [16, b'x']);
        assert_eq!(keys.pass(vec![16, 16]).unwrap(), [16]);
        assert_eq!(keys.pass(vec![17, b'x']), None);
        assert_eq!(DetachKeys::parse("q").unwrap().pass(b"aq".to_vec()), None);
    }
}
