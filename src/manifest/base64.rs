//! Standard base64 as Go's decoder takes it: padded, line breaks passed over, an error names the first bad byte.
//!
//! For `data` of a Secret, `binaryData` of a ConfigMap and YAML's `!!binary`.

/// The place of the first byte that is wrong, as Go counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub struct IllegalBase64(pub usize);

/// The text that stands for these bytes.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The bytes that a text stands for.
pub fn decode(text: &str) -> Result<Vec<u8>, IllegalBase64> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3);
    let mut group = 0u32;
    let mut digits = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\n' | b'\r' => continue,
            b'=' => return padded(bytes, at - 1, group, digits, decoded),
            _ => return Err(IllegalBase64(at - 1)),
        };
        group = group << 6 | u32::from(digit);
        digits += 1;
        if digits == 4 {
            decoded.extend_from_slice(&group.to_be_bytes()[1..]);
            (group, digits) = (0, 0);
        }
    }
    // Go names the beginning of a group that ends without its padding.
    if digits == 0 { Ok(decoded) } else { Err(IllegalBase64(bytes.len() - digits)) }
}

/// The end of a text from its first `=` on.
fn padded(
    bytes: &[u8],
    first: usize,
    group: u32,
    digits: usize,
    mut decoded: Vec<u8>,
) -> Result<Vec<u8>, IllegalBase64> {
    let rest = |from: usize| (from..bytes.len()).find(|i| !matches!(bytes[*i], b'\n' | b'\r'));
    let mut end = first + 1;
    match digits {
        2 => {
            match rest(end) {
                Some(second) if bytes[second] == b'=' => end = second + 1,
                Some(other) => return Err(IllegalBase64(other)),
                None => return Err(IllegalBase64(bytes.len())),
            }
            decoded.push((group >> 4) as u8);
        }
        3 => decoded.extend_from_slice(&[(group >> 10) as u8, (group >> 2) as u8]),
        _ => return Err(IllegalBase64(first)),
    }
    match rest(end) {
        Some(trailing) => Err(IllegalBase64(trailing)),
        None => Ok(decoded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Ok(bytes.as_bytes()));
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn it_decodes_and_names_the_bad_byte() {
        assert_eq!(decode("aGk="), Ok(b"hi".to_vec()));
        assert_eq!(decode("aGVs\nbG8h\n"), Ok(b"hello!".to_vec()));
        assert_eq!(decode("aA=="), Ok(b"h".to_vec()));
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode("aG!="), Err(IllegalBase64(2)));
        assert_eq!(decode("aGk"), Err(IllegalBase64(0)));
        assert_eq!(decode("aGk=x"), Err(IllegalBase64(4)));
        assert_eq!(decode("a==="), Err(IllegalBase64(1)));
        assert_eq!(decode("aA=x"), Err(IllegalBase64(3)));
        assert_eq!(decode("aA="), Err(IllegalBase64(3)));
    }
}
