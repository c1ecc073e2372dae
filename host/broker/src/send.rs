//! One brokered request, straight down: read → policy → rate, permit and breaker → credential → exchange → redirect,
//! capture, redact. One deadline stands over all of it and over the reading of the body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Incoming;
use sluice_model::secret::Secret;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::body::{Held, Reading, ResponseBody, Source};
use crate::broker::Broker;
use crate::caller::{Caller, Owner};
use crate::capture::{self, MAX_CAPTURES};
use crate::credential::{Apply, Credential, CredentialChoice, OWN};
use crate::decode::Decoder;
use crate::entry::Entry;
use crate::error::Error;
use crate::exchange::{Composed, is_bodyless};
use crate::header::{self, refuse};
use crate::place::Place;
use crate::placeholder;
use crate::pool::{Key, Link};
use crate::redact::Known;
use crate::redirect::{self, MAX_HOPS};
use crate::request::{Body, BodyStream, Capture, Redirects, Request};
use crate::response::Response;
use crate::retry::{self, Failure, SCHEDULE};
use crate::splice::Splice;
use crate::substitute::{Placed, is_placeholder_only};
use crate::wire::Outgoing;

/// A request under way.
struct Sending<'a> {
    broker: &'a Broker,
    caller: &'a Caller,
    owner: Owner,
    limit: Duration,
    deadline: Instant,
    choice: CredentialChoice,
    captures: Vec<Capture>,
    follows: bool,
    repeats: bool,
    placeholders: Vec<(String, Arc<placeholder::Held>)>,
    known: Known,
    /// One of the call's requests under way; given back while a retry waits.
    slot: Option<OwnedSemaphorePermit>,
}

/// What goes to one place.
struct Hop {
    number: u32,
    place: Place,
    method: Method,
    /// As the guest gave them, with placeholders.
    headers: HeaderMap,
    body: Payload,
}

enum Payload {
    Whole(Bytes),
    /// Taken by the first try.
    Stream(Option<BodyStream>),
}

/// The head of an answer and what its body will need.
struct Answer {
    response: http::Response<Incoming>,
    link: Link,
    key: Key,
    permit: crate::permit::Permit,
    rate_slot: Option<OwnedSemaphorePermit>,
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
            follows: request.redirects == Redirects::Follow,
            repeats: retry::is_repeatable(&method, request.idempotency_key.is_some()),
            placeholders,
            known,
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

    /// One place: policy, credential, and tries until one of them is the answer.
    async fn hop(&mut self, hop: &mut Hop, entry: &mut Entry) -> Result<Answer, Error> {
        self.check(hop)?;
        if !self.caller.budget.take_request() {
            return Err(Error::Budget {
                what: "http_requests",
            });
        }
        let credential = self.credential(hop).await?;
        if let Some(credential) = &credential {
            entry.credential(credential.name.clone());
            if let Apply::Query { name } = &credential.apply {
                let glue = if hop.place.query().is_some() { '&' } else { '?' };
                let url = self.known.redact(hop.place.as_str());
                entry.url(format!("{url}{glue}{name}=[redacted:{}]", credential.name));
            }
        }
        let key = Key {
            owner: self.owner.clone(),
            scheme: hop.place.scheme(),
            host: hop.place.host().to_owned(),
            port: hop.place.port(),
            credential: credential.as_ref().map(|credential| credential.name.clone()),
        };
        loop {
            let tried = self.attempt(hop, credential.as_deref(), &key, entry).await;
            let Some(wait) = self.wait(&tried, entry.attempts(), hop) else {
                return tried.map_err(|failure| failure.error);
            };
            // Whatever was held for this try is free while it waits.
            drop((tried, self.slot.take()));
            sleep_until(Instant::now() + wait).await;
            self.take_slot().await;
        }
    }

    /// How long to wait before another try, if there is to be one.
    fn wait(&self, tried: &Result<Answer, Failure>, tries: u32, hop: &Hop) -> Option<Duration> {
        if matches!(hop.body, Payload::Stream(_)) {
            return None;
        }
        let asked = match tried {
            Err(failure) if failure.is_retryable(self.repeats) => None,
            Ok(answer) if self.repeats && retry::is_retryable_status(answer.response.status()) => {
                let stated = retry::retry_after(answer.response.headers(), self.broker.shared.clock.now());
                stated.max(self.broker.shared.rates.gate(&self.owner, hop.place.host()))
            }
            _ => return None,
        };
        let wait = SCHEDULE.wait(tries, retry::jitter(), asked)?;
        (Instant::now() + wait < self.deadline).then_some(wait)
    }

