//! What has to be fetched before a webhook can be verified: a certificate, a key or a key set, from the vendor's own
//! address. The model fetches nothing; it says from where, and refuses what came from elsewhere.
//!
//! What must always hold: an address that a request names is only fetched where it lies within the recipe's patterns,
//! which a sender cannot widen: `https` on its own port, no user, no fragment, no escapes, and a wildcard never takes the
//! place of the domain.

use serde_json::Value;

use super::certificate::{self, Certificate};
use super::der::{self, KeyKind};
use super::place::{Place, View};
use super::{SignatureError, json};
use crate::clock::Timestamp;
use crate::jws;

/// The longest address.
const MAX_ADDRESS_BYTES: usize = 1024;

/// Where something may be fetched from: `https://sns.{region}.amazonaws.com/SimpleNotificationService-*.pem`. The host
/// may have `{region}` as one label, a cloud region's name and nothing else (a bucket's host name must not fit); each
/// segment of the path may have one `*`; a query is only allowed where the pattern ends in `?*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPattern {
    host: Vec<String>,
    path: Vec<String>,
    query: bool,
}

impl AddressPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text
            .strip_prefix("https://")
            .ok_or("does not begin with `https://`")?;
        let (rest, query) = match rest.strip_suffix("?*") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (host, path) = rest.split_once('/').ok_or("has no path")?;
        let label = |label: &str| label == "{region}" || is_label(label);
        let host: Vec<_> = host.split('.').map(str::to_owned).collect();
        if host.len() < 2 || !host.iter().all(|part| label(part)) {
            return Err("has a host with other than lower-case labels and `{region}`");
        }
        if host.iter().rev().take(2).any(|part| part == "{region}") {
            return Err("has `{region}` in the place of the domain");
        }
        let path: Vec<_> = path.split('/').map(str::to_owned).collect();
        let segment = |segment: &String| {
            segment.matches('*').count() <= 1
                && segment.bytes().all(|byte| byte == b'*' || is_path_byte(byte))
                && !is_dots(segment)
        };
        if !path.iter().all(segment) {
            return Err("has a path with other than plain segments, each with one `*` at most");
        }
        Ok(Self { host, path, query })
    }

    /// Whether an address lies within.
    #[must_use]
    pub fn permits(&self, address: &str) -> bool {
        let Some(rest) = address
            .strip_prefix("https://")
            .filter(|_| address.len() <= MAX_ADDRESS_BYTES)
        else {
            return false;
        };
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let Some((host, path)) = rest.split_once('/') else {
            return false;
        };
        let host: Vec<_> = host.split('.').collect();
        let host_fits = host.len() == self.host.len()
            && host
                .iter()
                .zip(&self.host)
                .all(|(label, wanted)| match wanted.as_str() {
                    "{region}" => is_region(label),
                    wanted => *label == wanted,
                });
        let path: Vec<_> = path.split('/').collect();
        let path_fits = path.len() == self.path.len()
            && path.iter().zip(&self.path).all(|(one, wanted)| fits(one, wanted));
        let query_fits = query.is_none_or(|query| {
            self.query && query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        });
        host_fits && path_fits && query_fits
    }

    /// The host, as a person reads it.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.join(".")
    }
}

fn fits(segment: &str, wanted: &str) -> bool {
    if is_dots(segment) || !segment.bytes().all(is_path_byte) {
        return false;
    }
    match wanted.split_once('*') {
        None => segment == wanted,
        Some((head, tail)) => {
            segment.len() > head.len() + tail.len() && segment.starts_with(head) && segment.ends_with(tail)
        }
    }
}

fn is_label(label: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(letter)
}

/// `eu-central-1`, `us-gov-west-1`: words, then a number. `s3` and `s3-eu-west-1` are none: such a host is somebody's
/// bucket.
fn is_region(label: &str) -> bool {
    let parts: Vec<_> = label.split('-').collect();
    let word =
        |part: &&str| (2..=12).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            (2..=4).contains(&words.len())
                && words.iter().all(word)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

/// A certificate that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSource {
    /// Where its address stands.
    pub address: Place,
    /// What addresses are the vendor's.
    pub allowed: Vec<AddressPattern>,
    /// Names of which the certificate has to bear one.
    pub names: Vec<String>,
}

/// Keys at an address that the recipe fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The address; `{kid}` in it stands for the token's key id.
    pub address: String,
    /// A JSON body to post, with `{kid}`; without one it is a GET. `${config.key}` in it is for whoever fetches to fill in.
    pub post: Option<String>,
    /// Where the key stands in the answer, as a JSON pointer; without one the answer is a JWK Set.
    pub at: Option<String>,
    /// The name of the manifest's credential to ask with.
    pub credential: Option<String>,
}

