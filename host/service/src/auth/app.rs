//! Apps: what the vendor gave to whoever registered there (client id and secret, a private key). An organization may
//! keep one per connector and scheme; where it has none the operator's serves.

use std::collections::BTreeMap;

use serde_json::json;
use sluice_broker::VendorApp;
use sluice_model::auth::{Part, Piece, Values};
use sluice_model::id::OrgId;
use sluice_model::manifest::AuthScheme;
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

use super::{Bundle, Error};
use crate::{Service, catalogue, connection, event, install};

/// The parts of one app by name.
pub type AppParts = BTreeMap<String, Secret>;

/// An app as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub connector: String,
    pub scheme: String,
    /// Whose it is.
    pub owner: AppOwner,
    /// Every part that the connector declares.
    pub parts: Vec<AppPart>,
}

/// Whose an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppOwner {
    Organization,
    Operator,
    /// Nobody has set one.
    Nobody,
}

/// A part of an app as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPart {
    pub name: String,
    pub title: String,
    pub secret: bool,
    pub optional: bool,
    pub set: bool,
    /// Only of a part that is not secret.
    pub value: Option<String>,
}

/// Keeps an app for the organization. Parts that are not named stay as they are.
///
/// # Errors
///
/// [`Error::AppPart`], [`Error::NoFlow`] for a scheme without an app.
pub async fn set(
    service: &Service,
    org: OrgId,
    connector: &str,
    scheme: &str,
    parts: AppParts,
) -> Result<App, Error> {
    let declared = declared(service, org, connector, scheme).await?;
    let mut bundle = kept(service, org, connector, scheme).await?.unwrap_or_default();
    for (name, secret) in parts {
        let part = declared.app.iter().find(|part| part.name == name);
        let part = part.ok_or_else(|| Error::AppPart(name.clone()))?;
        connection::check_part(&secret, part.multiline).map_err(Error::from)?;
        bundle.set(name, secret);
    }
    service
        .store()
        .put_secret(org, &owner(connector), scheme, bundle.write(), service.now())
        .await?;
    // OAuth 1.0a signs with the app's secret: what was opened with the old one goes.
    service.credentials().forget_all();
    event::platform(
        service,
        org,
        "sluice.app.set",
        org,
        || json!({"connector": connector, "scheme": scheme}),
    )
    .await?;
    get(service, org, connector, scheme).await
}

/// Forgets the organization's app.
///
/// # Errors
///
/// If the database does not answer.
pub async fn remove(service: &Service, org: OrgId, connector: &str, scheme: &str) -> Result<(), Error> {
    declared(service, org, connector, scheme).await?;
    service
        .store()
        .remove_secret(org, &owner(connector), scheme)
        .await?;
    service.credentials().forget_all();
    event::platform(
        service,
        org,
        "sluice.app.removed",
        org,
        || json!({"connector": connector, "scheme": scheme}),
    )
    .await?;
    Ok(())
}

/// An app as it may be shown.
///
/// # Errors
///
/// If the connector is not installed or has no such scheme.
pub async fn get(service: &Service, org: OrgId, connector: &str, scheme: &str) -> Result<App, Error> {
    let declared = declared(service, org, connector, scheme).await?;
    let (owner, bundle) = serving(service, org, connector, scheme).await?;
    let part = |part: &Part| AppPart {
        name: part.name.clone(),
        title: part.title.clone(),
        secret: part.secret,
        optional: part.optional,
        set: bundle.get(&part.name).is_some(),
        value: bundle
            .text(&part.name)
            .filter(|_| !part.secret)
            .map(|text| text.to_string()),
    };
    Ok(App {
        connector: connector.to_owned(),
        scheme: scheme.to_owned(),
        owner,
        parts: declared.app.iter().map(part).collect(),
    })
}

/// The app that serves a connection, with every part that the scheme needs.
pub(crate) async fn load(
    service: &Service,
    org: OrgId,
    connector: &str,
    scheme: &AuthScheme,
) -> Result<Bundle, Error> {
    let (_, bundle) = serving(service, org, connector, &scheme.name).await?;
    let missing: Vec<_> = scheme
        .app
        .iter()
        .filter(|part| !part.optional && bundle.get(&part.name).is_none())
        .map(|part| part.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(bundle);
    }
    Err(Error::App {
        connector: connector.to_owned(),
        scheme: scheme.name.clone(),
        missing: missing.join(", "),
    })
}

