//! Why a command failed, as a person and as a script read it.

use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Exit;
use crate::explain;

/// A failed command.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(super) exit: Exit,
    pub(super) code: Option<String>,
    /// One sentence that names the object.
    pub(super) message: String,
    /// Names and values that help, in order.
    pub(super) facts: Vec<(String, String)>,
    pub(super) hint: Option<String>,
    pub(super) request_id: Option<Box<str>>,
    pub(super) retryable: bool,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            exit,
            code: None,
            message,
            facts: Vec::new(),
            hint: None,
            request_id: None,
            retryable: false,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(super) fn bug(message: impl Into<String>) -> Self {
        Self {
            code: Some("internal".to_owned()),
            ..Self::new(Exit::Bug, message)
        }
    }

    pub(super) fn unreachable(server: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            retryable: true,
            ..Self::new(Exit::Unreachable, format!("{server} cannot be reached: {reason}"))
        }
        .hint("start it with `sluice serve`, or name it with --server URL")
    }

    pub(super) fn timed_out(limit: Duration) -> Self {
        let message = format!("not done within {} s", limit.as_secs());
        Self {
            retryable: true,
            ..Self::new(Exit::Pending, message)
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.facts.push((name.to_owned(), value.into()));
        self
    }

    /// A problem+json body, or whatever else a server answered.
    pub(super) fn of_answer(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = text("code");
        let exit = match (status, code.as_deref()) {
            (_, Some("package.approval_needed")) => Exit::Approval,
            (401 | 403, _) => Exit::Denied,
            (404, _) => Exit::NotFound,
            (400 | 405 | 415, _) => Exit::Usage,
            (408 | 504, _) => Exit::Pending,
            _ => Exit::Failed,
        };
        let message =
            text("detail").unwrap_or_else(|| format!("the server answered {status}, and not as Sluice does"));
        Self {
            exit,
            message,
            facts: Vec::new(),
            hint: text("hint"),
            request_id: text("request_id").map(String::into_boxed_str),
            retryable: problem.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            code,
        }
    }

    /// `SLU-2107`, where the code is known.
    pub(super) fn number(&self) -> Option<String> {
        self.code
            .as_deref()
            .and_then(explain::find)
            .map(explain::Entry::id)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "error": {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "docs": self.number().map(|number| format!("sluice explain {number}")),
            "request_id": self.request_id,
            "retryable": self.retryable,
        }})
    }
}