/// What has to be fetched before a webhook can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A PEM file with a certificate and its chain, by GET without credentials or redirects.
    Certificate {
        /// From here; it lies within the recipe's patterns.
        address: String,
        /// One of these the leaf has to bear.
        names: Vec<String>,
    },
    /// A public key in PEM or DER, by GET without credentials or redirects.
    PublicKey {
        /// From here.
        address: String,
    },
    /// Public keys as JSON.
    Keys {
        /// From here.
        address: String,
        /// What to post as JSON; without it it is a GET.
        post: Option<String>,
        /// Where the key stands in the answer; without it the answer is a JWK Set.
        at: Option<String>,
        /// The credential to ask with.
        credential: Option<String>,
        /// The key id that is asked for. A cached set that lacks it is to be fetched again, but not more often than once
        /// in some minutes: a sender chooses it.
        kid: Option<String>,
    },
}

impl Needs {
    /// What tells apart what was fetched: the address, and what was posted to it.
    #[must_use]
    pub fn cache_key(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Certificate { address, .. } | Self::PublicKey { address } => Some(address.clone()),
            Self::Keys { address, post, .. } => Some(
                post.as_ref()
                    .map_or_else(|| address.clone(), |post| format!("{address}\n{post}")),
            ),
        }
    }
}

/// What was fetched, checked as far as it goes without a request, and fit to be kept: it knows what it was fetched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    key: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    Certificate(Box<Certificate>),
    Rsa(Vec<u8>),
    Keys(Value),
}

impl Fetched {
    /// Reads what was fetched. `is_trusted` gets a chain in DER, leaf first, and says whether it leads to a trusted root
    /// now; it is asked for certificates alone.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Material`], when it is not what was needed.
    pub fn read(
        needs: &Needs,
        answer: &[u8],
        now: Timestamp,
        is_trusted: impl FnOnce(&[Vec<u8>]) -> bool,
    ) -> Result<Self, SignatureError> {
        const UNFIT: SignatureError = SignatureError::Material;
        let content = match needs {
            Needs::Nothing => return Err(UNFIT),
            Needs::Certificate { names, .. } => {
                let chain = certificate::chain(answer).ok_or(UNFIT)?;
                let leaf = chain
                    .first()
                    .and_then(|leaf| Certificate::read(leaf))
                    .ok_or(UNFIT)?;
                let fits = leaf.is_valid_at(now) && names.iter().any(|name| leaf.is_for(name));
                if !fits || !is_trusted(&chain) {
                    return Err(UNFIT);
                }
                Content::Certificate(Box::new(leaf))
            }
            Needs::PublicKey { .. } => {
                let file = jws::der(answer).ok_or(UNFIT)?;
                match der::public_key(&file) {
                    Some((KeyKind::Rsa, key)) => Content::Rsa(key.to_vec()),
                    _ => return Err(UNFIT),
                }
            }
            Needs::Keys { at, .. } => {
                let answer = json::read(answer).ok_or(UNFIT)?;
                let keys = match at {
                    None => answer,
                    Some(pointer) => {
                        let key = answer
                            .pointer(pointer)
                            .filter(|key| key.is_object())
                            .ok_or(UNFIT)?;
                        serde_json::json!({ "keys": [key] })
                    }
                };
                if !keys.get("keys").is_some_and(Value::is_array) {
                    return Err(UNFIT);
                }
                Content::Keys(keys)
            }
        };
        let key = needs.cache_key().ok_or(UNFIT)?;
        Ok(Self { key, content })
    }

    /// Until when it may be kept, where it says so.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match &self.content {
            Content::Certificate(certificate) => Some(certificate.until),
            _ => None,
        }
    }

    /// Whether a key set has the key that is needed; `true` for everything that is no key set.
    #[must_use]
    pub fn has_key(&self, needs: &Needs) -> bool {
        match (&self.content, needs) {
            (Content::Keys(keys), Needs::Keys { kid: Some(kid), .. }) => {
                let list = keys.get("keys").and_then(Value::as_array);
                let is_it = |key: &Value| key.get("kid").and_then(Value::as_str) == Some(kid);
                list.is_some_and(|list| list.iter().any(is_it))
            }
            _ => true,
        }
    }

    /// The RSA key, if this is what the request needs.
    pub(super) fn rsa(&self, needs: &Needs, now: Timestamp) -> Option<&[u8]> {
        match &self.content {
            _ if needs.cache_key().as_ref() != Some(&self.key) => None,
            Content::Certificate(certificate) if certificate.is_valid_at(now) => Some(&certificate.rsa),
            Content::Rsa(key) => Some(key),
            _ => None,
        }
    }

    /// The JWK Set, if this is what the request needs.
    pub(super) fn keys(&self, needs: &Needs) -> Option<&Value> {
        match &self.content {
            Content::Keys(keys) if needs.cache_key().as_ref() == Some(&self.key) => Some(keys),
            _ => None,
        }
    }
}

