//! The user's configuration: which repositories.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

/// Either the repositories by name, or the owner of all of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    owner: Option<String>,
    /// Of a GitHub App; the host obtains its tokens by it.
    #[serde(default)]
    installation_id: Option<String>,
}

/// Which repositories a connection reads.
#[derive(Debug)]
pub(crate) enum Scope {
    /// These, as `owner/name`.
    Named(Vec<String>),
    /// Those of this owner that the token sees.
    Owner(String),
}

/// What the connection reads.
pub(crate) fn scope(connection: &Connection) -> Result<Scope, Error> {
    let config: Config = connection.config()?;
    if let Some(at) = config.repositories.iter().position(|name| !is_full_name(name)) {
        return Err(Error::config(
            "not a repository: write `owner/name`",
            format!("/repositories/{at}"),
        ));
    }
    if !config.repositories.is_empty() {
        return Ok(Scope::Named(config.repositories));
    }
    match config.owner {
        Some(owner) if is_name(&owner) => Ok(Scope::Owner(owner)),
        Some(_) => Err(Error::config("not a user or an organization", "/owner")),
        None => Err(Error::config(
            "name `repositories`, or an `owner`",
            "/repositories",
        )),
    }
}

/// The installation of a GitHub App that the connection acts for, where it is configured.
pub(crate) fn installation(connection: &Connection) -> Result<Option<String>, Error> {
    Ok(connection.config::<Config>()?.installation_id)
}

/// Whether it is `owner/name`; nothing else may become part of a path.
pub(crate) fn is_full_name(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let check = |config: &str, pointer: &str| match scope(&connection(config)) {
            Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer), "{config}"),
            other => panic!("{config}: {other:?}"),
        };
        check("{}", "/repositories");
        check(r#"{"repositories":["a/b","a"]}"#, "/repositories/1");
        check(r#"{"repositories":["a/../b"]}"#, "/repositories/0");
        check(r#"{"repositories":["a/.."]}"#, "/repositories/0");
        check(r#"{"repositories":["a/b?x"]}"#, "/repositories/0");
        check(r#"{"repositories":[1]}"#, "/repositories/0");
        check(r#"{"owner":"a/b"}"#, "/owner");
        assert!(
            matches!(scope(&connection(r#"{"owner":"acme"}"#)), Ok(Scope::Owner(owner)) if owner == "acme")
        );
    }
}
