//! Redaction: known secrets are taken out of what comes back, in every form in which a server would echo them.
//!
//! This is the second wall. The first is that a connector never holds a secret; this one stands for servers that answer
//! with what they were sent.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, HEXLOWER, HEXUPPER};
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

use crate::splice::{Needle, Splice};

/// Secrets shorter than this, in bytes, are not looked for: they would be found in every answer.
pub const MIN_SECRET_BYTES: usize = 4;

/// What is known and what it is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Vec<(String, Secret)>);

impl Known {
    pub(crate) fn add(&mut self, name: &str, secret: Secret) {
        let listed = self.0.iter().any(|(_, known)| *known == secret);
        if !listed && secret.expose().len() >= MIN_SECRET_BYTES {
            self.0.push((name.to_owned(), secret));
        }
    }

    /// A replacer of everything that is known.
    pub(crate) fn redactor(&self) -> Splice {
        Splice::new(self.0.iter().flat_map(|(name, secret)| {
            let put = format!("[redacted:{name}]").into_bytes();
            echoes(secret.expose())
                .into_iter()
                .filter(|find| find.len() >= MIN_SECRET_BYTES)
                .map(move |find| Needle {
                    find,
                    put: Zeroizing::new(put.clone()),
                })
        }))
    }

    /// `text` without anything known.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let out = self
            .redactor()
            .all(bytes::Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// The name of a secret that `text` shows in any form that a server would echo.
#[must_use]
pub fn shown<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>, text: &str) -> Option<&'a str> {
    let mut secrets = secrets.into_iter();
    let shown = secrets.find(|(name, secret)| {
        let mut known = Known::default();
        known.add(name, (*secret).clone());
        known.redact(text) != text
    });
    shown.map(|(name, _)| name)
}

