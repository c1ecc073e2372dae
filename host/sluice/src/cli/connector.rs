//! Connectors: whose it is and the permission page are shown, and only the manifest's digest approves it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde_json::Value;
use sluice_model::{Clock, SystemClock};
use sluice_package::index::{self, Index};
use sluice_package::{Digest, Name, SourceError};

use super::author::{self, Author};
use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::trust::Trust;
use super::version::{self, Approval, Change, Channel, Offer, Upgrades};
use super::workshop::Workshop;
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
    /// Install a connector, after showing whose it is and what it may do
    Install {
        /// A file, https://…, oci://HOST/REPOSITORY:TAG, or with --from a name, also NAME@VERSION
        connector: String,
        /// Where the name is: a directory with an index, its address, or oci://HOST/REPOSITORY
        #[arg(long, value_name = "PLACE")]
        from: Option<String>,
        /// The digest of the manifest whose permissions were read
        #[arg(long, value_name = "sha256:…")]
        accept: Option<String>,
    },
    Offer(Offer),
    #[command(subcommand)]
    Approval(Approval),
    #[command(subcommand)]
    Channel(Channel),
    Upgrades(Upgrades),
    /// Put the packages of installed connectors into a directory, for a network that cannot reach this server
    Mirror {
        dir: PathBuf,
        /// Ids of connectors or installs; all of them without
        connectors: Vec<String>,
    },
    /// What an install means for each connection that uses another; nothing is changed
    Trial {
        /// Id of an install, or a connector for its newest
        install: String,
    },
    /// Remove an install that nothing uses
    Remove {
        /// Id of a connector or an install
        connector: String,
    },
    /// What an install may do
    #[command(subcommand)]
    Permissions(Permissions),
    /// Publishers, keys, and what is remembered of names
    #[command(subcommand)]
    Trust(Trust),
    #[command(flatten)]
    Workshop(Workshop),
    #[command(flatten)]
    Author(Author),
}

#[derive(Debug, Subcommand)]
pub(super) enum Permissions {
    /// Show the permission page
    Show {
        /// Id of a connector or an install, or a file
        connector: String,
    },
    Change(Change),
    /// What it may do and did not do, and what would be enough
    Advice {
        /// Id of a connector or an install
        connector: String,
        /// Days to look at
        #[arg(long, default_value_t = 30)]
        days: u32,
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
            Self::Permissions(Permissions::Change(change)) => change.run(client, output).await,
            Self::Permissions(Permissions::Advice { connector, days }) => {
                version::advice(client, output, &connector, days).await
            }
            Self::Trial { install } => version::trial(client, output, &install).await,
            Self::Offer(offer) => offer.run(client, output).await,
            Self::Approval(approval) => approval.run(client, output).await,
            Self::Channel(channel) => channel.run(client, output).await,
            Self::Upgrades(upgrades) => upgrades.run(client, output).await,
            Self::Install {
                connector,
                from,
                accept,
            } => install(client, output, &What::of(&connector, from.as_deref())?, accept).await,
            Self::Mirror { dir, connectors } => mirror(client, output, &dir, &connectors).await,
            Self::Trust(trust) => trust.run(client, output).await,
            // It needs no server, and was run before one was looked for.
            Self::Workshop(_) => Ok(Exit::Ok),
            Self::Author(author) => author.run(output).await,
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
                Body::Bytes(author::with_signature(path)?.into()),
            )
            .await;
    }
    let id = resolve::id(client, "/api/v1/installs?limit=1000", "ins_", which).await?;
    client.get(&format!("/api/v1/installs/{}", segment(&id))).await
}

/// What is to be installed.
#[derive(Debug)]
pub(super) struct What {
    /// As it was called.
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Sent from here.
    Bytes(Bytes),
    /// Fetched by the server.
    From(String),
}

impl What {
    pub(super) fn of(connector: &str, from: Option<&str>) -> Result<Self, Failure> {
        let place = match from {
            Some(from) => Self::listed(connector, from)?,
            None if ["oci://", "https://", "http://", "index+"]
                .iter()
                .any(|scheme| connector.starts_with(scheme)) =>
            {
                Place::From(connector.to_owned())
            }
            None => Place::Bytes(author::with_signature(Path::new(connector))?.into()),
        };
        let name = match from {
            Some(from) => format!("{connector} --from {from}"),
            None => connector.to_owned(),
        };
        Ok(Self { name, place })
    }

