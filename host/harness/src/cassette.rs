//! A cassette: what a vendor was asked and what it said, as a file that is kept beside the code.
//!
//! Requests stand there as the connector said them, before any credential was on them, and answers as the connector was given them,
//! after every secret was taken out. What holds a session or tells only of the moment is left out.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_broker::{Heard, Said};
use sluice_model::Timestamp;

use crate::case::bounded;
use crate::error::Error;

/// The format that is written.
const FORMAT: u32 = 1;
/// Bytes of a cassette.
const MAX_BYTES: u64 = 64 << 20;
/// Exchanges of a cassette.
pub(crate) const MAX_EXCHANGES: usize = 10_000;

/// What was asked and said, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    cassette: u32,
    /// Milliseconds since the epoch: what the connector's clock says when it is played.
    pub recorded_ms: u64,
    pub exchanges: Vec<Exchange>,
}

/// A request and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub request: Request,
    /// Where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Where there was none: the broker's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: String,
    pub url: String,
    /// For people: requests are told apart by method, address and body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    pub status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

/// Exact bytes, in the form that reads best.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    #[default]
    Empty,
    /// It was sent as it came, so it is not known.
    Streamed,
    /// JSON, byte by byte as it was.
    Json(Box<RawValue>),
    Text(String),
    Base64(String),
}

impl Body {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Base64(BASE64.encode(bytes));
        };
        match serde_json::from_str::<Box<RawValue>>(text) {
            // Spaces around a value are not kept with it.
            Ok(raw) if raw.get() == text && text.starts_with(['{', '[']) => Self::Json(raw),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// None: it is not known, or is not what it says.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Empty => Some(Bytes::new()),
            Self::Streamed => None,
            Self::Json(raw) => Some(Bytes::copy_from_slice(raw.get().as_bytes())),
            Self::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Self::Base64(text) => BASE64.decode(text.as_bytes()).ok().map(Bytes::from),
        }
    }
}

/// Fields of an answer that are not kept: sessions, and what tells of one moment and one machine.
const NOT_KEPT: [&str; 16] = [
    "set-cookie",
    "set-cookie2",
    "date",
    "age",
    "expires",
    "alt-svc",
    "server",
    "via",
    "strict-transport-security",
    "report-to",
    "nel",
    "cf-ray",
    "content-length",
    "x-request-id",
    "x-github-request-id",
    "x-runtime",
];

/// Budgets of the day when it was recorded would slow down who plays it.
const BUDGETS: [&str; 4] = ["ratelimit", "x-ratelimit", "x-rate-limit", "x-hubspot-ratelimit"];

fn is_kept(name: &str) -> bool {
    !NOT_KEPT.contains(&name) && !BUDGETS.iter().any(|budget| name.starts_with(budget))
}

impl Exchange {
    pub(crate) fn of(said: &Said, heard: Result<Heard, String>) -> Self {
        let kept = |headers: &[(String, String)]| {
            let kept = headers.iter().filter(|(name, _)| is_kept(name));
            kept.cloned().collect()
        };
        let request = Request {
            method: said.method.clone(),
            url: said.url.clone(),
            headers: kept(&said.headers),
            body: said.body.as_ref().map_or(Body::Streamed, |body| Body::of(body)),
        };
        let (response, failure) = match heard {
            Ok(heard) => {
                let response = Response {
                    status: heard.status,
                    headers: kept(&heard.headers),
                    body: Body::of(&heard.body),
                };
                (Some(response), None)
            }
            Err(code) => (None, Some(code)),
        };
        Self {
            request,
            response,
            failure,
        }
    }
}

impl Cassette {
    /// A cassette of what was heard.
    #[must_use]
    pub fn new(recorded: Timestamp, exchanges: Vec<Exchange>) -> Self {
        Self {
            cassette: FORMAT,
            recorded_ms: recorded.as_millis(),
            exchanges,
        }
    }

    /// What the clock says when it is played.
    #[must_use]
    pub const fn recorded(&self) -> Timestamp {
        Timestamp::from_millis(self.recorded_ms)
    }

