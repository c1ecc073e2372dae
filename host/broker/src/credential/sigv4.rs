//! AWS Signature Version 4, as AWS documents it under "Create a signed AWS API request" and, for S3, under
//! "Authenticating Requests (AWS Signature Version 4)".
//!
//! What is signed: the method, the path, the query, the body's digest, and of the headers those that say what is asked
//! for (`host`, `content-*`, `date`, `range`, `if-*`, `x-amz-*`). For S3 a body that is sent as it comes is signed chunk by
//! chunk where its length is known (see [`chunks`]); else it goes as `UNSIGNED-PAYLOAD`, which S3 takes over TLS. Other
//! services need the digest beforehand and are refused.

mod chunks;

use data_encoding::HEXLOWER;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::{digest, hmac};
use sluice_model::auth::{Piece, Template};
use zeroize::Zeroizing;

use super::form;
use super::time::compact;
use super::{Content, Credential, Outbound, Streamed};
use crate::error::Error;
use crate::place::percent;

pub(crate) use chunks::{Chunks, wire_bytes};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const X_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const X_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Day, region, service: what a signature is good for.
pub(super) struct Scope<'a> {
    /// `20130524T000000Z`.
    pub(super) moment: String,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

pub(super) fn apply(
    credential: &Credential,
    service: &str,
    region: &Template,
    out: &mut Outbound<'_>,
) -> Result<(), Error> {
    let scope = Scope {
        moment: compact(out.now),
        region: region_text(credential, region)?,
        service,
    };
    plain_spaces(out);
    let payload = match &out.content {
        Content::Whole(body) => sha256(body),
        Content::Stream(Streamed {
            length: Some(length), ..
        }) if service == "s3" => {
            chunked(credential, out.headers, *length)?;
            chunks::PAYLOAD.to_owned()
        }
        Content::Stream(_) if service == "s3" && out.is_tls() => UNSIGNED.to_owned(),
        Content::Stream(_) => {
            return Err(credential.unfit(
                "the body is sent as it comes; its digest is signed before it, so it has to be held whole",
            ));
        }
    };
    out.headers.insert(X_DATE, ascii(credential, &scope.moment)?);
    out.headers.insert(X_CONTENT, ascii(credential, &payload)?);
    out.headers.remove(X_TOKEN);
    if credential.part("session_token").is_some() {
        let token = credential.value(b"", credential.need("session_token")?)?;
        out.headers.insert(X_TOKEN, token);
    }
    let authority = out.authority();
    let mut headers: Vec<(String, String)> = vec![("host".to_owned(), authority)];
    for name in out.headers.keys().filter(|name| is_signed(name.as_str())) {
        let values = out.headers.get_all(name).iter();
        let values: Vec<String> = values.map(|value| spaced(value.as_bytes())).collect();
        headers.push((name.as_str().to_owned(), values.join(",")));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: Zeroizing<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect::<String>()
        .into();
    let query = form::sorted(&form::pairs(out.place.query().unwrap_or_default().as_bytes()));
    let request = Zeroizing::new(format!(
        "{}\n{}\n{query}\n{}\n{names}\n{payload}",
        out.method,
        path(service, out.place.path()),
        lines.as_str()
    ));
    let key = scope.key(credential)?;
    let signature = scope.signature(&key, &request);
    let key_id = credential.text("access_key_id")?;
    let value = format!(
        "{ALGORITHM} Credential={key_id}/{},SignedHeaders={names},Signature={signature}",
        scope.text()
    );
    out.headers
        .insert(AUTHORIZATION, credential.value(b"", value.as_bytes())?);
    if let Content::Stream(streamed) = &mut out.content
        && payload == chunks::PAYLOAD
    {
        let (moment, text) = (scope.moment.clone(), scope.text());
        streamed.chunks = Some(Chunks::new(key, moment, text, signature));
    }
    Ok(())
}

/// What a request says whose body of `length` is signed chunk by chunk. Both lengths are signed with it.
fn chunked(credential: &Credential, headers: &mut HeaderMap, length: u64) -> Result<(), Error> {
    let mut codings = vec![chunks::CODING.to_owned()];
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let others = text.split(',').map(str::trim);
        let others = others.filter(|coding| !coding.is_empty() && *coding != chunks::CODING);
        codings.extend(others.map(str::to_owned));
    }
    headers.insert(CONTENT_ENCODING, ascii(credential, &codings.join(","))?);
    headers.insert(X_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(wire_bytes(length)));
    Ok(())
}

impl Scope<'_> {
    fn day(&self) -> &str {
        self.moment.get(..8).unwrap_or_default()
    }

    /// `20130524/us-east-1/s3/aws4_request`.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day(), self.region, self.service)
    }

    /// The signature of a canonical request.
    pub(super) fn sign(&self, credential: &Credential, request: &str) -> Result<String, Error> {
        Ok(self.signature(&self.key(credential)?, request))
    }

    fn signature(&self, key: &hmac::Key, request: &str) -> String {
        let text = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.moment,
            self.text(),
            sha256(request.as_bytes())
        );
        HEXLOWER.encode(hmac::sign(key, text.as_bytes()).as_ref())
    }

    /// The key of this day, region and service.
    fn key(&self, credential: &Credential) -> Result<hmac::Key, Error> {
        let mut key = Zeroizing::new(b"AWS4".to_vec());
        key.extend_from_slice(credential.need("secret_access_key")?);
        for part in [self.day(), self.region, self.service, "aws4_request"] {
            key = Zeroizing::new(mac(&key, part.as_bytes()).as_ref().to_vec());
        }
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

pub(super) fn region_text<'a>(credential: &Credential, region: &'a Template) -> Result<&'a str, Error> {
    match region.pieces() {
        [Piece::Text(text)] => Ok(text),
        _ => Err(credential.unfit("its region has not been filled in")),
    }
}

/// The canonical path. S3 has it encoded once, as it is on the wire; all others encode the wire's path once more.
pub(super) fn path(service: &str, wire: &str) -> String {
    let encoded = |segment: &str| {
        if service == "s3" {
            let bytes: Vec<u8> = percent_decode(segment);
            percent_bytes(&bytes)
        } else {
            percent(segment)
        }
    };
    let segments: Vec<String> = wire.split('/').map(encoded).collect();
    segments.join("/")
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).filter(|_| *byte == b'%');
        let decoded = pair.and_then(|pair| data_encoding::HEXUPPER_PERMISSIVE.decode(pair).ok());
        match decoded.as_deref() {
            Some([value]) => {
                out.push(*value);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

fn percent_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push_str(&data_encoding::HEXUPPER.encode(&[*byte]));
        }
    }
    out
}

/// A plus in a query is a space to some and a plus to others: the wire has the form that is one to all.
pub(super) fn plain_spaces(out: &mut Outbound<'_>) {
    let query = out.place.query().filter(|query| query.contains('+'));
    if let Some(plain) = query.map(|query| query.replace('+', "%20")) {
        out.place.set_query(&plain);
    }
}

fn is_signed(name: &str) -> bool {
    name.starts_with("x-amz-")
        || name.starts_with("if-")
        || matches!(
            name,
            "content-type" | "content-md5" | "content-encoding" | "content-length" | "date" | "range"
        )
}

/// Without spaces around, and one where there were several.
fn spaced(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ascii(credential: &Credential, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| credential.unfit("its signature is not a header's value"))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

#[cfg(test)]
mod tests;
