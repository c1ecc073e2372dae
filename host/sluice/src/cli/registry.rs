//! Publishing to an OCI registry: two blobs and a manifest (distribution specification 1.1, "Push"), laid out as `wkg` does it.

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderValue, Method, Request, Response, header};
use serde_json::{Value, json};
use sluice_package::oci::{self, Layout, Reference};
use sluice_package::{Digest, Package};
use url::Url;
use zeroize::Zeroizing;

use super::author::of_source;
use super::client::Client;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Pushes a package; without a tag under that of its version.
pub(super) async fn push(
    output: &Output,
    package: &Package<'_>,
    bytes: &[u8],
    to: &str,
) -> Result<Exit, Failure> {
    let of = |error| of_source(to.as_ref(), &error);
    let layout = Layout::of(package, bytes).map_err(of)?;
    let last = to.rsplit('/').next().unwrap_or_default();
    let tagged = if last.contains([':', '@']) {
        to.to_owned()
    } else {
        format!("{to}:{}", layout.tag)
    };
    let reference: Reference = tagged.parse().map_err(of)?;
    let mut registry = Registry::at(&reference)?;
    registry
        .blob(&reference, &layout.config_digest, &layout.config)
        .await?;
    registry.blob(&reference, &layout.layer_digest, bytes).await?;
    let put = registry
        .send(
            Method::PUT,
            &reference.manifest_path(),
            Some(oci::MANIFEST_TYPE),
            &layout.manifest,
        )
        .await?;
    expect(&put, &[201], "take the manifest", to)?;
    let value = json!({ "reference": reference.to_string(), "digest": layout.manifest_digest, "package": layout.layer_digest });
    output.show(&value, |output| {
        output.done(&format!("{reference} is published"));
        output.fields(&[("digest", layout.manifest_digest.to_string())]);
    });
    Ok(Exit::Ok)
}

/// A registry, and what it wants to be told.
struct Registry {
    client: Client,
    origin: Url,
    /// `authorization`, once it asked for one.
    authorization: Option<Zeroizing<String>>,
    repository: String,
}

impl Registry {
    /// Plain where it listens on a loopback address, as every client has it.
    fn at(reference: &Reference) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format!("`{}` is not a registry", reference.registry));
        let secure = Url::parse(&format!("https://{}/", reference.registry)).map_err(|_| wrong())?;
        let local = match secure.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        let scheme = if local { "http" } else { "https" };
        let origin = format!("{scheme}://{}", reference.registry);
        Ok(Self {
            client: Client::at(&origin, None)?,
            origin: Url::parse(&origin).map_err(|_| wrong())?,
            authorization: None,
            repository: reference.repository.clone(),
        })
    }

    /// Uploads a blob, if it is not there.
    async fn blob(&mut self, reference: &Reference, digest: &Digest, bytes: &[u8]) -> Result<(), Failure> {
        let place = reference.to_string();
        let there = self
            .send(Method::HEAD, &reference.blob_path(digest), None, &[])
            .await?;
        if there.status() == 200 {
            return Ok(());
        }
        let begin = format!("/v2/{}/blobs/uploads/", reference.repository);
        let begun = self.send(Method::POST, &begin, None, &[]).await?;
        expect(&begun, &[202], "begin an upload", &place)?;
        let location = begun.headers().get(header::LOCATION);
        let location = location
            .and_then(|location| location.to_str().ok())
            .and_then(|location| self.origin.join(location).ok())
            .filter(|location| location.origin() == self.origin.origin());
        let mut location = location.ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("{place}: the registry names no place to upload to"),
            )
        })?;
        location
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let path = match location.query() {
            Some(query) => format!("{}?{query}", location.path()),
            None => location.path().to_owned(),
        };
        let put = self
            .send(Method::PUT, &path, Some("application/octet-stream"), bytes)
            .await?;
        expect(&put, &[201], "take a blob", &place)
    }

    /// One request; where the registry asks who it is, once more with the answer.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        bytes: &[u8],
    ) -> Result<Response<Bytes>, Failure> {
        let first = self.try_once(&method, path, kind, bytes).await?;
        if first.status() != 401 {
            return Ok(first);
        }
        let challenge = first
            .headers()
            .get(header::WWW_AUTHENTICATE)
            .and_then(|challenge| challenge.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        self.authorization = self.answer(&challenge).await?;
        self.try_once(&method, path, kind, bytes).await
    }

    async fn try_once(
        &self,
        method: &Method,
        path: &str,
        kind: Option<&str>,
        bytes: &[u8],
    ) -> Result<Response<Bytes>, Failure> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, secret(authorization)?);
        }
        self.client.transmit(request, Bytes::copy_from_slice(bytes)).await
    }

    /// What a challenge wants: a token from where it says, or the user and password themselves.
    async fn answer(&self, challenge: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        let basic = credentials();
        let Some(fields) = challenge.strip_prefix("Bearer ") else {
            return Ok(basic);
        };
        let field = |name: &str| {
            let start = fields.find(&format!("{name}=\""))? + name.len() + 2;
            fields.get(start..)?.split('"').next().map(str::to_owned)
        };
        let refused = || Failure::new(Exit::Denied, "the registry names no place for its tokens");
        let realm = field("realm").ok_or_else(refused)?;
        let mut realm = Url::parse(&realm).map_err(|_| refused())?;
        // A password goes to the registry itself or over TLS, nowhere else.
        if realm.scheme() != "https" && realm.origin() != self.origin.origin() {
            return Err(refused());
        }
        let scope = format!("repository:{}:pull,push", self.repository);
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = field("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        let client = Client::at(realm.origin().ascii_serialization().as_str(), None)?;
        let path = format!("{}?{}", realm.path(), realm.query().unwrap_or_default());
        let mut request = Request::builder().method(Method::GET).uri(path);
        if let Some(basic) = &basic {
            request = request.header(header::AUTHORIZATION, secret(basic)?);
        }
        let answer = client.transmit(request, Bytes::new()).await?;
        let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let token = document
            .get("token")
            .or_else(|| document.get("access_token"))
            .and_then(Value::as_str);
        Ok(token.map(|token| Zeroizing::new(format!("Bearer {token}"))))
    }
}

/// The user and password of the environment: never of the command line.
fn credentials() -> Option<Zeroizing<String>> {
    let user = std::env::var("SLUICE_REGISTRY_USER").ok()?;
    let password = Zeroizing::new(std::env::var("SLUICE_REGISTRY_PASSWORD").ok()?);
    let pair = Zeroizing::new(format!("{user}:{}", *password));
    Some(Zeroizing::new(format!(
        "Basic {}",
        BASE64.encode(pair.as_bytes())
    )))
}

fn secret(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::usage("the registry's user or password has characters that none has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn expect(response: &Response<Bytes>, wanted: &[u16], what: &str, place: &str) -> Result<(), Failure> {
    let status = response.status().as_u16();
    if wanted.contains(&status) {
        return Ok(());
    }
    let exit = if matches!(status, 401 | 403) {
        Exit::Denied
    } else {
        Exit::Failed
    };
    let failure = Failure {
        code: Some("package.source".to_owned()),
        ..Failure::new(
            exit,
            format!("{place}: the registry answers {status} instead of to {what}"),
        )
    };
    Err(failure
        .hint("a registry that asks who you are takes SLUICE_REGISTRY_USER and SLUICE_REGISTRY_PASSWORD"))
}
