//! The configuration: which GitLab, and which projects. Projects are told by their numbers: a path with encoded slashes is not one
//! that an egress rule can name.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    host: String,
    #[serde(default)]
    projects: Vec<u64>,
    #[serde(default)]
    group: Option<u64>,
}

/// What a connection reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// These projects.
    Projects(Vec<u64>),
    /// All projects of the group and its subgroups.
    Group(u64),
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    pub(crate) fn host(&self) -> Result<&str, Error> {
        let is_host = self.host.contains('.')
            && self
                .host
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
        match is_host {
            true => Ok(&self.host),
            false => Err(Error::config("not a host such as gitlab.com", "/host")),
        }
    }

    pub(crate) fn scope(&self) -> Result<Scope, Error> {
        match (self.projects.is_empty(), self.group) {
            (false, _) => Ok(Scope::Projects(self.projects.clone())),
            (true, Some(group)) => Ok(Scope::Group(group)),
            (true, None) => Err(Error::config("name `projects`, or a `group`", "/projects")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let check = |config: &str, pointer: &str| {
            let read = read(&connection(config)).and_then(|config| {
                config.host()?;
                config.scope()
            });
            match read {
                Err(Error::Config(detail)) => {
                    assert_eq!(detail.pointer.as_deref(), Some(pointer), "{config}")
                }
                other => panic!("{config}: {other:?}"),
            }
        };
        check(r#"{"host":"gitlab.com"}"#, "/projects");
        check(r#"{"host":"gitlab.com/x","projects":[1]}"#, "/host");
        check(r#"{"host":"gitlab.com","projects":["a/b"]}"#, "/projects/0");
        check(r#"{"host":"localhost","projects":[1]}"#, "/host");
    }
}
