//! Endpoints: what was set about them, and how they are doing. The first changes when a person changes it, the second with every
//! few deliveries, so they are two rows.

use sluice_model::Timestamp;
use sluice_model::endpoint::{Health, KeyKind, OffReason, Status};
use sluice_model::event::NewEvent;
use sluice_model::id::{EndpointId, OrgId, kind};
use sluice_model::secret::Secret;

use crate::delivery;
use crate::due::{self, Work};
use crate::event;
use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{cap, cap_name, from_json};
use crate::sweep::STEP_ROWS;
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store, credential};

/// What a person set about an endpoint.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Endpoint {
    pub id: EndpointId,
    /// Only one of the organization's has it.
    pub name: String,
    pub url: String,
    /// Patterns of kinds of events.
    pub kinds: Vec<String>,
    /// JSON text of the filter and the steps; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rules: String,
    /// Names of its own headers; the values are sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    pub ordered: bool,
    /// Tries under way at once.
    pub concurrency: u32,
    /// Tries a second; without, as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// The kind of the newest key; and `whpk_…` of those that are valid.
    pub signing: KeyKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    pub created: Timestamp,
    /// Goes up with every change, so that what was made ready of it is made ready anew.
    pub revision: u64,
}

/// How an endpoint is doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EndpointState {
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<(OffReason, Timestamp)>,
    pub health: Health,
    /// The number of the last event that it was looked at for.
    pub position: u64,
    /// No try before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Timestamp>,
    pub fencing: u64,
    /// Whether a worker has it.
    pub leased: bool,
    /// Deliveries by their state.
    pub waiting: u64,
    pub dead: u64,
    pub delivered: u64,
}

/// An endpoint and how it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub endpoint: Endpoint,
    pub state: EndpointState,
}

/// An endpoint that is to be kept.
#[derive(Debug)]
pub struct NewEndpoint {
    pub endpoint: Endpoint,
    /// The keys and the headers, as the service writes them; each sealed.
    pub keys: Secret,
    pub headers: Option<Secret>,
    /// Told in the same commit.
    pub event: NewEvent,
    pub now: Timestamp,
}

/// A change of what is set. What is `None` stays as it is.
#[derive(Debug)]
pub struct ChangedEndpoint {
    pub endpoint: Endpoint,
    pub keys: Option<Secret>,
    pub headers: Option<Secret>,
    pub event: NewEvent,
    pub now: Timestamp,
}

/// The fields under which the secrets are sealed; the owner is the endpoint's id.
pub const KEYS: &str = "endpoint-keys";
/// See [`KEYS`].
pub const HEADERS: &str = "endpoint-headers";

/// Endpoints of one organization.
pub const MAX_ENDPOINTS: usize = 1000;
/// Bytes of an endpoint's row.
const MAX_ENDPOINT_BYTES: usize = 1 << 20;

impl Store {
    /// Keeps an endpoint: it is owed what is appended from now on. [`Error::Conflict`] if the name is taken,
    /// [`Error::State`] if there are too many, [`Error::Seal`].
    pub async fn create_endpoint(&self, org: OrgId, new: NewEndpoint) -> Result<(), Error> {
        let NewEndpoint {
            endpoint,
            keys,
            headers,
            event,
            now,
        } = new;
        cap_name("an endpoint's name", &endpoint.name)?;
        cap(
            "an endpoint",
            endpoint.rules.len() + endpoint.url.len(),
            MAX_ENDPOINT_BYTES,
        )?;
        let events = event::Encoded::prepare(vec![event], now)?;
        let ring = self.keyring().clone();
        self.write(events.bytes() + endpoint.rules.len(), move |rows| {
            require(rows, org)?;
            let others = all(rows, org)?;
            if others.len() >= MAX_ENDPOINTS {
                return Err(Error::State {
                    what: "add an endpoint",
                    state: "one of a thousand that are there",
                });
            }
            unique(&others, &endpoint)?;
            let owner = endpoint.id.to_string();
            credential::put_again(rows, &ring, org, (&owner, KEYS), &keys, now)?;
            if let Some(headers) = &headers {
                credential::put_again(rows, &ring, org, (&owner, HEADERS), headers, now)?;
            }
            rows.put_json(Table::Endpoints, &Key::org(org).id(endpoint.id), &endpoint)?;
            let state = EndpointState {
                status: Status::Active,
                off: None,
                health: Health::default(),
                position: events.append(rows, org)?,
                hold: None,
                fencing: 0,
                leased: false,
                waiting: 0,
                dead: 0,
                delivered: 0,
            };
            save(rows, org, endpoint.id, &state)?;
            rows.put(Table::IdleEndpoints, &Key::org(org).id(endpoint.id), &[])
        })
        .await
    }

