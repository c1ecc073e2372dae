//! `sluice explain CODE`.

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::explain::{self, Entry};

/// What an error code means and what to do
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// SLU-2001, 2001 or egress.denied; nothing lists them all
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let Some(code) = self.code else {
            if output.json {
                for entry in explain::all() {
                    output.show(&as_json(entry), |_| {});
                }
                return Ok(Exit::Ok);
            }
            let row = |entry: &Entry| [entry.id(), entry.code.to_owned(), entry.title.to_owned()];
            output.table(["number", "code", "meaning"], explain::all().map(row));
            return Ok(Exit::Ok);
        };
        let Some(entry) = explain::look_up(&code) else {
            let near: Vec<_> = explain::near(&code).into_iter().map(|entry| entry.code).collect();
            let hint = if near.is_empty() {
                "sluice explain".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            return Err(Failure::new(Exit::NotFound, format!("there is no code `{code}`")).hint(hint));
        };
        output.show(&as_json(entry), |output| {
            output.line(&format!("{} ({}): {}", entry.id(), entry.code, entry.title));
            output.line("");
            output.line(entry.text);
            if !entry.next.is_empty() {
                output.line("");
                output.line(&format!("next: {}", entry.next));
            }
            if entry.retryable {
                output.line("");
                output.line("It passes: the same request may succeed later.");
            }
        });
        Ok(Exit::Ok)
    }
}

fn as_json(entry: &Entry) -> serde_json::Value {
    json!({
        "number": entry.id(), "code": entry.code, "status": entry.status, "retryable": entry.retryable,
        "title": entry.title, "text": entry.text, "next": entry.next,
    })
}
