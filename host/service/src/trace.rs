//! Traces as they are read: what was asked of the network and what was said, in its order.

use sluice_model::exchange::Exchange;
use sluice_model::id::OrgId;
use sluice_store::trace::{LogLine, TraceOwner};

use crate::Service;
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
