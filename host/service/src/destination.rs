//! Destinations: databases, directories and buckets that an organization has its connections' records loaded into.
//!
//! A connection is loaded into a destination by a *load*, which follows the connection's change feed at its own pace and
//! moves its position when the destination has acknowledged. What is absent: records themselves, which `load` carries, and
//! any secret, which stays sealed until a destination is opened with it.

mod error;
mod load;
mod open;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_destination::{Check, DestinationSettings};
use sluice_model::Timestamp;
use sluice_model::id::{DestinationId, OrgId};
use sluice_model::secret::Secret;

pub use error::Error;
pub use load::{Load, LoadState, create_load, list_loads, loaded_past, remove_load, retry_load};
pub use sluice_store::load::LoadSettings;

pub(crate) use load::drive;
pub(crate) use open::Open;

use crate::page::{Listed, Page};
use crate::{Service, connection, event};

/// A destination as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    pub id: DestinationId,
    /// Unique in the organization.
    pub name: String,
    pub settings: DestinationSettings,
    /// The parts of its secret that are set.
    pub secrets: Vec<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Counts the changes; a change names the one it builds on.
    pub revision: u64,
}

/// The parts of a secret by name.
pub type Given = BTreeMap<String, Secret>;

/// Adds a destination. Nothing is sent there: that is [`check`]'s.
///
/// # Errors
///
/// [`Error::Name`], [`Error::Settings`], [`Error::Part`], [`Error::Secret`]; `store.conflict` if the name is taken.
pub async fn create(
    service: &Service,
    org: OrgId,
    name: &str,
    settings: &Value,
    given: Given,
) -> Result<Destination, Error> {
    let fits = (1..=80).contains(&name.chars().count()) && !name.contains(char::is_control);
    if !fits || name.parse::<DestinationId>().is_ok() {
        return Err(Error::Name);
    }
    let settings = DestinationSettings::read(settings)?;
    check_parts(&settings, &given)?;
    if let Some(missing) = needed(&settings).iter().find(|part| !given.contains_key(**part)) {
        return Err(Error::Parts((*missing).to_owned()));
    }
    let text = written(&settings)?;
    let (id, now) = (service.new_id(), service.now());
    let made = service
        .store()
        .create_destination(org, id, (name.to_owned(), text), given.into_iter().collect(), now)
        .await?;
    event::platform(
        service,
        org,
        "sluice.destination.created",
        id,
        || json!({"name": name}),
    )
    .await?;
    view(service, org, made).await
}

/// Sets its settings, and what is given of its secret, anew. What failed to be loaded there is tried again at once.
///
/// # Errors
///
/// As [`create`]; `store.revision`; [`Error::Kind`] where it would become another kind of place.
pub async fn set(
    service: &Service,
    org: OrgId,
    which: &str,
    (expected, settings): (u64, &Value),
    given: Given,
) -> Result<Destination, Error> {
    let old = get(service, org, which).await?;
    let settings = DestinationSettings::read(settings)?;
    if std::mem::discriminant(&settings) != std::mem::discriminant(&old.settings) {
        return Err(Error::Kind);
    }
    check_parts(&settings, &given)?;
    let text = written(&settings)?;
    let secrets = given.into_iter().collect();
    let set = service
        .store()
        .set_destination(org, old.id, (expected, text), secrets, service.now())
        .await?;
    service.destinations().forget(old.id);
    event::platform(
        service,
        org,
        "sluice.destination.changed",
        old.id,
        || json!({"name": old.name}),
    )
    .await?;
    view(service, org, set).await
}

/// One destination, by its id or its name.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, which: &str) -> Result<Destination, Error> {
    let store = service.store();
    let missing = || Error::Missing(which.to_owned());
    let found = if let Ok(id) = which.parse::<DestinationId>() {
        store.get_destination(org, id).await?.ok_or_else(missing)?
    } else {
        let page = sluice_store::Page::first(sluice_store::MAX_LIMIT);
        let all = store.list_destinations(org, page).await?.items;
        let named = all.into_iter().find(|found| found.name == which);
        named.ok_or_else(missing)?
    };
    view(service, org, found).await
}

