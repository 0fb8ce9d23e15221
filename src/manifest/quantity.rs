//! Kubernetes' resource quantities (`500m`, `1.5Gi`, `1e3`), exactly: what a number with a suffix is worth, and the
//! form in which the API server prints it back.
//!
//! Validation and defaulting compare, round and re-print quantities here; the plan asks for bytes and milli-CPUs; the
//! printers show the canonical form. Nothing is ever computed in floating point.
//!
//! The rules are those of the quantity type of Kubernetes 1.36 (`k8s.io/apimachinery/pkg/api/resource`).

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

/// Finer parts than this are rounded away from zero when a quantity is read.
const NANO: i32 = -9;

/// A binary quantity (`Ki`, `Mi` …) is never worth more than this.
const MAX_BINARY: i128 = i64::MAX as i128;

/// The most digits that the exact fast way of the API server's reader takes; above it the spelling is never kept.
const FAST_DIGITS: usize = 18;

/// How the suffix was written, which decides how the quantity is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `12e6`.
    DecimalExponent,
    /// `12Mi`.
    BinarySi,
    /// `12M`, `500m`, no suffix.
    DecimalSi,
}

/// Why a text is not a quantity; the texts are the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It has not the form of a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// The number cannot be read, or has more than 38 significant digits.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// A quantity: `mantissa` × 10^`exponent`, with the way it is to be printed.
///
/// Equality, order and hashing go by the worth alone: `1024Mi == 1Gi`.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// Without trailing zeros; 0 has exponent 0.
    mantissa: i128,
    exponent: i32,
    format: Format,
    /// The spelling as read, kept where the API server keeps it.
    text: Option<Box<str>>,
}

impl Quantity {
    /// Nothing at all.
    pub const ZERO: Quantity = Quantity { mantissa: 0, exponent: 0, format: Format::DecimalSi, text: None };

    /// A whole number, printed in `format`.
    pub fn from_value(value: i64, format: Format) -> Self {
        Self::new(value.into(), 0, format)
    }

    /// Thousandths, printed as `500m`.
    pub fn from_milli(value: i64) -> Self {
        Self::new(value.into(), -3, Format::DecimalSi)
    }

    fn new(mut mantissa: i128, mut exponent: i32, format: Format) -> Self {
        if mantissa == 0 {
            exponent = 0;
        }
        while mantissa != 0 && mantissa % 10 == 0 && exponent < i32::MAX {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent, format, text: None }
    }

