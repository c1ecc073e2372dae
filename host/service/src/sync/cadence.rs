//! Cadences: when a stream is read by itself. Every so often, or by a cron expression in a time zone; never in its quiet hours.
//!
//! Pure: a cadence and the time before give the next time, and the same ones always the same. A server that was away does not make
//! up for what it missed: one run brings a stream up to date.

use std::time::Duration;

use croner::parser::{CronParser, Seconds};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use sluice_model::Timestamp;

/// When a stream is read by itself: either `every_s` or `cron`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// Seconds from one run to the next; 10 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u64>,
    /// Up to so many seconds later, another for each stream and run: so that a thousand streams do not begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_s: Option<u64>,
    /// Minute, hour, day, month, weekday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA name of the time zone that `cron` and `quiet` are meant in; UTC if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Hours of the day in which nothing begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Quiet>,
}

/// From one time of the day up to another, as "22:00"; over midnight where that is the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    pub from: String,
    pub to: String,
}

/// What is wrong with a cadence, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CadenceError {
    /// RFC 6901, into the cadence.
    pub pointer: String,
    pub reason: String,
}

/// No stream is read more often.
const MIN_EVERY: u64 = 10;
/// Nor less often than a month, which is what cron is for.
const MAX_EVERY: u64 = 31 * 86_400;
/// Occurrences of a cron expression that may fall into quiet hours one after the other.
const MAX_SKIPPED: usize = 2000;

/// A cadence that has been checked.
#[derive(Debug, Clone)]
pub struct Plan {
    beat: Beat,
    zone: TimeZone,
    quiet: Vec<(Time, Time)>,
}

#[derive(Debug, Clone)]
enum Beat {
    Every { every: Duration, jitter: Duration },
    Cron(Box<croner::Cron>),
}

impl Cadence {
    /// The cadence as it can be asked for times.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn plan(&self) -> Result<Plan, CadenceError> {
        let beat = match (self.every_s, &self.cron) {
            (Some(every), None) => {
                if !(MIN_EVERY..=MAX_EVERY).contains(&every) {
                    return Err(bad(
                        "/every_s",
                        format!("is not between {MIN_EVERY} and {MAX_EVERY}"),
                    ));
                }
                let jitter = self.jitter_s.unwrap_or(0);
                if jitter > every {
                    return Err(bad("/jitter_s", "is longer than `every_s`"));
                }
                Beat::Every {
                    every: Duration::from_secs(every),
                    jitter: Duration::from_secs(jitter),
                }
            }
            (None, Some(text)) => {
                if self.jitter_s.is_some() {
                    return Err(bad("/jitter_s", "goes with `every_s` only"));
                }
                if text.len() > 200 {
                    return Err(bad("/cron", "is longer than 200 bytes"));
                }
                let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
                let cron = parser
                    .parse(text)
                    .map_err(|error| bad("/cron", error.to_string()))?;
                Beat::Cron(Box::new(cron))
            }
            (None, None) => return Err(bad("", "needs `every_s` or `cron`")),
            (Some(_), Some(_)) => return Err(bad("/cron", "does not go with `every_s`: choose one")),
        };
        let zone = match &self.zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| bad("/zone", "is no time zone's name, such as \"Europe/Berlin\""))?,
        };
        if self.quiet.len() > 8 {
            return Err(bad("/quiet", "has more than 8 entries"));
        }
        let mut quiet = Vec::with_capacity(self.quiet.len());
        for (n, hours) in self.quiet.iter().enumerate() {
            let time = |part: &str, text: &str| {
                text.parse::<Time>().map_err(|_| {
                    bad(
                        &format!("/quiet/{n}/{part}"),
                        "is no time of the day, such as \"22:00\"",
                    )
                })
            };
            let (from, to) = (time("from", &hours.from)?, time("to", &hours.to)?);
            if from == to {
                return Err(bad(&format!("/quiet/{n}/to"), "is the same as `from`"));
            }
            quiet.push((from, to));
        }
        let plan = Plan { beat, zone, quiet };
        if plan.next(Timestamp::from_millis(1_767_225_600_000), 0).is_none() {
            return Err(bad(
                "",
                "never comes: every time of it is a quiet one, or a day that no month has",
            ));
        }
        Ok(plan)
    }
}

fn bad(pointer: &str, reason: impl Into<String>) -> CadenceError {
    CadenceError {
        pointer: pointer.to_owned(),
        reason: reason.into(),
    }
}

impl Plan {
    /// The next time behind `after`; `seed` tells streams and runs apart. `None` if there is none any more.
    #[must_use]
    pub fn next(&self, after: Timestamp, seed: u64) -> Option<Timestamp> {
        match &self.beat {
            Beat::Every { every, jitter } => {
                let spread = u64::try_from(jitter.as_millis()).unwrap_or(0);
                let later = Duration::from_millis(if spread == 0 { 0 } else { seed % (spread + 1) });
                let at = after.after(*every + later);
                // The end of quiet hours may lie in others.
                let at = (0..=self.quiet.len()).try_fold(at, |at, _| match self.quiet_until(at)? {
                    None => Some(at),
                    Some(end) => Some(end.after(later)),
                })?;
                self.quiet_until(at)?.is_none().then_some(at)
            }
            Beat::Cron(cron) => {
                let mut at = self.zoned(after)?;
                for _ in 0..MAX_SKIPPED {
                    at = cron.find_next_occurrence(&at, false).ok()?;
                    let time = Timestamp::from_millis(u64::try_from(at.timestamp().as_millisecond()).ok()?);
                    match self.quiet_until(time)? {
                        None => return Some(time),
                        Some(end) => {
                            // Nothing within them can be a time of it.
                            let end = self.zoned(end)?;
                            at = end.checked_sub(1.second()).ok()?.max(at);
                        }
                    }
                }
                None
            }
        }
    }

