//! What stands in for the network where a connector is rehearsed: a recorder that listens, or a cassette that answers. A server has none.
//!
//! Everything else of the broker is in force: policy before, the credential on the request, caps and redaction on the answer. A road
//! is told of a request as its caller said it, before any secret is on it, and of an answer as its caller is given it, after every
//! secret was taken out: it never sees one.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::entry::Entry;
use crate::error::Error;
use crate::exchange::{Composed, Exchanger};
use crate::pool::Link;
use crate::retry::Failure;
use crate::send::{Hop, Sending};

/// Bytes between the two ends of a canned exchange.
const PIPE_BYTES: usize = 64 << 10;

/// The network's stand-in. Two implementations: the harness's recorder and its cassette.
pub trait Road: Send + Sync + fmt::Debug {
    /// Where this request goes. Asked after policy has passed, once for each try.
    fn way(&self, said: &Said) -> Way;

    /// What came of a request, once for each: the last try's answer, or why there is none. A redirect that is followed counts as an
    /// answer without a body.
    fn heard(&self, said: &Said, heard: Result<Heard, Error>);

    /// Whether a failed try is tried again, after a wait.
    fn repeats(&self) -> bool;
}

/// A request as its caller said it. Where a placeholder stood there is `{{secret:NAME}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Lower-case names and values in wire order.
    pub headers: Vec<(String, String)>,
    /// None: it was sent as it came.
    pub body: Option<Bytes>,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Way {
    /// To the vendor.
    Vendor,
    /// In plain text to this address, which must be this machine: to somebody who plays the vendor.
    Plain(SocketAddr),
    /// Nowhere: this is the answer.
    Canned(Heard),
    /// Nowhere: this is what went wrong.
    Failed(Error),
}

/// An answer: decoded and without secrets, as a caller is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub status: u16,
    /// Lower-case names and values in wire order.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Sending<'_> {
    /// Where the hop goes, where that is not the network.
    pub(crate) fn way(&self, hop: &Hop) -> Option<Way> {
        let road = self.broker.shared.road.as_ref()?;
        match road.way(&self.said(hop)) {
            Way::Vendor => None,
            way => Some(way),
        }
    }

    /// Whether a try that failed is the last.
    pub(crate) fn ends_here(&self) -> bool {
        self.broker
            .shared
            .road
            .as_ref()
            .is_some_and(|road| !road.repeats())
    }

    /// Whether somebody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.broker.shared.road.is_some()
    }

    /// Tells whoever listens what came of the hop.
    pub(crate) fn hear(&self, hop: &Hop, heard: impl FnOnce() -> Result<Heard, Error>) {
        if let Some(road) = &self.broker.shared.road {
            road.heard(&self.said(hop), heard());
        }
    }

    fn said(&self, hop: &Hop) -> Said {
        let plain = |text: &str| {
            let mut text = self.known.redact(text);
            for (token, held) in &self.placeholders {
                text = text.replace(token, &format!("{{{{secret:{}}}}}", held.name));
            }
            text
        };
        let body = hop.whole().map(|body| match std::str::from_utf8(body) {
            Ok(text) => Bytes::from(plain(text)),
            Err(_) => self.known.redactor().all(body.clone()),
        });
        Said {
            method: hop.method.as_str().to_owned(),
            url: plain(hop.place.as_str()),
            headers: texts(&hop.headers)
                .map(|(name, value)| (name, plain(&value)))
                .collect(),
            body,
        }
    }
}

fn texts(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    })
}

impl Exchanger {
    /// One exchange that does not go over the network.
    pub(crate) async fn stand_in(
        &self,
        way: Way,
        composed: Composed,
        entry: &mut Entry,
    ) -> Result<(Response<Incoming>, Link), Failure> {
        match way {
            Way::Canned(answer) => {
                let (near, far) = tokio::io::duplex(PIPE_BYTES);
                let serving = tokio::spawn(serve(far, answer));
                let found = self
                    .over(near, SocketAddr::from(([0; 4], 0)), composed, entry)
                    .await;
                // It ends with the other end of the pipe.
                drop(serving);
                found
            }
            Way::Plain(address) if address.ip().is_loopback() => {
                let socket = self.dialer.dial_at(&composed.place, address).await?;
                entry.address(address.to_string());
                self.over(socket, address, composed, entry).await
            }
            Way::Plain(address) => Err(Error::DeniedAddress {
                host: composed.place.host().to_owned(),
                address: address.ip().to_string(),
                block: "not this machine, and secrets are not sent elsewhere in plain text",
            }
            .into()),
            Way::Failed(error) => Err(error.into()),
            // Whoever has a road asks for it before anything is sent.
            Way::Vendor => Err(Error::BadRequest {
                reason: "it goes over the network".to_owned(),
            }
            .into()),
        }
    }
}

/// Answers one request, whatever it is, once it was read to its end.
async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(far: S, answer: Heard) {
    let answering = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                frame?;
            }
            Ok::<_, hyper::Error>(response(answer))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .keep_alive(false)
        .serve_connection(TokioIo::new(far), answering);
    // How it ended is told to whoever waits for the answer.
    let _ = served.await;
}

fn response(answer: Heard) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers {
        // What frames the body is not the answer's to say.
        if matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection" | "content-encoding"
        ) {
            continue;
        }
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
