//! Family 8: a JSON Web Token (RFC 7519) whose claims say what the request is.
//!
//! What must always hold: the one algorithm is the recipe's, whatever the token says (RFC 8725 §3.1); what the recipe
//! wants of the claims is there; a token is bound in time unless the recipe says that the vendor does not do that.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde_json::{Map, Value};

use super::fetch::{Fetched, KeySource, Needs};
use super::key::{self, Algorithm, Encoding};
use super::place::{Place, View};
use super::{MAX_SECRETS, SecretForm, SignatureError, Verified, json, url};
use crate::clock::Timestamp;
use crate::jws;
use crate::secret::Secret;

/// The longest token.
const MAX_TOKEN_BYTES: usize = 64 << 10;
/// The most keys of a set that are tried.
const MAX_KEYS: usize = 16;

/// A token that proves a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// Where it stands.
    pub place: Place,
    /// What stands before it: `Bearer `.
    pub prefix: String,
    /// Its one algorithm.
    pub algorithm: TokenAlgorithm,
    /// How the secret gives the key, if nothing is fetched.
    pub secret: SecretForm,
    /// Where the keys come from.
    pub keys: Option<KeySource>,
    /// Whether the token has no payload of its own but signs the body (RFC 7515 appendix F).
    pub detached: bool,
    /// Critical extensions of the header that the recipe accounts for (RFC 7515 §4.1.11).
    pub critical: Vec<String>,
    /// What has to stand in the header.
    pub header: Vec<(String, Expected)>,
    /// What has to stand in the claims; each by its name or as a JSON pointer.
    pub claims: Vec<(String, Expected)>,
    /// Claims that must not be there.
    pub absent: Vec<String>,
    /// The claim with the body's digest.
    pub body: Option<ClaimDigest>,
    /// The claim with the URL's digest.
    pub url: Option<ClaimDigest>,
    /// Whether the claim `qsh` has to fit the method, the path and the query, as Atlassian does.
    pub qsh: bool,
    /// What bounds it in time.
    pub bound: Bound,
    /// How far our clock may be from the issuer's, and where [`Bound::Issued`], how old it may be.
    pub tolerance: Duration,
}

/// The algorithm of a token (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// HMAC with SHA-512 and a shared secret.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
}

/// What bounds a token in time. `exp`, `nbf` and `iat` are looked at wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// `exp` has to be there.
    Expires,
    /// This claim of the payload, or of the header where the token is detached, says when it was made.
    Issued(String),
    /// Nothing: the vendor's tokens are good for ever.
    Nothing,
}

/// What a claim has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// This text; a list has to contain it.
    Text(String),
    /// The hook's secret, where it is an id that both know.
    Secret,
    /// The id that the secret begins with.
    SecretId,
    /// The URL as the sender used it.
    Url,
    /// The URL's scheme and host.
    Origin,
    /// True.
    True,
    /// There, whatever it is.
    Present,
}

/// A digest in a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDigest {
    /// The claim.
    pub claim: String,
    /// How it is written; its hash is SHA-256.
    pub encoding: Encoding,
    /// Whether an empty body has no digest, and then must not have one.
    pub unless_empty: bool,
}

/// A token taken apart.
struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

impl TokenAlgorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }

    /// Whether the key is a secret that both have.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs512)
    }
}

impl Jwt {
    pub(super) fn needs(&self, view: &View<'_>) -> Result<Needs, SignatureError> {
        let Some(source) = &self.keys else {
            return Ok(Needs::Nothing);
        };
        let text = self.text(view)?;
        let token = self.token(&text, view.request.body)?;
        source.needs(token.kid())
    }

    pub(super) fn verify(
        &self,
        view: &View<'_>,
        secrets: &[Secret],
        fetched: Option<&Fetched>,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let text = self.text(view)?;
        let token = self.token(&text, view.request.body)?;
        let secrets = secrets.iter().take(MAX_SECRETS);
        // Which secrets the token may be for: each that has signed it, or all where a fetched key has.
        let meant: Vec<&Secret> = match &self.keys {
            None => {
                let usable: Vec<_> = secrets
                    .filter_map(|secret| Some((secret, self.key(secret)?)))
                    .collect();
                if usable.is_empty() {
                    return Err(SignatureError::Secret);
                }
                let has_signed =
                    |key: &hmac::Key| hmac::verify(key, token.signed.as_bytes(), &token.signature).is_ok();
                let signers = usable.iter().filter(|(_, key)| has_signed(key));
                let signers: Vec<_> = signers.map(|(secret, _)| *secret).collect();
                if signers.is_empty() {
                    return Err(SignatureError::Mismatch);
                }
                signers
            }
            Some(source) => {
                let needs = source.needs(token.kid())?;
                let keys = fetched
                    .and_then(|fetched| fetched.keys(&needs))
                    .ok_or(SignatureError::Material)?;
                if !self.is_signed_by_one_of(keys, &token) {
                    return Err(SignatureError::Mismatch);
                }
                let usable: Vec<_> = secrets.filter(|secret| !secret.expose().is_empty()).collect();
                if usable.is_empty() && self.wants_secret() {
                    return Err(SignatureError::Secret);
                }
                usable
            }
        };
        let time = self.time(&token, now)?;
        let fits = match meant.is_empty() {
            true => self.claims_fit(&token, view, None),
            false => meant
                .iter()
                .any(|secret| self.claims_fit(&token, view, Some(secret))),
        };
        if !fits {
            return Err(SignatureError::Claims);
        }
        self.digests(&token, view)?;
        let id = token.claims.get("jti").and_then(Value::as_str);
        Ok(Verified {
            id: id.map(str::to_owned),
            time,
            one_time: None,
        })
    }

