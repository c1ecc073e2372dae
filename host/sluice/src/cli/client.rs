//! The command line's HTTP client: one request, one connection, to one server.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::failure::Failure;
use super::{Global, context};

/// Where a server is, and the key to it.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) server: String,
    tls: bool,
    host: String,
    port: u16,
    key: Option<String>,
}

/// A body to send.
#[derive(Debug, Clone)]
pub(super) enum Body {
    None,
    Json(Value),
    /// JSON with a key under which it is to act once.
    Once(Value, String),
    Bytes(Bytes),
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(global: &Global) -> Result<Self, Failure> {
        let context = context::load()?;
        let server = global
            .server
            .clone()
            .or(context.server)
            .unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let key = match &global.api_key_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
                Some(text)
            }
            None => std::env::var("SLUICE_API_KEY").ok().or(context.api_key),
        };
        Self::at(&server, key.map(|key| key.trim().to_owned()))
    }

    pub(super) fn at(server: &str, key: Option<String>) -> Result<Self, Failure> {
        let refused = || Failure::usage(format!("`{server}` is not an address like http://127.0.0.1:7420"));
        let uri: http::Uri = server.parse().map_err(|_| refused())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused()),
        };
        if !matches!(uri.path(), "" | "/") {
            return Err(refused());
        }
        let host = uri.host().ok_or_else(refused)?.to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            tls,
            host,
            port,
            key,
        })
    }

    /// Another program on this machine or elsewhere, and the path there: no server of ours, so it gets no key.
    pub(super) fn to(url: &str) -> Result<(Self, String), Failure> {
        let refused = || {
            Failure::usage(format!(
                "`{url}` is not an address like http://localhost:3000/hook"
            ))
        };
        let parsed = url::Url::parse(url).map_err(|_| refused())?;
        let server = parsed.origin().ascii_serialization();
        let path = parsed.path().to_owned();
        let path = parsed
            .query()
            .map_or(path.clone(), |query| format!("{path}?{query}"));
        Ok((Self::at(&server, None).map_err(|_| refused())?, path))
    }

    /// Posts a body with these headers; the status of the answer.
    pub(super) async fn deliver(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<u16, Failure> {
        let mut request = self.request(Method::POST, path, Body::None, None)?;
        for (name, value) in headers {
            let name = http::HeaderName::try_from(name.as_str());
            let value = http::HeaderValue::try_from(value.as_str());
            if let (Ok(name), Ok(value)) = (name, value) {
                request.headers_mut().insert(name, value);
            }
        }
        let request = request.map(|_| Full::new(Bytes::from(body)));
        let failed = |reason: String| Failure::unreachable(&self.server, reason);
        let answer = exchange(self.stream().await?, request).await.map_err(failed)?;
        Ok(answer.status().as_u16())
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, Body::None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Body::Json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, Body::None).await.map(drop)
    }

    /// The answer as JSON, or the failure that it says.
    pub(super) async fn send(&self, method: Method, path: &str, body: Body) -> Result<Value, Failure> {
        let answer = self.answer(method, path, body).await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::bug(format!("the answer is not JSON: {error}")))
    }

    /// The answer's bytes, or the failure that it says.
    pub(super) async fn answer(&self, method: Method, path: &str, body: Body) -> Result<Answer, Failure> {
        let answer = self.exchange(method, path, body).await?;
        if answer.status >= 400 {
            return Err(Failure::of_answer(answer.status, &answer.body));
        }
        Ok(answer)
    }

    /// The answer, whatever it is.
    pub(super) async fn exchange(&self, method: Method, path: &str, body: Body) -> Result<Answer, Failure> {
        let request = self.request(method, path, body, None)?;
        let failed = |reason: String| Failure::unreachable(&self.server, reason);
        let response = exchange(self.stream().await?, request).await.map_err(failed)?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response.into_body(),
        })
    }

    /// One request with the head that the caller made; the server's name is added. The key is not.
    pub(super) async fn transmit(
        &self,
        request: http::request::Builder,
        bytes: Bytes,
    ) -> Result<http::Response<Bytes>, Failure> {
        let request = request
            .header(header::HOST, self.authority())
            .body(Full::new(bytes))
            .map_err(|error| Failure::usage(format!("this makes no request: {error}")))?;
        let failed = |reason: String| Failure::unreachable(&self.server, reason);
        exchange(self.stream().await?, request).await.map_err(failed)
    }

    fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// An answer that goes on, as server-sent events do; it begins behind the event with this id.
    pub(super) async fn follow(&self, path: &str, last: Option<u64>) -> Result<Following, Failure> {
        let request = self.request(Method::GET, path, Body::None, last)?;
        let failed = |error: hyper::Error| Failure::unreachable(&self.server, error.to_string());
        let stream = TokioIo::new(self.stream().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(failed)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection ended badly");
            }
        });
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        if status >= 400 {
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(Failure::of_answer(status, &body));
        }
        Ok(Following {
            body: response.into_body(),
            driver,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
        last: Option<u64>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.authority());
        if let Some(key) = &self.key {
            let mut value = http::HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| Failure::usage("the API key has characters that no key has"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let bytes = match body {
            Body::None => Bytes::new(),
            Body::Json(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(value.to_string())
            }
            Body::Once(value, key) => {
                request = request
                    .header(header::CONTENT_TYPE, "application/json")
                    .header("idempotency-key", key);
                Bytes::from(value.to_string())
            }
            Body::Bytes(bytes) => {
                request = request.header(header::CONTENT_TYPE, "application/octet-stream");
                bytes
            }
        };
        request
            .body(Full::new(bytes))
            .map_err(|error| Failure::usage(format!("`{path}` is not a path: {error}")))
    }

    async fn stream(&self) -> Result<Either<TcpStream, TlsStream<TcpStream>>, Failure> {
        let failed = |reason: String| Failure::unreachable(&self.server, reason);
        let connect = tokio::time::timeout(
            CONNECT_TIME,
            connect(self.host.trim_matches(['[', ']']), self.port),
        );
        let stream = connect
            .await
            .map_err(|_| failed("no connection in time".to_owned()))?;
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        if self.tls {
            let name = ServerName::try_from(self.host.trim_matches(['[', ']']).to_owned())
                .map_err(|error| failed(error.to_string()))?;
            let stream = tls()?
                .connect(name, stream)
                .await
                .map_err(|error| failed(error.to_string()))?;
            return Ok(Either::Right(stream));
        }
        Ok(Either::Left(stream))
    }
}

/// An answer under way.
pub(super) struct Following {
    body: hyper::body::Incoming,
    driver: tokio::task::JoinHandle<()>,
}

impl Following {
    /// The next bytes; nothing at the end, or when the connection broke.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(data),
                    Err(_) => continue,
                },
                Err(error) => {
                    tracing::debug!(%error, "what was followed broke off");
                    return None;
                }
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<http::Response<Bytes>, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(text)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection ended badly");
        }
    });
    let answer = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    };
    let answer = answer.await;
    driver.abort();
    answer
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line speaks to the server that its user named; no connector is near"
)]
async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((host, port)).await
}

fn tls() -> Result<TlsConnector, Failure> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::bug(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// One segment of a path, with what needs it encoded.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Where a server listens that was started without any settings.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7420";
/// A server that is there answers at once.
const CONNECT_TIME: std::time::Duration = std::time::Duration::from_secs(10);
/// No answer of the API is longer: pages are cut by their bytes too.
const ANSWER_BYTES: usize = 256 << 20;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
