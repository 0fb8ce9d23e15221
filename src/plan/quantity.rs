//! Kubernetes' quantities as numbers: `250m`, `64Mi`, `1e3`. Only for values that validation has let through.

/// A quantity in billionths; `None` for what is no quantity. Finer values are rounded up (away from zero), as the API does.
pub fn nano(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let split = body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
    let (digits, suffix) = body.split_at(split);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    // Value = mantissa × 10^exponent × 2^shift, in billionths.
    let (exponent, shift): (i32, u32) = match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        other => (other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?, 0),
    };
    let mut mantissa: i128 = 0;
    let mut places: i32 = 0;
    // Digits beyond these cannot change a value that fits.
    for digit in whole.bytes().chain(fraction.bytes().take(30)) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    places += i32::try_from(fraction.len().min(30)).ok()?;
    let mut value = mantissa.checked_mul(1i128 << shift)?;
    let mut power = exponent.checked_sub(places)?.checked_add(9)?;
    while power > 0 && value != 0 {
        value = value.checked_mul(10)?;
        power -= 1;
    }
    let mut inexact = false;
    while power < 0 && value != 0 {
        inexact |= value % 10 != 0;
        value /= 10;
        power += 1;
    }
    if inexact {
        value += 1;
    }
    Some(if negative { -value } else { value })
}

/// Rounded up to whole units: bytes of memory, cores.
pub fn value(text: &str) -> Option<i64> {
    ceil(nano(text)?, 1_000_000_000)
}

/// Rounded up to thousandths: milli-CPU.
pub fn milli(text: &str) -> Option<i64> {
    ceil(nano(text)?, 1_000_000)
}

/// `dividend / divisor`, rounded up.
pub fn ceil(dividend: i128, divisor: i128) -> Option<i64> {
    if divisor <= 0 {
        return None;
    }
    i64::try_from(dividend.div_euclid(divisor) + i128::from(dividend.rem_euclid(divisor) != 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("64Mi", Some(64 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("1e3", Some(1000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("1E3", Some(1000)),
            ("512m", Some(1)),
            ("0.5", Some(1)),
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("", None),
            ("x", None),
            ("1K", None),
            ("1..2", None),
            ("1e999", None),
            ("0e999", Some(0)),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(milli("250m"), Some(250));
        assert_eq!(milli("1u"), Some(1));
        assert_eq!(milli("2"), Some(2000));
    }
}
