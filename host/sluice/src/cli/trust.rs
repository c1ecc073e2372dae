//! Whom the organization believes about packages.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_package::{Identity, Policy, PublicKey, Publisher, Revocation, UnknownKeys, Who};

use super::author;
use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};

/// Publishers, keys, and what is remembered of names
#[derive(Debug, Subcommand)]
pub(super) enum Trust {
    /// The policy
    Show,
    /// Set the whole policy from a JSON file, as `show --json` prints it
    Set { file: PathBuf },
    /// Let a publisher publish names, and nobody else
    Allow {
        publisher: String,
        /// Its public key, ed25519:…
        #[arg(long, required_unless_present = "identity", value_name = "KEY")]
        key: Vec<String>,
        /// Who signs for it with a sigstore bundle: both exactly as the certificate has them
        #[arg(long, num_args = 2, value_names = ["ISSUER", "SUBJECT"])]
        identity: Vec<String>,
        /// A connector's name, or the beginning of names and `*`
        #[arg(long, required = true, value_name = "NAME")]
        name: Vec<String>,
    },
    /// Believe a key or an identity no more, also for what is installed
    Revoke {
        #[arg(required_unless_present = "identity", conflicts_with = "identity")]
        key: Option<String>,
        /// An identity instead of a key
        #[arg(long, num_args = 2, value_names = ["ISSUER", "SUBJECT"])]
        identity: Vec<String>,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Whether unsigned files, or keys that no publisher has, are refused
    Require {
        what: Requirement,
        #[arg(default_value = "on")]
        state: Switch,
    },
    /// The least version of a connector that may be installed
    Minimum { connector: String, version: String },
    /// What is remembered: first keys and newest versions
    Names,
    /// Forget a name: its next package is the first
    Forget { name: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Requirement {
    Signatures,
    KnownKeys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

/// As the API has it.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    revision: u64,
    policy: Policy,
}

const TRUST: &str = "/api/v1/trust";

impl Trust {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Show => {
                let found = client.get(TRUST).await?;
                let read = of(found.clone())?;
                output.show(&found, |output| show(output, &read.policy));
                Ok(Exit::Ok)
            }
            Self::Names => {
                let list = client.get("/api/v1/trust/names?limit=1000").await?;
                let row = |item: &Value| {
                    let newest = item
                        .pointer("/marks")
                        .and_then(Value::as_array)
                        .and_then(|marks| marks.last());
                    let newest = newest.map(|mark| text(mark, "version")).unwrap_or_default();
                    let first = match item.get("identity") {
                        Some(identity) => {
                            format!("{} of {}", text(identity, "subject"), text(identity, "issuer"))
                        }
                        None => text(item, "key"),
                    };
                    [text(item, "name"), text(item, "publisher"), newest, first]
                };
                output.show(&list, |output| {
                    output.table(
                        ["name", "publisher", "newest", "first key or identity"],
                        items(&list).iter().map(row),
                    );
                });
                Ok(Exit::Ok)
            }
            Self::Forget { name } => {
                client
                    .delete(&format!("{TRUST}/names/{}", segment(&name)))
                    .await?;
                output.done(&format!("{name} is forgotten: its next package is the first"));
                Ok(Exit::Ok)
            }
            Self::Set { file } => {
                let wrong = |error: serde_json::Error| Failure::usage(format!("{}: {error}", file.display()));
                let value: Value = serde_json::from_slice(&author::read(&file)?).map_err(wrong)?;
                // As it is printed, or the policy alone.
                let given = value.get("policy").cloned().unwrap_or(value);
                let policy: Policy = serde_json::from_value(given).map_err(wrong)?;
                let found = of(client.get(TRUST).await?)?;
                put(client, output, Found { policy, ..found }).await
            }
            change => {
                let mut found = of(client.get(TRUST).await?)?;
                change.apply(&mut found.policy)?;
                put(client, output, found).await
            }
        }
    }

    /// What this changes of a policy.
    fn apply(self, policy: &mut Policy) -> Result<(), Failure> {
        match self {
            Self::Allow {
                publisher,
                key,
                identity,
                name,
            } => {
                let identities = identities(&identity);
                let keys = key.iter().map(|key| public(key)).collect::<Result<Vec<_>, _>>()?;
                let wanted = publisher
                    .parse()
                    .map_err(|error| Failure::usage(format!("`{publisher}` is {error}")))?;
                match policy.publishers.iter_mut().find(|listed| listed.name == wanted) {
                    Some(listed) => {
                        let new: Vec<_> = keys
                            .into_iter()
                            .filter(|key| !listed.keys.contains(key))
                            .collect();
                        listed.keys.extend(new);
                        let new: Vec<_> = identities
                            .into_iter()
                            .filter(|identity| !listed.identities.contains(identity))
                            .collect();
                        listed.identities.extend(new);
                        let new: Vec<_> = name
                            .into_iter()
                            .filter(|name| !listed.names.contains(name))
                            .collect();
                        listed.names.extend(new);
                    }
                    None => policy.publishers.push(Publisher {
                        name: wanted,
                        keys,
                        identities,
                        names: name,
                    }),
                }
            }
            Self::Revoke {
                key,
                identity,
                reason,
            } => {
                let key = key.as_deref().map(public).transpose()?;
                let named = identities(&identity).into_iter().map(Who::Identity);
                for who in key.map(Who::Key).into_iter().chain(named) {
                    policy.revoked.retain(|revoked| revoked.who != who);
                    let reason = reason.clone();
                    policy.revoked.push(Revocation { who, reason });
                }
            }
            Self::Require { what, state } => match what {
                Requirement::Signatures => policy.require_signatures = state == Switch::On,
                Requirement::KnownKeys if state == Switch::On => policy.unknown_keys = UnknownKeys::Refuse,
                Requirement::KnownKeys => policy.unknown_keys = UnknownKeys::Pin,
            },
            Self::Minimum { connector, version } => {
                let name = connector
                    .parse()
                    .map_err(|error| Failure::usage(format!("`{connector}` is {error}")))?;
                let version = version
                    .parse()
                    .map_err(|error| Failure::usage(format!("`{version}` is {error}")))?;
                policy.minimum.insert(name, version);
            }
            Self::Show | Self::Set { .. } | Self::Names | Self::Forget { .. } => {}
        }
        Ok(())
    }
}

async fn put(client: &Client, output: &Output, changed: Found) -> Result<Exit, Failure> {
    let value = serde_json::to_value(&changed).map_err(|error| Failure::bug(error.to_string()))?;
    let found = client.send(Method::PUT, TRUST, Body::Json(value)).await?;
    let read = of(found.clone())?;
    output.show(&found, |output| {
        output.done("the trust policy is changed");
        show(output, &read.policy);
    });
    Ok(Exit::Ok)
}

fn show(output: &Output, policy: &Policy) {
    let unsigned = if policy.require_signatures {
        "refused"
    } else {
        "installed by consent to their digest, where nobody signs the name"
    };
    let unknown = match policy.unknown_keys {
        UnknownKeys::Pin => "the first that comes with a name is believed for it",
        UnknownKeys::Refuse => "refused",
    };
    output.fields(&[
        ("unsigned files", unsigned.to_owned()),
        ("unknown keys", unknown.to_owned()),
    ]);
    for publisher in &policy.publishers {
        output.line(&format!(
            "publisher       {}  may publish {}",
            publisher.name,
            publisher.names.join(", ")
        ));
        for key in &publisher.keys {
            output.line(&format!("                {key}  {}", key.fingerprint()));
        }
        for identity in &publisher.identities {
            output.line(&format!("                {identity}"));
        }
    }
    for revoked in &policy.revoked {
        output.line(&format!("revoked         {}  {}", revoked.who, revoked.reason));
    }
    for (name, version) in &policy.minimum {
        output.line(&format!("least version   {name} {version}"));
    }
}

/// Pairs of an issuer and a subject, as the command line has them.
fn identities(words: &[String]) -> Vec<Identity> {
    let pairs = words.chunks_exact(2).filter_map(|pair| match pair {
        [issuer, subject] => Some(Identity {
            issuer: issuer.clone(),
            subject: subject.clone(),
        }),
        _ => None,
    });
    pairs.collect()
}

fn of(found: Value) -> Result<Found, Failure> {
    serde_json::from_value(found).map_err(|error| Failure::bug(format!("the policy does not read: {error}")))
}

fn public(key: &str) -> Result<PublicKey, Failure> {
    key.parse()
        .map_err(|error| Failure::usage(format!("`{key}` is {error}")))
}
