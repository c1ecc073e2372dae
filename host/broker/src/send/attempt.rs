//! One try: its turn, the request with everything on it, and the head of the answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::time::timeout_at;

use super::{Hop, Sending};
use crate::credential::Credential;
use crate::entry::Entry;
use crate::error::Error;
use crate::pool::{Key, Link};
use crate::rate::{Ask, Slot};
use crate::retry::{self, Failure};

/// The head of an answer and what its body will need.
pub(super) struct Answer {
    pub(super) response: http::Response<Incoming>,
    pub(super) link: Link,
    pub(super) key: Key,
    /// Given up while a credential is renewed.
    pub(super) permit: Option<crate::permit::Permit>,
    pub(super) rate_slot: Option<Slot>,
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
        let breaker = (self.owner.clone(), key.host.clone(), key.port);
        let open = |after| Error::CircuitOpen {
            host: key.host.clone(),
            after,
        };
        // What cannot go has not to wait, nor to use up a quota.
        if let Some(after) = shared.breakers.left(&breaker) {
            return Err(open(after).into());
        }
        let turn = {
            let ask = Ask::of(self.caller, &self.owner, &hop.place);
            shared.rates.pass(&ask, self.deadline).await?
        };
        let permit = shared.permits.acquire(self.caller.org).await;
        let ticket = shared.breakers.enter(breaker).map_err(open)?;
        let composed = self.compose(hop, credential, entry)?;
        entry.attempt();
        let way = self.way(hop);
        let exchanging = async {
            match way {
                None => shared.exchanger.exchange(key, composed, entry).await,
                Some(way) => shared.exchanger.stand_in(way, composed, entry).await,
            }
        };
        let exchanged = timeout_at(self.deadline, exchanging).await.unwrap_or_else(|_| {
            Err(Failure {
                error: Error::Timeout { limit: self.limit },
                unsent: false,
            })
        });
        let (response, link) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(failure) => {
                if matches!(failure.error, Error::Timeout { .. }) {
                    turn.timed_out();
                }
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
        let ask = Ask::of(self.caller, &self.owner, &hop.place);
        let told = (status, response.headers());
        let slot = shared.rates.answered(&ask, turn, told, shared.clock.now());
        Ok(Answer {
            response,
            link,
            key: key.clone(),
            permit: Some(permit),
            rate_slot: Some(slot),
            peeked: Bytes::new(),
        })
    }
}
