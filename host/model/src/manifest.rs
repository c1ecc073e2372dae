//! `connector.toml`: what a connector offers and what it asks for.
//!
//! Who is involved: the connector's author writes it, packaging embeds it, install reads it before any code runs. What
//! must always hold: a text is either a whole manifest or an error with its line and column; no key is ignored; every
//! list, text and schema is bounded; what it says about itself (names, reasons) is text to show, never markup.

mod auth;
mod capabilities;
mod discovered;
mod migration;
mod origin;
mod read;
mod schema;
mod source;
mod webhook;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::auth::{Apply, Obtain, Part};
use crate::capability::{HostPattern, PathPattern};
use crate::grant::Grant;
use crate::run::Mode;
use crate::signature::{Challenge, Place, Recipe, SourceRange};

pub use discovered::{Discovered, ToldStream};
pub use migration::{Migration, StorageStep};
pub use origin::OriginPattern;

/// A manifest that has been read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// `[a-z][a-z0-9-]{1,62}`.
    pub id: String,
    /// A semantic version (semver.org 2.0.0).
    pub version: String,
    /// The minor version of the contract, e.g. `0.1`.
    pub contract: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// One word to file it under.
    pub category: String,
    /// An SPDX expression.
    pub licence: String,
    /// Where to read more.
    pub links: Links,
    /// What it asks for.
    pub capabilities: Grant,
    /// JSON Schema of a connection's configuration: an object.
    pub config_schema: Value,
    /// The format of what a connection keeps, its configuration and its storage; raised when an older one has to be migrated.
    pub state_version: u32,
    /// How older formats become this one, in their order; each from one format to the next.
    pub migrations: Vec<Migration>,
    /// How its credentials are applied.
    pub auth: Vec<AuthScheme>,
    /// What can be synced.
    pub streams: Vec<Stream>,
    /// What the streams are like that only the account at the vendor has; `None`: there are no such streams.
    pub discovered: Option<Discovered>,
    /// Whether the code names actions beyond these when it is asked.
    pub discovered_actions: bool,
    /// What it can receive.
    pub webhooks: Vec<Webhook>,
    /// What it can do.
    pub actions: Vec<Action>,
    /// How fast its vendor may be asked.
    pub rate: Vec<RateHint>,
}

/// Where to read more; each is an `https` address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// The vendor.
    pub website: Option<String>,
    /// How to use the connector.
    pub documentation: Option<String>,
    /// The code.
    pub source: Option<String>,
}

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthScheme {
    /// The credential's name, as the code asks for it.
    pub name: String,
    /// For people.
    pub title: String,
    /// How it goes on a request.
    pub apply: Apply,
    /// How it is come by.
    pub obtain: Obtain,
    /// What the person who connects gives.
    pub parts: Vec<Part>,
    /// What whoever registered at the vendor keeps for it: empty where the scheme needs no app.
    pub app: Vec<Part>,
    /// The only places it is sent to.
    pub origins: Vec<OriginPattern>,
    /// Where to get one.
    pub help: Option<String>,
}

/// A named sequence of records.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Its name in code.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: Option<String>,
    /// The properties that make a record's id.
    pub primary_key: Vec<String>,
    /// How it resumes.
    pub cursor: CursorKind,
    /// Raised when old cursors cannot be read any more.
    pub cursor_version: u32,
    /// How it can be read; never empty.
    pub modes: Vec<Mode>,
    /// Whether it comes in partitions (repositories, calendars …), each with a cursor of its own.
    pub partitioned: bool,
    /// Whether a window of time can be read by itself.
    pub windows: bool,
    /// How far back the vendor still restates what it has told: read again after each incremental run. Zero: it does not.
    pub lookback: Duration,
    /// What can be written to the vendor; empty for a stream that is only read.
    pub writes: Vec<WriteKind>,
    /// JSON Schema of a record.
    pub schema: Value,
}

/// A kind of write to the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteKind {
    /// A record that the vendor does not have.
    Create,
    /// A record that it has.
    Update,
    /// Takes one away.
    Delete,
}

/// How a stream resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorKind {
    /// It does not.
    None,
    /// By the time of the last change.
    Timestamp,
    /// By a token that only the connector reads.
    Opaque,
}

/// Who says which accounts a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountBy {
    /// The delivery itself, here.
    Place(Place),
    /// The connector's code, which is asked before the delivery is acknowledged.
    Code,
}

