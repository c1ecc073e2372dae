//! Connections: one account at one vendor through one install.

use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::event::NewEvent;
use sluice_model::id::{ConnectionId, InstallId, LinkId, OrgId, kind};
use sluice_model::manifest::StorageStep;

use crate::due::{self, Work};
use crate::event::Encoded;
use crate::install::{require_install, sha256, use_key};
use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, corrupt, from_json};
use crate::sweep::STEP_ROWS;
use crate::table::{Rows, Table, Writer};
use crate::trace::{self, TraceOwner};
use crate::{Error, Listing, Page, Store, file, hook, link, load, moved, receipt, run, storage};

/// A connection that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnection {
    pub id: ConnectionId,
    pub install: InstallId,
    /// The connector's id, as the install has it.
    pub connector: String,
    /// Unique per connector and organization; 1 to 256 bytes.
    pub name: String,
    /// JSON text, already validated.
    pub config: String,
    pub at: Timestamp,
}

/// A connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Connection {
    pub id: ConnectionId,
    pub install: InstallId,
    pub connector: String,
    pub name: String,
    /// JSON text.
    pub config: String,
    pub state: ConnectionState,
    /// Why it is in that state, where somebody has to act: a stable code and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The vendor's id of the account: webhooks of an app are routed by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// JSON text of whatever else the service keeps about it (account, schedule, chosen streams).
    pub settings: String,
    /// Goes up by one with every change.
    pub revision: u64,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Why a connection does not serve.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reason {
    pub code: String,
    pub message: String,
}

/// What is to be changed; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionChange {
    pub name: Option<String>,
    pub config: Option<String>,
    pub install: Option<InstallId>,
    /// What becomes of the storage's keys with the other install.
    pub storage: Vec<StorageStep>,
    /// The state and the reason for it belong together. A move that `ConnectionState::may_become` does not allow is
    /// [`Error::State`].
    pub state: Option<(ConnectionState, Option<Reason>)>,
    pub settings: Option<String>,
    /// The vendor's id of the account.
    pub account: Option<String>,
    /// Appended with the change or not at all: what is told of a state is true, and no state is untold.
    pub event: Option<NewEvent>,
}

impl Store {
    /// Creates a connection in state `draft`, revision 1. [`Error::Conflict`] if (connector, name) is taken,
    /// [`Error::Missing`] if the install is gone, [`Error::TooLarge`].
    pub async fn create_connection(&self, org: OrgId, new: NewConnection) -> Result<Connection, Error> {
        check_texts(Some(&new.name), Some(&new.config), None)?;
        cap_name("a connector's id", &new.connector)?;
        self.write(new.config.len(), move |rows| {
            require(rows, org)?;
            require_install(rows, org, new.install)?;
            let place = Key::org(org).id(new.id);
            let by_name = name_key(org, &new.connector, &new.name);
            if rows.has(Table::ConnectionNames, &by_name)?
                || rows.has(Table::Connections, &place)?
                || rows.has(Table::Tombstones, &place)?
            {
                return Err(Error::Conflict {
                    what: "a connection",
                    name: new.name,
                });
            }
            let connection = Connection {
                id: new.id,
                install: new.install,
                connector: new.connector,
                name: new.name,
                config: new.config,
                state: ConnectionState::Draft,
                reason: None,
                account: None,
                settings: "{}".to_owned(),
                revision: 1,
                created: new.at,
                updated: new.at,
            };
            rows.put(Table::ConnectionNames, &by_name, &[new.id.as_bytes()])?;
            rows.put(Table::InstallUses, &use_key(org, new.install, new.id), &[])?;
            rows.put_json(Table::Connections, &place, &connection)?;
            Ok(connection)
        })
        .await
    }

    /// One connection.
    pub async fn get_connection(&self, org: OrgId, id: ConnectionId) -> Result<Option<Connection>, Error> {
        self.read_now(|rows| rows.get_json(Table::Connections, &Key::org(org).id(id)))
    }

