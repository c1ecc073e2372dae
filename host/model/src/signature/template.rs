//! What is signed: a text with the timestamp, parts of the request and the body in it.
//!
//! What must always hold: two different webhooks never give the same signed bytes. One part, the pivot, may be anything:
//! the body, or else the URL, or else the last part. A part before it ends at the first character of the literal behind
//! it and therefore must not have that character in it; a part behind it begins after the last character of the literal
//! before it and must not have that one in it. Where vendors put no text between two parts, their forms have to tell them
//! apart: a timestamp has a fixed width or format, a method has capital letters only, and a URL beside the body has none
//! of the characters with which the body begins or ends. Deliberately weaker, because the vendor's form is:
//! [`Part::Params`] and [`Part::UrlSorted`] put names and values beside each other, [`Part::ParamsEncoded`] does not tell
//! `1` from `"1"`, and [`Part::Crc32`] is a checksum.

use super::place::{Place, View};
use super::{TimestampUnit, crc32, url};

/// The longest template.
const MAX_TEMPLATE_BYTES: usize = 256;
/// The most parts of a template.
const MAX_PARTS: usize = 16;

/// The layout of a signed text, e.g. `v0:{timestamp}:{body}`; `{header:svix-id}` stands for a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A part of a signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Literal(String),
    /// `{timestamp}`: the time as it was sent.
    Timestamp,
    /// `{header:x}`, `{query:x}`, `{form:x}`, `{pointer:/x}`: the value there.
    Value(Place),
    /// `{method}`: in capital letters.
    Method,
    /// `{url}`: as the sender used it, with its query.
    Url,
    /// `{url:decoded}`: with the characters decoded that HubSpot names.
    UrlDecoded,
    /// `{url:base}`: without its query.
    UrlBase,
    /// `{url:sorted}`: with its parameters sorted, and those of a form behind a dot, as Plivo does.
    UrlSorted,
    /// `{params}`: names and values of a form, sorted and without anything between them, as Twilio does.
    Params,
    /// `{params:encoded}`: a form's or an object's values sorted and URL-encoded, as Authy does.
    ParamsEncoded,
    /// `{crc32}`: the body's CRC-32 in decimal, as PayPal does.
    Crc32,
    /// `{secret}`: the hook's secret, where it is an id that both know and not the key.
    Secret,
    /// `{body}`: byte by byte.
    Body,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

/// What a template is filled with beside the request.
#[derive(Clone, Copy)]
pub(super) struct Given<'g> {
    pub(super) timestamp: Option<&'g str>,
    pub(super) unit: TimestampUnit,
    pub(super) secret: &'g str,
    /// Whether the body is vouched for by a digest in the URL, so that it is no form that is signed.
    pub(super) is_digested: bool,
}

impl Template {
    /// The body alone: family 1.
    #[must_use]
    pub fn body() -> Self {
        Self(vec![Part::Body])
    }