    /// Changes what is set. [`Error::Missing`], [`Error::Conflict`] if the name is taken, [`Error::Revision`] if somebody else
    /// changed it since (its revision is one less than the given one), [`Error::Seal`].
    pub async fn change_endpoint(&self, org: OrgId, changed: ChangedEndpoint) -> Result<(), Error> {
        let ChangedEndpoint {
            endpoint,
            keys,
            headers,
            event,
            now,
        } = changed;
        cap_name("an endpoint's name", &endpoint.name)?;
        cap(
            "an endpoint",
            endpoint.rules.len() + endpoint.url.len(),
            MAX_ENDPOINT_BYTES,
        )?;
        let events = event::Encoded::prepare(vec![event], now)?;
        let ring = self.keyring().clone();
        self.write(events.bytes() + endpoint.rules.len(), move |rows| {
            let others = all(rows, org)?;
            let old = others.iter().find(|other| other.id == endpoint.id);
            let old = old.ok_or(Error::Missing { what: "the endpoint" })?;
            if old.revision + 1 != endpoint.revision {
                return Err(Error::Revision {
                    what: "the endpoint",
                    expected: endpoint.revision.saturating_sub(1),
                    found: old.revision,
                });
            }
            unique(&others, &endpoint)?;
            let owner = endpoint.id.to_string();
            if let Some(keys) = &keys {
                credential::put_again(rows, &ring, org, (&owner, KEYS), keys, now)?;
            }
            if let Some(headers) = &headers {
                credential::put_again(rows, &ring, org, (&owner, HEADERS), headers, now)?;
            }
            events.append(rows, org)?;
            rows.put_json(Table::Endpoints, &Key::org(org).id(endpoint.id), &endpoint)
        })
        .await
    }

    /// Pauses, resumes or switches an endpoint off or on. One that was off is owed what is appended from now on; one that was
    /// paused goes on where it stopped. [`Error::Missing`].
    pub async fn set_endpoint_status(
        &self,
        org: OrgId,
        id: EndpointId,
        status: Status,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        let events = event::Encoded::prepare(vec![event], now)?;
        self.write(events.bytes(), move |rows| {
            let mut state = require_state(rows, org, id)?;
            if state.status == status {
                return Ok(());
            }
            let last = events.append(rows, org)?;
            if state.status == Status::Off {
                state.position = last;
            }
            state.status = status;
            state.off = (status == Status::Off).then_some((OffReason::Owner, now));
            if status == Status::Active {
                state.health = Health {
                    succeeded: state.health.succeeded,
                    ..Health::default()
                };
                state.hold = None;
            }
            // A worker that has it learns of it at its next commit.
            if !state.leased {
                set_due(rows, org, id, &state, now)?;
            }
            save(rows, org, id, &state)
        })
        .await
    }

    /// Removes an endpoint with its secrets; its deliveries go in bounded steps, and [`Store::sweep`] goes on with them.
    /// [`Error::Missing`].
    pub async fn remove_endpoint(
        &self,
        org: OrgId,
        id: EndpointId,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        let events = event::Encoded::prepare(vec![event], now)?;
        self.write(events.bytes(), move |rows| {
            require_state(rows, org, id)?;
            let place = Key::org(org).id(id);
            events.append(rows, org)?;
            due::move_to(rows, Work::Endpoints, org, id, None)?;
            for table in [Table::Endpoints, Table::EndpointStates, Table::IdleEndpoints] {
                rows.delete(table, &place)?;
            }
            let mut all = usize::MAX;
            rows.delete_prefix(Table::Secrets, &Key::org(org).text(&id.to_string()), &mut all)?;
            rows.put(Table::EndpointRemovals, &place, &[])
        })
        .await?;
        while self
            .write_bulk(64, move |rows| remove_step(rows, org, id))
            .await?
        {}
        Ok(())
    }

    /// One endpoint.
    pub async fn get_endpoint(&self, org: OrgId, id: EndpointId) -> Result<Option<Known>, Error> {
        self.read_now(|rows| known(rows, org, id))
    }

    /// The organization's endpoints, oldest first; at most [`MAX_ENDPOINTS`].
    pub async fn list_endpoints(&self, org: OrgId) -> Result<Vec<Known>, Error> {
        self.read(move |rows| {
            let mut found = Vec::new();
            for endpoint in all(rows, org)? {
                let state = rows.get_json(Table::EndpointStates, &Key::org(org).id(endpoint.id))?;
                found.extend(state.map(|state| Known { endpoint, state }));
            }
            Ok(found)
        })
        .await
    }
}

/// Notes that the organization's endpoints have new events to look at, if it has any.
pub(crate) fn note_news(rows: &mut Writer<'_>, org: OrgId) -> Result<(), Error> {
    let of_org = Key::org(org);
    let idle = rows.collect(Table::IdleEndpoints, &Span::prefix(&of_org), false, 1, |_, _| {
        Ok(Some(()))
    })?;
    if idle.is_empty() || rows.has(Table::News, &of_org)? {
        return Ok(());
    }
    rows.wake();
    rows.put(Table::News, &of_org, &[])
}

