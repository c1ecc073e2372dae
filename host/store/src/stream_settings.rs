//! What is set about a stream of a connection: how long its history is kept, and whatever else the service wants to know
//! of it, as a text that means nothing here.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};

use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::history;
use crate::key::{Key, Parts, Span};
use crate::row::{cap, cap_name, from_json};
use crate::run::{self, NewRun};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// The settings of one stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StreamSettings {
    /// How long what records were is kept, in seconds; 0: not at all.
    pub history_s: u64,
    /// The service's; JSON text.
    pub text: String,
    /// What the service has learnt about its records; JSON text. Forgotten when the settings are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// When its next run is due by its schedule; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Goes up by one with every change; 0 where nothing was ever set.
    pub revision: u64,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            history_s: history::KEEP.as_secs(),
            text: "{}".to_owned(),
            shape: None,
            next: None,
            revision: 0,
        }
    }
}

/// More text is refused.
pub const MAX_SETTINGS_BYTES: usize = 2 << 20;

impl Store {
    /// The settings of a stream; the defaults where nothing is set.
    pub async fn stream_settings(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
    ) -> Result<StreamSettings, Error> {
        self.read_now(|rows| read(rows, org, connection, stream))
    }

    /// The settings of every stream of the connection that has some.
    pub async fn all_stream_settings(
        &self,
        org: OrgId,
        connection: ConnectionId,
    ) -> Result<Vec<(String, StreamSettings)>, Error> {
        let of_connection = Key::org(org).id(connection);
        self.read(move |rows| {
            rows.collect(
                Table::StreamSettings,
                &Span::prefix(&of_connection),
                false,
                usize::MAX,
                |key, content| {
                    let name =
                        Parts::new(key.get(of_connection.bytes().len()..).unwrap_or_default()).tail_text();
                    let settings = from_json(Table::StreamSettings, content)?;
                    Ok(name.map(|name| (name.to_owned(), settings)))
                },
            )
        })
        .await
    }

    /// Sets them, if they are still at revision `expected`. [`Error::Revision`], [`Error::Missing`], [`Error::TooLarge`].
    pub async fn set_stream_settings(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        expected: u64,
        settings: StreamSettings,
    ) -> Result<StreamSettings, Error> {
        cap_name("a stream's name", stream)?;
        cap("a stream's settings", settings.text.len(), MAX_SETTINGS_BYTES)?;
        let key = key(org, connection, stream);
        let stream = stream.to_owned();
        self.write(settings.text.len(), move |rows| {
            require_connection(rows, org, connection)?;
            let found = read(rows, org, connection, &stream)?.revision;
            if found != expected {
                return Err(Error::Revision {
                    what: "the stream's settings",
                    expected,
                    found,
                });
            }
            let settings = StreamSettings {
                revision: found + 1,
                ..settings
            };
            rows.put_json(Table::StreamSettings, &key, &settings)?;
            reschedule(rows, org, connection)?;
            Ok(settings)
        })
        .await
    }

    /// Keeps what was learnt about a stream's records, if its settings are still at this revision.
    pub async fn learn_shape(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        (revision, shape): (u64, String),
    ) -> Result<(), Error> {
        cap("a stream's shape", shape.len(), MAX_SETTINGS_BYTES)?;
        let key = key(org, connection, stream);
        let stream = stream.to_owned();
        self.write(shape.len(), move |rows| {
            let mut settings = read(rows, org, connection, &stream)?;
            if settings.revision == revision && settings.shape.is_none() {
                settings.shape = Some(shape);
                rows.put_json(Table::StreamSettings, &key, &settings)?;
            }
            Ok(())
        })
        .await
    }

    /// Leases connections with a stream whose time has come; they come up again when the lease ends.
    pub async fn lease_due_schedules(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, ConnectionId)>, Error> {
        self.lease_due_connections(Work::Schedules, now, lease_for, limit)
            .await
    }

    /// The connection's streams are done with for now: it comes up again with the first of them.
    pub async fn settle_schedule(&self, org: OrgId, connection: ConnectionId) -> Result<(), Error> {
        self.write(64, move |rows| reschedule(rows, org, connection))
            .await
    }

    /// The stream's time has come: queues its run and sets the time of the next, in one commit. Where a run of it is
    /// under way, or `run` is none, only the time is set. Answers whether a run was queued.
    ///
    /// # Errors
    /// [`Error::State`] if its time is not `expected` any more: somebody else was here, or its schedule was changed.
    pub async fn fire(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        (expected, next): (Timestamp, Option<Timestamp>),
        run: Option<NewRun>,
    ) -> Result<bool, Error> {
        let key = key(org, connection, stream);
        let stream = stream.to_owned();
        self.write(256, move |rows| {
            let mut settings = read(rows, org, connection, &stream)?;
            if settings.next != Some(expected) {
                return Err(Error::State {
                    what: "start the stream's run",
                    state: "rescheduled",
                });
            }
            let queued = match run {
                Some(run) => match run::queue(rows, org, run) {
                    Ok(_) => true,
                    Err(Error::ActiveRun { .. }) => false,
                    Err(error) => return Err(error),
                },
                None => false,
            };
            settings.next = next;
            rows.put_json(Table::StreamSettings, &key, &settings)?;
            Ok(queued)
        })
        .await
    }
}

/// Puts the connection into the index under the earliest time of its streams.
fn reschedule(rows: &mut Writer<'_>, org: OrgId, connection: ConnectionId) -> Result<(), Error> {
    let of_connection = Key::org(org).id(connection);
    let times = rows.collect(
        Table::StreamSettings,
        &Span::prefix(&of_connection),
        false,
        usize::MAX,
        |_, content| Ok(from_json::<StreamSettings>(Table::StreamSettings, content)?.next),
    )?;
    due::move_connection(rows, Work::Schedules, org, connection, times.into_iter().min())
}

fn key(org: OrgId, connection: ConnectionId, stream: &str) -> Key {
    Key::org(org).id(connection).tail(stream)
}

fn read(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<StreamSettings, Error> {
    Ok(rows
        .get_json(Table::StreamSettings, &key(org, connection, stream))?
        .unwrap_or_default())
}

/// How long the stream's history is kept.
pub(crate) fn history_of(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<Duration, Error> {
    Ok(Duration::from_secs(
        read(rows, org, connection, stream)?.history_s,
    ))
}

pub(crate) fn keeps_history(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<bool, Error> {
    Ok(!history_of(rows, org, connection, stream)?.is_zero())
}
