//! Misbehaviour that is ordered: which requests, how often, and how.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use sluice_broker::Heard;

use super::Played;

/// One order: `429`, `500*3`, `delay=2000`, `reset@/lists`, `429,retry-after=2*1@/lists`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// Requests that are still answered so; none: all from now on.
    pub times: Option<u32>,
    /// Only those whose path begins so.
    pub path: String,
    /// Only these.
    pub method: Option<String>,
}

/// How it misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An error, and when to come again.
    Status { status: u16, retry_after: Option<u32> },
    /// The right answer, so much later.
    Delay(Duration),
    /// The connection is cut before there is an answer.
    Reset,
    /// An answer that says it is JSON and is not.
    Malformed,
    /// The right answer, cut in the middle.
    Half,
}

/// An order that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is none of STATUS[,retry-after=SECONDS], delay=MS, reset, malformed and half, with *TIMES and @PATH after it"
)]
pub struct FaultError(String);

/// The longest that an answer is kept back.
const MAX_DELAY: Duration = Duration::from_secs(600);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.to_owned());
        let (rest, path) = match text.split_once('@') {
            Some((rest, path)) if path.starts_with('/') => (rest, path),
            Some(_) => return Err(wrong()),
            None => (text, ""),
        };
        let (kind, times) = match rest.split_once('*') {
            Some((kind, times)) => (kind, Some(times.parse().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        if times == Some(0) {
            return Err(wrong());
        }
        Ok(Self {
            kind: kind.parse().map_err(|()| wrong())?,
            times,
            path: path.to_owned(),
            method: None,
        })
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "reset" => return Ok(Self::Reset),
            "malformed" => return Ok(Self::Malformed),
            "half" => return Ok(Self::Half),
            _ => {}
        }
        if let Some(ms) = text.strip_prefix("delay=") {
            let delay = Duration::from_millis(ms.parse().map_err(drop)?);
            return if delay <= MAX_DELAY {
                Ok(Self::Delay(delay))
            } else {
                Err(())
            };
        }
        let (status, after) = match text.split_once(',') {
            Some((status, after)) => (status, Some(after.strip_prefix("retry-after=").ok_or(())?)),
            None => (text, None),
        };
        let status: u16 = status.parse().map_err(drop)?;
        if !(200..600).contains(&status) {
            return Err(());
        }
        Ok(Self::Status {
            status,
            retry_after: after.map(str::parse).transpose().map_err(drop)?,
        })
    }
}

impl Fault {
    pub(super) fn is_for(&self, method: &str, path: &str) -> bool {
        path.starts_with(&self.path) && self.method.as_ref().is_none_or(|wanted| wanted == method)
    }

    /// Counts one request, and says whether it was the last.
    pub(super) const fn is_last(&mut self) -> bool {
        match &mut self.times {
            None => false,
            Some(times) => {
                *times = times.saturating_sub(1);
                *times == 0
            }
        }
    }

    pub(super) fn played(&self, right: impl FnOnce() -> Heard) -> Played {
        let played = |answer, note: &str| Played {
            wait: Duration::ZERO,
            answer,
            note: note.to_owned(),
        };
        match &self.kind {
            Kind::Status { status, retry_after } => {
                let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                if let Some(seconds) = retry_after {
                    headers.push(("retry-after".to_owned(), seconds.to_string()));
                }
                let body = Bytes::from_static(br#"{"message":"as it was ordered"}"#);
                let heard = Heard {
                    status: *status,
                    headers,
                    body,
                };
                played(Some(heard), "ordered status")
            }
            Kind::Delay(wait) => Played {
                wait: *wait,
                ..played(Some(right()), "ordered delay")
            },
            Kind::Reset => played(None, "ordered reset"),
            Kind::Malformed => {
                let heard = Heard {
                    status: 200,
                    headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                    body: Bytes::from_static(b"{\"cut\": [1, 2"),
                };
                played(Some(heard), "ordered nonsense")
            }
            Kind::Half => {
                let mut heard = right();
                heard.body.truncate(heard.body.len() / 2);
                played(Some(heard), "ordered half")
            }
        }
    }
}
