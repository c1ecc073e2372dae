//! Destinations: where an organization has its records delivered. The settings are the service's text; their secret is kept
//! with the other secrets, under the destination's id.

use sluice_model::Timestamp;
use sluice_model::id::{DestinationId, OrgId};
use sluice_model::secret::Secret;

use crate::key::{Key, Span};
use crate::keyring::Keyring;
use crate::org::require;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, MAX_LIMIT, Page, Store, credential, load};

/// A destination as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Destination {
    pub id: DestinationId,
    /// Unique in the organization.
    pub name: String,
    /// The service's; JSON text.
    pub settings: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Goes up by one with every change.
    pub revision: u64,
}

impl Store {
    /// Adds a destination with the parts of its secret. [`Error::Conflict`] if the name is taken, [`Error::TooLarge`] beyond
    /// [`MAX_LIMIT`] of them, [`Error::Seal`].
    pub async fn create_destination(
        &self,
        org: OrgId,
        id: DestinationId,
        (name, settings): (String, String),
        secrets: Vec<(String, Secret)>,
        now: Timestamp,
    ) -> Result<Destination, Error> {
        cap_name("a destination's name", &name)?;
        cap("a destination's settings", settings.len(), MAX_VALUE_BYTES / 8)?;
        let ring = self.keyring().clone();
        self.write(256 + settings.len(), move |rows| {
            require(rows, org)?;
            let others = all(rows, org)?;
            cap("another destination", others.len() + 1, MAX_LIMIT)?;
            if others.iter().any(|other| other.name == name || other.id == id) {
                return Err(Error::Conflict {
                    what: "a destination",
                    name,
                });
            }
            let new = Destination {
                id,
                name,
                settings,
                created: now,
                updated: now,
                revision: 1,
            };
            seal(rows, &ring, org, id, &secrets, now)?;
            rows.put_json(Table::Destinations, &Key::org(org).id(id), &new)?;
            Ok(new)
        })
        .await
    }

    /// One destination.
    pub async fn get_destination(&self, org: OrgId, id: DestinationId) -> Result<Option<Destination>, Error> {
        self.read_now(|rows| rows.get_json(Table::Destinations, &Key::org(org).id(id)))
    }

    /// The organization's destinations, oldest first.
    pub async fn list_destinations(
        &self,
        org: OrgId,
        page: Page<DestinationId>,
    ) -> Result<Listing<Destination, DestinationId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.after(of_org.id(after));
            }
            let found = rows.collect(Table::Destinations, &span, false, limit + 1, |_, content| {
                from_json::<Destination>(Table::Destinations, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |destination| destination.id))
        })
        .await
    }

    /// Sets its settings, and these parts of its secret, anew. What is loaded there is due at once: what failed may do now.
    /// [`Error::Missing`], [`Error::Revision`], [`Error::Seal`].
    pub async fn set_destination(
        &self,
        org: OrgId,
        id: DestinationId,
        (expected, settings): (u64, String),
        secrets: Vec<(String, Secret)>,
        now: Timestamp,
    ) -> Result<Destination, Error> {
        cap("a destination's settings", settings.len(), MAX_VALUE_BYTES / 8)?;
        let ring = self.keyring().clone();
        self.write(256 + settings.len(), move |rows| {
            let place = Key::org(org).id(id);
            let mut found: Destination = rows.get_json(Table::Destinations, &place)?.ok_or(MISSING)?;
            if found.revision != expected {
                return Err(Error::Revision {
                    what: "the destination",
                    expected,
                    found: found.revision,
                });
            }
            (found.settings, found.updated) = (settings, now);
            found.revision += 1;
            seal(rows, &ring, org, id, &secrets, now)?;
            rows.put_json(Table::Destinations, &place, &found)?;
            load::retry_all(rows, org, id, now)?;
            Ok(found)
        })
        .await
    }

    /// Removes a destination and its secrets; what was delivered stays there. [`Error::Missing`], [`Error::State`] while
    /// something is loaded into it.
    pub async fn remove_destination(&self, org: OrgId, id: DestinationId) -> Result<(), Error> {
        self.write(64, move |rows| {
            let place = Key::org(org).id(id);
            if !rows.has(Table::Destinations, &place)? {
                return Err(MISSING);
            }
            if load::any_into(rows, org, id)? {
                return Err(Error::State {
                    what: "remove the destination",
                    state: "in use by loads",
                });
            }
            let mut budget = MAX_SECRETS;
            rows.delete_prefix(Table::Secrets, &Key::org(org).text(&id.to_string()), &mut budget)?;
            rows.delete(Table::Destinations, &place)
        })
        .await
    }
}

pub(crate) const MISSING: Error = Error::Missing {
    what: "the destination",
};

/// More fields than a destination's secret has.
const MAX_SECRETS: usize = 100;

fn seal(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    id: DestinationId,
    secrets: &[(String, Secret)],
    now: Timestamp,
) -> Result<(), Error> {
    for (part, secret) in secrets {
        credential::put_again(rows, ring, org, (&id.to_string(), part), secret, now)?;
    }
    Ok(())
}

fn all(rows: &mut impl Rows, org: OrgId) -> Result<Vec<Destination>, Error> {
    let span = Span::prefix(&Key::org(org));
    rows.collect(Table::Destinations, &span, false, MAX_LIMIT, |_, content| {
        from_json(Table::Destinations, content).map(Some)
    })
}
