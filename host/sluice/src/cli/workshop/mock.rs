//! `sluice connector mock`: a server on this machine that plays a vendor, and misbehaves on demand.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use sluice_harness::{Asked, Cassette, Document, Fault, Mock, Place, Played};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::cli::author;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct MockVendor {
    /// A cassette, a case's directory, or an OpenAPI document (3.x, JSON or YAML)
    vendor: PathBuf,
    /// Where it listens: an address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Misbehave: 429,retry-after=2 | 500 | delay=MS | reset | malformed | half, with *TIMES and @PATH after it
    #[arg(long, value_name = "HOW")]
    fault: Vec<Fault>,
}

/// Where misbehaviour is ordered while it runs: POST how, DELETE everything.
const ORDERS: &str = "/__faults";
/// Bytes of a request.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// For the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

impl MockVendor {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        if !self.listen.ip().is_loopback() {
            return Err(
                Failure::usage(format!("{} is not an address of this machine alone", self.listen))
                    .hint("listen on 127.0.0.1 or [::1]: it answers whoever asks"),
            );
        }
        let (mock, what) = read(&self.vendor)?;
        for fault in self.fault {
            mock.order(fault);
        }
        let failed =
            |error: io::Error| Failure::new(Exit::Failed, format!("{} cannot be had: {error}", self.listen));
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        output.show(
            &json!({"url": url, "plays": what, "faults": format!("{url}{ORDERS}")}),
            |output| {
                output.line(&url);
                output.note(&format!(
                    "plays {what}; misbehaves on demand: curl -d '429,retry-after=2*3' {url}{ORDERS}"
                ));
                output.note(&format!("sluice connector test --record --to {url}"));
            },
        );
        tokio::select! {
            () = serve(listener, Arc::new(mock), output) => Ok(Exit::Ok),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
        }
    }
}

fn read(path: &Path) -> Result<(Mock, String), Failure> {
    let path = if path.is_dir() {
        Place::new(path).cassette()
    } else {
        path.to_owned()
    };
    let of = |error: String| Failure::new(Exit::Failed, format!("{}: {error}", path.display()));
    let bytes = author::read(&path)?;
    let is_cassette = serde_json::from_slice::<serde_json::Value>(&bytes)
        .is_ok_and(|value| value.get("cassette").is_some());
    if is_cassette {
        let cassette = Cassette::read(&path).map_err(|error| of(error.to_string()))?;
        let what = format!("{} recorded exchanges", cassette.exchanges.len());
        return Ok((Mock::of_cassette(cassette), what));
    }
    let document = Document::parse(&bytes).map_err(|error| of(error.to_string()))?;
    let what = format!("{} operations of an OpenAPI document", document.operations());
    Ok((Mock::of_document(document), what))
}

async fn serve(listener: TcpListener, mock: Arc<Mock>, output: &Output) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (told, mut lines) = tokio::sync::mpsc::channel::<String>(64);
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((socket, _)) = listener.accept().await else {
                continue;
            };
            let (mock, told) = (Arc::clone(&mock), told.clone());
            tokio::spawn(async move {
                let answering = service_fn(move |request| {
                    let (mock, told) = (Arc::clone(&mock), told.clone());
                    async move { answer(&mock, request, &told).await }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                let served = http
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .serve_connection(TokioIo::new(socket), answering);
                // How a caller leaves is its own business.
                drop(served.await);
                drop(permit);
            });
        }
    };
    let telling = async {
        while let Some(line) = lines.recv().await {
            output.note(&line);
        }
    };
    tokio::join!(accepting, telling);
}

/// The connection is cut, as it was ordered.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut, as it was ordered")]
struct Cut;

async fn answer(
    mock: &Mock,
    request: Request<Incoming>,
    told: &tokio::sync::mpsc::Sender<String>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n")),
    };
    if head.uri.path() == ORDERS {
        return Ok(order(mock, &head.method, &body));
    }
    let target = head
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let Played { wait, answer, note } = mock.play(&Asked {
        method: head.method.as_str(),
        target,
        body,
    });
    let status = answer
        .as_ref()
        .map_or_else(|| "cut".to_owned(), |answer| answer.status.to_string());
    // A line that nobody reads in time is not worth waiting for.
    drop(told.try_send(format!("{} {target}  {status}  {note}", head.method)));
    tokio::time::sleep(wait).await;
    let heard = answer.ok_or(Cut)?;
    let mut response = Response::new(Full::new(heard.body));
    *response.status_mut() = StatusCode::from_u16(heard.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in heard.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes()))
            && !matches!(
                name.as_str(),
                "content-length" | "transfer-encoding" | "connection" | "content-encoding"
            )
        {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn order(mock: &Mock, method: &Method, body: &[u8]) -> Response<Full<Bytes>> {
    match *method {
        Method::POST => match String::from_utf8_lossy(body).trim().parse::<Fault>() {
            Ok(fault) if mock.order(fault.clone()) => plain(StatusCode::ACCEPTED, "as you wish\n"),
            Ok(_) => plain(StatusCode::TOO_MANY_REQUESTS, "too many orders wait\n"),
            Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        },
        Method::DELETE => {
            mock.behave();
            plain(StatusCode::OK, "it behaves\n")
        }
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "POST how, or DELETE\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}
