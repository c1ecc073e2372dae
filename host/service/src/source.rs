//! Packages from elsewhere: an address, an index, a registry. Every request goes through the broker, for exactly that address,
//! under the operator's ceiling; every answer is bounded, and held against its digest while it comes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use ring::digest::{Context, SHA256};
use sluice_broker::credential::OWN;
use sluice_broker::request::Redirects;
use sluice_broker::{
    Apply, Budget, Caller, Credential, CredentialChoice, Request, Response, Trace, Vault, VaultError,
};
use sluice_model::grant::{Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use sluice_package::index::{self, Index};
use sluice_package::oci::{self, Reference, Which};
use sluice_package::{Digest, Name, SourceError, Version};
use url::Url;

use crate::{Service, reach, trust};

/// Where a package is.
#[derive(Debug, Clone)]
enum Source {
    /// The file itself.
    File(Url),
    /// One of an index.
    Index {
        at: Url,
        name: Name,
        version: Option<Version>,
    },
    Registry(Reference),
}

/// Why a package does not come.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Broker(#[from] sluice_broker::Error),
    #[error(transparent)]
    Trust(#[from] trust::Error),
    #[error("{place} answers {status}")]
    Status { place: String, status: u16 },
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &["package.source", "package.not_found"];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Broker(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Status { status: 404, .. } => "package.not_found",
            Self::Status { .. } => "package.source",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Broker(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Status { .. } => None,
        }
    }
}

/// Hops from a registry or a server to where the bytes are.
const MAX_HOPS: usize = 4;
/// A component over a slow line.
const PATIENCE: Duration = Duration::from_secs(240);
/// A registry's token answer.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// Fetches a package: `https://…/x.wasm`, `oci://HOST/REPOSITORY:TAG`, `oci://…@sha256:…`, or
/// `index+https://…/#NAME` or `#NAME@VERSION`.
///
/// # Errors
///
/// [`Error`]; nothing is kept of what came.
pub async fn fetch(service: &Service, org: OrgId, from: &str) -> Result<Bytes, Error> {
    let limit = service.settings().component_bytes;
    let road = Road { service, org };
    match source(from)? {
        Source::File(url) => road.get(&url, "package", limit, None).await,
        Source::Index { at, name, version } => {
            let join = |file: &str| {
                at.join(file)
                    .map_err(|_| address(from, "it has no place for files"))
            };
            let list = road
                .get(&join(index::FILE)?, "index", index::MAX_BYTES, None)
                .await?;
            let signature = road
                .get(
                    &join(index::SIGNATURE_FILE)?,
                    "index's signature",
                    index::MAX_SIGNATURE_BYTES,
                    None,
                )
                .await;
            let signature = match signature {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(Error::Status { status: 404, .. }) => None,
                Err(error) => return Err(error),
            };
            trust::judge_index(service, org, at.as_str(), &list, signature.as_deref()).await?;
            let list = Index::read(&list)?;
            let listed = list.find(&name, version.as_ref())?;
            too_large("package", listed.bytes, limit)?;
            road.get(
                &join(&listed.file)?,
                "package",
                listed.bytes,
                Some(&listed.digest),
            )
            .await
        }
        Source::Registry(reference) => road.pull(&reference, limit).await,
    }
}

/// Reads an address.
fn source(from: &str) -> Result<Source, SourceError> {
    if from.starts_with("oci://") {
        return from.parse().map(Source::Registry);
    }
    let (rest, of_index) = match from.strip_prefix("index+") {
        Some(rest) => (rest, true),
        None => (from, false),
    };
    let mut url = Url::parse(rest).map_err(|_| address(from, "it is no URL"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(address(from, "it is neither https nor a registry's"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(address(from, "it has a user in it"));
    }
    if !of_index {
        url.set_fragment(None);
        return Ok(Source::File(url));
    }
    let wanted = url.fragment().unwrap_or_default().to_owned();
    url.set_fragment(None);
    url.set_query(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let (name, version) = match wanted.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (wanted.as_str(), None),
    };
    Ok(Source::Index {
        name: name.parse().map_err(|_| address(from, "it names no connector"))?,
        version: version
            .map(|version| version.parse().map_err(|_| address(from, "its version is none")))
            .transpose()?,
        at: url,
    })
}

fn address(from: &str, reason: &'static str) -> SourceError {
    let shown = from
        .chars()
        .take(80)
        .map(|c| if c.is_ascii_graphic() { c } else { '.' });
    SourceError::Address {
        address: shown.collect(),
        reason,
    }
}

fn too_large(what: &'static str, bytes: u64, limit: u64) -> Result<(), SourceError> {
    if bytes > limit {
        return Err(SourceError::TooLarge { what, bytes, limit });
    }
    Ok(())
}

/// What requests are made with.
struct Road<'s> {
    service: &'s Service,
    org: OrgId,
}

impl Road<'_> {
    /// A file at an address, behind at most [`MAX_HOPS`] redirects.
    async fn get(
        &self,
        url: &Url,
        what: &'static str,
        limit: u64,
        digest: Option<&Digest>,
    ) -> Result<Bytes, Error> {
        let response = self.follow(url, &[], None, limit).await?;
        body(response, what, limit, digest).await
    }

    /// A component of a registry.
    async fn pull(&self, reference: &Reference, limit: u64) -> Result<Bytes, Error> {
        let origin = registry(&reference.registry)
            .ok_or_else(|| address(&reference.to_string(), "its host is none"))?;
        let at = |path: &str| {
            origin
                .join(path)
                .map_err(|_| address(&reference.to_string(), "it makes no address"))
        };
        let manifest = at(&reference.manifest_path())?;
        let accept = [("accept", oci::MANIFEST_TYPE)];
        let mut token = None;
        let mut response = self
            .send(&manifest, &accept, None, oci::MAX_MANIFEST_BYTES)
            .await?;
        if response.status == 401 {
            let challenge = response.header("www-authenticate").unwrap_or_default().to_owned();
            token = self.token(&challenge, reference).await?;
            response = self
                .send(&manifest, &accept, token.as_ref(), oci::MAX_MANIFEST_BYTES)
                .await?;
        }
        let response = ok(response, &manifest)?;
        let digest = match &reference.which {
            Which::Digest(digest) => Some(digest),
            Which::Tag(_) => None,
        };
        let manifest = body(response, "registry's manifest", oci::MAX_MANIFEST_BYTES, digest).await?;
        let (digest, bytes) = oci::component(&manifest)?;
        too_large("package", bytes, limit)?;
        let blob = at(&reference.blob_path(&digest))?;
        let response = self.follow(&blob, &[], token.as_ref(), bytes).await?;
        body(response, "package", bytes, Some(&digest)).await
    }

    /// A token for anybody, from where the registry says (distribution's token authentication). `None` where it says nothing
    /// that we can do.
    async fn token(&self, challenge: &str, reference: &Reference) -> Result<Option<Secret>, Error> {
        let Some(fields) = challenge.strip_prefix("Bearer ") else {
            return Ok(None);
        };
        let field = |name: &str| {
            let start = fields.find(&format!("{name}=\""))? + name.len() + 2;
            fields.get(start..)?.split('"').next().map(str::to_owned)
        };
        let Some(mut realm) = field("realm").and_then(|realm| Url::parse(&realm).ok()) else {
            return Ok(None);
        };
        realm.query_pairs_mut().append_pair(
            "scope",
            &field("scope").unwrap_or_else(|| format!("repository:{}:pull", reference.repository)),
        );
        if let Some(service) = field("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let answer = self
            .get(&realm, "registry's token", MAX_TOKEN_BYTES, None)
            .await?;
        #[derive(serde::Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| SourceError::Unreadable {
            what: "registry's token",
            reason: "it is not JSON".to_owned(),
        })?;
        let token = answer.token.or(answer.access_token);
        Ok(token.map(|token| Secret::new(token.into_bytes())))
    }

    /// The answer at the end of redirects. A token goes to the first origin alone; each hop is judged as if it were asked for.
    async fn follow(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        token: Option<&Secret>,
        limit: u64,
    ) -> Result<Response, Error> {
        let mut at = url.clone();
        for _ in 0..MAX_HOPS {
            let token = token.filter(|_| at.origin() == url.origin());
            let response = self.send(&at, headers, token, limit).await?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return ok(response, &at);
            }
            let next = response
                .header("location")
                .and_then(|location| at.join(location).ok());
            at = next.ok_or_else(|| status(&at, response.status))?;
        }
        Err(status(&at, 310))
    }

    async fn send(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        token: Option<&Secret>,
        limit: u64,
    ) -> Result<Response, Error> {
        let (rule, origin) = reach::exactly("GET", url.as_str())
            .ok_or_else(|| address(url.as_str(), "it is not an https address"))?;
        let grant = Grant {
            egress: vec![rule],
            limits: Limits {
                response_bytes: limit.max(MAX_TOKEN_BYTES),
                request_time: PATIENCE,
                http_requests: 4,
                ..Limits::default()
            },
            ..Grant::default()
        };
        let rights = Rights::new(&grant, &self.service.settings().ceiling, &grant);
        let mut request = Request::new("GET", url.as_str());
        request.redirects = Redirects::Return;
        request.headers = vec![("user-agent".to_owned(), "sluice".to_owned())];
        for (name, value) in headers {
            request.headers.push(((*name).to_owned(), (*value).to_owned()));
        }
        let credential = token.map(|token| {
            let token = token.clone();
            Arc::new(Credential::new("registry", token, Apply::Bearer, vec![origin]))
        });
        request.credential = match &credential {
            Some(_) => CredentialChoice::Default,
            None => CredentialChoice::None,
        };
        let caller = Caller {
            org: self.org,
            connection: None,
            // No connector has such an id: what is fetched shares no budget with any.
            connector: "packages of the organization".to_owned(),
            budget: Budget::new(rights.limits()),
            rights: Arc::new(rights),
            vault: Arc::new(Only(credential)),
            trace: Trace::default(),
            rates: Vec::new(),
            app: None,
        };
        Ok(self.service.broker().send(&caller, request).await?)
    }
}

