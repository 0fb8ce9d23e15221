//! Output that looks like nothing and is the same from the same seed, so that whoever reads it can tell whether a byte is
//! missing, doubled or another. Tests of podlet include this file: what they expect is made by what writes it.

/// One stream's bytes, in pieces as they are written: numbered lines of random length and random bytes, of which some are long
/// and some have no newline.
pub struct Noise {
    random: u64,
    number: u64,
    left: u64,
    /// All of it is one line.
    one_line: bool,
}

impl Noise {
    /// So many bytes.
    pub fn new(seed: u64, bytes: u64, one_line: bool) -> Noise {
        Noise { random: seed, number: 0, left: bytes, one_line }
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Iterator for Noise {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.left == 0 {
            return None;
        }
        self.number += 1;
        let length = match self.random() % 500 {
            0 => self.random() % 100_000,
            1..10 => self.random() % 20_000,
            _ => self.random() % 200,
        };
        let mut piece = format!("{:08} ", self.number).into_bytes();
        for _ in 0..length.div_ceil(8) {
            piece.extend_from_slice(&self.random().to_le_bytes());
        }
        for byte in piece.iter_mut().filter(|byte| **byte == b'\n') {
            *byte = 0;
        }
        if !self.random().is_multiple_of(8) && !self.one_line {
            piece.push(b'\n');
        }
        piece.truncate(self.left as usize);
        self.left -= piece.len() as u64;
        Some(piece)
    }
}
