//! Times and ages as kubectl writes them. The rules stand in the lifecycle reference's section on the `get` row.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// How long ago that was: `45s`, `2m3s`, `5h`, `3d`; `<unknown>` when it is not known when.
pub fn since(time: Option<&Time>, now: Timestamp) -> String {
    since_instant(time.map(|t| t.0), now)
}

/// The same for a time with microseconds.
pub fn since_micro(time: Option<&MicroTime>, now: Timestamp) -> String {
    since_instant(time.map(|t| t.0), now)
}

fn since_instant(time: Option<Timestamp>, now: Timestamp) -> String {
    match time {
        Some(time) => human(now.duration_since(time).as_secs()),
        None => "<unknown>".to_owned(),
    }
}

/// Two units at most, of which the second is left out when it is zero. Clocks may differ by a second: just ahead of now
/// is now.
pub fn human(seconds: i64) -> String {
    let pair = |first: i64, unit: &str, second: i64, small: &str| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{small}"),
    };
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => pair(s / MINUTE, "m", s % MINUTE, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => pair(s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => pair(s / DAY, "d", s % DAY / HOUR, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => pair(s / YEAR, "y", s % YEAR / DAY, "d"),
        s => format!("{}y", s / YEAR),
    }
}

/// `Thu, 01 Jan 2026 10:00:00 +0000`: RFC 1123 with the zone in digits, in the time zone of the machine as kubectl does. A
/// time that is missing is Go's zero time.
pub fn rfc1123(time: Option<&Time>) -> String {
    match time {
        Some(time) => time.0.to_zoned(TimeZone::system()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
    }
}