/// Makes endpoints due that wait for new events of their organizations.
pub(crate) fn wake_for_news(rows: &mut Writer<'_>, now: Timestamp) -> Result<(), Error> {
    let orgs = rows.collect(Table::News, &Span::all(), false, MAX_LIMIT, |key, _| {
        Ok(Parts::new(key).id::<kind::Org>())
    })?;
    for org in orgs {
        let of_org = Key::org(org);
        let idle = rows.collect(
            Table::IdleEndpoints,
            &Span::prefix(&of_org),
            false,
            MAX_ENDPOINTS,
            |key, _| Ok(Parts::new(key.get(16..).unwrap_or_default()).id::<kind::Endpoint>()),
        )?;
        for id in idle {
            rows.delete(Table::IdleEndpoints, &Key::org(org).id(id))?;
            due::move_to(rows, Work::Endpoints, org, id, Some(now))?;
        }
        rows.delete(Table::News, &of_org)?;
    }
    Ok(())
}

/// Puts an endpoint that no worker has where its state says: among what is due, among what waits for news, or nowhere.
pub(crate) fn set_due(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: EndpointId,
    state: &EndpointState,
    now: Timestamp,
) -> Result<(), Error> {
    let idle = Key::org(org).id(id);
    if state.status != Status::Active {
        rows.delete(Table::IdleEndpoints, &idle)?;
        return due::move_to(rows, Work::Endpoints, org, id, None);
    }
    // One that is to be left alone is looked at when its pause is over, not whenever something happens.
    if let Some(hold) = state.hold.filter(|hold| *hold > now) {
        rows.delete(Table::IdleEndpoints, &idle)?;
        return due::move_to(rows, Work::Endpoints, org, id, Some(hold));
    }
    let endpoint: Option<Endpoint> = rows.get_json(Table::Endpoints, &idle)?;
    let ordered = endpoint.is_some_and(|endpoint| endpoint.ordered);
    let last = rows.get_number(Table::EventNumbers, &Key::org(org))?;
    // In order, nothing new is taken in hand before what waits.
    let has_room = state.waiting < if ordered { 1 } else { delivery::MAX_WAITING };
    let at = if has_room && state.position < last {
        Some(now)
    } else {
        delivery::first_due(rows, org, id, ordered)?
    };
    rows.put(Table::IdleEndpoints, &idle, &[])?;
    due::move_to(rows, Work::Endpoints, org, id, at)
}

pub(crate) fn known(rows: &mut impl Rows, org: OrgId, id: EndpointId) -> Result<Option<Known>, Error> {
    let place = Key::org(org).id(id);
    let endpoint = rows.get_json(Table::Endpoints, &place)?;
    let state = rows.get_json(Table::EndpointStates, &place)?;
    Ok(endpoint
        .zip(state)
        .map(|(endpoint, state)| Known { endpoint, state }))
}

pub(crate) fn require_state(
    rows: &mut impl Rows,
    org: OrgId,
    id: EndpointId,
) -> Result<EndpointState, Error> {
    rows.get_json(Table::EndpointStates, &Key::org(org).id(id))?
        .ok_or(Error::Missing { what: "the endpoint" })
}

pub(crate) fn save(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: EndpointId,
    state: &EndpointState,
) -> Result<(), Error> {
    rows.put_json(Table::EndpointStates, &Key::org(org).id(id), state)
}

/// Deletes up to [`STEP_ROWS`] rows of a removed endpoint. Whether there are more.
pub(crate) fn remove_step(rows: &mut Writer<'_>, org: OrgId, id: EndpointId) -> Result<bool, Error> {
    let (place, mut budget) = (Key::org(org).id(id), STEP_ROWS);
    for table in [
        Table::DueDeliveries,
        Table::DeadDeliveries,
        Table::Attempts,
        Table::Deliveries,
    ] {
        rows.delete_prefix(table, &place, &mut budget)?;
        if budget == 0 {
            return Ok(true);
        }
    }
    rows.delete(Table::EndpointRemovals, &place)?;
    Ok(false)
}

/// Endpoints whose rows are still to be deleted.
pub(crate) fn removals(rows: &mut impl Rows) -> Result<Vec<(OrgId, EndpointId)>, Error> {
    rows.collect(
        Table::EndpointRemovals,
        &Span::all(),
        false,
        STEP_ROWS,
        |key, _| {
            let mut parts = Parts::new(key);
            Ok(parts.id().zip(parts.id()))
        },
    )
}

pub(crate) fn all(rows: &mut impl Rows, org: OrgId) -> Result<Vec<Endpoint>, Error> {
    let span = Span::prefix(&Key::org(org));
    rows.collect(Table::Endpoints, &span, false, MAX_ENDPOINTS, |_, content| {
        from_json(Table::Endpoints, content).map(Some)
    })
}

fn unique(others: &[Endpoint], endpoint: &Endpoint) -> Result<(), Error> {
    let taken = |other: &&Endpoint| other.id != endpoint.id && other.name == endpoint.name;
    match others.iter().find(taken) {
        Some(_) => Err(Error::Conflict {
            what: "an endpoint",
            name: endpoint.name.clone(),
        }),
        None => Ok(()),
    }
}