    /// A name and, perhaps, a version in a place that has several.
    fn listed(connector: &str, from: &str) -> Result<Place, Failure> {
        let (name, version) = match connector.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (connector, None),
        };
        let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("`{connector}`: {error}"));
        let parsed: Name = name.parse().map_err(|error| wrong(&error))?;
        if from.starts_with("oci://") {
            let version = version.ok_or_else(|| {
                Failure::usage("a registry does not say which version is the newest")
                    .hint(format!("{name}@VERSION"))
            })?;
            let tag = sluice_package::oci::tag(version);
            return Ok(Place::From(format!(
                "{}/{name}:{tag}",
                from.trim_end_matches('/')
            )));
        }
        if from.starts_with("https://") || from.starts_with("http://") {
            return Ok(Place::From(format!("index+{from}#{connector}")));
        }
        let dir = Path::new(from);
        let list = dir.join(index::FILE);
        let text = author::bounded(&list, index::MAX_BYTES)?;
        let signature = dir.join(index::SIGNATURE_FILE);
        if signature.is_file() {
            let signature = author::bounded(&signature, index::MAX_SIGNATURE_BYTES)?;
            // What was here before is known to servers; here the index's own end is what there is to go by.
            index::verify(
                &text,
                &String::from_utf8_lossy(&signature),
                None,
                SystemClock.now(),
            )
            .map_err(|error| author::of_format(&list, &error.into()))?;
        }
        let version = version
            .map(str::parse)
            .transpose()
            .map_err(|error| wrong(&error))?;
        let of = |error| author::of_source(&list, &error);
        let listing = Index::read(&text).map_err(of)?;
        let found = listing.find(&parsed, version.as_ref()).map_err(of)?;
        let bytes = author::bounded(&dir.join(&found.file), found.bytes)?;
        if Digest::of(&bytes) != found.digest {
            return Err(of(SourceError::OtherDigest(found.digest)));
        }
        Ok(Place::Bytes(bytes.into()))
    }

    /// A request with it.
    pub(super) async fn send(&self, client: &Client, path: &str) -> Result<Value, Failure> {
        let (path, body) = match &self.place {
            Place::Bytes(bytes) => (path.to_owned(), Body::Bytes(bytes.clone())),
            Place::From(from) => (format!("{path}from={}", segment(from)), Body::None),
        };
        client
            .send(Method::POST, path.trim_end_matches(['?', '&']), body)
            .await
    }
}

async fn install(
    client: &Client,
    output: &Output,
    what: &What,
    accept: Option<String>,
) -> Result<Exit, Failure> {
    let proposal = what.send(client, "/api/v1/connectors/inspect?").await?;
    let digest = text(&proposal, "digest");
    let accepted = match accept {
        Some(accept) => accept,
        None => {
            whose(output, &proposal);
            output.note(&page_text(proposal.get("permissions").unwrap_or(&Value::Null)));
            differences(output, &proposal);
            output.note(&format!("manifest {digest}"));
            let needed = Failure::new(
                Exit::Approval,
                format!("the permissions of {} need an approval", what.name),
            );
            if !output.may_ask {
                return Err(Failure {
                    code: Some("package.approval_needed".to_owned()),
                    ..needed
                }
                .hint(format!(
                    "sluice connector install {} --accept {digest}",
                    what.name
                )));
            }
            if !input::agrees("Install it with these permissions?")? {
                return Err(needed.hint("nothing was installed"));
            }
            digest
        }
    };
    let mut path = format!("/api/v1/installs?accept={}&", segment(&accepted));
    if let Place::From(_) = &what.place {
        // What is fetched now must be what was looked at.
        path.push_str(&format!(
            "component={}&",
            segment(&text(&proposal, "component_digest"))
        ));
    }
    let installed = what.send(client, &path).await?;
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

/// Who signed it, before what it may do.
fn whose(output: &Output, proposal: &Value) {
    let why = match text(proposal, "standing").as_str() {
        "listed" => "which the trust policy lists",
        "pinned" => "with the same key as before",
        "first" => "whom this name has not come from before",
        _ => return output.warn("nobody signed this file: only you vouch for it"),
    };
    let field = |name: &str| text(proposal, &format!("signer.{name}"));
    output.note(&format!("signed by {}, {why}", field("publisher")));
    if proposal.pointer("/signer/key").is_some() {
        output.note(&format!(
            "key {}, fingerprint {}",
            field("key"),
            field("fingerprint")
        ));
    }
    if proposal.pointer("/signer/identity").is_some() {
        output.note(&format!(
            "identity {} of {}",
            field("identity.subject"),
            field("identity.issuer")
        ));
    }
}

/// The packages of installs in a directory.
async fn mirror(client: &Client, output: &Output, dir: &Path, only: &[String]) -> Result<Exit, Failure> {
    let list = client.get("/api/v1/installs?limit=1000").await?;
    let wanted = |item: &&Value| {
        only.is_empty()
            || only
                .iter()
                .any(|name| *name == text(item, "connector") || *name == text(item, "id"))
    };
    let found: Vec<&Value> = items(&list).iter().filter(wanted).collect();
    if let Some(name) = only.iter().find(|name| {
        !found
            .iter()
            .any(|item| **name == text(item, "connector") || **name == text(item, "id"))
    }) {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no connector `{name}` is installed"),
        ));
    }
    let mut packages = Vec::new();
    for item in found {
        let path = format!("/api/v1/installs/{}/package", segment(&text(item, "id")));
        let file = client.answer(Method::GET, &path, Body::None).await?;
        packages.push(author::list(dir, dir, &file.body, None)?);
    }
    let value = serde_json::json!({ "items": packages });
    output.show(&value, |output| {
        for package in &packages {
            output.line(&format!("{}  {}", package.file, package.digest));
        }
        output.done(&format!("{} packages are in {}", packages.len(), dir.display()));
    });
    Ok(Exit::Ok)
}

/// What would change against what is there.
pub(super) fn differences(output: &Output, proposal: &Value) {
    let Some(diff) = proposal.get("diff") else { return };
    let version = text(proposal, "installed.version");
    if !version.is_empty() {
        output.note(&format!("against the installed version {version}:"));
    }
    for (name, sign) in [
        ("new", "+ new     "),
        ("wider", "+ wider   "),
        ("narrower", "- narrower"),
        ("optional", "  optional"),
    ] {
        for line in diff.get(name).and_then(Value::as_array).into_iter().flatten() {
            output.note(&format!("  {sign} {}", line.as_str().unwrap_or_default()));
        }
    }
}

pub(super) fn page_text(permissions: &Value) -> String {
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
