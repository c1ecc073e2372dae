//! `http`: one request, many, or one whose body is read piece by piece. Everything goes to the broker; here words are
//! translated and what comes back is kept within what the guest can hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sluice_broker::credential::OWN;
use sluice_broker::{
    Body, Broker, Caller, Capture, CaptureInto, CredentialChoice, Presign, Response, ResponseBody,
};
use sluice_model::secret::Secret;
use wasmtime::component::Resource;

use crate::bindings::sluice::connector::http as wit;
use crate::host::secrets::Handle;
use crate::state::State;

/// What is read of a body at a time, in bytes.
pub(super) const CHUNK: usize = 64 << 10;

/// Captures of one request.
const CAPTURES: usize = 16;

/// A response whose body is still on its way.
#[derive(Debug)]
#[expect(
    unreachable_pub,
    reason = "the generated bindings re-export it from their private module"
)]
pub struct Incoming {
    status: u16,
    headers: Vec<(String, String)>,
    body: ResponseBody,
}

type Captured = Vec<(CaptureInto, Secret)>;

impl wit::Host for State {
    async fn send(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        self.meter.call()?;
        let road = self.road();
        let (response, captured) = split(road.exchange(request).await);
        self.captured.extend(captured);
        Ok(response)
    }

    async fn send_all(
        &mut self,
        requests: Vec<wit::Request>,
    ) -> wasmtime::Result<Vec<Result<wit::Response, wit::Error>>> {
        self.meter.call()?;
        let road = self.road();
        let at_once = usize::try_from(self.limits.http_concurrency.max(1)).unwrap_or(1);
        let exchanges: Vec<_> = requests
            .into_iter()
            .map(|request| road.exchange(request))
            .collect();
        let answers: Vec<_> = stream::iter(exchanges)
            .buffered(at_once)
            .map(split)
            .collect()
            .await;
        let mut responses = Vec::with_capacity(answers.len());
        for (response, captured) in answers {
            responses.push(response);
            self.captured.extend(captured);
        }
        Ok(responses)
    }

    async fn open(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<Resource<Incoming>, wit::Error>> {
        self.meter.call()?;
        if !request.captures.is_empty() {
            return Ok(Err(wit::Error::Protocol(
                "a response that is read piece by piece has no captures".into(),
            )));
        }
        let request = match translate(request) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        let road = self.road();
        match road.broker.send(&road.caller, request).await {
            Ok(Response {
                status,
                headers,
                body,
                ..
            }) => Ok(Ok(self.table.push(Incoming {
                status,
                headers,
                body,
            })?)),
            Err(error) => Ok(Err(refuse(error))),
        }
    }

    async fn presign(
        &mut self,
        request: wit::PresignRequest,
    ) -> wasmtime::Result<Result<Resource<Handle>, wit::Error>> {
        self.meter.call()?;
        let credential = match request.credential {
            None => OWN.to_owned(),
            Some(name) if name.is_empty() => {
                return Ok(Err(wit::Error::Protocol(
                    "an address is presigned with a credential".into(),
                )));
            }
            Some(name) => name,
        };
        let presign = Presign {
            method: request.method,
            url: request.url,
            credential,
            expires: Duration::from_secs(u64::from(request.expires_s)),
        };
        match self.broker.presign(&self.caller, presign).await {
            Ok(address) => Ok(Ok(self.table.push(Handle::presigned(address))?)),
            Err(error) => Ok(Err(refuse(error))),
        }
    }
}

impl wit::HostIncoming for State {
    async fn status(&mut self, this: Resource<Incoming>) -> wasmtime::Result<u16> {
        self.meter.call()?;
        Ok(self.table.get(&this)?.status)
    }

    async fn headers(&mut self, this: Resource<Incoming>) -> wasmtime::Result<wit::Headers> {
        self.meter.call()?;
        Ok(self.table.get(&this)?.headers.clone())
    }

