//! Puts the secrets of placeholders on one request, where they may go.

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use std::sync::Arc;

use crate::error::Error;
use crate::header::refuse;
use crate::place::{Place, percent};
use crate::placeholder::{Held, PREFIX};
use crate::splice::{Needle, Splice};

/// The placeholders of a call, sorted by whether they may go to one place.
pub(crate) struct Placed<'a> {
    bound: Vec<&'a (String, Arc<Held>)>,
    unbound: Vec<&'a (String, Arc<Held>)>,
    origin: String,
}

impl<'a> Placed<'a> {
    pub(crate) fn new(all: &'a [(String, Arc<Held>)], place: &Place) -> Self {
        let is_bound = |held: &Held| held.origins.iter().any(|origin| origin.matches(place));
        let (bound, unbound) = all.iter().partition(|(_, held)| is_bound(held));
        Self {
            bound,
            unbound,
            origin: place.origin(),
        }
    }

    /// Replaces in header values. A field with a secret that may not go there is an error, or with `dropping` left out.
    pub(crate) fn headers(&self, headers: &mut HeaderMap, dropping: bool) -> Result<(), Error> {
        let mut out = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers.iter() {
            let basic = if name == AUTHORIZATION {
                basic(value.as_bytes())
            } else {
                None
            };
            let text = basic
                .as_ref()
                .map_or(value.as_bytes(), |decoded| decoded.as_slice());
            if !contains(text) {
                out.append(name, value.clone());
                continue;
            }
            let replaced = match self.replace(text, |secret| Zeroizing::new(secret.to_vec())) {
                Ok(replaced) => replaced,
                Err(_) if dropping => continue,
                Err(error) => return Err(error),
            };
            let replaced = match basic {
                Some(_) => Zeroizing::new(format!("Basic {}", BASE64.encode(&replaced)).into_bytes()),
                None => replaced,
            };
            let mut value = HeaderValue::from_bytes(&replaced)
                .map_err(|_| refuse("a secret has characters that no header may carry"))?;
            value.set_sensitive(true);
            out.append(name, value);
        }
        *headers = out;
        Ok(())
    }

    /// Replaces in the query, percent-encoded.
    pub(crate) fn query(&self, place: &mut Place) -> Result<(), Error> {
        let Some(query) = place.query().filter(|query| contains(query.as_bytes())) else {
            return Ok(());
        };
        let replaced = self.replace(query.as_bytes(), |secret| {
            Zeroizing::new(percent(&String::from_utf8_lossy(secret)).into_bytes())
        })?;
        let text = std::str::from_utf8(&replaced).map_err(|_| refuse("a secret cannot stand in a query"))?;
        place.set_query(text);
        Ok(())
    }

    /// Replaces in a whole body.
    pub(crate) fn body(&self, body: &Bytes) -> Result<Bytes, Error> {
        if !contains(body) {
            return Ok(body.clone());
        }
        Ok(Bytes::copy_from_slice(
            &self.replace(body, |secret| Zeroizing::new(secret.to_vec()))?,
        ))
    }

    /// Whether there is anything that it would replace.
    pub(crate) fn replaces(&self) -> bool {
        !self.bound.is_empty()
    }

    /// The replacer for a body that is sent as it comes, and the one that finds what may not be in it.
    pub(crate) fn streams(&self) -> (Splice, Splice, Error) {
        let plain = |(token, held): &(String, Arc<Held>)| Needle {
            find: Zeroizing::new(token.clone().into_bytes()),
            put: Zeroizing::new(held.secret.expose().to_vec()),
        };
        let bound = Splice::new(self.bound.iter().copied().map(plain));
        let unbound = Splice::new(self.unbound.iter().map(|(token, _)| Needle {
            find: Zeroizing::new(token.clone().into_bytes()),
            put: Zeroizing::new(Vec::new()),
        }));
        let name = self
            .unbound
            .first()
            .map(|(_, held)| held.name.clone())
            .unwrap_or_default();
        (bound, unbound, self.mismatch(name))
    }

