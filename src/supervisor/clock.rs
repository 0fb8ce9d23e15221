//! The machine's two clocks, read. Only the supervisor's side reads them; `pod` is handed the result.

use nix::time::{ClockId, clock_gettime};

use crate::pod::time::{BootTime, Moment, WallTime};

/// This instant on both clocks. Both always exist on Linux 5.14; an impossible failure shows as time zero.
pub fn now() -> Moment {
    Moment { boot: BootTime(read(ClockId::CLOCK_BOOTTIME)), wall: wall(read(ClockId::CLOCK_REALTIME)) }
}

fn wall(nanoseconds: u64) -> WallTime {
    WallTime(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

fn read(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

/// Which boot of the machine this is (random(4), `boot_id`); empty when /proc is missing.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// An instant as RFC 3339 with nanoseconds in UTC, `2026-01-01T00:00:00.000000000Z`: the time format of CRI logs.
pub fn rfc3339_nanoseconds(at: WallTime) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_times_have_nine_digits_and_a_z() {
        assert_eq!(rfc3339_nanoseconds(WallTime(1_767_225_600_000_000_000)), "2026-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339_nanoseconds(WallTime(1_767_225_600_120_000_000)), "2026-01-01T00:00:00.120000000Z");
    }

    #[test]
    fn boot_time_moves_on() {
        let earlier = now();
        assert!(earlier.boot.0 > 0 && earlier.wall.0 > 0);
        assert!(now().boot >= earlier.boot);
    }
}
