//! One brokered request, straight down: read → policy → rate, permit and breaker → credential → exchange → redirect,
//! capture, redact. One deadline stands over all of it and over the reading of the body.

mod answer;
mod attempt;
mod compose;
mod hop;
mod renew;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::broker::Broker;
use crate::caller::{Caller, Owner};
use crate::capture::MAX_CAPTURES;
use crate::credential::CredentialChoice;
use crate::entry::Entry;
use crate::error::Error;
use crate::header::{self, refuse};
use crate::place::Place;
use crate::placeholder;
use crate::redact::Known;
use crate::request::{Body, BodyStream, Capture, Redirects, Request};
use crate::response::Response;
use crate::retry;
use crate::substitute::is_placeholder_only;

/// A request under way.
pub(crate) struct Sending<'a> {
    pub(crate) broker: &'a Broker,
    caller: &'a Caller,
    owner: Owner,
    limit: Duration,
    deadline: Instant,
    choice: CredentialChoice,
    captures: Vec<Capture>,
    /// Of the answer's body, where its limit is not the rights'.
    body_bytes: Option<u64>,
    follows: bool,
    repeats: bool,
    pub(crate) placeholders: Vec<(String, Arc<placeholder::Held>)>,
    pub(crate) known: Known,
    /// Milliseconds that the vendor's clock is ahead of ours, once an answer made that plain.
    ahead_ms: i64,
    /// Whether the credential has been renewed, or the vendor's time taken, once: there is no third time.
    again: bool,
    /// One of the call's requests under way; given back while a retry waits.
    slot: Option<OwnedSemaphorePermit>,
}

/// What goes to one place.
pub(crate) struct Hop {
    number: u32,
    pub(crate) place: Place,
    pub(crate) method: Method,
    /// As the guest gave them, with placeholders.
    pub(crate) headers: HeaderMap,
    body: Payload,
}

enum Payload {
    Whole(Bytes),
    /// Taken by the first try.
    Stream(Option<BodyStream>),
}

impl Hop {
    /// The body as the guest gave it, where it is held whole.
    pub(crate) const fn whole(&self) -> Option<&Bytes> {
        match &self.body {
            Payload::Whole(body) => Some(body),
            Payload::Stream(_) => None,
        }
    }
}

impl Broker {
    /// Sends one request and returns when the head of the response is there. Dropping the future gives the request up
    /// and closes its connection.
    ///
    /// # Errors
    /// One variant for everything that can happen, see [`Error`].
    pub async fn send(&self, caller: &Caller, request: Request) -> Result<Response, Error> {
        let most = caller.rights.limits().request_time;
        let limit = request.timeout.map_or(most, |timeout| timeout.min(most));
        let deadline = Instant::now() + limit;
        let sending = async {
            let mut entry = self.entry(caller, deadline, &request.method);
            entry.url("(unread)".into());
            match Sending::new(self, caller, request, limit, deadline) {
                Ok((mut sending, hop)) => sending.run(hop, entry).await,
                Err(error) => {
                    entry.fail(&error);
                    Err(error)
                }
            }
        };
        timeout_at(deadline, sending)
            .await
            .unwrap_or(Err(Error::Timeout { limit }))
    }

    fn entry(&self, caller: &Caller, deadline: Instant, method: &str) -> Entry {
        let (trace, reflections) = (caller.trace.clone(), Arc::clone(&self.shared.reflections));
        Entry::new(trace, reflections, self.shared.clock.now(), deadline, method)
    }
}

