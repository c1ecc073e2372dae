//! The user's configuration: which bases, and whether incremental runs read only what was edited.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

use crate::api;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    bases: Vec<String>,
    #[serde(default)]
    pub(crate) edited_only: bool,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The bases that are named; none for all.
    pub(crate) fn bases(&self) -> Result<Vec<String>, Error> {
        match self.bases.iter().position(|id| !api::is_id(id, "app")) {
            Some(at) => Err(Error::config("not a base's id", format!("/bases/{at}"))),
            None => Ok(self.bases.clone()),
        }
    }
}