    fn replace(
        &self,
        text: &[u8],
        write: impl Fn(&[u8]) -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let forbidden = self
            .unbound
            .iter()
            .find(|(token, _)| find(text, token.as_bytes()).is_some());
        if let Some((_, held)) = forbidden {
            return Err(self.mismatch(held.name.clone()));
        }
        let mut out = Zeroizing::new(Vec::with_capacity(text.len() + 64));
        let mut rest = text;
        while let Some(at) = find(rest, PREFIX.as_bytes()) {
            let (before, tail) = rest.split_at(at);
            out.extend_from_slice(before);
            let known = self
                .bound
                .iter()
                .find(|(token, _)| tail.starts_with(token.as_bytes()));
            rest = match known {
                Some((token, held)) => {
                    out.extend_from_slice(&write(held.secret.expose()));
                    tail.get(token.len()..).unwrap_or_default()
                }
                None => {
                    let (prefix, tail) = tail.split_at(PREFIX.len().min(tail.len()));
                    out.extend_from_slice(prefix);
                    tail
                }
            };
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    fn mismatch(&self, name: String) -> Error {
        Error::OriginMismatch {
            name,
            origin: self.origin.clone(),
        }
    }
}

/// Whether an `Authorization` field is more than a text of the guest's own.
pub(crate) fn is_placeholder_only(value: &HeaderValue, all: &[(String, Arc<Held>)]) -> bool {
    let basic = basic(value.as_bytes());
    let text = basic
        .as_ref()
        .map_or(value.as_bytes(), |decoded| decoded.as_slice());
    all.iter()
        .any(|(token, _)| find(text, token.as_bytes()).is_some())
}

/// What `Basic` credentials say (RFC 7617).
fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64.decode(encoded.trim_ascii()).ok()
}

fn contains(text: &[u8]) -> bool {
    find(text, PREFIX.as_bytes()).is_some()
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::capability::{HostPattern, Scheme};
    use sluice_model::secret::Secret;

    use super::*;
    use crate::credential::Origin;
    use crate::placeholder::Placeholders;

    fn held(host: &str) -> Held {
        let host = HostPattern::parse(host).unwrap();
        Held {
            name: "key".into(),
            secret: Secret::new(b"p&ss word".to_vec()),
            origins: vec![Origin {
                scheme: Scheme::Https,
                host,
                port: 443,
            }],
        }
    }

    #[test]
    fn everywhere_it_may_go() {
        let placeholders = Placeholders::default();
        let token = placeholders.insert(held("x.com")).unwrap();
        let all = placeholders.all();
        let mut place = Place::parse(&format!("https://x.com/{token}?a={token}&b=1")).unwrap();
        let placed = Placed::new(&all, &place);

        placed.query(&mut place).unwrap();
        assert_eq!(
            place.path_and_query().unwrap(),
            format!("/{token}?a=p%26ss%20word&b=1").as_str()
        );

        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_str(&format!("<{token}>")).unwrap());
        let basic = format!("Basic {}", BASE64.encode(format!("u:{token}").as_bytes()));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
        assert!(is_placeholder_only(&headers[AUTHORIZATION], &all));
        placed.headers(&mut headers, false).unwrap();
        assert_eq!(headers["x-a"], "<p&ss word>");
        assert!(headers["x-a"].is_sensitive());
        assert_eq!(
            headers[AUTHORIZATION],
            format!("Basic {}", BASE64.encode(b"u:p&ss word")).as_str()
        );

        assert_eq!(
            placed.body(&Bytes::from(format!("{token}{token}"))).unwrap(),
            "p&ss wordp&ss word"
        );
    }

    #[test]
    fn nowhere_else() {
        let placeholders = Placeholders::default();
        let token = placeholders.insert(held("y.com")).unwrap();
        let all = placeholders.all();
        let mut place = Place::parse(&format!("https://x.com/?a={token}")).unwrap();
        let placed = Placed::new(&all, &place);
        assert_eq!(
            placed.query(&mut place).unwrap_err().code(),
            "secret.origin_mismatch"
        );
        assert_eq!(
            placed.body(&Bytes::from(token.clone())).unwrap_err().code(),
            "secret.origin_mismatch"
        );
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_str(&token).unwrap());
        assert_eq!(
            placed.headers(&mut headers.clone(), false).unwrap_err().code(),
            "secret.origin_mismatch"
        );
        placed.headers(&mut headers, true).unwrap();
        assert!(headers.is_empty());
    }

    #[test]
    fn unknown_tokens_mean_nothing() {
        let place = Place::parse("https://x.com/").unwrap();
        let text = Bytes::from(format!("{PREFIX}0123 {PREFIX}"));
        assert_eq!(Placed::new(&[], &place).body(&text).unwrap(), text);
    }
}