/// The organization's destinations, oldest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Destination>, Error> {
    let wanted = sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    };
    let found = service.store().list_destinations(org, wanted).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for one in found.items {
        items.push(view(service, org, one).await?);
    }
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// Whether it is reached and may be written to. Leaves nothing there.
///
/// # Errors
///
/// As a load would meet it.
pub async fn check(service: &Service, org: OrgId, which: &str) -> Result<Check, Error> {
    let found = get(service, org, which).await?;
    let place = open::fresh(service, org, &found).await?;
    let checked = tokio::time::timeout(open::LONGEST, place.check()).await;
    let checked =
        checked.unwrap_or_else(|_| Err(sluice_destination::Error::Busy("no answer in time".into())));
    Ok(checked?)
}

/// Removes a destination that nothing is loaded into. What was delivered stays there.
///
/// # Errors
///
/// [`Error::Missing`]; `store.state` while something is loaded into it.
pub async fn remove(service: &Service, org: OrgId, which: &str) -> Result<(), Error> {
    let found = get(service, org, which).await?;
    service.store().remove_destination(org, found.id).await?;
    service.destinations().forget(found.id);
    event::platform(
        service,
        org,
        "sluice.destination.removed",
        found.id,
        || json!({"name": found.name}),
    )
    .await?;
    Ok(())
}

async fn view(
    service: &Service,
    org: OrgId,
    stored: sluice_store::destination::Destination,
) -> Result<Destination, Error> {
    let corrupt = |reason: String| {
        Error::Store(sluice_store::Error::Corrupt {
            table: "destinations",
            reason,
        })
    };
    let settings = serde_json::from_str(&stored.settings).map_err(|error| corrupt(error.to_string()))?;
    let settings = DestinationSettings::read(&settings).map_err(|error| corrupt(error.to_string()))?;
    let mut secrets = Vec::new();
    for part in parts(&settings) {
        let owner = stored.id.to_string();
        if service.store().has_secret(org, &owner, part).await? {
            secrets.push((*part).to_owned());
        }
    }
    Ok(Destination {
        id: stored.id,
        name: stored.name,
        settings,
        secrets,
        created: stored.created,
        updated: stored.updated,
        revision: stored.revision,
    })
}

fn written(settings: &DestinationSettings) -> Result<String, Error> {
    serde_json::to_string(settings).map_err(|error| {
        Error::Settings(sluice_destination::SettingsError {
            pointer: String::new(),
            reason: error.to_string(),
        })
    })
}

/// The parts that a kind's secret can have.
pub(crate) const fn parts(settings: &DestinationSettings) -> &'static [&'static str] {
    match settings {
        DestinationSettings::Postgres(_) => &["password"],
        DestinationSettings::Directory(_) => &[],
        DestinationSettings::S3(_) => &["access_key_id", "secret_access_key", "session_token"],
    }
}

/// The parts without which it can't be opened. A database may trust who comes from where.
const fn needed(settings: &DestinationSettings) -> &'static [&'static str] {
    match settings {
        DestinationSettings::Postgres(_) | DestinationSettings::Directory(_) => &[],
        DestinationSettings::S3(_) => &["access_key_id", "secret_access_key"],
    }
}

fn check_parts(settings: &DestinationSettings, given: &Given) -> Result<(), Error> {
    let offered = parts(settings);
    for (name, secret) in given {
        if !offered.contains(&name.as_str()) {
            return Err(Error::Part {
                part: name.clone(),
                offered: if offered.is_empty() {
                    "none".to_owned()
                } else {
                    offered.join(", ")
                },
            });
        }
        connection::check_part(secret, false).map_err(|_| Error::Secret)?;
    }
    Ok(())
}
