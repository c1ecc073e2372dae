//! Sweeping: what time makes superfluous, and removals that were interrupted, in bounded steps.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};

use crate::authorization::REMEMBERED_MS;
use crate::key::{Parts, Span};
use crate::org::WHOLE_ORG;
use crate::receipt::DEDUPE_FOR;
use crate::table::{Rows, Table};
use crate::{
    Error, Store, authorization, connection, delivery, endpoint, event, history, moved, org, receipt,
};

impl Store {
    /// Does up to `max_steps` steps (each one commit of at most a thousand rows): forgets dedupe keys older than
    /// [`DEDUPE_FOR`](crate::receipt::DEDUPE_FOR), authorizations that ended a day ago, history that
    /// is old enough, and goes on with removals that were
    /// interrupted and with rotations of organizations' keys. Looking costs no step, so that many organizations
    /// with nothing to do end a sweep. Answers whether there is more.
    pub async fn sweep(&self, now: Timestamp, max_steps: usize) -> Result<bool, Error> {
        let mut left = max_steps;
        for (of_org, of_connection) in self.removals().await? {
            loop {
                let more = self.write_bulk(64, move |rows| match of_connection {
                    id if id == WHOLE_ORG => org::remove_step(rows, of_org),
                    id => connection::remove_step(rows, of_org, id),
                });
                if !more.await? {
                    break;
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(true);
                }
            }
        }
        let window = u64::try_from(DEDUPE_FOR.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(window));
        let remembered = Timestamp::from_millis(now.as_millis().saturating_sub(REMEMBERED_MS));
        for org in self.list_orgs().await? {
            let id = org.id;
            while self
                .write_bulk(64, move |rows| receipt::forget_keys(rows, id, before, STEP_ROWS))
                .await?
            {
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(true);
                }
            }
            while self
                .write_bulk(64, move |rows| history::forget(rows, id, now, STEP_ROWS))
                .await?
            {
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(true);
                }
            }
            while self
                .write_bulk(64, move |rows| moved::forget(rows, id, now, STEP_ROWS))
                .await?
            {
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(true);
                }
            }
            match self.reseal(org.id, &mut left).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error @ Error::Failed { .. }) => return Err(error),
                // One organization's damage keeps no other from being swept.
                Err(error) => {
                    tracing::error!(org = %org.id, code = error.code(), %error, "an organization's key is not rotated");
                }
            }
            let (id, before) = (org.id, remembered);
            self.write_bulk(64, move |rows| authorization::forget(rows, id, before, STEP_ROWS))
                .await?;
        }
        Ok(false)
    }
}

/// How long things are kept; nothing is forgotten without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Events, from when they were appended.
    pub events: Option<Duration>,
    /// Deliveries and their attempts, from when they were owed.
    pub deliveries: Option<Duration>,
}

/// Rows that one step deletes at most: its commit stays short, so that others' writes are not held up.
pub(crate) const STEP_ROWS: usize = 1000;

impl Store {
    /// Forgets events and deliveries older than `keep`, and goes on with removals of endpoints, in up to `max_steps` steps like
    /// [`Store::sweep`]'s. Answers whether there is more.
    pub async fn sweep_events(&self, now: Timestamp, keep: Keep, max_steps: usize) -> Result<bool, Error> {
        let mut left = max_steps;
        let before = |kept: Duration| {
            let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(kept))
        };
        for (org, id) in self.read(endpoint::removals).await? {
            while self
                .write_bulk(64, move |rows| endpoint::remove_step(rows, org, id))
                .await?
            {
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(true);
                }
            }
        }
        for org in self.list_orgs().await? {
            let org = org.id;
            if let Some(before) = keep.events.map(before) {
                while self
                    .write_bulk(64, move |rows| event::forget(rows, org, before, STEP_ROWS))
                    .await?
                {
                    left = left.saturating_sub(1);
                    if left == 0 {
                        return Ok(true);
                    }
                }
            }
            let Some(before) = keep.deliveries.map(before) else {
                continue;
            };
            for known in self.list_endpoints(org).await? {
                let id = known.endpoint.id;
                while self
                    .write_bulk(64, move |rows| {
                        delivery::forget(rows, org, id, before, STEP_ROWS / 4)
                    })
                    .await?
                {
                    left = left.saturating_sub(1);
                    if left == 0 {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Removals that are under way, or were when the process ended.
    async fn removals(&self) -> Result<Vec<(OrgId, ConnectionId)>, Error> {
        self.read(|rows| {
            rows.collect(Table::Removals, &Span::all(), false, STEP_ROWS, |key, _| {
                let mut parts = Parts::new(key);
                Ok(parts.id().zip(parts.id()))
            })
        })
        .await
    }
}
