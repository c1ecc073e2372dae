//! What is signed: a text with the timestamp, headers and the body in it.
//!
//! What must always hold: two different webhooks never give the same signed bytes. A part before the body ends at the
//! first character of the literal behind it and therefore must not have that character in it; a part behind the body
//! begins after the last character of the literal before it and must not have that one in it. A timestamp directly
//! before the body has a fixed width.

/// The longest template.
const MAX_TEMPLATE_BYTES: usize = 256;
/// The most parts of a template.
const MAX_PARTS: usize = 16;
/// Digits of a timestamp in seconds from 2001 to 2286, and in milliseconds.
const FIXED_WIDTHS: [usize; 2] = [10, 13];

/// The layout of a signed text, e.g. `v0:{timestamp}:{body}`; `{header:svix-id}` stands for a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A part of a signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Literal(String),
    /// The timestamp's digits, as they were sent.
    Timestamp,
    /// The value of this header, in lower case.
    Header(String),
    /// The body, byte by byte.
    Body,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// The body alone: family 1.
    #[must_use]
    pub fn body() -> Self {
        Self(vec![Part::Body])
    }

    /// Reads a template of at most 256 bytes and 16 parts, with exactly one `{body}` and at most one `{timestamp}`.
    ///
    /// # Errors
    ///
    /// When a placeholder is unknown or not closed, the body is missing or there twice, or two parts stand beside each
    /// other without a text between them: two webhooks could then have one signature.
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
            parts.push(match name {
                "body" => Part::Body,
                "timestamp" => Part::Timestamp,
                _ => match name.strip_prefix("header:") {
                    Some(header) if is_header_name(header) => Part::Header(header.to_owned()),
                    _ => return error("may have `{body}`, `{timestamp}` and `{header:name}` in lower case in it, nothing else"),
                },
            });
            rest = tail;
        }
        push_literal(&mut parts, rest)?;
        let count = |part: &Part| parts.iter().filter(|other| *other == part).count();
        if count(&Part::Body) != 1 {
            return error("needs `{body}` exactly once");
        }
        if count(&Part::Timestamp) > 1 {
            return error("has `{timestamp}` twice");
        }
        if parts.len() > MAX_PARTS {
            return error("has more than 16 parts");
        }
        let apart = |pair: (&Part, &Part)| {
            matches!(
                pair,
                (Part::Literal(_), _) | (_, Part::Literal(_)) | (Part::Timestamp, Part::Body)
            )
        };
        let beside = !parts.iter().zip(parts.iter().skip(1)).all(apart);
        if beside {
            return error("has two parts beside each other: put a text between them");
        }
        let digits = parts.iter().zip(parts.iter().skip(1)).any(|pair| match pair {
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

    /// The signed bytes; nothing if a value is missing or has a character in it that would move a border.
    pub(super) fn fill<'v>(
        &self,
        body: &[u8],
        timestamp: Option<&str>,
        header: impl Fn(&str) -> Option<&'v str>,
    ) -> Option<Vec<u8>> {
        let mut signed = Vec::with_capacity(body.len() + 128);
        let mut before_body = true;
        let mut parts = self.0.iter().peekable();
        let mut previous: Option<&str> = None;
        while let Some(part) = parts.next() {
            let value = match part {
                Part::Literal(text) => {
                    signed.extend_from_slice(text.as_bytes());
                    previous = Some(text);
                    continue;
                }
                Part::Body => {
                    signed.extend_from_slice(body);
                    before_body = false;
                    continue;
                }
                Part::Timestamp => timestamp.filter(|digits| is_digits(digits))?,
                Part::Header(name) => header(name)?,
            };
            let border = match (before_body, parts.peek()) {
                (true, Some(Part::Literal(text))) => text.chars().next(),
                (true, _) if FIXED_WIDTHS.contains(&value.len()) => None,
                (true, _) => return None,
                (false, _) => previous.and_then(|text| text.chars().next_back()),
            };
            if border.is_some_and(|border| value.contains(border)) {
                return None;
            }
            signed.extend_from_slice(value.as_bytes());
        }
        Some(signed)
    }
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

fn is_digits(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_template() {
        for (text, reason) in [
            ("", "exactly once"),
            ("{timestamp}", "exactly once"),
            ("{body}{body}", "exactly once"),
            ("{timestamp}.{timestamp}.{body}", "twice"),
            ("{header:x}{body}", "beside"),
            ("{body}{timestamp}", "beside"),
            ("{timestamp}{header:x}.{body}", "beside"),
            ("{timestamp}0{body}", "digit"),
            ("{body}.1{timestamp}", "digit"),
            ("{url}{body}", "nothing else"),
            ("{header:X-Id}.{body}", "nothing else"),
            ("{header:}.{body}", "nothing else"),
            ("{body", "without"),
            ("body}", "without"),
            ("\n{body}", "control"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_that_moves_a_border_is_refused() {
        let fill = |text: &str, stamp: &str, id: &str| {
            let signed = Template::parse(text)
                .unwrap()
                .fill(b"x", Some(stamp), |_| Some(id).filter(|id| !id.is_empty()));
            signed.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(
            fill("{header:id}.{timestamp}.{body}", "5", "m"),
            Some("m.5.x".to_owned())
        );
        assert_eq!(fill("{header:id}.{timestamp}.{body}", "5", "m.1"), None);
        assert_eq!(fill("{header:id}.{timestamp}.{body}", "5", ""), None);
        assert_eq!(
            fill("{timestamp}{body}", "1795000000", ""),
            Some("1795000000x".to_owned())
        );
        assert_eq!(fill("{timestamp}{body}", "179500000", ""), None);
        for stamp in ["", "-5", "5.0", "+5", " 5", "5e3", "99999999999999999999"] {
            assert_eq!(fill("{timestamp}.{body}", stamp, ""), None, "{stamp}");
        }
    }

    fn any_template() -> impl Strategy<Value = Template> {
        let before = prop::collection::vec(
            prop_oneof![Just("{timestamp}"), Just("{header:a}"), Just("{header:b}")],
            0..3,
        );
        let literal = || prop::collection::vec("[.:v]{0,2}", 8);
        (before.clone(), before, literal()).prop_filter_map("parses", |(before, after, literals)| {
            let mut literals = literals.iter();
            let mut text = String::new();
            for part in before.iter().copied().chain(["{body}"]).chain(after) {
                text.push_str(literals.next().map_or("", String::as_str));
                text.push_str(part);
            }
            Template::parse(&text).ok()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

        /// Two webhooks that differ in the body, the time or a signed header differ in what is signed.
        #[test]
        fn templates_are_injective(
            template in any_template(),
            one in ("[.:v1]{0,4}", "[1]{1,3}", "[.:v1]{0,2}", "[.:v1]{0,2}"),
            two in ("[.:v1]{0,4}", "[1]{1,3}", "[.:v1]{0,2}", "[.:v1]{0,2}"),
        ) {
            fn fill(template: &Template, (body, stamp, a, b): &(String, String, String, String)) -> Option<Vec<u8>> {
                template.fill(body.as_bytes(), Some(stamp), |name| Some(if name == "a" { a } else { b }))
            }
            let used = |(body, stamp, a, b): &(String, String, String, String)| {
                let has = |part: &Part| template.parts().contains(part);
                (
                    body.clone(),
                    has(&Part::Timestamp).then(|| stamp.clone()),
                    has(&Part::Header("a".into())).then(|| a.clone()),
                    has(&Part::Header("b".into())).then(|| b.clone()),
                )
            };
            if let (Some(first), Some(second)) = (fill(&template, &one), fill(&template, &two)) {
                prop_assert_eq!(first == second, used(&one) == used(&two));
            }
        }

        #[test]
        fn reading_never_panics(text in "[{}:a-z.]{0,40}") {
            let _ = Template::parse(&text);
        }
    }
}
