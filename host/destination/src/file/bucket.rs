//! A bucket of S3 or of what speaks like it ("Amazon Simple Storage Service API Reference", PutObject). Each file is one
//! PUT, which is there whole when it is acknowledged and not at all before; the broker signs it.

use bytes::Bytes;
use sluice_broker::{Body, Broker, Caller, Redirects, Request};

use crate::error::Error;
use crate::settings::{Format, S3Settings};

const CHECK: &str = "_sluice-check";

#[derive(Debug)]
pub(super) struct Bucket {
    settings: S3Settings,
    broker: Broker,
    caller: Caller,
}

impl Bucket {
    pub(super) fn new(settings: S3Settings, broker: Broker, caller: Caller) -> Self {
        Self {
            settings,
            broker,
            caller,
        }
    }

    /// Puts an object, in place of one of the same key.
    pub(super) async fn put(
        &self,
        folder: &str,
        file: &str,
        format: Format,
        content: Vec<u8>,
    ) -> Result<(), Error> {
        let content_type = match format {
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Parquet => "application/vnd.apache.parquet",
        };
        let mut request = Request::new("PUT", self.url(&[folder, file]));
        request.headers.push(("content-type".into(), content_type.into()));
        request.body = Body::Bytes(Bytes::from(content));
        self.send(request).await
    }

    /// Puts an object and deletes it.
    pub(super) async fn check(&self) -> Result<String, Error> {
        let url = self.url(&[CHECK]);
        let mut request = Request::new("PUT", &url);
        request.body = Body::Bytes(Bytes::from_static(b"check"));
        self.send(request).await?;
        self.send(Request::new("DELETE", url)).await?;
        Ok(format!("S3 at {}", self.settings.endpoint))
    }

    async fn send(&self, mut request: Request) -> Result<(), Error> {
        // A redirect to another region would want another signature.
        request.redirects = Redirects::Return;
        let response = self.broker.send(&self.caller, request).await?;
        let status = response.status;
        if (200..300).contains(&status) {
            return Ok(());
        }
        let body = response.collect().await.unwrap_or_default();
        Err(refusal(status, &code(&body)))
    }

    /// With the bucket in the path, which every such server understands.
    fn url(&self, names: &[&str]) -> String {
        let prefix = self.settings.prefix.split('/').filter(|name| !name.is_empty());
        let mut url = format!("https://{}/{}", self.settings.endpoint, self.settings.bucket);
        for name in prefix.chain(names.iter().copied()) {
            url.push('/');
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    url.push(char::from(byte));
                } else {
                    url.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        url
    }
}

/// What stands in `<Code>` of an answer: letters and digits.
fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(8 << 10)).unwrap_or_default()).into_owned();
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let plain = !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { code.to_owned() } else { String::new() }
}

/// "Error responses" of the same reference.
fn refusal(status: u16, code: &str) -> Error {
    let text = if code.is_empty() {
        format!("status {status}")
    } else {
        format!("{code} (status {status})")
    };
    match (status, code) {
        (_, "NoSuchBucket") => Error::Missing("the bucket".into()),
        (_, "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken") | (401, _) => {
            Error::Auth(text)
        }
        (_, "QuotaExceeded" | "XMinioStorageFull") | (507, _) => Error::Full(text),
        (403, _) => Error::Denied(text),
        (408 | 429 | 500.., _) => Error::Busy(text),
        _ => Error::Unfit(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>x</Message></Error>";
        assert_eq!(code(xml), "AccessDenied");
        assert_eq!(code(b"<Code><script></Code>"), "");
        for (status, code, expected) in [
            (404, "NoSuchBucket", "destination.missing"),
            (403, "SignatureDoesNotMatch", "destination.auth"),
            (403, "AccessDenied", "destination.denied"),
            (503, "SlowDown", "destination.busy"),
            (507, "", "destination.full"),
            (301, "PermanentRedirect", "destination.unfit"),
        ] {
            assert_eq!(refusal(status, code).code(), expected);
        }
    }
}
