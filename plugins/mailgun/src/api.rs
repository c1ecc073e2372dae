//! Mailgun's API: where it is, for a domain of either region.

use serde::Deserialize;
use sluice_sdk::http::{self, Request};
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
struct Config {
    domain: String,
    #[serde(default)]
    region: Region,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Region {
    #[default]
    Us,
    Eu,
}

/// The API, and the domain of the connection.
#[derive(Debug)]
pub(crate) struct Api {
    root: &'static str,
    pub(crate) domain: String,
}

impl Api {
    pub(crate) fn of(connection: &Connection) -> Result<Self, Error> {
        let config: Config = connection.config()?;
        let is_domain = config.domain.contains('.')
            && config
                .domain
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
        if !is_domain {
            return Err(Error::config("not a domain such as mg.example.com", "/domain"));
        }
        Ok(Self {
            root: match config.region {
                Region::Us => "https://api.mailgun.net",
                Region::Eu => "https://api.eu.mailgun.net",
            },
            domain: config.domain,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        http::request(method, format!("{}/{path}", self.root))
    }
}

/// A body as forms have it.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |(name, value): &(&str, &str)| format!("{}={}", http::encode(name), http::encode(value));
    pairs.iter().map(encoded).collect::<Vec<_>>().join("&")
}

/// The content type of [`form`].
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_domain_has_its_region_and_becomes_no_other_path() {
        let url = |config: &str| Api::of(&connection(config)).map(|api| api.get("v3/x").url().to_owned());
        assert_eq!(
            url(r#"{"domain":"mg.doors.example"}"#).unwrap(),
            "https://api.mailgun.net/v3/x"
        );
        assert_eq!(
            url(r#"{"domain":"mg.doors.example","region":"eu"}"#).unwrap(),
            "https://api.eu.mailgun.net/v3/x"
        );
        for bad in [r#"{"domain":"a/b.c"}"#, r#"{"domain":"domains"}"#] {
            assert!(
                matches!(url(bad), Err(Error::Config(detail)) if detail.pointer.as_deref() == Some("/domain"))
            );
        }
        assert_eq!(
            form(&[("to", "a+b@c.d"), ("h:Reply-To", "x y")]),
            "to=a%2Bb%40c.d&h%3AReply-To=x%20y"
        );
    }
}
