//! Durations as Go writes them, which flags and settings take: `5s`, `1h30m`, `1.5h`, `0`.

use std::time::Duration;

/// Reads one; the text of the refusal is Go's.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| refuse())?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        seconds += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
            };
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::parse;
    use std::time::Duration;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [("0", 0.0), ("5s", 5.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("250ms", 0.25)] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
        assert_eq!(parse("abc").unwrap_err(), "time: invalid duration \"abc\"");
        for text in ["", "5", "s", "-1s", "1x", "1..2s", "5s5"] {
            parse(text).unwrap_err();
        }
    }
}
