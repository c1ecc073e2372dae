//! The user's configuration: which properties, and whether associations.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

use crate::streams::Stream;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    contact_properties: Vec<String>,
    #[serde(default)]
    company_properties: Vec<String>,
    #[serde(default)]
    deal_properties: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) associations: bool,
}

const fn yes() -> bool {
    true
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The properties that are named for an object; none for all.
    pub(crate) fn properties(&self, stream: &Stream) -> Result<Vec<String>, Error> {
        let names = match stream.configured {
            "contact_properties" => &self.contact_properties,
            "company_properties" => &self.company_properties,
            _ => &self.deal_properties,
        };
        match names.iter().position(|name| !is_property(name)) {
            Some(at) => Err(Error::config(
                "not a property's internal name",
                format!("/{}/{at}", stream.configured),
            )),
            None => Ok(names.clone()),
        }
    }
}

fn is_property(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let config = read(&connection(r#"{"deal_properties":["amount","Deal Name"]}"#)).unwrap();
        assert!(config.associations);
        let deals = streams::named("deals").unwrap();
        let error = config.properties(deals).unwrap_err();
        assert!(
            matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/deal_properties/1"))
        );
        assert!(
            config
                .properties(streams::named("contacts").unwrap())
                .unwrap()
                .is_empty()
        );
    }
}
