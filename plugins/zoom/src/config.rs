//! The configuration: whose meetings and recordings, and from which day on.

use serde::Deserialize;
use sluice_sdk::{Connection, Error, time};

use crate::api;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    start_date: Option<String>,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The people that are named; none for all.
    pub(crate) fn users(&self) -> Result<&[String], Error> {
        match self.users.iter().position(|user| !api::is_user(user)) {
            Some(at) => Err(Error::config(
                "not the id or email address of a person",
                format!("/users/{at}"),
            )),
            None => Ok(&self.users),
        }
    }

    /// Where recordings begin, in milliseconds.
    pub(crate) fn start(&self) -> Result<Option<u64>, Error> {
        let day = self.start_date.as_deref().map(|day| {
            let parsed = time::parse(&format!("{day}T00:00:00Z"));
            parsed.ok_or_else(|| Error::config("not a day such as `2024-05-01`", "/start_date"))
        });
        day.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let config = read(&connection(r#"{"users":["a","b/c"],"start_date":"soon"}"#)).unwrap();
        let pointer = |error: Error| match error {
            Error::Config(detail) => detail.pointer.unwrap_or_default(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(config.users().unwrap_err()), "/users/1");
        assert_eq!(pointer(config.start().unwrap_err()), "/start_date");
    }
}
