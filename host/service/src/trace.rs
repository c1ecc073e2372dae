//! Traces as they are read: what was asked of the network and what was said, in its order; and those of calls that are part of
//! nothing that keeps one itself.

use sluice_model::exchange::Exchange;
use sluice_model::id::OrgId;
use sluice_runtime::{Effects, Outcome};
use sluice_store::trace::{LogLine, TraceOwner};

use crate::Service;
use crate::call::{self, Callee};
use crate::page::{Listed, Page};

pub(crate) async fn exchanges(
    service: &Service,
    org: OrgId,
    owner: TraceOwner,
    page: &Page,
) -> Result<Listed<Exchange>, sluice_store::Error> {
    let found = service.store().exchanges(org, owner, wanted(page)).await?;
    Ok(listed(found))
}

pub(crate) async fn logs(
    service: &Service,
    org: OrgId,
    owner: TraceOwner,
    page: &Page,
) -> Result<Listed<LogLine>, sluice_store::Error> {
    let found = service.store().logs(org, owner, wanted(page)).await?;
    Ok(listed(found))
}

/// Keeps what a call of a connection did that is part of no run, receipt or link, with a line of the host's that says what it was and
/// how it ended. Nobody waits for it: a trace that is lost in a crash is told by what it was about.
pub(crate) fn keep(
    service: &Service,
    callee: &Callee,
    what: &str,
    problem: Option<(&str, String)>,
    effects: &mut Effects,
) {
    let (level, ended) = match problem {
        None => ("info", "done".to_owned()),
        Some((code, message)) => ("warn", format!("{code}: {message}")),
    };
    let mut lines = call::logs(service, effects);
    lines.push(LogLine {
        at: service.now(),
        level: level.to_owned(),
        message: format!("{what}: {ended}"),
        fields: vec![("source".to_owned(), "host".to_owned())],
    });
    let exchanges = std::mem::take(&mut effects.exchanges);
    let (service, org, id) = (service.clone(), callee.org, callee.connection.id);
    tokio::spawn(async move {
        let kept = service.store().note_connection(org, id, (exchanges, lines)).await;
        if let Err(error) = kept {
            tracing::warn!(connection = %id, code = error.code(), %error, "what a call did is not written down");
        }
    });
}

/// How an outcome ended, where it did not end well.
pub(crate) fn problem<T>(outcome: &Outcome<T>) -> Option<(&'static str, String)> {
    match &outcome.result {
        Ok(Ok(_)) => None,
        Ok(Err(fault)) => Some((fault.kind.code(), fault.to_string())),
        Err(error) => Some((error.code(), error.to_string())),
    }
}

fn wanted(page: &Page) -> sluice_store::Page<u64> {
    sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    }
}

fn listed<T>(found: sluice_store::Listing<(u64, T), u64>) -> Listed<T> {
    Listed {
        items: found.items.into_iter().map(|(_, row)| row).collect(),
        next: found.next.map(|next| next.to_string()),
    }
}
