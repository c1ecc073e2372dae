//! What calls of a connection asked and said that are part of no run, receipt or link: actions, a person's writes, what is asked of the
//! vendor about hooks and streams. Custom auth flows are left out: what they send is made of what they are to get.

use sluice_model::exchange::Exchange;
use sluice_model::id::OrgId;
use sluice_store::trace::{LogLine, TraceOwner};

use super::{Error, get};
use crate::page::{Listed, Page};
use crate::{Service, trace};

/// Their last requests, in their order.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn exchanges(
    service: &Service,
    org: OrgId,
    which: &str,
    page: &Page,
) -> Result<Listed<Exchange>, Error> {
    let owner = TraceOwner::Connection(get(service, org, which).await?.id);
    Ok(trace::exchanges(service, org, owner, page).await?)
}

/// What was said in them last, in its order; a line of the host's for each says what it was and how it ended.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn logs(service: &Service, org: OrgId, which: &str, page: &Page) -> Result<Listed<LogLine>, Error> {
    let owner = TraceOwner::Connection(get(service, org, which).await?.id);
    Ok(trace::logs(service, org, owner, page).await?)
}