impl CertificateSource {
    pub(super) fn needs(&self, view: &View<'_>) -> Result<Needs, SignatureError> {
        let address = view.only(&self.address).ok_or(SignatureError::Missing)?;
        if !self.allowed.iter().any(|pattern| pattern.permits(&address)) {
            return Err(SignatureError::Address);
        }
        Ok(Needs::Certificate {
            address: address.into_owned(),
            names: self.names.clone(),
        })
    }
}

impl KeySource {
    pub(super) fn needs(&self, kid: Option<&str>) -> Result<Needs, SignatureError> {
        let is_asked_for =
            self.address.contains("{kid}") || self.post.as_ref().is_some_and(|post| post.contains("{kid}"));
        let plain =
            |kid: &&str| (1..=200).contains(&kid.len()) && kid.bytes().all(is_path_byte) && !is_dots(kid);
        let kid = match kid {
            Some(kid) if plain(&kid) => Some(kid),
            // A key id that could be more than a name in an address is not asked for.
            _ if is_asked_for => return Err(SignatureError::Missing),
            other => other.filter(|kid| kid.len() <= 200),
        };
        let fill = |text: &String| kid.map_or_else(|| text.clone(), |kid| text.replace("{kid}", kid));
        Ok(Needs::Keys {
            address: fill(&self.address),
            post: self.post.as_ref().map(fill),
            at: self.at.clone(),
            credential: self.credential.clone(),
            kid: kid.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNS: &str = "https://sns.{region}.amazonaws.com/SimpleNotificationService-*.pem";

    #[test]
    fn only_the_vendors_own_addresses_are_permitted() {
        let check = |pattern: &str, address: &str, expected: bool| {
            let pattern = AddressPattern::parse(pattern).unwrap();
            assert_eq!(pattern.permits(address), expected, "{address}");
        };
        check(
            SNS,
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab12.pem",
            true,
        );
        check(
            SNS,
            "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-ab12.pem",
            true,
        );
        for other in [
            "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.s3.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.test/SimpleNotificationService-a.pem",
            "https://sns.us-east-1.amazonaws.com:444/SimpleNotificationService-a.pem",
            "https://evil.test#sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://x@sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://SNS.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a/../b.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-%2e.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem?x",
            "https://sns.us-east-1.amazonaws.com\\.evil.test/SimpleNotificationService-a.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem\n",
            "https://sns..amazonaws.com/SimpleNotificationService-a.pem",
            "https://sns.us-east-1.amazonaws.com",
            "",
        ] {
            check(SNS, other, false);
        }
        check("https://a.test/certs/*", "https://a.test/certs/..", false);
        check(
            "https://a.test/certs/*",
            "https://a.test/certs/CERT-360caa42-fca2a594",
            true,
        );
        check("https://a.test/?*", "https://a.test/?Action=X&Token=1", true);
        check("https://a.test/?*", "https://a.test/?a#b", false);
    }

    #[test]
    fn what_is_not_a_pattern() {
        for text in [
            "http://a.test/x",
            "https://a.test",
            "https://test/x",
            "https://*.a.test/x",
            "https://a.{region}.test/x",
            "https://{region}.test/x",
            "https://A.test/x",
            "https://a.test:1/x",
            "https://a.test/**",
            "https://a.test/../x",
            "https://a.test/x?y",
        ] {
            assert!(AddressPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_id_is_only_a_name() {
        let source = KeySource {
            address: "https://a.test/keys/{kid}".into(),
            post: None,
            at: None,
            credential: None,
        };
        for kid in [None, Some(""), Some(".."), Some("a/b"), Some("a?b"), Some("a\"")] {
            assert_eq!(source.needs(kid), Err(SignatureError::Missing), "{kid:?}");
        }
        let needs = source.needs(Some("k-1")).unwrap();
        assert_eq!(needs.cache_key().as_deref(), Some("https://a.test/keys/k-1"));
    }
}