    fn zoned(&self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(at.as_millis()).ok()?).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }

    /// The end of the quiet hours that this moment is in. The outer `None`: time has ended.
    fn quiet_until(&self, at: Timestamp) -> Option<Option<Timestamp>> {
        let zoned = self.zoned(at)?;
        let time = zoned.time();
        for (from, to) in &self.quiet {
            let over_midnight = to < from;
            let within = if over_midnight {
                time >= *from || time < *to
            } else {
                time >= *from && time < *to
            };
            if !within {
                continue;
            }
            let mut day = zoned.date();
            if over_midnight && time >= *from {
                day = day.tomorrow().ok()?;
            }
            let end = day.to_datetime(*to).to_zoned(self.zone.clone()).ok()?;
            let end = Timestamp::from_millis(u64::try_from(end.timestamp().as_millisecond()).ok()?);
            // Where the clock is put forward over the end, the end is now.
            return Some((end > at).then_some(end));
        }
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(time.as_millisecond() as u64)
    }

    fn cadence(json: &str) -> Cadence {
        serde_json::from_str(json).unwrap()
    }

    fn next(json: &str, after: &str) -> String {
        let time = cadence(json).plan().unwrap().next(at(after), 0).unwrap();
        time.to_string()
    }

    #[test]
    fn the_next_time() {
        let table = [
            (
                r#"{"every_s": 900}"#,
                "2026-11-21T10:00:00Z",
                "2026-11-21T10:15:00.000Z",
            ),
            (
                r#"{"cron": "0 6 * * MON-FRI"}"#,
                "2026-11-21T10:00:00Z",
                "2026-11-23T06:00:00.000Z",
            ),
            (
                r#"{"cron": "0 6 * * *", "zone": "Europe/Berlin"}"#,
                "2026-07-01T03:00:00Z",
                "2026-07-01T04:00:00.000Z",
            ),
            // The night in which the clock goes from 2 to 3, and the one in which it is twice 2.
            (
                r#"{"cron": "30 2 * * *", "zone": "Europe/Berlin"}"#,
                "2026-10-24T23:00:00Z",
                "2026-10-25T00:30:00.000Z",
            ),
            (
                r#"{"cron": "0 12 29 2 *"}"#,
                "2026-03-01T00:00:00Z",
                "2028-02-29T12:00:00.000Z",
            ),
            (
                r#"{"every_s": 900, "zone": "Europe/Berlin", "quiet": [{"from": "22:00", "to": "06:00"}]}"#,
                "2026-11-21T20:50:00Z",
                "2026-11-22T05:00:00.000Z",
            ),
            (
                r#"{"cron": "0 * * * *", "quiet": [{"from": "12:00", "to": "14:30"}]}"#,
                "2026-11-21T11:30:00Z",
                "2026-11-21T15:00:00.000Z",
            ),
            (
                r#"{"cron": "30 14 * * *", "quiet": [{"from": "12:00", "to": "14:30"}]}"#,
                "2026-11-21T11:30:00Z",
                "2026-11-21T14:30:00.000Z",
            ),
        ];
        for (json, after, expected) in table {
            assert_eq!(next(json, after), expected, "{json} after {after}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let table = [
            ("{}", ""),
            (r#"{"every_s": 1}"#, "/every_s"),
            (r#"{"every_s": 60, "jitter_s": 61}"#, "/jitter_s"),
            (r#"{"every_s": 60, "cron": "* * * * *"}"#, "/cron"),
            (r#"{"cron": "61 * * * *"}"#, "/cron"),
            (r#"{"cron": "* * * * * *"}"#, "/cron"),
            (r#"{"cron": "0 0 31 2 *"}"#, ""),
            (r#"{"every_s": 60, "zone": "Mars/Olympus"}"#, "/zone"),
            (
                r#"{"every_s": 60, "quiet": [{"from": "25:00", "to": "06:00"}]}"#,
                "/quiet/0/from",
            ),
            (
                r#"{"every_s": 60, "quiet": [{"from": "06:00", "to": "06:00"}]}"#,
                "/quiet/0/to",
            ),
            (
                r#"{"every_s": 60, "quiet": [{"from": "06:00", "to": "18:00"}, {"from": "18:00", "to": "06:00"}]}"#,
                "",
            ),
        ];
        for (json, pointer) in table {
            let error = cadence(json).plan().unwrap_err();
            assert_eq!(error.pointer, pointer, "{json}: {error}");
        }
        assert!(serde_json::from_str::<Cadence>(r#"{"evry_s": 60}"#).is_err());
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_never_a_quiet_one(
            every in 10u64..100_000, jitter in 0u64..10, seed: u64, after in 0u64..4_000_000_000_000,
            from in 0u8..24, len in 1u8..20,
        ) {
            let quiet = vec![Quiet { from: format!("{from:02}:00"), to: format!("{:02}:00", (from + len) % 24) }];
            prop_assume!(quiet[0].from != quiet[0].to);
            let zone = Some("America/New_York".to_owned());
            let cadence = Cadence { every_s: Some(every), jitter_s: Some(jitter), zone, quiet, cron: None };
            let plan = cadence.plan().unwrap();
            let after = Timestamp::from_millis(after);
            let next = plan.next(after, seed).unwrap();
            prop_assert!(next > after);
            prop_assert_eq!(plan.quiet_until(next).unwrap(), None);
        }
    }
}
