//! One try: its turn, the request with everything on it, and the head of the answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::{Hop, Sending};
use crate::credential::Credential;
use crate::entry::Entry;
use crate::error::Error;
use crate::pool::{Key, Link};
use crate::retry::{self, Failure};

/// The head of an answer and what its body will need.
pub(super) struct Answer {
    pub(super) response: http::Response<Incoming>,
    pub(super) link: Link,
    pub(super) key: Key,
    /// Given up while a credential is renewed.
    pub(super) permit: Option<crate::permit::Permit>,
    pub(super) rate_slot: Option<OwnedSemaphorePermit>,
    /// What of the body has been looked at already, as it came.
    pub(super) peeked: Bytes,
}

impl Sending<'_> {
    pub(super) async fn attempt(
        &self,
        hop: &mut Hop,
        credential: Option<&Arc<Credential>>,
        key: &Key,
        entry: &mut Entry,
    ) -> Result<Answer, Failure> {
        let shared = &self.broker.shared;
        let rate_slot = shared
            .rates
            .pass(self.caller, &self.owner, &key.host, self.deadline)
            .await?;
        let permit = shared.permits.acquire(self.caller.org).await;
        let ticket = shared
            .breakers
            .enter((self.owner.clone(), key.host.clone(), key.port))
            .map_err(|after| Error::CircuitOpen {
                host: key.host.clone(),
                after,
            })?;
        let composed = self.compose(hop, credential, entry)?;
        entry.attempt();
        let exchanged = timeout_at(self.deadline, shared.exchanger.exchange(key, composed, entry))
            .await
            .unwrap_or_else(|_| {
                Err(Failure {
                    error: Error::Timeout { limit: self.limit },
                    unsent: false,
                })
            });
        let (response, link) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(failure) => {
                if failure.is_the_hosts() {
                    ticket.failed();
                }
                return Err(failure);
            }
        };
        let status = response.status();
        entry.status(status.as_u16());
        if retry::is_failure_status(status) {
            ticket.failed();
        } else {
            ticket.succeeded();
        }
        shared.rates.observe(
            &self.owner,
            &key.host,
            status,
            response.headers(),
            shared.clock.now(),
        );
        Ok(Answer {
            response,
            link,
            key: key.clone(),
            permit: Some(permit),
            rate_slot,
            peeked: Bytes::new(),
        })
    }
}
