//! One place: policy, its credential, and tries until one of them is the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::answer::redacted;
use super::attempt::Answer;
use super::{Hop, Payload, Sending};
use crate::credential::{Apply, Credential, CredentialChoice, OWN};
use crate::entry::Entry;
use crate::error::Error;
use crate::pool::Key;
use crate::rate::{self, Ask};
use crate::redirect::{self, MAX_HOPS};
use crate::retry::{self, Failure, SCHEDULE};
use crate::road::Heard;
use crate::{body, header, tls};

impl Sending<'_> {
    /// Tries one place until there is an answer. A credential that has ended is asked for anew, once.
    pub(super) async fn hop(&mut self, hop: &mut Hop, entry: &mut Entry) -> Result<Answer, Error> {
        self.check(hop)?;
        if !self.caller.budget.take_request() {
            return Err(Error::Budget {
                what: "http_requests",
            });
        }
        let mut credential = self.credential(hop).await?;
        if let Some(credential) = &credential {
            entry.credential(credential.name.clone());
            if let Apply::Query { name } = &credential.apply {
                let glue = if hop.place.query().is_some() { '&' } else { '?' };
                let url = self.known.redact(hop.place.as_str());
                entry.url(format!("{url}{glue}{name}=[redacted:{}]", credential.name));
            }
        }
        loop {
            let answer = self.tries(hop, credential.as_ref(), entry).await?;
            let Some(used) = &credential else {
                return Ok(answer);
            };
            match self.renew(hop, used, answer).await? {
                Ok(next) => credential = Some(next),
                Err(answer) => return Ok(answer),
            }
        }
    }

    async fn tries(
        &mut self,
        hop: &mut Hop,
        credential: Option<&Arc<Credential>>,
        entry: &mut Entry,
    ) -> Result<Answer, Error> {
        let key = Key {
            owner: self.owner.clone(),
            scheme: hop.place.scheme(),
            host: hop.place.host().to_owned(),
            port: hop.place.port(),
            credential: credential.map(|credential| credential.name.clone()),
            identity: credential.and_then(|credential| tls::fingerprint(credential)),
        };
        let before = entry.attempts();
        loop {
            let tried = self.attempt(hop, credential, &key, entry).await;
            let Some(wait) = self.wait(&tried, entry.attempts() - before, hop) else {
                return tried.map_err(|failure| {
                    self.hear(hop, || Err(failure.error.clone()));
                    failure.error
                });
            };
            // Whatever was held for this try is free while it waits.
            drop((tried, self.slot.take()));
            sleep_until(Instant::now() + wait).await;
            self.take_slot().await;
        }
    }

    /// How long to wait before another try, if there is to be one.
    fn wait(&self, tried: &Result<Answer, Failure>, tries: u32, hop: &Hop) -> Option<Duration> {
        if matches!(hop.body, Payload::Stream(_)) || self.ends_here() {
            return None;
        }
        let asked = match tried {
            Err(failure) if failure.is_retryable(self.repeats) => None,
            Ok(answer) if self.repeats => {
                let (status, headers) = (answer.response.status(), answer.response.headers());
                if !retry::is_retryable_answer(status, headers) {
                    return None;
                }
                let shared = &self.broker.shared;
                let stated = rate::retry_after(headers, shared.clock.now());
                let ask = Ask::of(self.caller, &self.owner, &hop.place);
                stated.max(shared.rates.closed(&ask))
            }
            _ => return None,
        };
        let wait = SCHEDULE.wait(tries, retry::jitter(), asked)?;
        (Instant::now() + wait < self.deadline).then_some(wait)
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
        self.know(&credential);
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

    /// What of the credential is redacted from here on.
    pub(super) fn know(&mut self, credential: &Credential) {
        for secret in credential.secrets() {
            self.known.add(&credential.name, secret);
        }
    }

    /// Turns `hop` into the next one, if the answer is a redirect; otherwise gives the answer back.
    pub(super) fn follow(&self, hop: &mut Hop, answer: Answer) -> Result<Option<Answer>, Error> {
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
        self.hear(hop, || {
            Ok(Heard {
                status: status.as_u16(),
                headers: redacted(headers, &mut self.known.redactor()),
                body: Bytes::new(),
            })
        });
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
        body::Source {
            incoming: answer.response.into_body(),
            link: answer.link,
            back,
        }
        .discard();
        Ok(None)
    }

    pub(super) fn pool(&self) -> crate::pool::Pool {
        self.broker.shared.exchanger.pool.clone()
    }
}
