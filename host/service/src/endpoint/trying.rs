//! One try: signed now, sent on the broker's road, and what the receiver made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use sluice_broker::{
    Apply, Body, Budget, Caller, Credential, CredentialChoice, Error as Refusal, Origin, Redirects, Request,
    Response, Trace, Vault, VaultError,
};
use sluice_model::endpoint::{Tried, signed};
use sluice_model::event::CLOUD_EVENT_TYPE;
use sluice_model::schedule::parse_retry_after;
use sluice_model::secret::Secret;
use sluice_store::delivery::{Attempt, MAX_ANSWER_BYTES};

use super::ready::Ready;
use crate::Service;
use crate::problem::Problem;

/// A try that was made, or was not.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver, or nobody, answered; and how long it asked to be left alone.
    Tried(Tried, Option<Duration>),
    /// Nothing was sent: it is to be tried then.
    PutOff(Duration),
}

/// How long the beginning of an answer's body may take, once its status is there.
const ANSWER_TIME: Duration = Duration::from_secs(3);

pub(super) async fn attempt(service: &Service, ready: &Ready, id: &str, body: String) -> Sent {
    let (at, began) = (service.now(), Instant::now());
    let sent = service
        .broker()
        .send(&caller(ready), request(service, ready, id, body))
        .await;
    let mut attempt = Attempt {
        number: 0,
        at,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        status: None,
        code: None,
        message: None,
        answer: String::new(),
    };
    let fail = |attempt: &mut Attempt, code: &str, message: &dyn std::fmt::Display| {
        let problem = Problem::new(code, message);
        attempt.code = Some(problem.code);
        attempt.message = Some(problem.message);
    };
    let verdict = match sent {
        Ok(response) => {
            let status = response.status;
            attempt.status = Some(status);
            let asked = response
                .header("retry-after")
                .and_then(|value| parse_retry_after(value, service.now()));
            let (tried, code, message) = judge(status);
            if tried != Tried::Delivered {
                fail(&mut attempt, code, &message);
            }
            attempt.answer = beginning(response).await;
            Verdict::Tried(tried, asked.filter(|_| matches!(status, 429 | 503)))
        }
        Err(Refusal::RateLimited { after } | Refusal::CircuitOpen { after, .. }) => Verdict::PutOff(after),
        Err(error) => {
            fail(&mut attempt, error.code(), &error);
            Verdict::Tried(Tried::Failed, None)
        }
    };
    Sent { attempt, verdict }
}

/// What a status means; a redirect is never followed.
fn judge(status: u16) -> (Tried, &'static str, String) {
    match status {
        200..=299 => (Tried::Delivered, "", String::new()),
        300..=399 => (
            Tried::Failed,
            "delivery.redirect",
            format!("the receiver answered {status}, a redirect, which is never followed"),
        ),
        410 => (
            Tried::Gone,
            "delivery.gone",
            "the receiver answered 410: it is gone for good".to_owned(),
        ),
        _ => (
            Tried::Failed,
            "delivery.answer",
            format!("the receiver answered {status}"),
        ),
    }
}

fn caller(ready: &Ready) -> Caller {
    Caller {
        org: ready.org,
        connection: None,
        // Rates, breakers and connections are the endpoint's own.
        connector: super::text(ready.endpoint.id),
        rights: Arc::clone(&ready.rights),
        vault: Arc::new(Own(ready.authorization())),
        trace: Trace::default(),
        budget: Budget::new(ready.rights.limits()),
        rates: ready.rates.clone(),
        app: None,
    }
}

/// The credential of one endpoint: what its owner set as `authorization`.
struct Own(Option<Arc<Credential>>);

impl Vault for Own {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// The credential that applies this value, bound to the endpoint's origin.
pub(super) fn credential(value: Secret, origin: Origin) -> Credential {
    let apply = Apply::Header {
        name: AUTHORIZATION.to_owned(),
        prefix: String::new(),
    };
    Credential::new(AUTHORIZATION, value, apply, vec![origin])
}

/// Which header is a credential: the broker sets it, and redacts its value from what comes back.
pub(super) const AUTHORIZATION: &str = "authorization";

fn request(service: &Service, ready: &Ready, id: &str, body: String) -> Request {
    let now = service.now();
    let mut request = Request::new("POST", ready.endpoint.url.clone());
    request.redirects = Redirects::Return;
    request.credential = CredentialChoice::None;
    request.headers = signed(&ready.keys(now), id, now, body.as_bytes());
    for (name, value) in &ready.headers {
        if name == AUTHORIZATION {
            request.credential = CredentialChoice::Default;
            continue;
        }
        let value = String::from_utf8_lossy(value.expose()).into_owned();
        request.headers.push((name.clone(), value));
    }
    let given = |name: &str| ready.headers.iter().any(|(known, _)| known == name);
    if !given("content-type") {
        let kind = if ready.is_mapped() {
            "application/json"
        } else {
            CLOUD_EVENT_TYPE
        };
        request.headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    if !given("user-agent") {
        request
            .headers
            .push(("user-agent".to_owned(), "Sluice-Webhooks/1".to_owned()));
    }
    request.body = Body::Bytes(body.into_bytes().into());
    request
}

/// The beginning of a body, as text; the rest is never read.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < MAX_ANSWER_BYTES {
            match response.body.chunk(MAX_ANSWER_BYTES - bytes.len()).await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(ANSWER_TIME, reading).await;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(MAX_ANSWER_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2xx_is_delivered() {
        for status in 100..600 {
            let (tried, _, _) = judge(status);
            assert_eq!(
                tried == Tried::Delivered,
                (200..300).contains(&status),
                "{status}"
            );
            assert_eq!(tried == Tried::Gone, status == 410);
        }
    }
}
