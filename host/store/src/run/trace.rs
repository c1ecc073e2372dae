//! What the calls of a run asked and said, kept where nothing else of them is.

use std::sync::Arc;

use sluice_model::exchange::Exchange;
use sluice_model::id::{OrgId, RunId};

use super::{Run, leased, save};
use crate::table::Writer;
use crate::trace::{LogLine, TraceOwner, TraceRows, Traced};
use crate::{Error, Store};

impl Store {
    /// Keeps the trace and log of a call that gave no page: they say why. [`Error::Fenced`].
    pub async fn note_run(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        exchanges: Vec<Exchange>,
        logs: Vec<LogLine>,
    ) -> Result<(), Error> {
        let trace = TraceRows::encode(&exchanges, &logs)?;
        self.trace_run(org, run, fencing, Arc::new(trace)).await
    }

    /// The same with rows that are encoded. [`Error::Fenced`].
    pub(crate) async fn trace_run(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        trace: Arc<TraceRows>,
    ) -> Result<(), Error> {
        self.write(64 + trace.bytes(), move |rows| {
            let mut run = leased(rows, org, run, fencing)?;
            append_trace(rows, org, &mut run, &trace)?;
            save(rows, org, &run)
        })
        .await
    }
}

/// Appends to a run's trace; the run, which has their number, is still to be saved.
pub(crate) fn append_trace(
    rows: &mut Writer<'_>,
    org: OrgId,
    run: &mut Run,
    trace: &TraceRows,
) -> Result<(), Error> {
    let traced = Traced {
        exchanges: run.traced,
        logs: run.logged,
        dropped: run.dropped,
    };
    let traced = trace.append(rows, org, TraceOwner::Run(run.id), traced)?;
    (run.traced, run.logged, run.dropped) = (traced.exchanges, traced.logs, traced.dropped);
    Ok(())
}
