//! A credential as a field of the body.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use sluice_model::auth::SECRET;
use zeroize::Zeroizing;

use super::outbound::Format;
use super::{Content, Credential, Outbound};
use crate::error::Error;
use crate::place::percent;

pub(super) fn apply(credential: &Credential, name: &str, out: &mut Outbound<'_>) -> Result<(), Error> {
    let secret = credential.text(SECRET)?;
    let format = out.format();
    let Content::Whole(body) = &mut out.content else {
        return Err(
            credential.unfit("the body is sent as it comes, and the field has to be put into all of it")
        );
    };
    let written = match format {
        Some(Format::Json) => {
            json(body, name, secret).ok_or_else(|| credential.unfit("the body is not a JSON object"))?
        }
        Some(Format::Form) => form(body, name, secret),
        None => {
            return Err(credential
                .unfit("the body is neither `application/json` nor `application/x-www-form-urlencoded`"));
        }
    };
    **body = Bytes::copy_from_slice(&written);
    Ok(())
}

/// The object with the field set; every other value stays letter by letter as it was.
fn json(body: &[u8], name: &str, secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut object: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let quoted = Zeroizing::new(serde_json::to_string(secret).ok()?);
    let value: &RawValue = serde_json::from_str(&quoted).ok()?;
    object.insert(name.to_owned(), value);
    serde_json::to_vec(&object).ok().map(Zeroizing::new)
}

fn form(body: &[u8], name: &str, secret: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(body.len() + secret.len() * 3 + 64));
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if url::form_urlencoded::parse(pair).any(|(found, _)| found == name) {
            continue;
        }
        out.extend_from_slice(pair);
        out.push(b'&');
    }
    out.extend_from_slice(percent(name).as_bytes());
    out.push(b'=');
    out.extend_from_slice(Zeroizing::new(percent(secret)).as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let text = |written: Zeroizing<Vec<u8>>| String::from_utf8(written.to_vec()).unwrap();
        let json = |body: &str| json(body.as_bytes(), "key", "s\"3").map(text);
        assert_eq!(json("{}").unwrap(), r#"{"key":"s\"3"}"#);
        assert_eq!(
            json(r#"{"n": 1.10, "key": "mine", "big": 12345678901234567890123}"#).unwrap(),
            r#"{"big":12345678901234567890123,"key":"s\"3","n":1.10}"#
        );
        for bad in ["", "[]", "1", "{", "null"] {
            assert_eq!(json(bad), None, "{bad}");
        }
        let form = |body: &str| text(form(body.as_bytes(), "key", "a b&c"));
        assert_eq!(form(""), "key=a%20b%26c");
        assert_eq!(form("a=1&k%65y=mine&b=+"), "a=1&b=+&key=a%20b%26c");
    }
}