impl<'a> Sending<'a> {
    /// Reads the request: everything that can be refused without looking at policy.
    fn new(
        broker: &'a Broker,
        caller: &'a Caller,
        request: Request,
        limit: Duration,
        deadline: Instant,
    ) -> Result<(Self, Hop), Error> {
        let method = header::method(&request.method)?;
        let place = Place::parse(&request.url).map_err(|error| refuse(&error.to_string()))?;
        let mut headers = header::fields(&request.headers)?;
        let placeholders = caller.budget.placeholders().all();
        if headers
            .get_all(AUTHORIZATION)
            .iter()
            .any(|value| !is_placeholder_only(value, &placeholders))
        {
            return Err(refuse(
                "`authorization` is set by the host; name a credential or use a placeholder of this call",
            ));
        }
        if let Some(key) = &request.idempotency_key {
            headers.insert("idempotency-key", header::field_value(key.as_bytes())?);
        }
        if request.captures.len() > MAX_CAPTURES {
            return Err(refuse("it has more than 16 captures"));
        }
        let cap = caller.rights.limits().request_bytes;
        let body = match request.body {
            Body::Empty => Payload::Whole(Bytes::new()),
            Body::Bytes(bytes) if bytes.len() as u64 > cap => {
                return Err(Error::Budget {
                    what: "request_bytes",
                });
            }
            Body::Bytes(bytes) => Payload::Whole(bytes),
            Body::Stream(stream) if stream.length.is_some_and(|length| length > cap) => {
                return Err(Error::Budget {
                    what: "request_bytes",
                });
            }
            Body::Stream(stream) => Payload::Stream(Some(stream)),
        };
        let mut known = Known::default();
        for (_, held) in &placeholders {
            known.add(&held.name, held.secret.clone());
        }
        let sending = Self {
            broker,
            caller,
            owner: caller.owner(),
            limit,
            deadline,
            choice: request.credential,
            captures: request.captures,
            body_bytes: request.body_bytes,
            follows: request.redirects == Redirects::Follow,
            repeats: retry::is_repeatable(&method, request.idempotency_key.is_some()),
            placeholders,
            known,
            ahead_ms: 0,
            again: false,
            slot: None,
        };
        Ok((
            sending,
            Hop {
                number: 0,
                place,
                method,
                headers,
                body,
            },
        ))
    }

    /// Goes from hop to hop until there is an answer that is not followed.
    async fn run(&mut self, mut hop: Hop, mut entry: Entry) -> Result<Response, Error> {
        entry.url(self.known.redact(hop.place.as_str()));
        // Policy comes before any waiting: what is refused costs nobody a turn.
        if let Err(error) = self.check(&hop) {
            entry.fail(&error);
            return Err(error);
        }
        self.take_slot().await;
        loop {
            let found = match self.hop(&mut hop, &mut entry).await {
                Ok(answer) => self
                    .follow(&mut hop, answer)
                    .map_err(|error| self.on_hop(&hop, error)),
                Err(error) => Err(self.on_hop(&hop, error)),
            };
            match found {
                Ok(Some(answer)) => return self.answer(&hop, answer, entry).await,
                Ok(None) => {
                    entry.finish();
                    entry = self.broker.entry(self.caller, self.deadline, hop.method.as_str());
                    entry.url(self.known.redact(hop.place.as_str()));
                }
                Err(error) => {
                    entry.fail(&error);
                    return Err(error);
                }
            }
        }
    }

    async fn take_slot(&mut self) {
        self.slot = self.caller.budget.slots().acquire_owned().await.ok();
    }

    fn check(&self, hop: &Hop) -> Result<(), Error> {
        Broker::check(&self.caller.rights, &hop.place.target(hop.method.as_str())).map_err(|denial| {
            Error::Denied {
                missing: denial.to_string(),
            }
        })
    }

    /// What policy refuses about a hop that a server chose is a refused redirect.
    fn on_hop(&self, hop: &Hop, error: Error) -> Error {
        let refused = matches!(
            error,
            Error::Denied { .. }
                | Error::DeniedAddress { .. }
                | Error::DeniedSelf { .. }
                | Error::OriginMismatch { .. }
                | Error::BadRequest { .. }
                | Error::Budget { what: "redirects" }
        );
        if hop.number == 0 || !refused {
            return error;
        }
        Error::RedirectDenied {
            to: self.known.redact(&hop.place.to_string()),
            cause: Box::new(error),
        }
    }
}
