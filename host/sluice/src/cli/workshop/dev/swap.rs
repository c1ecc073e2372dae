//! A build into a running server: installed beside the one before under a version of its own, and the connection moved to it. What the
//! author may not decide alone stays undecided: a build that asks for more than what is installed waits for consent.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sluice_model::{Clock, SystemClock};

use crate::cli::client::{Body, Client, segment};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, text};
use crate::cli::workshop::project::Project;
use crate::cli::{input, resolve};

/// Where builds go.
pub(super) struct Swap {
    client: Client,
    connection: String,
    /// The install of the build before, which nothing uses once the next one is there.
    before: Option<String>,
}

/// A build that is in use.
pub(super) struct Swapped {
    pub(super) version: String,
    pub(super) install: String,
}

impl Swap {
    /// Builds go into what this connection uses.
    pub(super) async fn new(client: Client, connection: &str) -> Result<Self, Failure> {
        let found = resolve::connection(&client, connection).await?;
        Ok(Self {
            client,
            connection: text(&found, "id"),
            before: None,
        })
    }

    /// The connection's id.
    pub(super) fn connection(&self) -> &str {
        &self.connection
    }

    pub(super) async fn put(
        &mut self,
        project: &Project,
        component: &[u8],
        output: &Output,
    ) -> Result<Swapped, Failure> {
        let version = format!(
            "{}-dev.{}",
            release(&project.manifest.version),
            SystemClock.now().as_millis()
        );
        let manifest = versioned(&project.manifest_text, &version)?;
        let made = sluice_package::embed(component, &manifest)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let body = || Body::Bytes(Bytes::from(made.clone()));
        let proposal = self
            .client
            .send(Method::POST, "/api/v1/connectors/inspect", body())
            .await?;
        let digest = text(&proposal, "digest");
        let more = asks_for_more(&proposal);
        if !more.is_empty() {
            for line in &more {
                output.important(&format!("asks for more than what is installed: {line}"));
            }
            if !output.may_ask || !input::agrees("Install it with these permissions?")? {
                return Err(Failure {
                    code: Some("package.approval_needed".to_owned()),
                    ..Failure::new(Exit::Approval, "the build asks for more than what is installed")
                }
                .hint("the connection goes on with the build before; install it yourself to agree"));
            }
        }
        let path = format!("/api/v1/installs?accept={}", segment(&digest));
        let installed = self.client.send(Method::POST, &path, body()).await?;
        let install = text(&installed, "id");
        let path = format!("/api/v1/connections/{}/upgrade", segment(&self.connection));
        self.client.post(&path, json!({"install": install})).await?;
        if let Some(before) = self.before.replace(install.clone()) {
            // What still runs with it ends with it, and the next round takes it away.
            drop(
                self.client
                    .delete(&format!("/api/v1/installs/{}", segment(&before)))
                    .await,
            );
        }
        Ok(Swapped { version, install })
    }
}

/// What the build may do that the installed version may not.
fn asks_for_more(proposal: &Value) -> Vec<String> {
    let lines = |name: &str| {
        let list = proposal
            .pointer(&format!("/diff/{name}"))
            .and_then(Value::as_array);
        let lines = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    [lines("wider"), lines("new")].concat()
}

/// A version without what stands behind its three numbers.
fn release(version: &str) -> &str {
    version.split(['-', '+']).next().unwrap_or(version)
}

/// The manifest under another version.
fn versioned(manifest: &str, version: &str) -> Result<String, Failure> {
    let mut done = false;
    let line = |line: &str| {
        let is_it = !done && line.split('=').next().is_some_and(|key| key.trim() == "version");
        if is_it {
            done = true;
            return format!("version = \"{version}\"\n");
        }
        format!("{line}\n")
    };
    let text: String = manifest.lines().map(line).collect();
    if done {
        Ok(text)
    } else {
        Err(Failure::usage(
            "connector.toml has no `version` on a line of its own",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_a_version_of_its_own() {
        let text = "manifest = 1\nversion = \"0.1.0-rc.1\"\nname = \"version = 2\"\n";
        let made = versioned(text, "0.1.0-dev.7").unwrap();
        assert_eq!(
            made,
            "manifest = 1\nversion = \"0.1.0-dev.7\"\nname = \"version = 2\"\n"
        );
        assert_eq!(release("0.1.0-rc.1+build"), "0.1.0");
        assert!(versioned("manifest = 1\n", "1.0.0").is_err());
    }

    #[test]
    fn more_is_what_is_new_or_wider() {
        let proposal = json!({"diff": {"wider": ["a"], "new": ["b"], "same": ["c"], "narrower": ["d"]}});
        assert_eq!(asks_for_more(&proposal), ["a", "b"]);
        assert!(asks_for_more(&json!({"diff": null})).is_empty());
    }
}