    /// A connection by its unique name.
    pub async fn find_connection(
        &self,
        org: OrgId,
        connector: &str,
        name: &str,
    ) -> Result<Option<Connection>, Error> {
        let by_name = name_key(org, connector, name);
        self.read_now(
            |rows| match rows.get_id::<kind::Connection>(Table::ConnectionNames, &by_name)? {
                Some(id) => rows.get_json(Table::Connections, &Key::org(org).id(id)),
                None => Ok(None),
            },
        )
    }

    /// The organization's connections, oldest first.
    pub async fn list_connections(
        &self,
        org: OrgId,
        page: Page<ConnectionId>,
    ) -> Result<Listing<Connection, ConnectionId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.after(of_org.id(after));
            }
            let found = rows.collect(Table::Connections, &span, false, limit + 1, |_, content| {
                from_json::<Connection>(Table::Connections, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |connection| connection.id))
        })
        .await
    }

    /// Changes a connection if it is still at revision `expected`, and answers it as it is now. [`Error::Revision`],
    /// [`Error::Missing`], [`Error::Conflict`] for a taken name, [`Error::State`].
    pub async fn update_connection(
        &self,
        org: OrgId,
        id: ConnectionId,
        expected: u64,
        change: ConnectionChange,
        now: Timestamp,
    ) -> Result<Connection, Error> {
        check_texts(
            change.name.as_deref(),
            change.config.as_deref(),
            change.settings.as_deref(),
        )?;
        let events = Encoded::prepare(change.event.into_iter().collect(), now)?;
        let bytes = change.config.as_ref().map_or(0, String::len)
            + change.settings.as_ref().map_or(0, String::len)
            + events.bytes()
            + match change.storage.is_empty() {
                true => 0,
                false => usize::try_from(moved::MAX_KEPT_BYTES).unwrap_or_default(),
            };
        self.write(bytes, move |rows| {
            let old = require_connection(rows, org, id)?;
            if old.revision != expected {
                return Err(Error::Revision {
                    what: "the connection",
                    expected,
                    found: old.revision,
                });
            }
            let migrated = storage::plan_migration(rows, org, id, &change.storage)?;
            let mut new = old.clone();
            new.revision += 1;
            new.updated = now;
            if let Some((state, reason)) = change.state {
                if state != old.state && !old.state.may_become(state) {
                    return Err(Error::State {
                        what: "change the connection's state",
                        state: old.state.name(),
                    });
                }
                (new.state, new.reason) = (state, reason);
            }
            if change.account.is_some() && change.account != old.account {
                for (account, is_new) in [(&old.account, false), (&change.account, true)] {
                    let Some(account) = account else { continue };
                    let place = account_key(org, &old.connector, account).id(id);
                    match is_new {
                        true => rows.put(Table::Accounts, &place, &[])?,
                        false => rows.delete(Table::Accounts, &place)?,
                    }
                }
                new.account = change.account;
            }
            new.config = change.config.unwrap_or(new.config);
            new.settings = change.settings.unwrap_or(new.settings);
            new.install = change.install.unwrap_or(new.install);
            new.name = change.name.unwrap_or(new.name);
            let by_name = name_key(org, &new.connector, &new.name);
            let renamed = new.name != old.name;
            if renamed && rows.has(Table::ConnectionNames, &by_name)? {
                return Err(Error::Conflict {
                    what: "a connection",
                    name: new.name,
                });
            }
            if new.install != old.install {
                require_install(rows, org, new.install)?;
                moved::keep(rows, org, &old, new.install, now)?;
                if let Some(values) = migrated {
                    storage::replace(rows, org, id, values)?;
                }
                rows.delete(Table::InstallUses, &use_key(org, old.install, id))?;
                rows.put(Table::InstallUses, &use_key(org, new.install, id), &[])?;
            }
            if renamed {
                rows.delete(Table::ConnectionNames, &name_key(org, &old.connector, &old.name))?;
                rows.put(Table::ConnectionNames, &by_name, &[id.as_bytes()])?;
            }
            rows.put_json(Table::Connections, &Key::org(org).id(id), &new)?;
            events.append(rows, org)?;
            Ok(new)
        })
        .await
    }

    /// Removes a connection: at once for every reader and worker (first commit, leaves a tombstone), then its
    /// credentials, storage, hooks, receipts, runs and their traces, and with [`Data::Delete`] its records and cursors, in
    /// bounded steps. Interrupted, [`Store::sweep`] goes on with it. What was kept is deleted by a second removal, with
    /// [`Data::Delete`]. [`Error::Missing`].
    pub async fn remove_connection(
        &self,
        org: OrgId,
        id: ConnectionId,
        data: Data,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(64, move |rows| {
            let place = Key::org(org).id(id);
            if data == Data::Delete
                && let Some(kept) = rows.get_json::<Stone>(Table::Tombstones, &place)?
                && kept.data_kept
            {
                let emptied = Stone {
                    data_kept: false,
                    ..kept
                };
                rows.put_json(Table::Tombstones, &place, &emptied)?;
                return rows.put(Table::Removals, &place, &[]);
            }
            let connection = require_connection(rows, org, id)?;
            run::cancel_all(rows, org, id, now)?;
            due::move_connection(rows, Work::Credentials, org, id, None)?;
            due::move_connection(rows, Work::Schedules, org, id, None)?;
            hook::remove_all(rows, org, id)?;
            load::remove_all(rows, org, id)?;
            link::remove_all(rows, org, id)?;
            if let Some(account) = &connection.account {
                rows.delete(
                    Table::Accounts,
                    &account_key(org, &connection.connector, account).id(id),
                )?;
            }
            let tombstone = Stone {
                connector: connection.connector,
                name: connection.name,
                removed: now,
                data_kept: data == Data::Keep,
            };
            rows.delete(
                Table::ConnectionNames,
                &name_key(org, &tombstone.connector, &tombstone.name),
            )?;
            rows.delete(Table::InstallUses, &use_key(org, connection.install, id))?;
            rows.delete(Table::Connections, &place)?;
            rows.put_json(Table::Tombstones, &place, &tombstone)?;
            rows.put(Table::Removals, &place, &[])
        })
        .await?;
        while self
            .write_bulk(64, move |rows| remove_step(rows, org, id))
            .await?
        {}
        Ok(())
    }

    /// What is left of a removed connection.
    pub async fn get_tombstone(&self, org: OrgId, id: ConnectionId) -> Result<Option<Tombstone>, Error> {
        let found = self.read_now(|rows| rows.get_json::<Stone>(Table::Tombstones, &Key::org(org).id(id)))?;
        Ok(found.map(|stone| stone.of(id)))
    }

    /// What is left of the organization's removed connections, by id.
    pub async fn list_tombstones(
        &self,
        org: OrgId,
        page: Page<ConnectionId>,
    ) -> Result<Listing<Tombstone, ConnectionId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.after(of_org.clone().id(after));
            }
            let place = of_org.bytes().len();
            let found = rows.collect(Table::Tombstones, &span, false, limit + 1, |key, content| {
                let id = Parts::new(key.get(place..).unwrap_or_default()).id::<kind::Connection>();
                let id = id.ok_or_else(|| corrupt(Table::Tombstones, "a key is malformed"))?;
                Ok(Some(from_json::<Stone>(Table::Tombstones, content)?.of(id)))
            })?;
            Ok(Listing::cut(found, limit, |tombstone| tombstone.id))
        })
        .await
    }
}

