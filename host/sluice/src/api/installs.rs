//! Installs: what was approved, and approving.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sluice_model::id::OrgId;
use sluice_service::install::{self, Install};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Held, json, read};
use super::connectors::{ConnectorView, PermissionsView};
use super::page::{Paging, listed, page};
use super::problem::Problem;
use super::trust::SignerView;

/// One organization's installed connector version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Install)]
pub(super) struct InstallView {
    id: String,
    /// The connector's id.
    connector: String,
    version: String,
    name: String,
    description: String,
    /// Of the manifest: what was approved.
    digest: String,
    component_digest: String,
    #[schema(format = "date-time")]
    installed_at: String,
    /// The API key that approved it.
    approved_by: String,
    /// Who signed it; absent where it was installed by consent alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<SignerView>,
}

/// An install with everything its connector offers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstallDetail)]
pub(super) struct InstallDetail {
    install: InstallView,
    connector: ConnectorView,
    permissions: PermissionsView,
}

pub(super) fn view(install: &Install) -> InstallView {
    InstallView {
        id: install.id.to_string(),
        connector: install.connector.clone(),
        version: install.version.clone(),
        name: install.name.clone(),
        description: install.description.clone(),
        digest: install.digest.clone(),
        component_digest: install.component_digest.clone(),
        installed_at: install.installed_at.to_string(),
        approved_by: install.approved_by.clone(),
        signer: install.signer.as_ref().map(SignerView::from),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("installs", asked.limit, asked.after.as_deref())?;
    let found = install::list(&app.service, caller.org, &page).await?;
    Ok(json(&listed("installs", found, |install| view(&install))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// The digest of the manifest whose permissions were read.
    #[serde(default)]
    accept: String,
    /// Where the package is, instead of a body.
    from: Option<String>,
    /// The digest of the whole file that was looked at.
    component: Option<String>,
}

/// Where a package comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// An address; without it the body is the package.
    pub(super) from: Option<String>,
    /// The digest that the whole file must have.
    pub(super) component: Option<String>,
}

/// A package in memory; one that was sent has its share of the memory for bodies.
#[derive(Debug)]
pub(super) enum Package {
    Sent(Held),
    Fetched(Bytes),
}

impl Package {
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Sent(held) => held.bytes.clone(),
            Self::Fetched(bytes) => bytes.clone(),
        }
    }
}

/// The package that a request means: its body, or what is at the address that it names.
pub(super) async fn package(
    app: &App,
    org: OrgId,
    place: &Place,
    request: axum::extract::Request,
) -> Result<Package, Problem> {
    let cap = if place.from.is_some() {
        0
    } else {
        app.component_bytes
    };
    let held = read(app, request.into_body(), cap).await?;
    let Some(from) = &place.from else {
        return Ok(Package::Sent(held));
    };
    let fetched = install::fetch(&app.service, org, from, place.component.as_deref()).await?;
    Ok(Package::Fetched(fetched))
}

/// The file of an install, as it came.
pub(super) async fn file(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let (_, bytes) = install::file(&app.service, caller.org, &id).await?;
    let kind = HeaderValue::from_static("application/wasm");
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Asked(approval): Asked<Approval>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let Approval {
        accept,
        from,
        component,
    } = approval;
    let place = Place { from, component };
    let body = package(&app, caller.org, &place, request).await?;
    let actor = caller.key.to_string();
    // Compiling goes on even if the caller leaves: half an install would have to be compiled again.
    let service = app.service.clone();
    let bytes = body.bytes();
    let work = async move { install::install(&service, caller.org, bytes, &accept, &actor).await };
    let installed = tokio::spawn(work)
        .await
        .map_err(|error| Problem::new("internal", error))??;
    Ok((StatusCode::CREATED, json(&view(&installed))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let install = install::get(&app.service, caller.org, &id).await?;
    let permissions = install::permissions(&app.service, caller.org, install.id).await?;
    Ok(json(&InstallDetail {
        connector: ConnectorView::of(&install.manifest),
        permissions: PermissionsView::of(&permissions),
        install: view(&install),
    }))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let install = install::get(&app.service, caller.org, &id).await?;
    install::remove(&app.service, caller.org, install.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
