//! `wasi:http/outgoing-handler`: ordinary HTTP clients in any language, held to the same rules as the contract's own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use sluice_broker::{Body, BodyWriter, Broker, Caller, CredentialChoice, Redirects, ResponseBody};
use sluice_model::limits::Limits;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// What a guest may write to a request's body at a time, in bytes.
const WRITE_BYTES: usize = 64 << 10;

/// What is read of a response's body at a time, in bytes.
const READ_BYTES: usize = 64 << 10;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

/// The broker, as `wasi:http` asks for it.
pub(crate) struct Outgoing {
    broker: Broker,
    caller: Arc<Caller>,
    request_time: Duration,
}

impl Outgoing {
    pub(crate) fn new(broker: Broker, caller: Arc<Caller>, limits: &Limits) -> Self {
        Self {
            broker,
            caller,
            request_time: limits.request_time,
        }
    }
}

impl WasiHttpHooks for Outgoing {
    /// The broker writes Host itself.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_BYTES
    }

    /// Called on the guest's thread; the future runs beside it and ends with the guest's handle to it.
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let broker = self.broker.clone();
        let caller = Arc::clone(&self.caller);
        let first_byte = options
            .and_then(|options| options.first_byte_timeout)
            .unwrap_or(self.request_time);
        Box::new(async move {
            let sent = tokio::time::timeout(first_byte, send(broker, caller, request)).await;
            sent.unwrap_or(Err(Error::ConnectionReadTimeout))
        })
    }
}

async fn send(broker: Broker, caller: Arc<Caller>, request: http::Request<WasiBody>) -> Sent {
    let (parts, mut given) = request.into_parts();
    let mut length = None;
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| Error::HttpRequestHeaderSize {
            field_name: Some(name.as_str().to_owned()),
            field_size: None,
        })?;
        // The length frames the body, which is the broker's to do; it is handed over as what it means.
        if name == http::header::CONTENT_LENGTH {
            length = value.parse().ok();
            continue;
        }
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let mut request = sluice_broker::Request::new(parts.method.as_str(), parts.uri.to_string());
    request.headers = headers;
    request.credential = CredentialChoice::WhereBound;
    request.redirects = Redirects::Return;

    if given.is_end_stream() || length == Some(0) {
        let response = broker.send(&caller, request).await.map_err(refuse)?;
        return Ok((answer(response), Box::new(std::future::ready(Ok(())))));
    }
    let (writer, body) = Body::stream(length);
    request.body = body;
    // A server may answer before it has read everything, and a guest may write only after it has seen an answer.
    let mut pump: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> =
        Box::pin(async move { pump(&mut given, writer).await });
    let sending = broker.send(&caller, request);
    tokio::pin!(sending);
    let mut pumping = true;
    loop {
        tokio::select! {
            response = &mut sending => {
                let response = response.map_err(refuse)?;
                let rest: Io = if pumping { Box::new(pump) } else { Box::new(std::future::ready(Ok(()))) };
                return Ok((answer(response), rest));
            }
            pumped = &mut pump, if pumping => {
                pumped?;
                pumping = false;
            }
        }
    }
}

/// Moves the body from the guest to the broker; an end without [`BodyWriter::finish`] aborts the request.
async fn pump(body: &mut WasiBody, writer: BodyWriter) -> Result<(), Error> {
    while let Some(frame) = body.frame().await {
        // Trailers are not part of what the broker speaks.
        if let Ok(chunk) = frame?.into_data()
            && writer.write(chunk).await.is_err()
        {
            return Ok(());
        }
    }
    let _ = writer.finish().await;
    Ok(())
}

fn answer(response: sluice_broker::Response) -> http::Response<WasiBody> {
    let mut out = http::Response::new(
        Reading {
            state: Some(Turn::Idle(response.body)),
        }
        .boxed_unsync(),
    );
    *out.status_mut() = http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    for (name, value) in response.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = http::HeaderValue::from_str(&value);
        if let (Ok(name), Ok(value)) = (name, value) {
            out.headers_mut().append(name, value);
        }
    }
    out
}

/// A response's body as a stream of frames.
struct Reading {
    state: Option<Turn>,
}

type Chunk = (ResponseBody, Result<Option<Bytes>, sluice_broker::Error>);

enum Turn {
    Idle(ResponseBody),
    Busy(Pin<Box<dyn Future<Output = Chunk> + Send>>),
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut future = match self.state.take() {
            None => return Poll::Ready(None),
            Some(Turn::Busy(future)) => future,
            Some(Turn::Idle(mut body)) => Box::pin(async move {
                let chunk = body.chunk(READ_BYTES).await;
                (body, chunk)
            }),
        };
        match future.as_mut().poll(context) {
            Poll::Pending => {
                self.state = Some(Turn::Busy(future));
                Poll::Pending
            }
            Poll::Ready((body, Ok(Some(bytes)))) => {
                self.state = Some(Turn::Idle(body));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready((_, Ok(None))) => Poll::Ready(None),
            Poll::Ready((_, Err(error))) => Poll::Ready(Some(Err(refuse(error)))),
        }
    }
}

/// The nearest word that `wasi:http` has.
fn refuse(error: sluice_broker::Error) -> Error {
    use sluice_broker::Error as B;
    match error {
        B::Denied { .. } | B::RedirectDenied { .. } | B::OriginMismatch { .. } | B::NoCredential { .. } => {
            Error::HttpRequestDenied
        }
        B::DeniedAddress { .. } | B::DeniedSelf { .. } => Error::DestinationIpProhibited,
        B::RateLimited { .. } | B::CircuitOpen { .. } | B::Budget { .. } => Error::ConnectionLimitReached,
        B::Timeout { .. } => Error::ConnectionTimeout,
        B::Resolve { .. } => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        B::Unreachable { .. } | B::Vault(_) => Error::DestinationUnavailable,
        B::Tls { .. } => Error::TlsProtocolError,
        B::TooLarge { cap } => Error::HttpResponseBodySize(Some(cap)),
        B::Truncated { .. } => Error::HttpResponseIncomplete,
        _ => Error::HttpProtocolError,
    }
}
