//! A survey: how a generation differs from what is there, without taking its place.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};

use super::{Look, RECORDS_STEP, load_seen};
use crate::batch::Into;
use crate::key::{Key, Span};
use crate::record::{Head, stream_key};
use crate::row::utf8;
use crate::run::{self, Findings};
use crate::table::{Rows, Table};
use crate::{Error, Store, stream};

impl Store {
    /// Compares what a run in mode "check" has read with what is there, and keeps what it found with the run. What came by
    /// another way since the reading began is left out: nobody knows which of the two is newer.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::Missing`].
    pub async fn survey(&self, org: OrgId, id: RunId, fencing: u64) -> Result<Findings, Error> {
        let found = self.get_run(org, id).await?;
        let found = found.ok_or(Error::Missing { what: "the run" })?;
        let (connection, name) = (found.connection, found.stream);
        let findings = self
            .read(move |rows| compare(rows, (org, connection, id), &name))
            .await?;
        let kept = findings.clone();
        self.write(256, move |rows| {
            let mut run = run::leased(rows, org, id, fencing)?;
            run.findings = Some(kept);
            run::save(rows, org, &run)
        })
        .await?;
        Ok(findings)
    }
}

fn compare(
    rows: &mut impl Rows,
    (org, connection, id): (OrgId, ConnectionId, RunId),
    name: &str,
) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let generation = stream::state(rows, org, connection, name)?.generation;
    let Some(generation) = generation.filter(|generation| generation.run == id) else {
        return Ok(findings);
    };
    let of_stream = stream_key(org, connection, name);
    let mut span = Some(Span::prefix(&of_stream));
    while let Some(part) = span.take() {
        let staged = rows.collect(Table::Staged, &part, false, RECORDS_STEP, |key, content| {
            let id = utf8(
                Table::Staged,
                key.get(of_stream.bytes().len()..).unwrap_or_default(),
            )?;
            Ok(Some((id, Head::read(content)?.0)))
        })?;
        if let Some((last, _)) = staged.last().filter(|_| staged.len() == RECORDS_STEP) {
            span = Some(Span::prefix(&of_stream).after(of_stream.clone().tail(last)));
        }
        for (id, told) in staged {
            let place = of_stream.clone().tail(&id);
            let known = rows.look(Table::Records, &place, |content| Ok(Head::read(content)?.0))?;
            match known {
                Some(known) if known.seq > generation.since => {}
                Some(known) if !known.deleted && told.deleted => findings.extra.add(id),
                Some(known) if !known.deleted => findings.differing.add(id),
                _ if told.deleted => {}
                _ => findings.missing.add(id),
            }
        }
    }
    if generation.nameless {
        return Ok(findings);
    }
    let into = Into {
        org,
        connection,
        run: None,
        history: false,
        now: Timestamp::default(),
    };
    for pass in 0..generation.passes() {
        let seen = load_seen(rows, into, name, &generation, pass)?;
        let look = Look {
            of: (pass, generation.passes()),
            seen: &seen,
            since: generation.since,
        };
        let mut after: Option<Key> = None;
        loop {
            let (gone, next) = look.step(rows, into, name, after.take())?;
            for id in gone {
                // What the vendor said is deleted is told already.
                let staged = rows.has(Table::Staged, &of_stream.clone().tail(&id))?;
                if !staged {
                    findings.extra.add(id);
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(findings)
}
