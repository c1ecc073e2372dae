//! Secrets and the keys they are sealed under, without a value of either.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;
use sluice_service::key::{self, MasterKeys, OrgKeyState};
use sluice_service::{connection, secret};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, json};
use super::page::{listed, page};
use super::problem::Problem;

/// A secret without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(super) struct SecretView {
    /// `credential` of a connection, `app` at a vendor, `hook` or `other`.
    kind: &'static str,
    /// The connection, connector or hook that it belongs to.
    owner: String,
    /// The auth scheme of a credential or an app.
    name: String,
    /// Goes up whenever it is set or refreshed.
    version: u32,
    /// The version of the organization's key that it is sealed under.
    key_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    obtained: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires: Option<String>,
    /// Since this server's start; only of credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    last_used: Option<String>,
    /// Names of the connections that use it.
    used_by: Vec<String>,
}

impl From<secret::Kept> for SecretView {
    fn from(kept: secret::Kept) -> Self {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            kind: kept.kind.name(),
            owner: kept.owner,
            name: kept.name,
            version: kept.version,
            key_version: kept.key_version,
            obtained: text(kept.life.obtained),
            expires: text(kept.life.expires),
            last_used: text(kept.last_used),
            used_by: kept.used_by,
        }
    }
}

/// The key that the organization's secrets are sealed under.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationKey)]
pub(super) struct OrganizationKeyView {
    /// Goes up with every rotation.
    version: u32,
    /// How often this version has sealed; at nine tenths of `max_uses` it is replaced by itself.
    uses: u64,
    max_uses: u64,
    /// Versions before it that are not destroyed yet.
    older: usize,
    /// Secrets that are still sealed under those.
    left: u64,
}

impl From<OrgKeyState> for OrganizationKeyView {
    fn from(state: OrgKeyState) -> Self {
        Self {
            version: state.version,
            uses: state.uses,
            max_uses: key::MAX_USES,
            older: state.older,
            left: state.left,
        }
    }
}

/// How the database stands to the server's master keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MasterKeys)]
pub(super) struct MasterKeysView {
    /// How many previous keys the server was given.
    previous: usize,
    /// What is still under one of them; at 0 they can be removed.
    left: u64,
    /// Organization keys that open under none of the keys.
    unreadable: u64,
}

impl From<MasterKeys> for MasterKeysView {
    fn from(keys: MasterKeys) -> Self {
        Self {
            previous: keys.previous,
            left: keys.left,
            unreadable: keys.unreadable,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    connection: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let of = match &asked.connection {
        Some(which) => Some(connection::get(&app.service, caller.org, which).await?.id),
        None => None,
    };
    let name = of.map_or_else(|| "secrets".to_owned(), |of| format!("secrets\0{of}"));
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = secret::list(&app.service, caller.org, of, &page).await?;
    Ok(json(&listed(&name, found, SecretView::from)))
}

pub(super) async fn organization_key(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let state = key::organization(&app.service, caller.org).await?;
    Ok(json(&OrganizationKeyView::from(state)))
}

pub(super) async fn rotate(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let state = key::rotate(&app.service, caller.org).await?;
    Ok(json(&OrganizationKeyView::from(state)))
}

pub(super) async fn master_keys(State(app): State<App>, _caller: Caller) -> Result<Response, Problem> {
    let keys = key::master(&app.service).await?;
    Ok(json(&MasterKeysView::from(keys)))
}