    /// Reads a quantity. Blanks around it are passed over, as the API server does in JSON strings.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QuantityError::Form);
        }
        if text == "0" {
            return Ok(Self { text: Some(text.into()), ..Self::ZERO });
        }
        let parts = split(text)?;
        let suffix = interpret(parts.suffix).ok_or(QuantityError::Suffix)?;
        let negative = text.starts_with('-');

        // Digits of both sides as one whole number, and the power of ten that it is to be multiplied with.
        let whole = parts.whole.trim_start_matches('0');
        let digits = if whole.is_empty() { 1 } else { whole.len() } + parts.fraction.len();
        let (mut mantissa, mut exponent, format, mut keep_text);
        match suffix {
            Suffix::Decimal { power, format: written } => {
                (mantissa, exponent) = read_digits(whole, parts.fraction)?;
                exponent = exponent.saturating_add(power);
                format = written;
                let scale = power.saturating_sub(i32::try_from(parts.fraction.len()).unwrap_or(i32::MAX));
                keep_text = digits <= FAST_DIGITS
                    && scale >= NANO
                    && scale % 3 == 0
                    && !whole.is_empty()
                    && !ends_with_three_zeros(whole, parts.fraction);
            }
            Suffix::Binary { shift } => {
                (mantissa, exponent) = read_binary(whole, parts.fraction, shift);
                format = Format::BinarySi;
                let room = 15 - i64::try_from(digits).unwrap_or(i64::MAX) - i64::from(shift * 3 / 10) - 1;
                let odd_eighth = whole.parse::<i64>().is_ok_and(|value| value & 7 != 0);
                keep_text = parts.fraction.is_empty() && room >= 0 && odd_eighth;
            }
        }
        let rounded;
        (mantissa, exponent, rounded) = round_to(mantissa, exponent, NANO);
        keep_text &= !rounded;
        let small = format == Format::BinarySi && !magnitude_at_least(mantissa, exponent, 1);
        let format = if small { Format::DecimalSi } else { format };
        let mut quantity = Self::new(if negative { -mantissa } else { mantissa }, exponent, format);
        quantity.text = keep_text.then(|| text.into());
        Ok(quantity)
    }

    /// How it is printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// The whole number, fractions rounded away from zero; at most what an i64 holds.
    pub fn value(&self) -> i64 {
        self.scaled(0)
    }

    /// Thousandths, fractions rounded away from zero; at most what an i64 holds.
    pub fn milli_value(&self) -> i64 {
        self.scaled(-3)
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// One spelling for each worth, for comparing texts.
    pub fn plain(&self) -> String {
        format!("{}e{}", self.mantissa, self.exponent)
    }

    /// Rounds away from zero to thousandths, as the API server does with every quantity of a resource list.
    pub fn round_up_to_milli(&mut self) {
        let (mantissa, exponent, rounded) = round_to(self.mantissa.abs(), self.exponent, -3);
        if rounded {
            let signed = if self.mantissa < 0 { -mantissa } else { mantissa };
            *self = Self::new(signed, exponent, self.format);
        }
    }

    /// The sum, printed as `self` is (as `other` is where `self` is nothing).
    pub fn add(&self, other: &Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        let low = self.exponent.min(other.exponent);
        let (Some(a), Some(b)) = (
            scale_up(self.mantissa, self.exponent.saturating_sub(low)),
            scale_up(other.mantissa, other.exponent.saturating_sub(low)),
        ) else {
            // More than 38 digits apart: the smaller one cannot be seen in the sum.
            let larger = if self.cmp_magnitude(other) == Ordering::Less { other } else { self };
            return Quantity { format, text: None, ..larger.clone() };
        };
        Self::new(a.saturating_add(b), low, format)
    }

    fn scaled(&self, scale: i32) -> i64 {
        let shift = self.exponent.saturating_sub(scale);
        let exact = if shift >= 0 {
            scale_up(self.mantissa, shift)
        } else {
            let (mantissa, exponent, _) = round_to(self.mantissa.abs(), shift, 0);
            scale_up(if self.mantissa < 0 { -mantissa } else { mantissa }, exponent)
        };
        let limit = if self.mantissa < 0 { i64::MIN } else { i64::MAX };
        exact.and_then(|v| i64::try_from(v).ok()).unwrap_or(limit)
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        let (a, b) = (self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        if a == 0 || b == 0 {
            return a.cmp(&b);
        }
        let top = |m: u128, e: i32| i64::from(m.ilog10()) + i64::from(e);
        top(a, self.exponent).cmp(&top(b, other.exponent)).then_with(|| {
            // Of one order of magnitude, so both fit when written with the smaller exponent.
            let low = self.exponent.min(other.exponent);
            let (a, b) =
                (scale_up(a as i128, self.exponent - low), scale_up(b as i128, other.exponent.saturating_sub(low)));
            a.unwrap_or(i128::MAX).cmp(&b.unwrap_or(i128::MAX))
        })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.mantissa.signum(), other.mantissa.signum()) {
            (a, b) if a != b => a.cmp(&b),
            (-1, _) => other.cmp_magnitude(self),
            _ => self.cmp_magnitude(other),
        }
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if self.mantissa == 0 {
            return f.write_str("0");
        }
        if self.format == Format::BinarySi
            && let Some(mut whole) = (self.exponent >= 0).then(|| scale_up(self.mantissa, self.exponent)).flatten()
            && whole.abs() >= 1024
        {
            let mut step = 0;
            while whole % 1024 == 0 && step < BINARY.len() - 1 {
                whole /= 1024;
                step += 1;
            }
            return write!(f, "{whole}{}", BINARY.get(step).copied().unwrap_or_default());
        }
        let (mut mantissa, mut exponent) = (self.mantissa, self.exponent);
        // The exponent is brought down to a multiple of three.
        while exponent.rem_euclid(3) != 0 {
            match mantissa.checked_mul(10) {
                Some(m) => (mantissa, exponent) = (m, exponent - 1),
                None => break,
            }
        }
        let decimal = DECIMAL.iter().find(|(_, power)| *power == exponent).map(|(suffix, _)| *suffix);
        match decimal {
            Some(suffix) if self.format != Format::DecimalExponent => write!(f, "{mantissa}{suffix}"),
            _ if exponent == 0 => write!(f, "{mantissa}"),
            // Above E there is no suffix; the API server then prints none at all, which would be another number.
            _ => write!(f, "{mantissa}e{exponent}"),
        }
    }
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

#[derive(Clone, Copy)]
enum Suffix {
    Decimal { power: i32, format: Format },
    Binary { shift: u32 },
}

fn interpret(suffix: &str) -> Option<Suffix> {
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some(Suffix::Decimal { power: *power, format: Format::DecimalSi });
    }
    if let Some(step) = BINARY.iter().position(|s| *s == suffix) {
        return Some(Suffix::Binary { shift: 10 * step as u32 });
    }
    let power = suffix.strip_prefix(['e', 'E'])?.parse::<i64>().ok()?;
    // Far beyond any meaning; held so that sums of exponents cannot overflow.
    let power = i32::try_from(power.clamp(-1_000_000, 1_000_000)).ok()?;
    Some(Suffix::Decimal { power, format: Format::DecimalExponent })
}

