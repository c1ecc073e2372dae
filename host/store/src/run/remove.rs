//! Runs of a connection that goes.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId, kind};
use sluice_model::run::RunState;

use super::{RunEnd, close, load};
use crate::Error;
use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};
use crate::trace::TraceOwner;

/// Ends every active run of a connection that is being removed.
pub(crate) fn cancel_all(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    now: Timestamp,
) -> Result<(), Error> {
    let span = Span::prefix(&Key::org(org).id(connection));
    let active = rows.collect(Table::ActiveRuns, &span, false, usize::MAX, |_, content| {
        Ok(content.try_into().ok().map(RunId::from_bytes))
    })?;
    for id in active {
        let run = load(rows, org, id)?;
        close(
            rows,
            org,
            run,
            RunEnd {
                state: RunState::Cancelled,
                error: None,
                at: now,
            },
        )?;
    }
    Ok(())
}

/// Deletes runs of a removed connection, with their traces.
pub(crate) fn remove_rows(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    budget: &mut usize,
) -> Result<(), Error> {
    let of_connection = Key::org(org).id(connection);
    while *budget > 0 {
        let first = rows.collect(
            Table::RunsByConnection,
            &Span::prefix(&of_connection),
            false,
            1,
            |key, _| Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Run>()),
        )?;
        let Some(id) = first.first().copied() else {
            return Ok(());
        };
        crate::trace::remove_rows(rows, org, TraceOwner::Run(id), budget)?;
        if *budget == 0 {
            return Ok(());
        }
        rows.delete(Table::Runs, &Key::org(org).id(id))?;
        rows.delete(Table::RunsByConnection, &of_connection.clone().id(id))?;
        *budget -= 1;
    }
    Ok(())
}
