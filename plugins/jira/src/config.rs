//! The configuration: which site, by which road, and which projects. With Sign in with Atlassian the site's cloud id came
//! with the token and requests go through Atlassian's own host; with an API token they go to the site.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

const BELOW: &str = ".atlassian.net";

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    site: Option<String>,
    #[serde(default)]
    cloud_id: Option<String>,
    #[serde(default)]
    projects: Vec<String>,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The site's host.
    pub(crate) fn site(&self) -> Result<&str, Error> {
        match &self.site {
            Some(host) if is_site(host) => Ok(host),
            Some(_) => Err(Error::config(
                "not a site of Jira Cloud, such as acme.atlassian.net",
                "/site",
            )),
            None => Err(Error::config(
                "say which site, such as acme.atlassian.net",
                "/site",
            )),
        }
    }

    /// Where the REST API is.
    pub(crate) fn root(&self) -> Result<String, Error> {
        match &self.cloud_id {
            Some(id) if is_cloud_id(id) => Ok(format!("https://api.atlassian.com/ex/jira/{id}/rest/api/3")),
            Some(_) => Err(Error::config("not the id of a site", "/cloud_id")),
            None => Ok(format!("https://{}/rest/api/3", self.site()?)),
        }
    }

    /// The keys of the projects; none for all.
    pub(crate) fn projects(&self) -> Result<&[String], Error> {
        match self.projects.iter().position(|key| !is_project(key)) {
            Some(at) => Err(Error::config("not a project's key", format!("/projects/{at}"))),
            None => Ok(&self.projects),
        }
    }
}

fn is_site(host: &str) -> bool {
    host.strip_suffix(BELOW).is_some_and(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

fn is_cloud_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

pub(crate) fn is_project(text: &str) -> bool {
    (2..=80).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    fn root(config: &str) -> Result<String, Error> {
        read(&connection(config)).unwrap().root()
    }

    #[test]
    fn the_road_follows_from_how_one_signed_in() {
        assert_eq!(
            root(r#"{"site":"doors.atlassian.net"}"#).unwrap(),
            "https://doors.atlassian.net/rest/api/3"
        );
        assert_eq!(
            root(r#"{"site":"doors.atlassian.net","cloud_id":"0d000000-0000-0000-0000-00000000000c"}"#)
                .unwrap(),
            "https://api.atlassian.com/ex/jira/0d000000-0000-0000-0000-00000000000c/rest/api/3"
        );
    }

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        for (config, pointer) in [
            ("{}", "/site"),
            (r#"{"site":"evil.example"}"#, "/site"),
            (r#"{"site":"a.b.atlassian.net"}"#, "/site"),
            (r#"{"site":".atlassian.net"}"#, "/site"),
            (r#"{"site":"doors.atlassian.net/x"}"#, "/site"),
            (r#"{"cloud_id":"../../oauth"}"#, "/cloud_id"),
        ] {
            assert!(
                matches!(root(config), Err(Error::Config(detail)) if detail.pointer.as_deref() == Some(pointer)),
                "{config}"
            );
        }
        let config = read(&connection(r#"{"projects":["DOOR","x\") OR (project = Y"]}"#)).unwrap();
        assert!(
            matches!(config.projects(), Err(Error::Config(detail)) if detail.pointer.as_deref() == Some("/projects/1"))
        );
    }
}