/// An address that a vendor calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name in code.
    pub name: String,
    /// How the host verifies it.
    pub recipe: Recipe,
    /// What the vendor asks before it sends any, and what the host answers.
    pub challenges: Vec<Challenge>,
    /// Where it may come from; anywhere if nothing is named.
    pub sources: Vec<SourceRange>,
    /// What comes in.
    pub events: Vec<EventKind>,
    /// What makes two deliveries the same.
    pub dedupe: Dedupe,
    /// The header that says the event's kind, in lower case.
    pub event_header: Option<String>,
    /// Who says which accounts a delivery is about, at an address that an app has for all of them.
    pub account: Option<AccountBy>,
    /// Where a delivery says what it is about: those about the same are handled one after another, as they came.
    pub order: Option<Place>,
    /// Whether the code answers the vendor itself.
    pub reply: bool,
    /// How the connector sets it up through the vendor's API; none: a person does.
    pub registration: Option<Registration>,
    /// What a person does who sets it up by hand, a line each; `{url}` stands for the address.
    pub steps: Vec<String>,
}

/// A webhook that the connector's code sets up at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Where the secret comes from.
    pub secret: RegisteredSecret,
}

/// The secret of a webhook that is set up through the vendor's API. The connector has a placeholder of it and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisteredSecret {
    /// It is entered here, or there is none: setting up has nothing to do with it.
    Apart,
    /// The host makes it, and the request that sets the webhook up takes it to these origins and no others.
    Sent(Vec<OriginPattern>),
    /// The vendor makes it and says it in its answer.
    Given,
}

impl Webhook {
    /// Whether the vendor tells the secret with its first question, so that a new hook has none.
    #[must_use]
    pub fn learns_secret(&self) -> bool {
        self.challenges.iter().any(|challenge| challenge.keep)
    }
}

/// A kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKind {
    /// `issues.opened`, or `issues.*`.
    pub kind: String,
    /// For people.
    pub description: String,
    /// JSON Schema of its data: its own, or that of all events of the webhook. Its first example is what a test is made of.
    pub schema: Option<Arc<Value>>,
}

/// What makes two deliveries the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dedupe {
    /// The value of this header, in lower case.
    Header(String),
    /// The value at this place of the JSON body (RFC 6901).
    JsonPointer(String),
    /// The body's digest.
    BodyHash,
    /// Nothing: each is its own. For vendors whose deliveries have no id and say the same thing again whenever it is so again.
    Nothing,
}

/// A named operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Its name in code.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// JSON Schema of what it takes.
    pub input: Value,
    /// JSON Schema of what it gives.
    pub output: Value,
    /// Whether doing it twice is doing it once.
    pub idempotent: bool,
    /// Whether its answer may have presigned addresses in it: links that whoever has them can use, without a credential.
    pub presigns: bool,
}

/// How fast a host may be asked. The first hint that a request fits is the one that counts for it.
#[derive(Debug, Clone, PartialEq)]
pub struct RateHint {
    /// The host.
    pub host: HostPattern,
    /// Only requests for these paths; all of the host's without. What is counted here is counted nowhere else.
    pub path: Option<PathPattern>,
    /// Whom the vendor counts for.
    pub scope: RateScope,
    /// Requests per second, on average.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Requests in a day of 24 hours that begins with the first.
    pub per_day: Option<u64>,
    /// The response header, in lower case, that names the budget which a request was counted in.
    pub bucket_header: Option<String>,
}

/// Whom a vendor counts requests for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RateScope {
    /// Each account that was connected.
    #[default]
    Connection,
    /// The app (client id) that accounts were connected through: its connections share the budget.
    App,
}

/// Why a text is not a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {}{message}", if path.is_empty() { String::new() } else { format!("`{path}`: ") })]
pub struct ManifestError {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// `capabilities.egress[1].host`; empty for the whole text.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl ManifestError {
    /// Every code that [`ManifestError::code`] can give.
    pub const CODES: &[&str] = &["manifest.invalid"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "manifest.invalid"
    }

    /// Who has to do what.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(format!(
            "correct line {} of connector.toml and package the connector again",
            self.line
        ))
    }
}

impl Manifest {
    /// Reads `connector.toml`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        read::manifest(text)
    }

    /// `sha256:` and 64 hex digits over the exact text: what an approval is bound to.
    #[must_use]
    pub fn digest(text: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        format!("sha256:{}", data_encoding::HEXLOWER.encode(digest.as_ref()))
    }

    /// The stream of this name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// The webhook of this name.
    #[must_use]
    pub fn webhook(&self, name: &str) -> Option<&Webhook> {
        self.webhooks.iter().find(|webhook| webhook.name == name)
    }

    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// The auth scheme of this name.
    #[must_use]
    pub fn auth(&self, name: &str) -> Option<&AuthScheme> {
        self.auth.iter().find(|scheme| scheme.name == name)
    }
}

#[cfg(test)]
mod tests;
