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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signature::Request;

    #[test]
    fn what_is_not_a_template() {
        for (text, reason) in [
            ("", "nothing of the request"),
            ("{timestamp}", "nothing of the request"),
            ("{secret}", "nothing of the request"),
            ("{body}{body}", "twice"),
            ("{timestamp}.{timestamp}.{body}", "twice"),
            ("{header:x}{body}", "beside"),
            ("{body}{header:x}", "beside"),
            ("{timestamp}{url}.{body}", "beside"),
            ("{params}{body}", "beside"),
            ("{url:sorted}{body}", "beside"),
            ("{header:x}{header:y}", "beside"),
            ("{timestamp}0{body}", "digit"),
            ("{body}.1{timestamp}", "digit"),
            ("{uri}{body}", "nothing else"),
            ("{header:X-Id}.{body}", "nothing else"),
            ("{header:}.{body}", "nothing else"),
            ("{pointer:x}.{body}", "nothing else"),
            ("{body", "without"),
            ("body}", "without"),
            ("\n{body}", "control"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    struct Sent<'s> {
        method: &'s str,
        url: &'s str,
        id: &'s str,
        stamp: &'s str,
        body: &'s str,
    }

    const SENT: Sent<'static> = Sent {
        method: "POST",
        url: "https://h.test/w",
        id: "m",
        stamp: "1795000000",
        body: "{}",
    };

    fn fill(text: &str, unit: TimestampUnit, sent: &Sent<'_>) -> Option<String> {
        let headers = [("id".to_owned(), sent.id.to_owned())];
        let request = Request {
            method: sent.method,
            url: sent.url,
            headers: if sent.id.is_empty() { &[] } else { &headers },
            body: sent.body.as_bytes(),
        };
        let given = Given {
            timestamp: Some(sent.stamp),
            unit,
            secret: "s",
            is_digested: false,
        };
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let signed = template.fill(&View::new(&request), &given)?;
        String::from_utf8(signed).ok()
    }

    #[test]
    fn a_value_that_moves_a_border_is_refused() {
        use TimestampUnit::{Millis, Rfc3339, Seconds};
        let check = |text: &str, unit, sent: &Sent<'_>, expected: Option<&str>| {
            assert_eq!(fill(text, unit, sent).as_deref(), expected, "{text}");
        };
        let dotted = "{header:id}.{timestamp}.{body}";
        check(dotted, Seconds, &SENT, Some("m.1795000000.{}"));
        check(dotted, Seconds, &Sent { id: "m.1", ..SENT }, None);
        check(dotted, Seconds, &Sent { id: "", ..SENT }, None);
        check("{timestamp}{body}", Seconds, &SENT, Some("1795000000{}"));
        check(
            "{timestamp}{body}",
            Seconds,
            &Sent {
                stamp: "179500000",
                ..SENT
            },
            None,
        );
        check(
            "{timestamp}{body}",
            Seconds,
            &Sent {
                stamp: "1795000000000",
                ..SENT
            },
            None,
        );
        check(
            "{timestamp}{body}",
            Millis,
            &Sent {
                stamp: "1795000000000",
                ..SENT
            },
            Some("1795000000000{}"),
        );
        let zulu = Sent {
            stamp: "2026-11-18T12:26:40-07:00",
            ..SENT
        };
        check(
            "{body}{timestamp}",
            Rfc3339,
            &zulu,
            Some("{}2026-11-18T12:26:40-07:00"),
        );
        for stamp in ["", "-5", "5.0", "+5", " 5", "5e3", "99999999999999999999"] {
            check("{timestamp}.{body}", Seconds, &Sent { stamp, ..SENT }, None);
        }
        check("{url}{body}", Seconds, &SENT, Some("https://h.test/w{}"));
        check("{body}{url}", Seconds, &SENT, Some("{}https://h.test/w"));
        check("{url}{body}", Seconds, &Sent { body: "a", ..SENT }, None);
        check("{body}{url}", Seconds, &Sent { body: "a", ..SENT }, None);
        check(
            "{url}{body}",
            Seconds,
            &Sent {
                url: "https://h.test/{",
                ..SENT
            },
            None,
        );
        check("{url}{body}", Seconds, &Sent { url: "", ..SENT }, None);
        let hubspot = "{method}{url:decoded}{body}{timestamp}";
        check(
            hubspot,
            Millis,
            &Sent {
                stamp: "1795000000000",
                ..SENT
            },
            Some("POSThttps://h.test/w{}1795000000000"),
        );
        check(
            hubspot,
            Millis,
            &Sent {
                method: "post",
                stamp: "1795000000000",
                ..SENT
            },
            None,
        );
        check(
            "{header:id}|{timestamp}|{secret}|{crc32}",
            Seconds,
            &SENT,
            Some("m|1795000000|s|2745614147"),
        );
        check(
            "{header:id}|{timestamp}|{secret}|{crc32}",
            Seconds,
            &Sent { id: "m|", ..SENT },
            None,
        );
        check(
            "{url:sorted}.{header:id}",
            Seconds,
            &Sent { body: "", ..SENT },
            Some("https://h.test/w.m"),
        );
        check(
            "{url:sorted}.{header:id}",
            Seconds,
            &Sent {
                body: "",
                id: "m.n",
                ..SENT
            },
            None,
        );
    }

    fn any_template() -> impl Strategy<Value = Template> {
        let before = prop::collection::vec(
            prop_oneof![
                Just("{timestamp}"),
                Just("{header:a}"),
                Just("{header:b}"),
                Just("{url}"),
                Just("{method}")
            ],
            0..3,
        );
        let literal = || prop::collection::vec("[.:v]{0,2}", 8);
        let body = prop_oneof![4 => Just(Some("{body}")), 1 => Just(None)];
        (before.clone(), body, before, literal()).prop_filter_map(
            "parses",
            |(before, body, after, literals)| {
                let mut literals = literals.iter();
                let mut text = String::new();
                for part in before.iter().copied().chain(body).chain(after) {
                    text.push_str(literals.next().map_or("", String::as_str));
                    text.push_str(part);
                }
                Template::parse(&text).ok()
            },
        )
    }

    /// Every template that a vendor of REQUIREMENTS §8 has and that does not put names and values beside each other.
    fn vendors_template() -> impl Strategy<Value = Template> {
        let texts = [
            "{body}",
            "{timestamp}.{body}",
            "{timestamp}:{body}",
            "v0:{timestamp}:{body}",
            "{header:a}.{timestamp}.{body}",
            "{timestamp}{body}",
            "{body}{timestamp}",
            "hmacsha256={body}",
            "{url}{body}",
            "{body}{url}",
            "{method}{url}{body}{timestamp}",
            "{header:a}|{method}|{url}|{header:b}",
            "{timestamp}{header:a}",
        ];
        prop::sample::select(texts.to_vec()).prop_map(|text| Template::parse(text).unwrap())
    }

    type Values = (String, u8, String, String, String, String);

    fn any_values() -> impl Strategy<Value = Values> {
        (
            "[.:v1{}]{0,4}",
            0u8..20,
            "[.:v1|]{0,2}",
            "[.:v1|]{0,2}",
            "[.:v1{}]{1,3}",
            prop_oneof![Just("GET".to_owned()), Just("G".to_owned())],
        )
    }

    fn filled(template: &Template, (body, stamp, a, b, url, method): &Values) -> Option<Vec<u8>> {
        let headers = [("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())];
        let request = Request {
            method,
            url,
            headers: &headers,
            body: body.as_bytes(),
        };
        let stamp = (1_111_111_111 + u64::from(*stamp)).to_string();
        let given = Given {
            timestamp: Some(&stamp),
            unit: TimestampUnit::Seconds,
            secret: "s",
            is_digested: false,
        };
        template.fill(&View::new(&request), &given)
    }

    fn used(template: &Template, (body, stamp, a, b, url, method): &Values) -> Vec<Option<String>> {
        let has = |part: Part, text: &str| template.parts().contains(&part).then(|| text.to_owned());
        vec![
            has(Part::Body, body),
            has(Part::Timestamp, &stamp.to_string()),
            has(Part::Value(Place::Header("a".into())), a),
            has(Part::Value(Place::Header("b".into())), b),
            has(Part::Url, url),
            has(Part::Method, method),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, max_global_rejects: 200_000, ..ProptestConfig::default() })]

        /// Two webhooks that differ in the body, the time or another signed part differ in what is signed.
        #[test]
        fn templates_are_injective(
            template in prop_oneof![any_template(), vendors_template()],
            one in any_values(),
            two in any_values(),
        ) {
            if let (Some(first), Some(second)) = (filled(&template, &one), filled(&template, &two)) {
                prop_assert_eq!(first == second, used(&template, &one) == used(&template, &two));
            }
        }

        #[test]
        fn reading_never_panics(text in "[{}:a-z.]{0,40}") {
            let _ = Template::parse(&text);
        }
    }

    /// Twilio and Plivo put names and values beside each other, and Authy flattens, so that two bodies can have one
    /// signature. Whoever has one genuine webhook could move a border in it; nothing that a receiver does can mend that.
    #[test]
    fn the_vendors_own_ambiguity() {
        let form = [(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        )];
        let given = Given {
            timestamp: None,
            unit: TimestampUnit::Seconds,
            secret: "",
            is_digested: false,
        };
        let fill = |text: &str, headers: &[(String, String)], body: &str| {
            let request = Request {
                method: "POST",
                url: "https://h.test/",
                headers,
                body: body.as_bytes(),
            };
            Template::parse(text).unwrap().fill(&View::new(&request), &given)
        };
        for text in ["{url}{params}", "{url:sorted}"] {
            assert_eq!(fill(text, &form, "a=bc"), fill(text, &form, "ab=c"), "{text}");
            assert_ne!(fill(text, &form, "a=bc"), fill(text, &form, "a=bd"), "{text}");
            assert_eq!(fill(text, &[], "{}"), None, "{text}: no form");
        }
        let encoded = "{method}|{params:encoded}";
        assert_eq!(
            fill(encoded, &[], r#"{"a":1}"#),
            fill(encoded, &[], r#"{"a":"1"}"#)
        );
        assert_ne!(fill(encoded, &[], r#"{"a":1}"#), fill(encoded, &[], r#"{"a":2}"#));
        assert_eq!(fill(encoded, &[], "not JSON"), None);
    }
}