    /// Reads a cassette.
    ///
    /// # Errors
    ///
    /// A file that is not there, is too long, or is not a cassette of this format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.is_file() {
            return Err(Error::NoCassette {
                path: path.to_owned(),
            });
        }
        let bytes = bounded(path, MAX_BYTES)?;
        Self::parse(&bytes).map_err(|reason| Error::Cassette {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let cassette: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if cassette.cassette != FORMAT {
            return Err(format!("has format {}; {FORMAT} is read", cassette.cassette));
        }
        if cassette.exchanges.len() > MAX_EXCHANGES {
            return Err(format!("has more than {MAX_EXCHANGES} exchanges"));
        }
        for (number, exchange) in (1..).zip(&cassette.exchanges) {
            if exchange.response.is_some() == exchange.failure.is_some() {
                return Err(format!("exchange {number} has either a response or a failure"));
            }
            let body = exchange.response.as_ref().map(|response| &response.body);
            if body.is_some_and(|body| body.bytes().is_none()) {
                return Err(format!("the body of answer {number} is no base64"));
            }
        }
        Ok(cassette)
    }

    /// As it is written.
    ///
    /// # Errors
    ///
    /// Never in practice: everything in it can be written.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes it: whole, or not at all.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.text().map_err(|error| Error::Cassette {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        write(path, &text)
    }
}

/// Writes a file: whole, or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, text).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exchange(body: &[u8], answer: &[u8]) -> Exchange {
        let said = Said {
            method: "POST".to_owned(),
            url: "https://api.acme.example/x".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: Some(Bytes::copy_from_slice(body)),
        };
        let heard = Heard {
            status: 200,
            headers: vec![
                ("set-cookie".to_owned(), "session=1".to_owned()),
                ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
                ("link".to_owned(), "<x>".to_owned()),
            ],
            body: Bytes::copy_from_slice(answer),
        };
        Exchange::of(&said, Ok(heard))
    }

    #[test]
    fn sessions_and_budgets_are_not_kept() {
        let kept = exchange(b"", b"").response.unwrap().headers;
        assert_eq!(kept, [("link".to_owned(), "<x>".to_owned())]);
    }

    #[test]
    fn json_stays_readable_and_exact() {
        let exact: &[u8] = br#"[{"id": 1.0, "title":"\u00e4"}, {}]"#;
        let text = Cassette::new(Timestamp::default(), vec![exchange(b"", exact)])
            .text()
            .unwrap();
        assert!(text.contains(r#"[{"id": 1.0, "title":"\u00e4"}, {}]"#), "{text}");
        let again = Cassette::parse(text.as_bytes()).unwrap();
        let response = again.exchanges[0].response.as_ref().unwrap();
        assert_eq!(response.body.bytes().unwrap(), exact);
    }

    #[test]
    fn what_is_no_cassette_is_refused_in_words() {
        for (text, words) in [
            ("{}", "missing field"),
            (
                r#"{"cassette": 2, "recorded_ms": 0, "exchanges": []}"#,
                "format 2",
            ),
            (
                r#"{"cassette": 1, "recorded_ms": 0, "exchanges": [{"request": {"method": "GET", "url": "x"}}]}"#,
                "exchange 1",
            ),
        ] {
            let reason = Cassette::parse(text.as_bytes()).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn every_body_comes_back(body: Vec<u8>, json in "[ \\n]?(\\{\"a\":[0-9]{1,3}\\}|\\[\\])[ \\n]?") {
            for body in [body, json.into_bytes()] {
                let text = Cassette::new(Timestamp::default(), vec![exchange(&body, &body)]).text().unwrap();
                let again = Cassette::parse(text.as_bytes()).unwrap();
                let [exchange] = again.exchanges.as_slice() else { panic!() };
                prop_assert_eq!(exchange.request.body.bytes().unwrap(), body.clone());
                prop_assert_eq!(exchange.response.as_ref().unwrap().body.bytes().unwrap(), body);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Cassette::parse(&bytes);
        }
    }
}