/// The vault of one request.
struct Only(Option<Arc<Credential>>);

impl Vault for Only {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        let found = self.0.clone().filter(|_| name == OWN);
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A registry's origin: plain where it listens on a loopback address, as every client has it.
fn registry(host: &str) -> Option<Url> {
    let secure = Url::parse(&format!("https://{host}/")).ok()?;
    let local = match secure.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(_) => false,
    };
    if local {
        return Url::parse(&format!("http://{host}/")).ok();
    }
    Some(secure)
}

fn ok(response: Response, url: &Url) -> Result<Response, Error> {
    if response.status == 200 {
        return Ok(response);
    }
    Err(status(url, response.status))
}

fn status(url: &Url, status: u16) -> Error {
    let mut place = url.clone();
    // A signed address is not for a log.
    place.set_query(None);
    Error::Status {
        place: place.to_string().chars().take(200).collect(),
        status,
    }
}

/// The whole body, if it has no more bytes than that and the digest it must have.
async fn body(
    response: Response,
    what: &'static str,
    limit: u64,
    digest: Option<&Digest>,
) -> Result<Bytes, Error> {
    let mut reader = response.body;
    let mut whole = BytesMut::new();
    let mut sum = Context::new(&SHA256);
    while let Some(chunk) = reader.chunk(CHUNK_BYTES).await? {
        too_large(what, whole.len() as u64 + chunk.len() as u64, limit)?;
        sum.update(&chunk);
        whole.extend_from_slice(&chunk);
    }
    if let Some(digest) = digest {
        let found = sum.finish();
        if found.as_ref() != digest.as_bytes() {
            return Err(SourceError::OtherDigest(*digest).into());
        }
    }
    Ok(whole.freeze())
}

