//! Connectors: the permission page is shown, and only its digest approves it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve};

/// Inspect, install and remove connectors
#[derive(Debug, Subcommand)]
pub(super) enum Connector {
    /// Make a connector to start from, with its SDK
    New(super::new::New),
    /// Installed connectors
    List,
    /// What a connector offers, installed or in a file
    Info {
        /// Id of a connector or an install, or a file
        connector: String,
    },
    /// Install a connector file, after showing what it may do
    Install {
        file: PathBuf,
        /// The digest of the manifest whose permissions were read
        #[arg(long, value_name = "sha256:…")]
        accept: Option<String>,
    },
    /// Remove an install that nothing uses
    Remove {
        /// Id of a connector or an install
        connector: String,
    },
    /// What an install may do
    #[command(subcommand)]
    Permissions(Permissions),
}

#[derive(Debug, Subcommand)]
pub(super) enum Permissions {
    /// Show the permission page
    Show {
        /// Id of a connector or an install, or a file
        connector: String,
    },
}

impl Connector {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::New(new) => new.run(output),
            Self::List => {
                let list = client.get("/api/v1/installs?limit=1000").await?;
                let row = |item: &Value| ["id", "connector", "version", "name"].map(|name| text(item, name));
                output.show(&list, |output| {
                    output.table(
                        ["id", "connector", "version", "name"],
                        items(&list).iter().map(row),
                    )
                });
                Ok(Exit::Ok)
            }
            Self::Info { connector } => {
                let found = look(client, &connector).await?;
                output.show(&found, |output| {
                    info(output, found.get("connector").unwrap_or(&Value::Null))
                });
                Ok(Exit::Ok)
            }
            Self::Permissions(Permissions::Show { connector }) => {
                let found = look(client, &connector).await?;
                let page = found.get("permissions").unwrap_or(&Value::Null);
                output.show(page, |output| output.data(&page_text(page)));
                Ok(Exit::Ok)
            }
            Self::Install { file, accept } => install(client, output, &file, accept).await,
            Self::Remove { connector } => {
                let id = resolve::id(client, "/api/v1/installs?limit=1000", "ins_", &connector).await?;
                client
                    .delete(&format!("/api/v1/installs/{}", segment(&id)))
                    .await?;
                output.done(&format!("{connector} is removed"));
                Ok(Exit::Ok)
            }
        }
    }
}

/// An install, or what a file would be.
async fn look(client: &Client, which: &str) -> Result<Value, Failure> {
    let path = Path::new(which);
    if which.contains(['/', '.']) && path.is_file() {
        return client
            .send(
                Method::POST,
                "/api/v1/connectors/inspect",
                Body::Bytes(read(path)?),
            )
            .await;
    }
    let id = resolve::id(client, "/api/v1/installs?limit=1000", "ins_", which).await?;
    client.get(&format!("/api/v1/installs/{}", segment(&id))).await
}

async fn install(
    client: &Client,
    output: &Output,
    file: &Path,
    accept: Option<String>,
) -> Result<Exit, Failure> {
    let bytes = read(file)?;
    let proposal = client
        .send(
            Method::POST,
            "/api/v1/connectors/inspect",
            Body::Bytes(bytes.clone()),
        )
        .await?;
    let digest = text(&proposal, "digest");
    let accepted = match accept {
        Some(accept) => accept,
        None => {
            output.note(&page_text(proposal.get("permissions").unwrap_or(&Value::Null)));
            differences(output, &proposal);
            output.note(&format!("manifest {digest}"));
            let needed = Failure::new(
                Exit::Approval,
                format!("the permissions of {} need an approval", file.display()),
            );
            if !output.may_ask {
                return Err(Failure {
                    code: Some("package.approval_needed".to_owned()),
                    ..needed
                }
                .hint(format!(
                    "sluice connector install {} --accept {digest}",
                    file.display()
                )));
            }
            if !input::agrees("Install it with these permissions?")? {
                return Err(needed.hint("nothing was installed"));
            }
            digest
        }
    };
    let path = format!("/api/v1/installs?accept={}", segment(&accepted));
    let installed = client.send(Method::POST, &path, Body::Bytes(bytes)).await?;
    output.show(&installed, |output| {
        output.done(&format!(
            "{} {} is installed",
            text(&installed, "connector"),
            text(&installed, "version")
        ));
        output.line(&text(&installed, "id"));
    });
    Ok(Exit::Ok)
}

/// What would change against the version that is installed.
fn differences(output: &Output, proposal: &Value) {
    let Some(diff) = proposal.get("diff") else { return };
    output.note(&format!(
        "against the installed version {}:",
        text(proposal, "installed.version")
    ));
    for (name, sign) in [
        ("new", "+ new     "),
        ("wider", "+ wider   "),
        ("narrower", "- narrower"),
    ] {
        for line in diff.get(name).and_then(Value::as_array).into_iter().flatten() {
            output.note(&format!("  {sign} {}", line.as_str().unwrap_or_default()));
        }
    }
}

fn page_text(permissions: &Value) -> String {
    text(permissions, "text")
        .lines()
        .map(|line| super::output::clean(line) + "\n")
        .collect()
}

fn info(output: &Output, connector: &Value) {
    output.fields(&[
        (
            "connector",
            format!("{} {}", text(connector, "id"), text(connector, "version")),
        ),
        ("name", text(connector, "name")),
        ("about", text(connector, "description")),
        ("category", text(connector, "category")),
        ("licence", text(connector, "licence")),
        ("website", text(connector, "website")),
        ("config", text(connector, "config_schema")),
    ]);
    let each = |name: &str| {
        connector
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for scheme in each("auth") {
        output.line(&format!(
            "auth       {}  {}",
            text(&scheme, "name"),
            text(&scheme, "title")
        ));
    }
    for stream in each("streams") {
        output.line(&format!(
            "stream     {}  {}  {}",
            text(&stream, "name"),
            text(&stream, "title"),
            text(&stream, "modes")
        ));
    }
    for webhook in each("webhooks") {
        output.line(&format!(
            "webhook    {}  {}",
            text(&webhook, "name"),
            text(&webhook, "events")
        ));
    }
    for action in each("actions") {
        output.line(&format!(
            "action     {}  {}",
            text(&action, "name"),
            text(&action, "title")
        ));
    }
}

fn read(file: &Path) -> Result<Bytes, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    Ok(Bytes::from(bytes))
}
