//! A vendor's certificate, as far as its key, its names and its time go (RFC 5280 §4.1).
//!
//! Deliberately absent: whether its chain leads to a trusted root. That needs roots and a path builder, which the service
//! has; it says so with [`super::Fetched::certificate`].

use super::der::{self, KeyKind};
use crate::clock::Timestamp;

/// The longest file of certificates.
const MAX_BYTES: usize = 64 << 10;
/// The longest chain.
const MAX_CHAIN: usize = 8;

/// What a leaf certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// A `RSAPublicKey`: vendors sign with RSA alone.
    pub(super) rsa: Vec<u8>,
    /// Its host names, in lower case: the alternative names, or else the subject's common name.
    pub(super) names: Vec<String>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The certificates of a file, leaf first: PEM blocks, or one in DER.
pub(super) fn chain(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    if file.len() > MAX_BYTES {
        return None;
    }
    let Some(text) = std::str::from_utf8(file)
        .ok()
        .filter(|text| text.contains("-----BEGIN "))
    else {
        return Some(vec![file.to_vec()]);
    };
    let mut chain = Vec::new();
    for block in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let block = block.split("-----END").next().unwrap_or_default();
        let letters: String = block.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        chain.push(data_encoding::BASE64.decode(letters.as_bytes()).ok()?);
    }
    (1..=MAX_CHAIN).contains(&chain.len()).then_some(chain)
}

impl Certificate {
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (certificate, rest) = der::tagged(text, der::SEQUENCE)?;
        let (mut rest, _) = rest
            .is_empty()
            .then(|| der::tagged(certificate, der::SEQUENCE))??;
        if rest.first() == Some(&0xa0) {
            (_, rest) = der::tagged(rest, 0xa0)?;
        }
        let (_, rest) = der::tagged(rest, der::INTEGER)?;
        let (_, rest) = der::tagged(rest, der::SEQUENCE)?;
        let (_issuer, rest) = der::tagged(rest, der::SEQUENCE)?;
        let (validity, rest) = der::tagged(rest, der::SEQUENCE)?;
        let (subject, rest) = der::tagged(rest, der::SEQUENCE)?;
        let (_, _, after_key) = der::value(rest)?;
        let (kind, key) = der::public_key(rest)?;
        let (from, validity) = time(validity)?;
        let (until, _) = time(validity)?;
        let mut names = alternatives(after_key).unwrap_or_default();
        if names.is_empty() {
            names.extend(common_name(subject));
        }
        (kind == KeyKind::Rsa).then(|| Self {
            rsa: key.to_vec(),
            names,
            from,
            until,
        })
    }

    /// Whether it is one for a host, be it by a `*.` for its first label.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => name == host,
        })
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

/// A UTCTime or GeneralizedTime in their DER form, and what follows.
fn time(text: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = der::value(text)?;
    let digits = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = match (tag, digits.len()) {
        // RFC 5280 §4.1.2.5.1: years from 50 are of the last century.
        (0x17, 12) if digits < "5" => format!("20{digits}"),
        (0x17, 12) => format!("19{digits}"),
        (0x18, 14) => digits.to_owned(),
        _ => return None,
    };
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14)
    );
    let time: jiff::Timestamp = text.parse().ok()?;
    let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
    Some((Timestamp::from_millis(millis), rest))
}

fn common_name(subject: &[u8]) -> Option<String> {
    let mut rest = subject;
    let mut name = None;
    while !rest.is_empty() {
        let (set, tail) = der::tagged(rest, der::SET)?;
        rest = tail;
        let (pair, _) = der::tagged(set, der::SEQUENCE)?;
        let (object, value) = der::tagged(pair, der::OBJECT)?;
        if object == [0x55, 0x04, 0x03] {
            let (_, text, _) = der::value(value)?;
            name = Some(std::str::from_utf8(text).ok()?.to_ascii_lowercase());
        }
    }
    name
}

/// The dNSNames of the extension 2.5.29.17, in what follows the key.
fn alternatives(mut rest: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (tag, content, tail) = der::value(rest)?;
        rest = tail;
        if tag != 0xa3 {
            continue;
        }
        let (mut extensions, _) = der::tagged(content, der::SEQUENCE)?;
        while !extensions.is_empty() {
            let (extension, tail) = der::tagged(extensions, der::SEQUENCE)?;
            extensions = tail;
            let (object, mut value) = der::tagged(extension, der::OBJECT)?;
            if object != [0x55, 0x1d, 0x11] {
                continue;
            }
            if let Some((_critical, tail)) = der::tagged(value, 0x01) {
                value = tail;
            }
            let (inside, _) = der::tagged(value, der::OCTET_STRING)?;
            let (mut all, _) = der::tagged(inside, der::SEQUENCE)?;
            while !all.is_empty() {
                let (tag, name, tail) = der::value(all)?;
                all = tail;
                if tag == 0x82 {
                    names.push(std::str::from_utf8(name).ok()?.to_ascii_lowercase());
                }
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Certificate::read(&text);
            let _ = chain(&text);
        }
    }

    #[test]
    fn names() {
        let of = |name: &str| Certificate {
            rsa: vec![],
            names: vec![name.to_owned()],
            from: Timestamp::default(),
            until: Timestamp::default(),
        };
        assert!(of("sns.amazonaws.com").is_for("sns.amazonaws.com"));
        assert!(of("*.paypal.com").is_for("a.paypal.com"));
        assert!(!of("*.paypal.com").is_for("a.b.paypal.com"));
        assert!(!of("*.paypal.com").is_for("paypal.com"));
        assert!(!of("sns.amazonaws.com").is_for("xsns.amazonaws.com"));
    }
}
