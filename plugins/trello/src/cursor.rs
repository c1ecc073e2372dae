//! Where reading what is on boards stands. Small: the host commits it with every page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::streams::boards::Board;

/// The cursor of every stream below boards.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The boards that finished passes have read: when there was something going on last, in milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) marks: BTreeMap<String, u64>,
    /// The pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Place>,
}

/// The rest of the pass under way.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Boards still to be read, each with its last activity as the pass found it.
    pub(crate) boards: Vec<(String, Option<u64>)>,
    /// Of the first of them: the oldest card that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
}

impl Cursor {
    /// The cursor of a request; at the beginning of a pass with the boards that are to be read.
    pub(crate) fn of(
        request: &ReadRequest,
        boards: impl FnOnce() -> Result<Vec<Board>, Error>,
        always: bool,
    ) -> Result<Self, Error> {
        let mut cursor: Self = request.cursor()?.unwrap_or_default();
        if cursor.at.is_none() {
            let boards = boards()?;
            cursor
                .marks
                .retain(|id, _| boards.iter().any(|board| board.id == *id));
            let quiet = |board: &Board| {
                board.activity.is_some() && board.activity == cursor.marks.get(&board.id).copied()
            };
            let boards = boards
                .into_iter()
                .filter(|board| always || !quiet(board))
                .map(|board| (board.id, board.activity))
                .collect();
            cursor.at = Some(Place { boards, before: None });
        }
        Ok(cursor)
    }

    /// A board has been read to its end.
    pub(crate) fn done(&mut self, (id, activity): (String, Option<u64>)) {
        match activity {
            Some(activity) => self.marks.insert(id, activity),
            None => self.marks.remove(&id),
        };
    }

    /// A page that leaves `place` to be read.
    pub(crate) fn page(mut self, place: Place, changes: Vec<Change>) -> Result<Page, Error> {
        let more = !place.boards.is_empty();
        self.at = Some(place).filter(|_| more);
        Page::at(changes, &self, more)
    }
}
