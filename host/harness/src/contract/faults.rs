//! A vendor's errors: each is answered to every request of a call, and the connector has to say who must act.

use bytes::Bytes;
use sluice_broker::Heard;
use sluice_model::fault::FaultKind;
use sluice_runtime::ReadRequest;

use super::Verdict;
use crate::rehearsal::{Problem, Rehearsal};
use crate::tape::{Mark, Tape};

/// An error, and what a connector may call it.
struct Error {
    name: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// Any, where a vendor's API may say many things with it.
    called: &'static [FaultKind],
}

const ERRORS: &[Error] = &[
    Error {
        name: "401",
        status: 401,
        headers: JSON,
        body: r#"{"message":"bad credentials"}"#,
        called: &[FaultKind::Auth],
    },
    Error {
        name: "429",
        status: 429,
        headers: &[("content-type", "application/json"), ("retry-after", "1")],
        body: r#"{"message":"slow down"}"#,
        called: &[FaultKind::RateLimited],
    },
    Error {
        name: "500",
        status: 500,
        headers: JSON,
        body: r#"{"message":"something broke"}"#,
        called: &[FaultKind::Transient],
    },
    Error {
        name: "503",
        status: 503,
        headers: &[],
        body: "",
        called: &[FaultKind::Transient, FaultKind::RateLimited],
    },
    Error {
        name: "a page that is not what it should be",
        status: 200,
        headers: &[("content-type", "text/html")],
        body: "<html><body>Sign in to this network</body></html>",
        called: &[FaultKind::InvalidData, FaultKind::Transient],
    },
];

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// What is asked while the vendor is in error.
enum Ask {
    Account,
    Stream(String),
}

pub(super) async fn classifies(rehearsal: &Rehearsal, tape: &Tape) -> Verdict {
    let named = rehearsal.case.streams.as_ref();
    let streams = rehearsal
        .manifest
        .streams
        .iter()
        .filter(|stream| !stream.partitioned);
    let streams = streams.filter(|stream| named.is_none_or(|named| named.contains(&stream.name)));
    let asks = streams.map(|stream| Ask::Stream(stream.name.clone()));
    let mut tried = 0;
    for ask in std::iter::once(Ask::Account).chain(asks) {
        for error in ERRORS {
            tape.rewind(&Mark::default());
            tape.fault(Some(error.heard()));
            let told = put(rehearsal, &ask).await;
            // What asks nobody cannot be told anything.
            if tape.fault(None) == 0 {
                continue;
            }
            tried += 1;
            if let Some(wrong) = error.wrong(&told) {
                let what = match &ask {
                    Ask::Account => "account",
                    Ask::Stream(stream) => stream,
                };
                return Verdict::failed("classifies", format!("{what}: {}: {wrong}", error.name));
            }
        }
    }
    Verdict::over("classifies", tried, "errors", None)
}

/// What is told: a fault, or why there is none.
type Told = Result<FaultKind, Option<Problem>>;

async fn put(rehearsal: &Rehearsal, ask: &Ask) -> Told {
    let mut session = rehearsal.session();
    let call = rehearsal.call(&session);
    let (fault, problem) = match ask {
        Ask::Account => {
            let outcome = rehearsal.runtime.check(call).await;
            let answered = rehearsal.take(&mut session, outcome);
            (answered.fault, answered.result.err())
        }
        Ask::Stream(stream) => {
            let request = ReadRequest {
                stream: stream.clone(),
                page_hint: rehearsal.case.page_hint,
                ..ReadRequest::default()
            };
            let outcome = rehearsal.runtime.read(call, request).await;
            let answered = rehearsal.take(&mut session, outcome);
            (answered.fault, answered.result.err())
        }
    };
    fault.map(|fault| fault.kind).ok_or(problem)
}

impl Error {
    fn heard(&self) -> Heard {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Heard {
            status: self.status,
            headers: headers.collect(),
            body: Bytes::from_static(self.body.as_bytes()),
        }
    }

    fn wrong(&self, told: &Told) -> Option<String> {
        match told {
            Ok(kind) if self.called.contains(kind) => None,
            Ok(kind) => {
                let meant: Vec<_> = self.called.iter().map(|kind| kind.code()).collect();
                Some(format!("told as {}; it is {}", kind.code(), meant.join(" or ")))
            }
            Err(None) => Some("passed over as if it were an answer".to_owned()),
            Err(Some(problem)) => Some(format!("{}: {}", problem.code, problem.message)),
        }
    }
}