    async fn read(
        &mut self,
        this: Resource<Incoming>,
        max: u32,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, wit::Error>> {
        self.meter.call()?;
        let max = usize::try_from(max.max(1)).unwrap_or(CHUNK).min(CHUNK);
        let incoming = self.table.get_mut(&this)?;
        let read = incoming.body.chunk(max).await;
        Ok(read
            .map(|chunk| chunk.map(|bytes| bytes.to_vec()))
            .map_err(refuse))
    }

    async fn drop(&mut self, this: Resource<Incoming>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(this)?;
        Ok(())
    }
}

/// The way to the broker for one call of `send` or `send-all`.
struct Road {
    broker: Broker,
    caller: Arc<Caller>,
    /// Bytes that the responses' bodies may still have. All of them are in the host's memory at once before they move
    /// into the guest's, so together they have its size.
    room: AtomicU64,
    memory_bytes: u64,
}

impl State {
    fn road(&self) -> Road {
        Road {
            broker: self.broker.clone(),
            caller: Arc::clone(&self.caller),
            room: AtomicU64::new(self.limits.memory_bytes),
            memory_bytes: self.limits.memory_bytes,
        }
    }
}

impl Road {
    /// One request and its whole response.
    async fn exchange(&self, request: wit::Request) -> Result<(wit::Response, Captured), wit::Error> {
        let request = translate(request)?;
        let Response {
            status,
            headers,
            mut body,
            captured,
        } = self.broker.send(&self.caller, request).await.map_err(refuse)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk(CHUNK).await.map_err(refuse)? {
            let taken = self
                .room
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(chunk.len() as u64)
                });
            if taken.is_err() {
                return Err(wit::Error::TooLarge(self.memory_bytes));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((
            wit::Response {
                status,
                headers,
                body: bytes,
            },
            captured,
        ))
    }
}

fn split(
    answer: Result<(wit::Response, Captured), wit::Error>,
) -> (Result<wit::Response, wit::Error>, Captured) {
    match answer {
        Ok((response, captured)) => (Ok(response), captured),
        Err(error) => (Err(error), Vec::new()),
    }
}

pub(super) fn translate(request: wit::Request) -> Result<sluice_broker::Request, wit::Error> {
    if request.captures.len() > CAPTURES {
        return Err(wit::Error::Protocol(format!("more than {CAPTURES} captures")));
    }
    let mut out = sluice_broker::Request::new(request.method, request.url);
    out.headers = request.headers;
    out.body = request
        .body
        .map_or(Body::Empty, |bytes| Body::Bytes(bytes.into()));
    out.credential = match request.credential {
        None => CredentialChoice::Default,
        Some(name) if name.is_empty() => CredentialChoice::None,
        Some(name) => CredentialChoice::Named(name),
    };
    out.idempotency_key = request.idempotency_key;
    out.captures = request
        .captures
        .into_iter()
        .map(|capture| Capture {
            pointer: capture.pointer,
            into: match capture.into {
                wit::CaptureInto::Secret(name) => CaptureInto::Secret(name),
                wit::CaptureInto::ExpiresInS => CaptureInto::ExpiresIn,
                wit::CaptureInto::ExpiresAtS => CaptureInto::ExpiresAt,
                wit::CaptureInto::Scopes => CaptureInto::Scopes,
                wit::CaptureInto::Account => CaptureInto::Account,
            },
        })
        .collect();
    out.timeout = request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms)));
    Ok(out)
}

/// What the guest may learn of a refusal: not which address a name has inside this network.
pub(super) fn refuse(error: sluice_broker::Error) -> wit::Error {
    use sluice_broker::Error as B;
    let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    match error {
        B::DeniedAddress { host, .. } | B::DeniedSelf { host } => {
            wit::Error::Denied(format!("{host} has an address that connectors may not reach"))
        }
        B::RedirectDenied { .. } => wit::Error::Denied("the server redirects to where no grant leads".into()),
        error @ (B::Denied { .. } | B::OriginMismatch { .. } | B::NoCredential { .. }) => {
            wit::Error::Denied(error.to_string())
        }
        B::RateLimited { after } => wit::Error::RateLimited(Some(millis(after))),
        B::CircuitOpen { .. } => wit::Error::CircuitOpen,
        B::Timeout { .. } => wit::Error::Timeout,
        error @ (B::Resolve { .. } | B::Unreachable { .. } | B::Vault(_)) => {
            wit::Error::Unreachable(error.to_string())
        }
        error @ B::Tls { .. } => wit::Error::Tls(error.to_string()),
        B::TooLarge { cap } => wit::Error::TooLarge(cap),
        B::Budget { what } => wit::Error::Budget(what.to_owned()),
        error => wit::Error::Protocol(error.to_string()),
    }
}
