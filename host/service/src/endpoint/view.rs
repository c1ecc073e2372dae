//! Events as an endpoint would get them, for whoever follows them instead of receiving them.

use std::sync::Arc;

use sluice_model::endpoint::is_wanted;
use sluice_model::id::{EndpointId, OrgId};

use super::ready::{self, Ready, Shaped};
use super::{Error, get};
use crate::Service;
use crate::event::Event;

/// One endpoint's view of events.
#[derive(Clone)]
pub struct View(Arc<Ready>);

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("View").field(&self.0.endpoint.id).finish()
    }
}

/// An endpoint's view, as its settings are now.
///
/// # Errors
/// [`Error::Missing`]; [`Error::Sealed`], [`Error::Rules`] if its settings do not read.
pub async fn view(service: &Service, org: OrgId, which: &str) -> Result<View, Error> {
    let endpoint = get(service, org, which).await?.endpoint;
    Ok(View(ready::of(service, org, &endpoint).await?))
}

impl View {
    /// Whose view it is.
    #[must_use]
    pub fn endpoint(&self) -> EndpointId {
        self.0.endpoint.id
    }

    /// What it would be sent of the event; nothing if it does not want it, or its rules refuse it. May work for as long as its rules
    /// are allowed to.
    #[must_use]
    pub fn of(&self, org: OrgId, event: &Event) -> Option<String> {
        if !is_wanted(&self.0.endpoint.kinds, &event.kind) {
            return None;
        }
        match self.0.shape(&event.cloud_event(org)) {
            Shaped::Body(body) => Some(body),
            Shaped::Unwanted | Shaped::Refused(..) => None,
        }
    }
}