struct Parts<'a> {
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let letters = suffix.bytes().take_while(|b| b"eEinumkKMGTP".contains(b)).count();
    let tail = suffix.get(letters..).unwrap_or_default();
    let tail = tail.strip_prefix(['+', '-']).unwrap_or(tail);
    if !tail.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::Form);
    }
    if whole.is_empty() && fraction.is_empty() && rest.is_empty() && unsigned.is_empty() {
        // A lone sign counts as nothing, as the API server reads it.
        return Ok(Parts { whole: "0", fraction: "", suffix: "" });
    }
    Ok(Parts { whole, fraction, suffix })
}

/// The digits as a whole number, and the exponent that puts the point back.
fn read_digits(whole: &str, fraction: &str) -> Result<(i128, i32), QuantityError> {
    // Trailing zeros of the fraction are worth nothing and would only cost digits.
    let fraction = fraction.trim_end_matches('0');
    let mut number: i128 = 0;
    let mut dropped = 0;
    let zeros = if fraction.is_empty() { whole.len() - whole.trim_end_matches('0').len() } else { 0 };
    let whole = whole.get(..whole.len() - zeros).unwrap_or_default();
    for digit in whole.bytes().chain(fraction.bytes()) {
        match number.checked_mul(10).and_then(|n| n.checked_add(i128::from(digit - b'0'))) {
            Some(n) => number = n,
            // Digits of a fraction that fine are only rounded up, below.
            None if dropped > 0 || number >= 10_i128.pow(37) => {
                dropped += 1;
            }
            None => return Err(QuantityError::Number),
        }
    }
    let exponent = i32::try_from(zeros).map_err(|_| QuantityError::Number)?
        - i32::try_from(fraction.len()).map_err(|_| QuantityError::Number)?;
    if dropped > 0 {
        // Only a fraction may lose digits, and only beyond nano, where all is rounded up anyway.
        if exponent.saturating_add(dropped) > NANO {
            return Err(QuantityError::Number);
        }
        return Ok((number.saturating_add(1), exponent.saturating_add(dropped)));
    }
    Ok((number, exponent))
}

/// A number times a power of two, capped; a fraction counts to its 18th digit, rounded up there.
fn read_binary(whole: &str, fraction: &str, shift: u32) -> (i128, i32) {
    const PLACES: usize = 18;
    let capped = (MAX_BINARY, 0);
    // A whole part that does not even fit 64 bits is above the cap in any case.
    let Ok(whole) = (if whole.is_empty() { Ok(0) } else { whole.parse::<u64>() }) else { return capped };
    let whole = i128::from(whole) << shift;
    if whole >= MAX_BINARY {
        return capped;
    }
    let fraction = fraction.trim_end_matches('0');
    let (near, far) = fraction.split_at(fraction.len().min(PLACES));
    let parts = near.bytes().fold(0_i128, |n, b| n * 10 + i128::from(b - b'0')) + i128::from(!far.is_empty());
    let places = near.len() as u32;
    let sum = whole * 10_i128.pow(places) + (parts << shift);
    if magnitude_at_least(sum, -(places as i32), MAX_BINARY) { capped } else { (sum, -(places as i32)) }
}

fn ends_with_three_zeros(whole: &str, fraction: &str) -> bool {
    whole.bytes().chain(fraction.bytes()).rev().take(3).filter(|b| *b == b'0').count() == 3
}

/// Rounds a magnitude up so that no part is finer than 10^`finest`; says whether anything was rounded.
fn round_to(mantissa: i128, exponent: i32, finest: i32) -> (i128, i32, bool) {
    if exponent >= finest || mantissa == 0 {
        return (mantissa, exponent, false);
    }
    let steps = finest.saturating_sub(exponent).unsigned_abs();
    match 10_i128.checked_pow(steps) {
        Some(unit) => {
            let rest = mantissa % unit;
            (mantissa / unit + i128::from(rest != 0), finest, rest != 0)
        }
        None => (1, finest, true),
    }
}

fn scale_up(mantissa: i128, steps: i32) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    mantissa.checked_mul(10_i128.checked_pow(steps.try_into().ok()?)?)
}

/// Whether `mantissa` × 10^`exponent` ≥ `bound`; all are magnitudes.
fn magnitude_at_least(mantissa: i128, exponent: i32, bound: i128) -> bool {
    if exponent >= 0 {
        scale_up(mantissa, exponent).is_none_or(|m| m >= bound)
    } else {
        scale_up(bound, exponent.saturating_neg()).is_some_and(|b| mantissa >= b)
    }
}
