//! Days of the project's calendar, as the export is asked for.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluice_sdk::time;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Day(i64);

impl Day {
    /// `2024-05-01`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let start = time::parse(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10)?;
        Some(Self(i64::try_from(start).ok()? / DAY_MS))
    }

    /// The day of a moment (in milliseconds) in a zone that is so far ahead of UTC.
    pub(crate) fn of(moment: u64, offset_ms: i64) -> Self {
        let local = i64::try_from(moment)
            .unwrap_or(i64::MAX / 2)
            .saturating_add(offset_ms);
        Self(local.div_euclid(DAY_MS))
    }

    pub(crate) const fn plus(self, days: u32) -> Self {
        Self(self.0 + days as i64)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = u64::try_from(self.0.saturating_mul(DAY_MS)).unwrap_or_default();
        let text = time::format(start);
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_date_and_has_a_zone() {
        let day = Day::parse("2024-02-28").unwrap();
        assert_eq!(day.plus(2).to_string(), "2024-03-01");
        let late = time::parse("2024-02-28T23:30:00Z").unwrap();
        assert_eq!(Day::of(late, 0), day);
        assert_eq!(Day::of(late, 3_600_000), day.plus(1));
        assert_eq!(Day::of(0, -3_600_000), Day(-1));
        for bad in ["", "2024-2-28", "2024-02-30", "2024-02-28T00:00:00Z", "20240228"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }
}