/// What becomes of the records of a connection that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Delete,
    /// Records, their change feed and what was set aside stay readable under the connection's id.
    Keep,
}

/// What is left of a removed connection: its id is never used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    pub id: ConnectionId,
    pub connector: String,
    pub name: String,
    pub removed: Timestamp,
    /// Whether its records are still there.
    pub data_kept: bool,
}

/// A [`Tombstone`] as it is kept.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Stone {
    connector: String,
    name: String,
    removed: Timestamp,
    #[serde(default)]
    data_kept: bool,
}

impl Stone {
    fn of(self, id: ConnectionId) -> Tombstone {
        Tombstone {
            id,
            connector: self.connector,
            name: self.name,
            removed: self.removed,
            data_kept: self.data_kept,
        }
    }
}

/// Tables whose keys begin with organization and connection and that have nothing else pointing into them.
const OF_CONNECTION: [Table; 14] = [
    Table::Cursors,
    Table::StreamSettings,
    Table::AccountStreams,
    Table::AccountStreamsNumbers,
    Table::Staged,
    Table::Seen,
    Table::Storage,
    Table::StorageUse,
    Table::ActiveRuns,
    Table::Moves,
    Table::MovedRows,
    // Of links, which are removed in the same way.
    Table::LinkPairs,
    Table::LinkSides,
    Table::LinkOpen,
];