    /// Reads a template of at most 256 bytes and 16 parts, with something of the request in it.
    ///
    /// # Errors
    ///
    /// When a placeholder is unknown or not closed, one is there twice, or two parts stand beside each other whose forms
    /// don't tell them apart: two webhooks could then have one signature.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |reason: &str| Err(TemplateError(reason.to_owned()));
        if text.len() > MAX_TEMPLATE_BYTES {
            return error("is longer than 256 bytes");
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            push_literal(&mut parts, literal)?;
            let Some((name, tail)) = tail.split_once('}') else {
                return error("has a `{` without its `}`");
            };
            parts.push(placeholder(name)?);
            rest = tail;
        }
        push_literal(&mut parts, rest)?;
        let mut variable = parts.iter().filter(|part| !matches!(part, Part::Literal(_)));
        if !parts.iter().any(Part::is_of_request) {
            return error("takes nothing of the request");
        }
        if let Some(twice) = variable.find(|part| parts.iter().filter(|other| other == part).count() > 1) {
            return Err(TemplateError(format!("has {} twice", twice.shown())));
        }
        if parts.len() > MAX_PARTS {
            return error("has more than 16 parts");
        }
        let pairs = || parts.iter().zip(parts.iter().skip(1));
        if !pairs().all(|(one, other)| one.is_apart(other)) {
            return error("has two parts beside each other: put a text between them");
        }
        let digits = pairs().any(|pair| match pair {
            (Part::Timestamp, Part::Literal(text)) => text.starts_with(|c: char| c.is_ascii_digit()),
            (Part::Literal(text), Part::Timestamp) => text.ends_with(|c: char| c.is_ascii_digit()),
            _ => false,
        });
        if digits {
            return error("has a digit beside the timestamp");
        }
        Ok(Self(parts))
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether the time is signed.
    #[must_use]
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }

    /// Whether the hook's own secret is signed.
    pub(super) fn has_secret(&self) -> bool {
        self.0.contains(&Part::Secret)
    }

    /// Whether the whole body is signed, be it as its parameters or its checksum.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        let covers = |part: &Part| {
            matches!(
                part,
                Part::Body | Part::Params | Part::ParamsEncoded | Part::UrlSorted | Part::Crc32
            )
        };
        self.0.iter().any(covers)
    }

    /// Whether the sender's URL is signed.
    #[must_use]
    pub fn needs_url(&self) -> bool {
        self.0.iter().any(Part::is_url)
    }

    /// The part that may be anything, because all others are told apart from their side.
    fn pivot(&self) -> usize {
        let at = |wanted: fn(&Part) -> bool| self.0.iter().position(wanted);
        at(|part| *part == Part::Body)
            .or_else(|| at(Part::is_url))
            .or_else(|| self.0.iter().rposition(|part| !matches!(part, Part::Literal(_))))
            .unwrap_or_default()
    }

    /// The signed bytes; nothing if a value is missing or has a character in it that would move a border.
    pub(super) fn fill(&self, view: &View<'_>, given: &Given<'_>) -> Option<Vec<u8>> {
        let mut signed = Vec::with_capacity(view.request.body.len().min(1 << 20) + 128);
        let pivot = self.pivot();
        for (at, part) in self.0.iter().enumerate() {
            let value = match part {
                Part::Literal(text) => {
                    signed.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Body => {
                    signed.extend_from_slice(view.request.body);
                    continue;
                }
                other => other.value(view, given)?,
            };
            let before = at.checked_sub(1).and_then(|before| self.0.get(before));
            let kept = match at.cmp(&pivot) {
                std::cmp::Ordering::Equal => true,
                std::cmp::Ordering::Less => part.ends_before(&value, self.0.get(at + 1), view, given),
                std::cmp::Ordering::Greater => part.begins_behind(&value, before, view, given),
            };
            if !kept {
                return None;
            }
            signed.extend_from_slice(value.as_bytes());
        }
        Some(signed)
    }
}

impl Part {
    fn is_of_request(&self) -> bool {
        !matches!(self, Self::Literal(_) | Self::Timestamp | Self::Secret)
    }

    fn is_url(&self) -> bool {
        matches!(
            self,
            Self::Url | Self::UrlDecoded | Self::UrlBase | Self::UrlSorted
        )
    }

