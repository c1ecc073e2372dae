//! One exchange with one place: a connection from the pool or a new one, a request on it, the head of the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sluice_model::capability::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::credential::Credential;
use crate::dial::Dialer;
use crate::entry::Entry;
use crate::error::Error;
use crate::place::Place;
use crate::pool::{Key, Link, Pool, Sender};
use crate::retry::Failure;
use crate::tls::Tls;
use crate::wire::{Outgoing, Progress};

/// Bytes of the head of a response.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// Fields of the head of a response.
const MAX_HEAD_FIELDS: usize = 256;
/// A pooled connection that is not ready after this is not waited for.
const READY: Duration = Duration::from_millis(50);
/// Pooled connections that are tried before a new one is made.
const MAX_STALE: u32 = 3;

#[derive(Clone)]
pub(crate) struct Exchanger {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) tls: Tls,
    pub(crate) pool: Pool,
}

/// A request with everything on it.
pub(crate) struct Composed {
    pub(crate) method: Method,
    /// With the query that goes on the wire.
    pub(crate) place: Place,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Outgoing,
    /// Whose client certificate a new connection shows.
    pub(crate) identity: Option<Arc<Credential>>,
}

impl Exchanger {
    /// Sends it once. A pooled connection that turns out to be gone before anything was sent does not count.
    pub(crate) async fn exchange(
        &self,
        key: &Key,
        composed: Composed,
        entry: &mut Entry,
    ) -> Result<(http::Response<Incoming>, Link), Failure> {
        let Composed {
            method,
            place,
            headers,
            mut body,
            identity,
        } = composed;
        let progress = entry.progress();
        let mut stale = 0;
        loop {
            let pooled = if stale < MAX_STALE {
                self.pool.checkout(key)
            } else {
                None
            };
            let reused = pooled.is_some();
            let mut link = match pooled {
                Some(link) => link,
                None => self.connect(key, &place, identity.as_deref()).await?,
            };
            if reused && !link.is_ready().await {
                stale += 1;
                continue;
            }
            entry.address(link.address.to_string());
            let request = link.request(&method, &place, &headers, body)?;
            match link.send(request).await {
                Ok(response) if response.status().is_informational() => {
                    let reason = format!("it answered with status {}", response.status().as_u16());
                    let error = Error::Protocol {
                        host: place.host().to_owned(),
                        reason,
                    };
                    return Err(Failure { error, unsent: false });
                }
                Ok(response) => return Ok((response, link)),
                Err((_, Some(unsent))) if reused => {
                    stale += 1;
                    body = unsent.into_body();
                }
                Err((error, unsent)) => {
                    let error = peer_error(&error, place.host(), &progress);
                    return Err(Failure {
                        error,
                        unsent: unsent.is_some(),
                    });
                }
            }
        }
    }

    /// Sends it over a stream that is connected already, in plain text.
    pub(crate) async fn over<S>(
        &self,
        stream: S,
        address: SocketAddr,
        composed: Composed,
        entry: &mut Entry,
    ) -> Result<(http::Response<Incoming>, Link), Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (place, progress) = (composed.place, entry.progress());
        let failed = |error: hyper::Error| Failure::from(peer_error(&error, place.host(), &progress));
        let (sender, driver) = shake_one(stream).await.map_err(failed)?;
        let mut link = Link::new(Sender::One(sender), address, driver);
        let request = link.request(&composed.method, &place, &composed.headers, composed.body)?;
        let sent = link.send(request).await;
        let response = sent.map_err(|(error, _)| failed(error))?;
        Ok((response, link))
    }

    async fn connect(
        &self,
        key: &Key,
        place: &Place,
        identity: Option<&Credential>,
    ) -> Result<Link, Failure> {
        let (socket, address) = self.dialer.dial(place).await?;
        let shake =
            |error: hyper::Error| Failure::from(peer_error(&error, place.host(), &Progress::default()));
        if place.scheme() == Scheme::Http {
            let (sender, driver) = shake_one(socket).await.map_err(shake)?;
            return Ok(Link::new(Sender::One(sender), address, driver));
        }
        let stream = self.tls.connect(place, socket, identity).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            let (sender, driver) = shake_one(stream).await.map_err(shake)?;
            return Ok(Link::new(Sender::One(sender), address, driver));
        }
        let (sender, driver) = shake_two(stream).await.map_err(shake)?;
        let link = Link::new(Sender::Two(sender), address, driver);
        // Others may use it at once.
        if let Some(shared) = link.share() {
            self.pool.checkin(key, shared);
        }
        Ok(link)
    }
}

