//! A stream's state in a connection: its own cursor, its counts, and the generation that is being read.

use sluice_model::id::{ConnectionId, OrgId, RunId};

use crate::Error;
use crate::generation::Generation;
use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};

/// What is kept about a stream besides its records.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct State {
    #[serde(flatten)]
    pub(crate) cursor: Kept,
    pub(crate) records: u64,
    pub(crate) quarantined: u64,
    /// The feed's number of what somebody else than a run wrote last: a webhook, a link, a person.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) others: u64,
    /// What makes the ids of its records; unknown of files from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// What a complete reading has put together so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<Generation>,
}

/// A cursor that stands for what is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    /// The version of its format; files from before there were any have version 1.
    #[serde(default = "one", rename = "cursor_version")]
    pub(crate) version: u32,
    /// The run that moved it last, and where it stood before that run.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "cursor_by")]
    pub(crate) by: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "cursor_before")]
    pub(crate) before: Option<String>,
    /// The runs that moved it before that one, the last of them last, and where it stood before each: undoing one run after
    /// the other takes it back step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "cursor_earlier")]
    pub(crate) earlier: Vec<Moved>,
}

/// A run that moved a cursor, and where it stood before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Moved {
    by: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

/// Moves of a cursor that are kept, and bytes of them: a cursor may be as long as a page.
const MAX_MOVES: usize = 16;
const MAX_MOVES_BYTES: usize = 64 << 10;

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the way serde calls it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Kept {
    /// Moves it on for `run`; `None` leaves it where it is.
    pub(crate) fn advance(&mut self, run: RunId, cursor: Option<String>, version: u32) {
        let Some(cursor) = cursor else { return };
        if self.by != Some(run) {
            let before = std::mem::replace(&mut self.before, self.cursor.take());
            if let Some(by) = self.by.replace(run) {
                self.keep(Moved { by, before });
            }
        }
        self.cursor = Some(cursor);
        self.version = version;
    }

    /// Moves it back to where it stood before `run`, if that was the last to move it. Whether it was.
    pub(crate) fn set_back(&mut self, run: RunId) -> bool {
        if self.by != Some(run) {
            return false;
        }
        self.cursor = self.before.take();
        let earlier = self.earlier.pop();
        self.by = earlier.as_ref().map(|moved| moved.by);
        self.before = earlier.and_then(|moved| moved.before);
        true
    }

    fn keep(&mut self, moved: Moved) {
        self.earlier.push(moved);
        let bytes = |moved: &Moved| moved.before.as_ref().map_or(0, String::len);
        while self.earlier.len() > MAX_MOVES
            || self.earlier.iter().map(bytes).sum::<usize>() > MAX_MOVES_BYTES
        {
            self.earlier.remove(0);
        }
    }
}

pub(crate) fn state(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<State, Error> {
    Ok(rows
        .get_json(Table::Streams, &state_key(org, connection, stream))?
        .unwrap_or_default())
}

pub(crate) fn save(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
    state: &State,
) -> Result<(), Error> {
    rows.put_json(Table::Streams, &state_key(org, connection, stream), state)
}

/// Every stream of the connection that was ever written.
pub(crate) fn names(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
) -> Result<Vec<String>, Error> {
    let of_connection = Key::org(org).id(connection);
    rows.collect(
        Table::Streams,
        &Span::prefix(&of_connection),
        false,
        MAX_STREAMS,
        |key, _| {
            let name = Parts::new(key.get(of_connection.bytes().len()..).unwrap_or_default()).tail_text();
            Ok(name.map(str::to_owned))
        },
    )
}

/// More streams than a connector declares.
const MAX_STREAMS: usize = 10_000;

fn state_key(org: OrgId, connection: ConnectionId, stream: &str) -> Key {
    Key::org(org).id(connection).tail(stream)
}
