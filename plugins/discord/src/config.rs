//! The configuration: which servers and channels, and how interactions are answered.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

use crate::api;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    guilds: Vec<String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    pub(crate) members: bool,
    #[serde(default)]
    pub(crate) private_replies: bool,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The servers that are named; none for all.
    pub(crate) fn guilds(&self) -> Result<&[String], Error> {
        ids(&self.guilds, "guilds")
    }

    /// The channels that are named; none for all.
    pub(crate) fn channels(&self) -> Result<&[String], Error> {
        ids(&self.channels, "channels")
    }
}

fn ids<'a>(list: &'a [String], name: &str) -> Result<&'a [String], Error> {
    match list.iter().position(|id| !api::is_id(id)) {
        Some(at) => Err(Error::config("not one of Discord's ids", format!("/{name}/{at}"))),
        None => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let config = read(&connection(
            r#"{"guilds":["x"],"channels":["175928847299117063","../a"]}"#,
        ))
        .unwrap();
        let pointer = |error: Error| match error {
            Error::Config(detail) => detail.pointer.unwrap_or_default(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(config.guilds().unwrap_err()), "/guilds/0");
        assert_eq!(pointer(config.channels().unwrap_err()), "/channels/1");
    }
}
