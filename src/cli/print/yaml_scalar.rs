//! How a text can be written in YAML 1.1: which styles it permits, and what a reader would take it for without quotes. The
//! rules are go-yaml 2's (`resolve`) and libyaml's (its analysis of scalars).

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes, with escapes.
    Double,
    /// Line by line behind `|`.
    Literal,
}

/// How a text would best be written, whatever it consists of.
pub fn wished(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if reads_as_text(text) && !is_base_60(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

/// The nearest style that can hold the text.
pub fn possible(text: &str, wished: Style, is_key: bool) -> Style {
    let permits = Permits::of(text);
    let mut style = if is_key && has_breaks(text) { Style::Double } else { wished };
    if style == Style::Plain && (!permits.plain || text.is_empty() && is_key) {
        style = Style::Single;
    }
    if style == Style::Single && !permits.single || style == Style::Literal && (!permits.literal || is_key) {
        style = Style::Double;
    }
    style
}

/// Which styles a text permits.
struct Permits {
    plain: bool,
    single: bool,
    literal: bool,
}

impl Permits {
    fn of(text: &str) -> Permits {
        if text.is_empty() {
            return Permits { plain: true, single: true, literal: false };
        }
        let characters: Vec<char> = text.chars().collect();
        let mut marks = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_then_blank, mut blank_then_break) = (false, false, false);
        for (at, &character) in characters.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| characters.get(before)).copied();
            let after = characters.get(at + 1).copied();
            let ends = after.is_none_or(|after| matches!(after, ' ' | '\t'));
            marks |= match character {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                    if at == 0 =>
                {
                    true
                }
                '?' | '-' if at == 0 => ends,
                ':' => ends,
                '#' => before.is_some_and(|before| matches!(before, ' ' | '\t') || is_break(before)),
                _ => false,
            };
            special |= !is_printable(character);
            break_then_blank |= character == ' ' && before.is_some_and(is_break);
            blank_then_break |= is_break(character) && before == Some(' ');
        }
        let is_gap = |character: &char| *character == ' ' || is_break(*character);
        let gap_at_end = characters.first().is_some_and(is_gap) || characters.last().is_some_and(is_gap);
        let bad = blank_then_break || special;
        Permits {
            plain: !(gap_at_end || break_then_blank || bad || marks || has_breaks(text)),
            single: !(break_then_blank || bad),
            literal: !(text.ends_with(' ') || bad),
        }
    }
}

/// A character that ends a line in YAML 1.1.
pub fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether any does.
pub fn has_breaks(text: &str) -> bool {
    text.contains(is_break)
}

/// What libyaml writes as it is: nothing beyond the Basic Multilingual Plane, and no tab.
pub fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

/// A character as an escape in double quotes.
pub fn escape(character: char) -> String {
    let short = match character {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// What stands behind `|`: the indentation when the text begins with a blank, and what becomes of the breaks at its end.
pub fn hints(text: &str, step: usize) -> String {
    let mut hints = String::new();
    if text.starts_with(|first| first == ' ' || is_break(first)) {
        hints.push_str(&step.to_string());
    }
    let mut from_end = text.chars().rev();
    match (from_end.next(), from_end.next()) {
        (Some(last), _) if !is_break(last) => hints.push('-'),
        (None, _) => hints.push('-'),
        (Some(_), None) => hints.push('+'),
        (Some(_), Some(before)) if is_break(before) => hints.push('+'),
        _ => {}
    }
    hints
}

/// Whether a YAML 1.1 reader takes the bare text for a text.
fn reads_as_text(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n",
        "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN", ".inf", ".Inf",
        ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
    ];
    if WORDS.contains(&text) {
        return false;
    }
    match text.as_bytes().first() {
        Some(b'.') => text.parse::<f64>().is_err(),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let plain = text.replace('_', "");
            !(is_time(text) || is_integer(&plain) || is_float(&plain))
        }
        _ => true,
    }
}

/// As Go's `ParseInt` with base 0 reads it, in 64 bits with or without sign.
fn is_integer(text: &str) -> bool {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)),
        Some(b'+') => (false, text.get(1..)),
        _ => (false, Some(text)),
    };
    let digits = digits.unwrap_or_default();
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)),
        Some("0o") => (8, lower.get(2..)),
        Some("0b") => (2, lower.get(2..)),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.get(1..)),
        _ => (10, Some(lower.as_str())),
    };
    let digits = digits.unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    match u64::from_str_radix(digits, base) {
        Ok(worth) if negative => worth <= 1 << 63,
        // `ParseUint` takes no sign.
        Ok(worth) => i64::try_from(worth).is_ok() || !text.starts_with('+'),
        Err(_) => false,
    }
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

/// YAML 1.1 reads `1:30` as ninety.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let sixty = |part: &str| match part.as_bytes() {
        [ones] => ones.is_ascii_digit(),
        [b'0'..=b'5', ones] => ones.is_ascii_digit(),
        _ => false,
    };
    let Some((last, between)) = rest.split_last() else { return false };
    let (last, part) = last.split_once('.').unwrap_or((last, ""));
    first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && digits(first)
        && between.iter().all(|part| sixty(part))
        && sixty(last)
        && digits(part)
}

/// A date, or a date with a time, in one of the forms that go-yaml takes.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !(bytes.len() > 4 && bytes.iter().take(4).all(u8::is_ascii_digit) && bytes.get(4) == Some(&b'-')) {
        return false;
    }
    let number = |text: &str, from: u8, to: u8| {
        let short = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
        short.then(|| text.parse::<u8>().ok()).flatten().filter(|number| (from..=to).contains(number))
    };
    let is_date = |text: &str| {
        let mut parts = text.splitn(3, '-');
        let year = parts.next().and_then(|year| year.parse::<i16>().ok());
        let month = parts.next().and_then(|month| number(month, 1, 12));
        let day = parts.next().and_then(|day| number(day, 1, 31));
        match (year, month, day) {
            (Some(year), Some(month), Some(day)) => {
                jiff::civil::Date::new(year, month.cast_signed(), day.cast_signed()).is_ok()
            }
            _ => false,
        }
    };
    let is_clock = |text: &str| {
        let (clock, part) = text.split_once('.').map_or((text, None), |(clock, part)| (clock, Some(part)));
        let parts: Vec<&str> = clock.split(':').collect();
        let whole = match parts.as_slice() {
            [hour, minute, second] => {
                number(hour, 0, 23).is_some() && number(minute, 0, 59).is_some() && number(second, 0, 59).is_some()
            }
            _ => false,
        };
        whole && part.is_none_or(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if let Some((date, time)) = text.split_once(' ') {
        return is_date(date) && is_clock(time);
    }
    let Some((date, time)) = text.split_once(['T', 't']) else { return is_date(text) };
    let clock = match time.strip_suffix('Z') {
        Some(clock) => Some(clock),
        None => time.rfind(['+', '-']).and_then(|sign| {
            let (clock, zone) = time.split_at(sign);
            let parts: Vec<&str> = zone.get(1..)?.split(':').collect();
            matches!(parts.as_slice(), [hour, minute] if hour.len() == 2 && minute.len() == 2
                && number(hour, 0, 24).is_some() && number(minute, 0, 60).is_some())
            .then_some(clock)
        }),
    };
    is_date(date) && clock.is_some_and(is_clock)
}