    async fn attempt(
        &self,
        hop: &mut Hop,
        credential: Option<&Credential>,
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
            permit,
            rate_slot,
        })
    }

    /// The credential for this hop. A hop that a server chose goes without rather than with a wrong one.
    async fn credential(&mut self, hop: &Hop) -> Result<Option<Arc<Credential>>, Error> {
        let (name, required, strict) = match &self.choice {
            CredentialChoice::None => return Ok(None),
            CredentialChoice::Default => (OWN, false, true),
            CredentialChoice::WhereBound => (OWN, false, false),
            CredentialChoice::Named(name) => (name.as_str(), true, true),
        };
        let Some(credential) = self.caller.vault.credential(name).await.map_err(Error::Vault)? else {
            return if required {
                Err(Error::NoCredential {
                    name: name.to_owned(),
                })
            } else {
                Ok(None)
            };
        };
        self.known.add(&credential.name, credential.secret.clone());
        for derived in credential.derived() {
            self.known.add(&credential.name, Secret::new(derived.to_vec()));
        }
        if credential.is_bound_to(&hop.place) {
            return Ok(Some(credential));
        }
        if strict && hop.number == 0 {
            return Err(Error::OriginMismatch {
                name: credential.name.clone(),
                origin: hop.place.origin(),
            });
        }
        Ok(None)
    }

    /// The request with every secret on it that may go to this place.
    fn compose(
        &self,
        hop: &mut Hop,
        credential: Option<&Credential>,
        entry: &Entry,
    ) -> Result<Composed, Error> {
        let mut place = hop.place.clone();
        let mut headers = hop.headers.clone();
        let placed = Placed::new(&self.placeholders, &place);
        placed.headers(&mut headers, hop.number > 0)?;
        if hop.number == 0 {
            // The URL of a later hop was made by a server, which knows no placeholders.
            placed.query(&mut place)?;
        }
        header::complete(&mut headers);
        if let Some(credential) = credential {
            credential.apply(&mut headers, &mut place)?;
        }
        if place.as_str().len() > crate::place::MAX_URL_BYTES {
            return Err(refuse("the URL is longer than 8 KiB"));
        }
        let progress = entry.progress();
        let body = match &mut hop.body {
            Payload::Whole(body) => Outgoing::whole(placed.body(body)?, progress),
            Payload::Stream(stream) => {
                let stream = stream
                    .take()
                    .ok_or_else(|| refuse("its body has been sent already"))?;
                let cap = self.caller.rights.limits().request_bytes;
                let (bound, unbound, mismatch) = placed.streams();
                Outgoing::stream(stream, cap, bound, unbound, mismatch, progress)
            }
        };
        Ok(Composed {
            method: hop.method.clone(),
            place,
            headers,
            body,
        })
    }

    /// Turns `hop` into the next one, if the answer is a redirect; otherwise gives the answer back.
    fn follow(&self, hop: &mut Hop, answer: Answer) -> Result<Option<Answer>, Error> {
        let (status, headers) = (answer.response.status(), answer.response.headers());
        if !self.follows {
            return Ok(Some(answer));
        }
        let Some(next) = redirect::next(status, headers, &hop.place, &hop.method)? else {
            return Ok(Some(answer));
        };
        if next.keeps_body && matches!(hop.body, Payload::Stream(_)) {
            // It cannot be sent again; the caller may.
            return Ok(Some(answer));
        }
        if !next.place.is_same_origin(&hop.place) {
            header::drop_private(&mut hop.headers);
        }
        if !next.keeps_body {
            hop.body = Payload::Whole(Bytes::new());
            redirect::drop_body_fields(&mut hop.headers);
        }
        hop.number += 1;
        hop.place = next.place;
        hop.method = next.method;
        if hop.number > MAX_HOPS {
            return Err(Error::Budget { what: "redirects" });
        }
        let back = matches!(hop.body, Payload::Whole(_)).then(|| (self.pool(), answer.key));
        Source {
            incoming: answer.response.into_body(),
            link: answer.link,
            back,
        }
        .discard();
        Ok(None)
    }

    fn pool(&self) -> crate::pool::Pool {
        self.broker.shared.exchanger.pool.clone()
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

    /// The response as the caller may see it.
    async fn answer(
        &mut self,
        hop: &Hop,
        answer: Answer,
        mut entry: Entry,
    ) -> Result<Response, Error> {
        let Answer {
            response,
            link,
            key,
            permit,
            rate_slot,
        } = answer;
        let (head, incoming) = response.into_parts();
        let host = hop.place.host().to_owned();
        let cap = self.caller.rights.limits().response_bytes;
        let bodyless = is_bodyless(&hop.method, head.status);
        let decoder = if bodyless {
            Ok(Decoder::Plain)
        } else {
            Decoder::of(&head.headers, cap)
        };
        let decoder = decoder.map_err(|_| {
            let reason = "its body has a coding that was not asked for".to_owned();
            let error = Error::Protocol {
                host: host.clone(),
                reason,
            };
            entry.fail(&error);
            error
        })?;
        let captures = std::mem::take(&mut self.captures);
        let decodes = !decoder.is_plain();
        let mut redactor = self.known.redactor();
        let mut headers = redacted(&head.headers, &mut redactor);
        entry.reflects(redactor.found());
        // What the reader gets may be shorter or longer than what the peer announced.
        headers.retain(|(name, _)| {
            bodyless
                || !((name == CONTENT_LENGTH.as_str()
                    && (decodes || !redactor.is_empty() || !captures.is_empty()))
                    || (name == CONTENT_ENCODING.as_str() && decodes))
        });
        let back = matches!(hop.body, Payload::Whole(_)).then(|| (self.pool(), key));
        let mut reading = Reading {
            source: Some(Source { incoming, link, back }),
            held: Some(Held {
                _permit: permit,
                _slots: [self.slot.take(), rate_slot],
            }),
            decoder,
            redactor,
            entry,
            host,
            deadline: self.deadline,
            limit: self.limit,
            cap,
            total: 0,
            pending: Bytes::new(),
            ready: Bytes::new(),
            failed: None,
        };
        let status = head.status;
        if captures.is_empty() {
            let body = ResponseBody::new(reading);
            return Ok(Response {
                status: status.as_u16(),
                headers,
                body,
                captured: Vec::new(),
            });
        }
        // The redactor would hide from the captures what has not changed since the last time.
        reading.redactor = Splice::new([]);
        let raw = reading.rest().await?;
        let captured = self.capture(&mut reading, status, raw, &captures)?;
        for (_, value) in &mut headers {
            *value = self.known.redact(value);
        }
        Ok(Response {
            status: status.as_u16(),
            headers,
            body: ResponseBody::new(reading),
            captured,
        })
    }

    fn capture(
        &mut self,
        reading: &mut Reading,
        status: StatusCode,
        raw: Bytes,
        captures: &[Capture],
    ) -> Result<Vec<(crate::request::CaptureInto, Secret)>, Error> {
        let (body, captured) = match capture::take(raw.clone(), captures) {
            Ok(taken) => taken,
            // An error page has no credentials in it; a success that cannot be read may have.
            Err(capture::NotJson) if !status.is_success() => (raw, Vec::new()),
            Err(capture::NotJson) => {
                let reason = "its body is not the JSON that was to be captured from".to_owned();
                return Err(Error::Protocol {
                    host: reading.host.clone(),
                    reason,
                });
            }
        };
        for (into, secret) in &captured {
            if let crate::request::CaptureInto::Secret(name) = into {
                self.known.add(name, secret.clone());
            }
        }
        reading.ready = self.known.redactor().all(body);
        Ok(captured)
    }
}

fn redacted(headers: &HeaderMap, redactor: &mut Splice) -> Vec<(String, String)> {
    let fields = headers.iter().filter(|(name, _)| header::is_end_to_end(name));
    fields
        .map(|(name, value)| {
            let value = redactor.all(Bytes::copy_from_slice(value.as_bytes()));
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(&value).into_owned(),
            )
        })
        .collect()
}