/// The app as the vendor counts for it: none where the scheme needs none or nobody has set one. Its client id tells it from
/// others, where that is not a secret.
pub(crate) async fn of_vendor(
    service: &Service,
    org: OrgId,
    connector: &str,
    scheme: &AuthScheme,
) -> Option<VendorApp> {
    if scheme.app.is_empty() {
        return None;
    }
    let (owner, bundle) = serving(service, org, connector, &scheme.name)
        .await
        .inspect_err(|error| tracing::warn!(connector, %error, "whose app it is can't be read"))
        .ok()?;
    let owner = match owner {
        AppOwner::Organization => sluice_broker::AppOwner::Organization,
        AppOwner::Operator => sluice_broker::AppOwner::Operator,
        AppOwner::Nobody => return None,
    };
    let is_public = scheme
        .app
        .iter()
        .any(|part| part.name == CLIENT_ID && !part.secret);
    let id = bundle.text(CLIENT_ID).filter(|_| is_public);
    Some(VendorApp {
        connector: connector.to_owned(),
        id: id.map_or_else(|| scheme.name.clone(), |id| id.to_string()),
        owner,
    })
}

/// The organization's app, else the operator's, else an empty one.
async fn serving(
    service: &Service,
    org: OrgId,
    connector: &str,
    scheme: &str,
) -> Result<(AppOwner, Bundle), Error> {
    if let Some(bundle) = kept(service, org, connector, scheme).await? {
        return Ok((AppOwner::Organization, bundle));
    }
    let key = (connector.to_owned(), scheme.to_owned());
    Ok(match service.settings().apps.get(&key) {
        Some(parts) => (AppOwner::Operator, parts.clone().into_iter().collect()),
        None => (AppOwner::Nobody, Bundle::default()),
    })
}

async fn kept(service: &Service, org: OrgId, connector: &str, scheme: &str) -> Result<Option<Bundle>, Error> {
    let sealed = service.store().get_secret(org, &owner(connector), scheme).await?;
    Ok(sealed.as_ref().and_then(Bundle::read))
}

async fn declared(service: &Service, org: OrgId, connector: &str, scheme: &str) -> Result<AuthScheme, Error> {
    let install = install::get(service, org, connector)
        .await
        .map_err(|error| connection::Error::Install(Box::new(error)))?;
    let known = catalogue::known(service, org, install.id).await?;
    let found = known
        .manifest
        .auth(scheme)
        .filter(|scheme| !scheme.app.is_empty());
    found.cloned().ok_or_else(|| Error::NoFlow(scheme.to_owned()))
}

/// What the app's secrets are kept under.
fn owner(connector: &str) -> String {
    format!("{OWNER}{connector}")
}

/// Whose app is kept under this owner.
pub(crate) fn connector_of(owner: &str) -> Option<&str> {
    owner.strip_prefix(OWNER)
}

const OWNER: &str = "app/";
/// The part that vendors know an app by.
const CLIENT_ID: &str = "client_id";

/// What templates of a flow are filled with.
pub(super) struct Known<'a> {
    pub(super) config: &'a serde_json::Value,
    pub(super) app: &'a Bundle,
    pub(super) given: &'a Bundle,
    pub(super) own: &'a [(&'a str, &'a str)],
}

impl Values for Known<'_> {
    fn value(&self, piece: &Piece) -> Option<Zeroizing<String>> {
        match piece {
            Piece::Text(text) => Some(Zeroizing::new(text.clone())),
            Piece::Config(key) => match self.config.get(key)? {
                serde_json::Value::String(text) => Some(Zeroizing::new(text.clone())),
                serde_json::Value::Number(number) => Some(Zeroizing::new(number.to_string())),
                _ => None,
            },
            Piece::App(key) => self.app.text(key),
            Piece::Secret(key, None) => self.given.text(key),
            Piece::Secret(key, Some(pointer)) => {
                let text = self.given.text(key)?;
                let json: serde_json::Value = serde_json::from_str(&text).ok()?;
                Some(Zeroizing::new(json.pointer(pointer)?.as_str()?.to_owned()))
            }
            Piece::Own(key) => {
                let found = self.own.iter().find(|(name, _)| name == key)?;
                Some(Zeroizing::new(found.1.to_owned()))
            }
        }
    }
}