/// The forms of `secret` that a server would echo.
fn echoes(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms: Vec<Vec<u8>> = vec![secret.to_vec()];
    for upper in [true, false] {
        // `encodeURIComponent`, RFC 3986 and what was usual before it, a form, and everything encoded.
        forms.push(percent(secret, b"-._~", false, upper));
        forms.push(percent(secret, b"-._~!'()*", false, upper));
        forms.push(percent(secret, b"-._", false, upper));
        forms.push(percent(secret, b"", false, upper));
        forms.push(percent(secret, b"-._*", true, upper));
        forms.push(percent(secret, b"-._~!$&'()*+,;=:@/", false, upper));
        forms.push(all_percent(secret, upper));
    }
    forms.push(HEXLOWER.encode(secret).into_bytes());
    forms.push(HEXUPPER.encode(secret).into_bytes());
    forms.push(BASE64.encode(secret).into_bytes());
    forms.push(BASE64URL.encode(secret).into_bytes());
    for shift in 0..3 {
        forms.extend(inside_base64(secret, shift));
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend(json(text));
        forms.push(html(text).into_bytes());
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

fn percent(secret: &[u8], kept: &[u8], plus: bool, upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(secret.len() * 3);
    for byte in secret {
        if byte.is_ascii_alphanumeric() || kept.contains(byte) {
            out.push(*byte);
        } else if plus && *byte == b' ' {
            out.push(b'+');
        } else {
            push_percent(&mut out, *byte, upper);
        }
    }
    out
}

fn all_percent(secret: &[u8], upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(secret.len() * 3);
    for byte in secret {
        push_percent(&mut out, *byte, upper);
    }
    out
}

fn push_percent(out: &mut Vec<u8>, byte: u8, upper: bool) {
    let encoding = if upper { &HEXUPPER } else { &HEXLOWER };
    out.push(b'%');
    out.extend_from_slice(encoding.encode(&[byte]).as_bytes());
}

/// The letters of base64 that only `secret` decides when `shift` other bytes (modulo three) stand before it and anything
/// behind it: what is seen of it within `base64("user:secret…")`.
fn inside_base64(secret: &[u8], shift: usize) -> Vec<Vec<u8>> {
    let mut shifted = Zeroizing::new(vec![0; shift]);
    shifted.extend_from_slice(secret);
    let skip = [0, 2, 3].get(shift).copied().unwrap_or_default();
    let whole = shifted.len() * 8 / 6;
    let mut forms = Vec::new();
    let text = Zeroizing::new(BASE64_NOPAD.encode(&shifted));
    if let Some(inner) = text.as_bytes().get(skip..whole)
        // What is cut to less than this is found in other texts too.
        && inner.len() >= 6
    {
        forms.push(inner.to_vec());
        let url = inner.iter().map(|letter| match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        forms.push(url.collect());
    }
    forms
}

fn json(text: &str) -> Vec<Vec<u8>> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let plain = quoted.trim_start_matches('"');
    let plain = plain.strip_suffix('"').unwrap_or(plain).to_owned();
    let escaped = |upper: bool| -> String {
        let encoding = if upper { &HEXUPPER } else { &HEXLOWER };
        let letter = |unit: u16| format!("\\u{}", encoding.encode(&unit.to_be_bytes()));
        text.encode_utf16().map(letter).collect()
    };
    let ascii = |upper: bool| -> String {
        let encoding = if upper { &HEXUPPER } else { &HEXLOWER };
        let mut out = String::new();
        for letter in text.chars() {
            // What careful JSON writers escape beside what they must.
            if letter.is_ascii()
                && !matches!(letter, '<' | '>' | '&' | '\'' | '+' | '"' | '\\')
                && !letter.is_ascii_control()
            {
                out.push(letter);
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                out.push_str(&encoding.encode(&unit.to_be_bytes()));
            }
        }
        out
    };
    vec![
        plain.replace('/', "\\/").into_bytes(),
        plain.into_bytes(),
        escaped(true).into_bytes(),
        escaped(false).into_bytes(),
        ascii(true).into_bytes(),
        ascii(false).into_bytes(),
    ]
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cr<t/+&\"p\\w ö'";

    fn check(echo: &str) {
        let mut known = Known::default();
        known.add("token", Secret::new(SECRET.into()));
        for cut in 0..=echo.len() {
            let mut redactor = known.redactor();
            let mut out = redactor
                .feed(Bytes::copy_from_slice(&echo.as_bytes()[..cut]))
                .to_vec();
            out.extend_from_slice(&redactor.feed(Bytes::copy_from_slice(&echo.as_bytes()[cut..])));
            out.extend_from_slice(&redactor.finish());
            let out = String::from_utf8_lossy(&out);
            assert!(
                out.contains("[redacted:token]"),
                "{echo} became {out} when cut at {cut}"
            );
            assert_eq!(redactor.found(), 1);
        }
    }

    #[test]
    fn every_echo() {
        let secret = SECRET.as_bytes();
        check(SECRET);
        check(&format!("x{SECRET}x"));
        check(&HEXLOWER.encode(secret));
        check(&HEXUPPER.encode(secret));
        check(&BASE64.encode(secret));
        check(&BASE64_NOPAD.encode(secret));
        check(&BASE64URL.encode(secret));
        check(&BASE64.encode(format!("user:{SECRET}").as_bytes()));
        check(&BASE64.encode(format!("u:{SECRET}:more").as_bytes()));
        check(&BASE64URL.encode(format!("me:{SECRET}").as_bytes()));
        check(&serde_json::to_string(SECRET).unwrap());
        check(&serde_json::to_string(SECRET).unwrap().replace('/', "\\/"));
        check(&url::form_urlencoded::byte_serialize(secret).collect::<String>());
        check(&crate::place::percent(SECRET));
        check(&crate::place::percent(SECRET).replace("%3C", "%3c").to_lowercase());
        check(&html(SECRET));
    }

    /// Functions from before RFC 3986 encode the tilde, and some everything but letters and digits.
    #[test]
    fn marks_are_encoded_by_some() {
        let mut known = Known::default();
        known.add("n", Secret::new(b"a-b_c.d~e f/g".to_vec()));
        for echo in [
            "a-b_c.d%7Ee%20f%2Fg",
            "a%2Db%5Fc%2Ed%7Ee%20f%2Fg",
            "a%2db%5fc%2ed%7ee%20f%2fg",
        ] {
            assert_eq!(known.redact(echo), "[redacted:n]", "{echo}");
        }
    }

    #[test]
    fn short_secrets_are_left_alone() {
        let mut known = Known::default();
        known.add("pin", Secret::new(b"123".to_vec()));
        assert_eq!(known.redact("0123"), "0123");
    }

    proptest! {
        #[test]
        fn secret_never_survives(secret in "[!-~]{6,20}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            let mut known = Known::default();
            known.add("n", Secret::new(secret.clone().into_bytes()));
            let text = format!("{before}{secret}{after}");
            prop_assert!(!known.redact(&text).contains(&secret));
            let encoded = BASE64.encode(text.as_bytes());
            prop_assert!(known.redact(&encoded).contains("[redacted:n]"));
        }
    }
}
