//! A vendor's errors: each is answered to every request of a call, and the connector has to say who must act.

use bytes::Bytes;
use sluice_broker::Heard;
use sluice_model::auth::Obtain;
use sluice_model::fault::FaultKind;
use sluice_runtime::{ReadRequest, WriteOutcome};

use super::Verdict;
use crate::deed::{Came, What};
use crate::play::Play;
use crate::rehearsal::{Answered, Problem, Rehearsal, Session};
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

/// What is asked while the vendor is in error, and of which connection.
enum Ask<'a> {
    Account,
    /// A credential of the connector's own flow is renewed.
    Refresh,
    Stream(&'a str),
    Deed(&'a What, &'a Session),
}

pub(super) async fn auth(rehearsal: &Rehearsal, tape: &Tape) -> Verdict {
    let Some(scheme) = rehearsal.scheme() else {
        return Verdict::skipped("auth", "it has no credential");
    };
    let refresh = (scheme.obtain == Obtain::Custom).then_some(Ask::Refresh);
    let mut tried = 0;
    for ask in std::iter::once(Ask::Account).chain(refresh) {
        for error in ERRORS.iter().filter(|error| error.status == 401) {
            match under(rehearsal, &ask, error, tape).await {
                None => {}
                Some(Ok(())) => tried += 1,
                Some(Err(wrong)) => return Verdict::failed("auth", wrong),
            }
        }
    }
    Verdict::over("auth", tried, "refused credentials", None)
}

pub(super) async fn classifies(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let named = rehearsal.case.streams.as_ref();
    let streams = rehearsal
        .manifest
        .streams
        .iter()
        .filter(|stream| !stream.partitioned);
    let streams = streams.filter(|stream| named.is_none_or(|named| named.contains(&stream.name)));
    let deeds = play.deeds.iter().filter(|deed| deed.came.is_ok());
    let asks = std::iter::once(Ask::Account)
        .chain(streams.map(|stream| Ask::Stream(&stream.name)))
        .chain(deeds.map(|deed| Ask::Deed(&deed.what, &deed.session)));
    let mut tried = 0;
    for ask in asks {
        // What is said to a deed is not always read.
        let is_read = |error: &&Error| error.status != 200 || !matches!(ask, Ask::Deed(..));
        for error in ERRORS.iter().filter(is_read) {
            match under(rehearsal, &ask, error, tape).await {
                None => {}
                Some(Ok(())) => tried += 1,
                Some(Err(wrong)) => return Verdict::failed("classifies", wrong),
            }
        }
    }
    Verdict::over("classifies", tried, "errors", None)
}

/// Asks while everything is answered with this error; nothing where nobody was asked.
async fn under(
    rehearsal: &Rehearsal,
    ask: &Ask<'_>,
    error: &Error,
    tape: &Tape,
) -> Option<Result<(), String>> {
    tape.rewind(&Mark::default());
    tape.fault(Some(error.heard()));
    let told = put(rehearsal, ask).await;
    // What asks nobody cannot be told anything.
    if tape.fault(None) == 0 {
        return None;
    }
    let Some(wrong) = error.wrong(&told) else {
        return Some(Ok(()));
    };
    let what = match ask {
        Ask::Account => "account".to_owned(),
        Ask::Refresh => "renewing the credential".to_owned(),
        Ask::Stream(stream) => (*stream).to_owned(),
        Ask::Deed(what, _) => what.told(),
    };
    Some(Err(format!("{what}: {}: {wrong}", error.name)))
}

/// What is told: a fault, or why there is none.
type Told = Result<FaultKind, Option<Problem>>;

async fn put(rehearsal: &Rehearsal, ask: &Ask<'_>) -> Told {
    let mut session = rehearsal.session();
    if let Ask::Deed(_, before) = ask {
        session.storage.clone_from(&before.storage);
    }
    let call = rehearsal.call(&session);
    match ask {
        Ask::Account => {
            let outcome = rehearsal.runtime.check(call).await;
            told(rehearsal.take(&mut session, outcome))
        }
        Ask::Refresh => {
            let outcome = rehearsal.runtime.refresh(call).await;
            told(rehearsal.take(&mut session, outcome))
        }
        Ask::Stream(stream) => {
            let request = ReadRequest {
                stream: (*stream).to_owned(),
                page_hint: rehearsal.case.page_hint,
                ..ReadRequest::default()
            };
            let outcome = rehearsal.runtime.read(call, request).await;
            told(rehearsal.take(&mut session, outcome))
        }
        Ask::Deed(what, _) => {
            let answered = what.put(rehearsal, &mut session).await;
            match answered.result.as_ref().ok().and_then(failed) {
                Some(kind) => Ok(kind),
                None => told(answered),
            }
        }
    }
}

fn told<T>(answered: Answered<T>) -> Told {
    let problem = answered.result.err();
    answered.fault.map(|fault| fault.kind).ok_or(problem)
}

/// How the writes failed, where all of them did.
fn failed(came: &Came) -> Option<FaultKind> {
    let mut kinds = came.outcomes.iter().map(|outcome| match outcome {
        WriteOutcome::Failed(fault) => Some(fault.kind),
        _ => None,
    });
    let first = kinds.next()??;
    kinds.all(|kind| kind.is_some()).then_some(first)
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