    /// Whether a reader of the signed text can tell where this part ends and the next begins.
    fn is_apart(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Literal(_), _) | (_, Self::Literal(_)) => true,
            // The token of Mailgun follows the time at once.
            (Self::Timestamp, Self::Body | Self::Value(_)) | (Self::Body, Self::Timestamp) => true,
            (Self::Method, url) => url.is_url(),
            (Self::Body, url) | (url, Self::Body) => url.is_url() && *url != Self::UrlSorted,
            (Self::Url, Self::Params) => true,
            _ => false,
        }
    }

    fn value(&self, view: &View<'_>, given: &Given<'_>) -> Option<String> {
        let url = view.request.url;
        let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self {
            Self::Literal(_) | Self::Body => None,
            Self::Timestamp => given
                .timestamp
                .filter(|text| given.unit.has_form(text))
                .and_then(owned),
            Self::Value(place) => view.only(place).map(std::borrow::Cow::into_owned),
            Self::Method => {
                let letters = view.request.method.bytes().all(|byte| byte.is_ascii_uppercase());
                letters.then_some(view.request.method).and_then(owned)
            }
            Self::Url => owned(url),
            Self::UrlDecoded => owned(&url::hubspot(url)),
            Self::UrlBase => owned(url::base(url)),
            Self::UrlSorted => url::plivo(view).filter(|_| !url.is_empty()),
            Self::Params if given.is_digested || view.request.body.is_empty() => Some(String::new()),
            Self::Params => view.form().map(url::twilio),
            Self::ParamsEncoded => url::encoded(view),
            Self::Crc32 => Some(crc32::of(view.request.body).to_string()),
            Self::Secret => owned(given.secret),
        }
    }

    /// Whether the end of a value before the pivot is seen.
    fn ends_before(&self, value: &str, next: Option<&Self>, view: &View<'_>, given: &Given<'_>) -> bool {
        match next {
            Some(Self::Literal(text)) => text.chars().next().is_none_or(|border| !value.contains(border)),
            _ if *self == Self::Timestamp => given.unit.is_fixed(value),
            _ if *self == Self::Method => true,
            Some(Self::Body) => {
                let first = view.request.body.first();
                url::is_plain(value) && first.is_none_or(|first| !url::is_plain_byte(*first))
            }
            _ => false,
        }
    }

    /// Whether the beginning of a value behind the pivot is seen.
    fn begins_behind(&self, value: &str, before: Option<&Self>, view: &View<'_>, given: &Given<'_>) -> bool {
        match before {
            Some(Self::Literal(text)) => {
                let border = text.chars().next_back();
                border.is_none_or(|border| !value.contains(border))
            }
            _ if *self == Self::Timestamp => given.unit.is_fixed(value),
            _ if *self == Self::Params => true,
            Some(Self::Body) => {
                let last = view.request.body.last();
                url::is_plain(value) && last.is_none_or(|last| !url::is_plain_byte(*last))
            }
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Literal(_) => "a text".to_owned(),
            Self::Timestamp => "`{timestamp}`".to_owned(),
            Self::Body => "`{body}`".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

fn placeholder(name: &str) -> Result<Part, TemplateError> {
    Ok(match name {
        "body" => Part::Body,
        "timestamp" => Part::Timestamp,
        "method" => Part::Method,
        "url" => Part::Url,
        "url:decoded" => Part::UrlDecoded,
        "url:base" => Part::UrlBase,
        "url:sorted" => Part::UrlSorted,
        "params" => Part::Params,
        "params:encoded" => Part::ParamsEncoded,
        "crc32" => Part::Crc32,
        "secret" => Part::Secret,
        _ => {
            let place = name.split_once(':').and_then(|(kind, key)| {
                let named = is_field_name(key);
                match kind {
                    "header" => is_header_name(key).then(|| Place::Header(key.to_owned())),
                    "query" => named.then(|| Place::Query(key.to_owned())),
                    "form" => named.then(|| Place::Form(key.to_owned())),
                    "pointer" => {
                        crate::manifest::words::is_pointer(key).then(|| Place::Pointer(key.to_owned()))
                    }
                    _ => None,
                }
            });
            let known = "may have `{body}`, `{timestamp}`, `{header:name}` in lower case, `{query:name}`, `{form:name}`, \
                         `{pointer:/name}`, `{method}`, `{url}`, `{url:base}`, `{url:decoded}`, `{url:sorted}`, `{params}`, \
                         `{params:encoded}`, `{crc32}` and `{secret}` in it, nothing else";
            Part::Value(place.ok_or_else(|| TemplateError(known.to_owned()))?)
        }
    })
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateError> {
    if text.contains('}') || text.chars().any(char::is_control) {
        return Err(TemplateError(
            "has a `}` without its `{`, or a control character".to_owned(),
        ));
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Ok(())
}

/// A field name (RFC 9110 §5.1) in lower case.
pub(crate) fn is_header_name(name: &str) -> bool {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(letter)
}

/// The name of a parameter or of a form's field.
pub(crate) fn is_field_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(letter)
}

#[cfg(test)]
mod tests;
