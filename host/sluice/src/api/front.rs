//! The front door: every request passes here first and every answer last.
//!
//! It gives the request its id, refuses paths that two parsers could read differently, refuses foreign hosts and origins
//! (a browser that was lured here has no business with the API), contains panics, and renders problems.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use data_encoding::HEXLOWER;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use ring::rand::{SecureRandom, SystemRandom};

use super::app::App;
use super::problem::Problem;

/// The outermost layer.
pub(super) async fn front(State(app): State<App>, request: Request, next: Next) -> Response {
    let request_id = request_id();
    let refusal =
        check_path(request.uri().path()).and_then(|()| check_host(&app, request.uri(), request.headers()));
    let (method, path) = (request.method().clone(), told(request.uri().path()).to_owned());
    let answer = match refusal {
        Ok(()) => AssertUnwindSafe(next.run(request)).catch_unwind().await,
        Err(problem) => Ok(axum::response::IntoResponse::into_response(problem)),
    };
    let mut response = match answer {
        Ok(response) => render(response, &request_id).await,
        Err(_) => {
            app.requests.panicked.fetch_add(1, Ordering::Relaxed);
            tracing::error!(request_id, %method, path, "a request's work panicked");
            Problem::new("internal", "the server made a mistake; its log has the details").render(&request_id)
        }
    };
    let status = response.status();
    let counter = match status.as_u16() {
        ..400 => &app.requests.ok,
        400..500 => &app.requests.refused,
        _ => &app.requests.failed,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(request_id, %method, path, status = status.as_u16(), "answered");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert("x-request-id", value);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

/// Renders our own problems, and answers of the router that are none yet.
async fn render(mut response: Response, request_id: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.render(request_id);
    }
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            let allow = response.headers().get(header::ALLOW).cloned();
            let mut answer =
                Problem::new("request.method", "this path does not answer that method").render(request_id);
            if let Some(allow) = allow {
                answer.headers_mut().insert(header::ALLOW, allow);
            }
            answer
        }
        status if status.is_client_error() && plain => {
            let text = axum::body::to_bytes(response.into_body(), 1000)
                .await
                .unwrap_or_default();
            Problem::new("request.body", String::from_utf8_lossy(&text)).render(request_id)
        }
        _ => response,
    }
}

pub(super) fn request_id() -> String {
    let mut bytes = [0; 12];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        tracing::error!("the machine's random source does not answer");
    }
    format!("req_{}", HEXLOWER.encode(&bytes))
}

/// A path as the log may have it: who knows a link can follow it.
fn told(path: &str) -> &str {
    match path.strip_prefix("/connect/") {
        Some(link) if link != "callback" => "/connect/(link)",
        _ => path,
    }
}

/// Refuses what a proxy in front, the router and a log could read as different paths.
fn check_path(path: &str) -> Result<(), Problem> {
    let refused = |what| Err(Problem::new("request.path", format!("the path has {what}")));
    if path.len() > PATH_BYTES {
        return refused("too many bytes");
    }
    if path.contains("//") {
        return refused("an empty segment");
    }
    if path.contains([';', '\\']) {
        return refused("a `;` or a backslash");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return refused("a `.` or `..` segment");
    }
    let mut rest = path.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            continue;
        }
        let byte = rest.split_at_checked(2).and_then(|(digits, _)| {
            data_encoding::HEXUPPER_PERMISSIVE
                .decode(digits)
                .ok()?
                .first()
                .copied()
        });
        match byte {
            // What needs no encoding has no business being encoded, and what would change the path must not be.
            Some(byte)
                if byte.is_ascii_alphanumeric()
                    || b"-._~/\\%;".contains(&byte)
                    || byte < 0x20
                    || byte == 0x7f =>
            {
                return refused("an encoded character that may not be encoded");
            }
            Some(_) => {}
            None => return refused("a broken percent encoding"),
        }
    }
    Ok(())
}

/// Refuses foreign names on a server that only this machine should reach (DNS rebinding), and requests that a page of
/// another origin sent (CSRF). Hooks are meant to be reached through tunnels, and every one of them is signed.
fn check_host(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if uri.path().starts_with("/hooks/") {
        return Ok(());
    }
    let mut fields = headers.get_all(header::HOST).iter();
    let named = match (fields.next(), fields.next()) {
        (_, Some(_)) => return Err(Problem::new("request.host", "there is more than one Host field")),
        (Some(value), None) => Some(
            value
                .to_str()
                .map_err(|_| Problem::new("request.host", "the Host field is not text"))?,
        ),
        (None, None) => None,
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    for name in [named, authority].into_iter().flatten() {
        if !is_ours(app, host_of(name)) {
            return Err(foreign("Host"));
        }
    }
    if named.is_none() && authority.is_none() && app.hosts.is_some() {
        return Err(Problem::new("request.host", "there is no Host field"));
    }
    // A person comes to these from wherever the link was sent, and comes back from the vendor: links, states and the
    // cookie of one browser are what protects them. Posting to a link is for its own page alone.
    let is_landing = uri.path() == "/connect/callback";
    if let Some(origin) = headers.get(header::ORIGIN).filter(|_| !is_landing) {
        let origin = origin.to_str().unwrap_or_default();
        let at = origin.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        let same = named
            .or(authority)
            .is_some_and(|host| host.eq_ignore_ascii_case(at));
        if at.is_empty() || !is_ours(app, host_of(at)) || !same {
            return Err(foreign("Origin"));
        }
    }
    if uri.path().starts_with("/connect/") {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(foreign("Sec-Fetch-Site"));
    }
    Ok(())
}

fn foreign(field: &str) -> Problem {
    Problem::new(
        "request.foreign",
        format!("the {field} field does not name this server"),
    )
}

fn is_ours(app: &App, host: &str) -> bool {
    app.hosts
        .as_ref()
        .is_none_or(|hosts| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host)))
}

/// The host of `host:port`; brackets of an IPv6 address are kept off.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// The hosts by which a server that listens here may be called; none if anybody may find it by any name.
pub(crate) fn hosts(listen: IpAddr, public: Option<String>) -> Option<Vec<String>> {
    if !listen.is_loopback() {
        return None;
    }
    let mut hosts = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        listen.to_string(),
    ];
    hosts.extend(public);
    Some(hosts)
}

/// Longer paths name nothing of ours.
const PATH_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_no_link() {
        assert_eq!(told("/connect/AAAAbbbb"), "/connect/(link)");
        assert_eq!(told("/connect/callback"), "/connect/callback");
        assert_eq!(told("/api/v1/runs"), "/api/v1/runs");
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for good in [
            "/",
            "/api/v1/connections/my%20name",
            "/api/v1/records/%C3%A4",
            "/hooks/hok_1",
            "/a/b%3Ac",
        ] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in [
            "//api/v1/keys",
            "/api//v1",
            "/api/v1/../keys",
            "/api/./v1",
            "/health/live;/../keys",
            "/health/live%3b",
            "/api/v1/%2e%2e/keys",
            "/api/%2Fv1",
            "/api/%5cv1",
            "/api/%00",
            "/api/%zz",
            "/api/%2",
            "/api/%6beys",
            "/api/%252e",
            "/api\\v1",
        ] {
            assert_eq!(check_path(bad).unwrap_err().code(), "request.path", "{bad}");
        }
        assert!(check_path(&"/a".repeat(4000)).is_err());
    }

    #[test]
    fn hosts_are_read_without_their_port() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