async fn shake_one<S>(
    stream: S,
) -> Result<(http1::SendRequest<Outgoing>, tokio::task::JoinHandle<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEAD_FIELDS)
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        // How it ended is told to whoever waits for the answer.
        let _ = connection.await;
    });
    Ok((sender, driver))
}

async fn shake_two<S>(
    stream: S,
) -> Result<(http2::SendRequest<Outgoing>, tokio::task::JoinHandle<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .header_table_size(4096)
        .max_concurrent_reset_streams(16)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(512 << 10)
        .initial_connection_window_size(2 << 20)
        .max_frame_size(16 << 10)
        .max_send_buf_size(256 << 10)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok((sender, driver))
}

impl Link {
    async fn is_ready(&mut self) -> bool {
        let ready = async {
            match &mut self.sender {
                Sender::One(sender) => sender.ready().await,
                Sender::Two(sender) => sender.ready().await,
            }
        };
        matches!(timeout(READY, ready).await, Ok(Ok(())))
    }

    /// The request as this connection's protocol writes it: origin-form and Host, or the pseudo-header fields.
    fn request(
        &self,
        method: &Method,
        place: &Place,
        headers: &HeaderMap,
        body: Outgoing,
    ) -> Result<http::Request<Outgoing>, Error> {
        let malformed = || Error::BadRequest {
            reason: "its URL cannot be written on the wire".into(),
        };
        let path = place.path_and_query().ok_or_else(malformed)?;
        let authority = place.authority().ok_or_else(malformed)?;
        let mut request = http::Request::new(body);
        request.method_mut().clone_from(method);
        let fields = request.headers_mut();
        match &self.sender {
            Sender::One(_) => {
                let host = HeaderValue::from_str(authority.as_str()).map_err(|_| malformed())?;
                fields.insert(HOST, host);
                *request.uri_mut() = Uri::from(path);
            }
            Sender::Two(_) => {
                *request.version_mut() = http::Version::HTTP_2;
                *request.uri_mut() = Uri::builder()
                    .scheme(place.scheme().as_str())
                    .authority(authority)
                    .path_and_query(path)
                    .build()
                    .map_err(|_| malformed())?;
            }
        }
        request.headers_mut().extend(headers.clone());
        let empty = hyper::body::Body::is_end_stream(request.body());
        if empty && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            request
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    async fn send(
        &mut self,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, (hyper::Error, Option<http::Request<Outgoing>>)> {
        let sent = match &mut self.sender {
            Sender::One(sender) => sender.try_send_request(request).await,
            Sender::Two(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message();
            (error.into_error(), unsent)
        })
    }
}

fn peer_error(error: &hyper::Error, host: &str, progress: &Progress) -> Error {
    if let Some(fault) = progress.take_fault() {
        return fault;
    }
    if error.is_parse_too_large() {
        return Error::TooLarge {
            cap: MAX_HEAD_BYTES as u64,
        };
    }
    let host = host.to_owned();
    let source = std::error::Error::source(error);
    if error.is_parse() {
        return Error::Protocol {
            host,
            reason: "it does not answer in HTTP".into(),
        };
    }
    if error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted()
    {
        return Error::Unreachable {
            host,
            reason: "it closed the connection before it answered".into(),
        };
    }
    if let Some(io) = source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        return Error::Unreachable {
            host,
            reason: io.to_string(),
        };
    }
    let reason = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    Error::Protocol { host, reason }
}

/// Whether a response to `method` with this status has no body whatever its fields say (RFC 9112 §6.3).
pub(crate) fn is_bodyless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status.as_u16(), 204 | 304)
}
