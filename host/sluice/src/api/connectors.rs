//! The catalogue of connectors, and what a connector file would be allowed before it is installed.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use sluice_model::auth::{Obtain, Part};
use sluice_model::grant::{GrantDiff, PermissionPage};
use sluice_model::manifest::Manifest;
use sluice_service::auth::grant_name;
use sluice_service::install;
use sluice_service::page::Page;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, json};
use super::installs::{self, InstallView};
use super::page::List;
use super::problem::Problem;
use super::trust::SignerView;

/// What a connector says about itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connector)]
pub(super) struct ConnectorView {
    id: String,
    version: String,
    contract: String,
    name: String,
    description: String,
    category: String,
    licence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
    /// JSON Schema of a connection's configuration.
    config_schema: Value,
    auth: Vec<AuthView>,
    streams: Vec<StreamView>,
    webhooks: Vec<WebhookView>,
    actions: Vec<ActionView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthScheme)]
pub(super) struct AuthView {
    name: String,
    title: String,
    /// Where to get a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// How the host comes by it: `authorization-code`, `device-code`, `client-credentials`, `jwt-bearer`, `oauth1` or
    /// `custom`; empty where a person gives it.
    flows: Vec<&'static str>,
    /// What a person gives.
    parts: Vec<PartView>,
    /// What an app has to have.
    app: Vec<PartView>,
}

/// One value that is to be given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthPart)]
pub(super) struct PartView {
    name: String,
    title: String,
    secret: bool,
    optional: bool,
}

fn part(part: &Part) -> PartView {
    PartView {
        name: part.name.clone(),
        title: part.title.clone(),
        secret: part.secret,
        optional: part.optional,
    }
}

fn flows(obtain: &Obtain) -> Vec<&'static str> {
    match obtain {
        Obtain::Given => Vec::new(),
        Obtain::OAuth1(_) => vec!["oauth1"],
        Obtain::Custom => vec!["custom"],
        Obtain::OAuth2(recipe) => recipe.grants.iter().map(|grant| grant_name(*grant)).collect(),
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stream)]
pub(super) struct StreamView {
    name: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    primary_key: Vec<String>,
    #[schema(value_type = Vec<String>)]
    modes: Vec<sluice_model::run::Mode>,
    schema: Value,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    name: String,
    events: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub(super) struct ActionView {
    name: String,
    title: String,
    description: String,
    input: Value,
    output: Value,
    /// Whether its output may have links in it that work without a credential.
    presigns: bool,
}

/// What a connector may do and what it cannot, in words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permissions)]
pub(super) struct PermissionsView {
    /// The page as data.
    #[schema(value_type = Object)]
    page: PermissionPage,
    /// The page as text.
    text: String,
}

/// A connector file that could be installed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Proposal)]
pub(super) struct ProposalView {
    /// What an approval must name.
    digest: String,
    /// Of the whole file.
    component_digest: String,
    component_bytes: u64,
    /// Why it is believed: `unsigned`, `listed`, `pinned` or `first`.
    #[schema(value_type = String)]
    standing: sluice_package::Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<SignerView>,
    /// What belongs to the component.
    parts: Vec<PackagePartView>,
    /// What its symbols are found by.
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<String>,
    /// Markdown of the publisher's: a claim, not a fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    readme: Option<String>,
    connector: ConnectorView,
    permissions: PermissionsView,
    /// The version that is installed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<InstallView>,
    /// What would change against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<DiffView>,
}

/// A part of a package.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PackagePart)]
pub(super) struct PackagePartView {
    name: &'static str,
    bytes: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionDiff)]
pub(super) struct DiffView {
    wider: Vec<String>,
    new: Vec<String>,
    same: Vec<String>,
    narrower: Vec<String>,
    /// What may be switched on and could not be before.
    optional: Vec<String>,
}

impl ConnectorView {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let streams = manifest.streams.iter().map(|stream| StreamView {
            name: stream.name.clone(),
            title: stream.title.clone(),
            description: stream.description.clone(),
            primary_key: stream.primary_key.clone(),
            modes: stream.modes.clone(),
            schema: stream.schema.clone(),
        });
        let webhooks = manifest.webhooks.iter().map(|webhook| WebhookView {
            name: webhook.name.clone(),
            events: webhook.events.iter().map(|event| event.kind.clone()).collect(),
        });
        let actions = manifest.actions.iter().map(|action| ActionView {
            name: action.name.clone(),
            title: action.title.clone(),
            description: action.description.clone(),
            input: action.input.clone(),
            output: action.output.clone(),
            presigns: action.presigns,
        });
        let auth = manifest.auth.iter().map(|scheme| AuthView {
            name: scheme.name.clone(),
            title: scheme.title.clone(),
            help: scheme.help.clone(),
            flows: flows(&scheme.obtain),
            parts: scheme.parts.iter().map(part).collect(),
            app: scheme.app.iter().map(part).collect(),
        });
        Self {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            contract: manifest.contract.clone(),
            name: manifest.name.clone(),
            description: manifest.description.clone(),
            category: manifest.category.clone(),
            licence: manifest.licence.clone(),
            website: manifest.links.website.clone(),
            documentation: manifest.links.documentation.clone(),
            config_schema: manifest.config_schema.clone(),
            auth: auth.collect(),
            streams: streams.collect(),
            webhooks: webhooks.collect(),
            actions: actions.collect(),
        }
    }
}

impl PermissionsView {
    pub(super) fn of(page: &PermissionPage) -> Self {
        Self {
            page: page.clone(),
            text: page.to_string(),
        }
    }
}

impl DiffView {
    pub(super) fn of(diff: GrantDiff) -> Self {
        Self {
            wider: diff.wider,
            new: diff.new,
            same: diff.same,
            narrower: diff.narrower,
            optional: diff.optional,
        }
    }
}

/// The newest installed version of each connector.
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let mut newest = BTreeMap::new();
    let mut page = Page {
        after: None,
        limit: sluice_service::page::MAX_LIMIT,
    };
    loop {
        let found = install::list(&app.service, caller.org, &page).await?;
        for install in found.items {
            newest.insert(install.connector.clone(), ConnectorView::of(&install.manifest));
        }
        match found.next {
            Some(after) if newest.len() < CATALOGUE => page.after = Some(after),
            _ => break,
        }
    }
    Ok(json(&List {
        items: newest.into_values().collect(),
        next: None,
    }))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    installs::get(State(app), caller, At(id)).await
}

/// Reads a connector file and answers what installing it would permit. Nothing is kept.
pub(super) async fn inspect(
    State(app): State<App>,
    caller: Caller,
    Asked(place): Asked<installs::Place>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let body = installs::package(&app, caller.org, &place, request).await?;
    let proposal = install::inspect(&app.service, caller.org, body.bytes()).await?;
    let part = |(part, bytes): &(sluice_package::Part, usize)| PackagePartView {
        name: part.name(),
        bytes: *bytes,
    };
    Ok(json(&ProposalView {
        digest: proposal.digest,
        component_digest: proposal.component_digest,
        component_bytes: proposal.component_bytes,
        standing: proposal.standing,
        signer: proposal.signer.as_ref().map(SignerView::from),
        parts: proposal.parts.iter().map(part).collect(),
        build_id: proposal.build_id,
        readme: proposal.readme,
        connector: ConnectorView::of(&proposal.manifest),
        permissions: PermissionsView::of(&proposal.page),
        installed: proposal.installed.as_ref().map(installs::view),
        diff: proposal.diff.map(DiffView::of),
    }))
}

/// The catalogue is not cut into pages: more connectors than this are not shown.
const CATALOGUE: usize = 10_000;
