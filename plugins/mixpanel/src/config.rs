//! The configuration: which project, where it lives, and from which day on events are read.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

use crate::day::Day;

#[derive(Debug, Deserialize)]
struct Raw {
    project_id: u64,
    #[serde(default)]
    region: Region,
    start_date: String,
    #[serde(default)]
    utc_offset_hours: i64,
    #[serde(default)]
    days_per_request: Option<u32>,
    #[serde(default)]
    token: Option<String>,
}

/// Where Mixpanel keeps the project (Mixpanel docs, "EU Data Residency", "India Data Residency").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Region {
    #[default]
    Us,
    Eu,
    In,
}

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) project: u64,
    pub(crate) region: Region,
    pub(crate) start: Day,
    /// What the project's days are ahead of UTC's, in milliseconds.
    pub(crate) offset_ms: i64,
    pub(crate) days_per_request: u32,
    /// The project token, which names the project in what is tracked; anybody's browser has it.
    pub(crate) token: Option<String>,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    let raw: Raw = connection.config()?;
    let start = Day::parse(&raw.start_date)
        .ok_or_else(|| Error::config("not a day such as `2024-05-01`", "/start_date"))?;
    if !(-12..=14).contains(&raw.utc_offset_hours) {
        return Err(Error::config("not between -12 and 14", "/utc_offset_hours"));
    }
    Ok(Config {
        project: raw.project_id,
        region: raw.region,
        start,
        offset_ms: raw.utc_offset_hours * 3_600_000,
        days_per_request: raw.days_per_request.unwrap_or(1).clamp(1, 30),
        token: raw.token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        for (config, pointer) in [
            (r#"{"project_id":"x","start_date":"2024-05-01"}"#, "/project_id"),
            (r#"{"project_id":1,"start_date":"yesterday"}"#, "/start_date"),
            (
                r#"{"project_id":1,"start_date":"2024-05-01","region":"mars"}"#,
                "/region",
            ),
            (
                r#"{"project_id":1,"start_date":"2024-05-01","utc_offset_hours":99}"#,
                "/utc_offset_hours",
            ),
        ] {
            match read(&connection(config)) {
                Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer)),
                other => panic!("{config}: {other:?}"),
            }
        }
    }
}