    /// Whether the hook's secret is an id that a claim has to say.
    pub(super) fn wants_secret(&self) -> bool {
        self.claims
            .iter()
            .chain(&self.header)
            .any(|(_, wanted)| *wanted == Expected::Secret)
    }

    fn text(&self, view: &View<'_>) -> Result<String, SignatureError> {
        let text = view.only(&self.place).ok_or(SignatureError::Missing)?;
        let token = text
            .trim()
            .strip_prefix(self.prefix.as_str())
            .ok_or(SignatureError::Missing)?;
        if token.is_empty() {
            return Err(SignatureError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SignatureError::Mismatch);
        }
        Ok(token.to_owned())
    }

    fn token(&self, text: &str, body: &[u8]) -> Result<Token, SignatureError> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SignatureError::Mismatch);
        };
        let bytes = |part: &str| {
            BASE64URL_NOPAD
                .decode(part.as_bytes())
                .map_err(|_| SignatureError::Mismatch)
        };
        let object = |text: &[u8]| match json::read(text) {
            Some(Value::Object(map)) => Ok(map),
            _ => Err(SignatureError::Mismatch),
        };
        let head = object(&bytes(header)?)?;
        let text_of = |name: &str| head.get(name).and_then(Value::as_str);
        // RFC 7797 changes what is signed; whoever does not say so is not let to.
        if text_of("alg") != Some(self.algorithm.name())
            || head.get("b64").is_some_and(|b64| *b64 != Value::Bool(true))
        {
            return Err(SignatureError::Mismatch);
        }
        if let Some(critical) = head.get("crit") {
            let known = |name: &Value| {
                name.as_str()
                    .is_some_and(|name| self.critical.iter().any(|one| one == name))
            };
            if !critical
                .as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(known))
            {
                return Err(SignatureError::Mismatch);
            }
        }
        let (signed, claims) = match (self.detached, payload.is_empty()) {
            (true, true) => (format!("{header}.{}", BASE64URL_NOPAD.encode(body)), Map::new()),
            (false, false) => (format!("{header}.{payload}"), object(&bytes(payload)?)?),
            _ => return Err(SignatureError::Mismatch),
        };
        Ok(Token {
            header: head,
            claims,
            signed,
            signature: bytes(signature)?,
        })
    }

    fn key(&self, secret: &Secret) -> Option<hmac::Key> {
        let algorithm = match self.algorithm {
            TokenAlgorithm::Hs256 => Algorithm::HmacSha256,
            TokenAlgorithm::Hs512 => Algorithm::HmacSha512,
            _ => return None,
        };
        let bytes = self.secret.bytes(secret)?;
        // A public key that serves as a shared secret is the oldest confusion of tokens.
        (!jws::is_pem(&bytes)).then(|| hmac::Key::new(algorithm.hash(), &bytes))
    }

    fn is_signed_by_one_of(&self, keys: &Value, token: &Token) -> bool {
        let algorithm = self.algorithm.name();
        let keys = keys
            .get("keys")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let text =
            |key: &Map<String, Value>, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        let fits = |key: &&Map<String, Value>| {
            token.kid().is_none_or(|kid| text(key, "kid").is_none_or(|of| of == kid))
                && text(key, "use").is_none_or(|usage| usage == "sig")
                && text(key, "alg").is_none_or(|of| of == algorithm)
                // Plaid's: a key that was taken out of service says since when.
                && key.get("expired_at").is_none_or(Value::is_null)
        };
        let mut candidates = keys
            .iter()
            .filter_map(Value::as_object)
            .filter(fits)
            .take(MAX_KEYS);
        candidates.any(|key| jws::is_signed_by(key, algorithm, token.signed.as_bytes(), &token.signature))
    }

    /// When it was made, if its times are near enough to ours.
    fn time(&self, token: &Token, now: Timestamp) -> Result<Option<Timestamp>, SignatureError> {
        let wrong = SignatureError::Timestamp;
        let read = |name: &str| match token.claims.get(name) {
            None => Ok(None),
            Some(value) => date(value).map(Some).ok_or(wrong),
        };
        let (expires, from, mut issued) = (read("exp")?, read("nbf")?, read("iat")?);
        match &self.bound {
            Bound::Nothing => {}
            Bound::Expires => {
                expires.ok_or(wrong)?;
            }
            Bound::Issued(name) => {
                let source = if self.detached {
                    &token.header
                } else {
                    &token.claims
                };
                let made = source.get(name).and_then(date).ok_or(wrong)?;
                if now.since(made) > self.tolerance {
                    return Err(wrong);
                }
                issued = Some(made);
            }
        }
        let over = expires.is_some_and(|end| now.since(end) > self.tolerance);
        let early = |time: &Timestamp| time.since(now) > self.tolerance;
        if over || from.as_ref().is_some_and(early) || issued.as_ref().is_some_and(early) {
            return Err(wrong);
        }
        Ok(issued.or(from))
    }

    fn claims_fit(&self, token: &Token, view: &View<'_>, secret: Option<&Secret>) -> bool {
        let is_as_expected = |object: &Map<String, Value>, (name, wanted): &(String, Expected)| {
            let found = match name.starts_with('/') {
                true => pointed(object, name),
                false => object.get(name),
            };
            found.is_some_and(|found| self.is_expected(found, wanted, view, secret))
        };
        self.header.iter().all(|one| is_as_expected(&token.header, one))
            && self.claims.iter().all(|one| is_as_expected(&token.claims, one))
            && !self.absent.iter().any(|name| token.claims.contains_key(name))
    }

    fn is_expected(
        &self,
        found: &Value,
        wanted: &Expected,
        view: &View<'_>,
        secret: Option<&Secret>,
    ) -> bool {
        let url = view.request.url;
        let halves = secret.and_then(|secret| self.secret.halves(secret));
        let wanted: &[u8] = match wanted {
            Expected::Present => return !found.is_null(),
            Expected::True => return *found == Value::Bool(true),
            Expected::Text(text) => text.as_bytes(),
            Expected::Secret => secret.map(Secret::expose).unwrap_or_default(),
            Expected::SecretId => halves.map(|(id, _)| id.as_bytes()).unwrap_or_default(),
            Expected::Url => url.as_bytes(),
            Expected::Origin => url::origin(url).as_bytes(),
        };
        let is_it = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| key::is_same(wanted, text.as_bytes()))
        };
        !wanted.is_empty()
            && match found {
                Value::Array(list) => list.iter().take(MAX_KEYS).any(is_it),
                one => is_it(one),
            }
    }

    fn digests(&self, token: &Token, view: &View<'_>) -> Result<(), SignatureError> {
        let body = view.request.body;
        if let Some(digest) = &self.body {
            let claim = token.claims.get(&digest.claim);
            match (claim, digest.unless_empty && body.is_empty()) {
                (None, true) => {}
                (Some(claim), false) if digest.fits(claim, body) => {}
                _ => return Err(SignatureError::Body),
            }
        }
        if let Some(digest) = &self.url {
            let url = view.request.url;
            let claim = token.claims.get(&digest.claim).filter(|_| !url.is_empty());
            if !claim.is_some_and(|claim| digest.fits(claim, url.as_bytes())) {
                return Err(SignatureError::Claims);
            }
        }
        if self.qsh {
            let digest = ClaimDigest {
                claim: "qsh".to_owned(),
                encoding: Encoding::Hex,
                unless_empty: false,
            };
            let text = url::qsh(view).filter(|_| !view.request.url.is_empty());
            let text = text.ok_or(SignatureError::Claims)?;
            if !token
                .claims
                .get("qsh")
                .is_some_and(|claim| digest.fits(claim, text.as_bytes()))
            {
                return Err(SignatureError::Claims);
            }
        }
        Ok(())
    }
}

impl ClaimDigest {
    fn fits(&self, claim: &Value, bytes: &[u8]) -> bool {
        let given = claim
            .as_str()
            .and_then(|text| self.encoding.decode(text))
            .unwrap_or_default();
        key::is_same(Algorithm::HmacSha256.digest(bytes).as_ref(), &given)
    }
}

impl Token {
    fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }
}

/// A NumericDate (RFC 7519 §2): seconds, maybe with a fraction.
fn date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_u64() {
        return seconds.checked_mul(1000).map(Timestamp::from_millis);
    }
    let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds))?;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Timestamp::default().after(duration))
}

/// What a JSON pointer (RFC 6901 §4) finds in an object.
fn pointed<'v>(object: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let (first, rest) = match pointer.get(1..)?.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (pointer.get(1..)?, String::new()),
    };
    let first = first.replace("~1", "/").replace("~0", "~");
    object.get(&first)?.pointer(&rest)
}
