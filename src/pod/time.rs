//! The two clocks of the machine. Inputs carry both; the machine reads neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time since boot (`CLOCK_BOOTTIME`), in nanoseconds. All waiting is reckoned on it: a change of the wall clock moves no
/// back-off and no grace period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(pub u64);

/// Time of day (`CLOCK_REALTIME`), in nanoseconds since 1970-01-01T00:00:00Z. Only for what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub i64);

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// For reckoning.
    pub boot: BootTime,
    /// For showing.
    pub wall: WallTime,
}

impl BootTime {
    /// This instant plus a duration; saturates at the end of time.
    pub fn after(self, wait: Duration) -> BootTime {
        BootTime(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this instant; zero when `earlier` is later.
    pub fn since(self, earlier: BootTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