/// What is looked at at once.
const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_whole() {
        let kind = |from: &str| {
            source(from).map(|source| match source {
                Source::File(url) => format!("file {url}"),
                Source::Index { at, name, version } => {
                    format!(
                        "index {at} {name} {}",
                        version.map_or_else(String::new, |v| v.to_string())
                    )
                }
                Source::Registry(reference) => reference.to_string(),
            })
        };
        for (from, expected) in [
            ("https://x.example/a.wasm", "file https://x.example/a.wasm"),
            (
                "index+https://x.example/i#acme",
                "index https://x.example/i/ acme ",
            ),
            (
                "index+https://x.example/i/#acme@1.2.0",
                "index https://x.example/i/ acme 1.2.0",
            ),
            ("oci://x.example/a:1", "oci://x.example/a:1"),
        ] {
            assert_eq!(kind(from).unwrap(), expected);
        }
        for from in [
            "",
            "x.wasm",
            "file:///etc/passwd",
            "ftp://x.example/a",
            "https://u:p@x.example/a",
            "index+https://x.example/",
            "index+https://x.example/#Acme",
            "index+https://x.example/#acme@x",
            "oci://x.example/a",
        ] {
            assert_eq!(kind(from).unwrap_err().code(), "package.source", "{from}");
        }
        assert_eq!(
            registry("127.0.0.1:5000").unwrap().as_str(),
            "http://127.0.0.1:5000/"
        );
        assert_eq!(registry("[::1]:5000").unwrap().scheme(), "http");
        assert_eq!(registry("localhost:5000").unwrap().scheme(), "https");
        assert_eq!(registry("x.example").unwrap().as_str(), "https://x.example/");
    }
}