/// The same, with what a removal may keep.
const DATA_OF_CONNECTION: [Table; 6] = [
    Table::Records,
    Table::Feed,
    Table::FeedNumbers,
    Table::Streams,
    Table::Quarantine,
    Table::History,
];

/// The connection, or a refusal.
pub(crate) fn require_connection(
    rows: &mut impl Rows,
    org: OrgId,
    id: ConnectionId,
) -> Result<Connection, Error> {
    rows.get_json(Table::Connections, &Key::org(org).id(id))?
        .ok_or(Error::Missing {
            what: "the connection",
        })
}

/// Deletes up to about [`STEP_ROWS`] rows of a removed connection. Whether there are more.
pub(crate) fn remove_step(rows: &mut Writer<'_>, org: OrgId, id: ConnectionId) -> Result<bool, Error> {
    let mut budget = STEP_ROWS;
    let of_connection = Key::org(org).id(id);
    let stone: Option<Stone> = rows.get_json(Table::Tombstones, &of_connection)?;
    // Without a tombstone nobody has said that anything is to be kept.
    let data: &[Table] = match stone {
        Some(stone) if stone.data_kept => &[],
        _ => &DATA_OF_CONNECTION,
    };
    if !data.is_empty() {
        file::remove_rows(rows, org, id, &mut budget)?;
    }
    for table in OF_CONNECTION.iter().chain(data) {
        rows.delete_prefix(*table, &of_connection, &mut budget)?;
    }
    rows.delete_prefix(Table::Secrets, &Key::org(org).text(&id.to_string()), &mut budget)?;
    run::remove_rows(rows, org, id, &mut budget)?;
    receipt::remove_rows(rows, org, id, &mut budget)?;
    // A link that was removed is swept like a connection, under its own id.
    let link = TraceOwner::Link(LinkId::from_bytes(*id.as_bytes()));
    for owner in [link, TraceOwner::Connection(id)] {
        trace::remove_rows(rows, org, owner, &mut budget)?;
    }
    if budget == 0 {
        return Ok(true);
    }
    rows.delete(Table::Removals, &of_connection)?;
    Ok(false)
}

/// The connections of an account at a vendor.
pub(crate) fn account_key(org: OrgId, connector: &str, account: &str) -> Key {
    Key::org(org).text(connector).hash(&sha256(account.as_bytes()))
}

fn name_key(org: OrgId, connector: &str, name: &str) -> Key {
    Key::org(org).text(connector).tail(name)
}

fn check_texts(name: Option<&str>, config: Option<&str>, settings: Option<&str>) -> Result<(), Error> {
    name.map_or(Ok(()), |name| {
        cap("a connection's name", name.len(), MAX_CONNECTION_NAME_BYTES)
    })?;
    config.map_or(Ok(()), |config| {
        cap("a configuration", config.len(), MAX_VALUE_BYTES / 8)
    })?;
    settings.map_or(Ok(()), |settings| {
        cap("a connection's settings", settings.len(), MAX_VALUE_BYTES / 8)
    })
}

/// A name is something that people read.
const MAX_CONNECTION_NAME_BYTES: usize = 256;
