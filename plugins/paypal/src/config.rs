//! The user's configuration: live or sandbox, and from when on transactions are read.

use serde::Deserialize;
use sluice_sdk::{Connection, Error, time};

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) host: String,
    #[serde(default)]
    since: Option<String>,
}

pub(crate) fn of(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// From when on, in milliseconds; none for as far back as there is anything.
    pub(crate) fn since(&self) -> Result<Option<u64>, Error> {
        let Some(day) = &self.since else { return Ok(None) };
        let at = time::parse(&format!("{day}T00:00:00Z"));
        at.map(Some).ok_or_else(|| Error::config("not a day", "/since"))
    }
}
