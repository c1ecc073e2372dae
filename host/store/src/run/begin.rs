//! Where the reading of a run begins.

use sluice_model::id::{OrgId, RunId};
use sluice_model::run::{Mode, RunState};

use super::{Run, leased, save};
use crate::connection::require_connection;
use crate::generation::{Behind, Generation};
use crate::key::Key;
use crate::table::{Rows, Table};
use crate::{Error, Store, stream};

impl Store {
    /// The reading begins, or goes on. The first time, a run in mode "full" over a stream that has records begins a
    /// generation, and so does one that only compares. `key` says what makes the ids of its records. Answers the run as it
    /// is then. [`Error::Fenced`]; [`Error::KeyChanged`] if the records that are there were named by something else, and the
    /// run would put its own between them.
    pub async fn begin_run(&self, org: OrgId, run: RunId, fencing: u64, key: &str) -> Result<Run, Error> {
        let found = self.get_run(org, run).await?;
        let found = found.ok_or(Error::Missing { what: "the run" })?;
        let (connection, stream, key) = (found.connection, found.stream, key.to_owned());
        if matches!(found.mode, Mode::Full | Mode::Check) && !found.begun {
            // What a generation before it has left behind is no part of this one.
            let earlier = Behind::Earlier { run, fencing };
            self.clear_generation(org, connection, &stream, earlier).await?;
        }
        self.write(256, move |rows| {
            let mut run = leased(rows, org, run, fencing)?;
            if run.state == RunState::Leased {
                run.state = RunState::Running;
            }
            if !run.begun {
                require_connection(rows, org, connection)?;
                run.begun = true;
                run.since = rows.get_number(Table::FeedNumbers, &Key::org(org).id(connection))?;
                let mut state = stream::state(rows, org, connection, &stream)?;
                let beside = matches!(run.mode, Mode::Incremental | Mode::Backfill);
                let before = state
                    .key
                    .as_ref()
                    .filter(|before| **before != key && state.records > 0);
                if let Some(before) = before.filter(|_| beside) {
                    let before = before.clone();
                    return Err(Error::KeyChanged { before, now: key });
                }
                if state.records == 0 || state.key.is_none() {
                    state.key = Some(key.clone());
                }
                run.staging = match run.mode {
                    Mode::Full => state.records > 0,
                    Mode::Check => true,
                    Mode::Incremental | Mode::Backfill => false,
                };
                state.generation = run.staging.then(|| Generation::new(run.id, run.since, key));
                stream::save(rows, org, connection, &stream, &state)?;
            }
            save(rows, org, &run)?;
            Ok(run)
        })
        .await
    }
}
