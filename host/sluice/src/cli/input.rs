//! What a person is asked: secrets without an echo, and yes or no. Without a terminal nobody is asked.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Where a secret may come from besides a prompt.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) stdin: bool,
    pub(super) file: Option<PathBuf>,
    /// The flags to name where nobody can be asked.
    pub(super) flags: &'static str,
}

/// A secret without the line break at its end; none if it came from nowhere and nobody can be asked.
pub(super) fn secret(source: &Source, what: &str, output: &Output) -> Result<Option<String>, Failure> {
    let text = if let Some(path) = &source.file {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?
    } else if source.stdin {
        let mut text = String::new();
        std::io::stdin()
            .take(SECRET_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
        text
    } else if output.may_ask {
        hidden(what)?
    } else {
        return Ok(None);
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(
            Failure::usage(format!("the {what} is empty")).hint(format!("pass it with {}", source.flags))
        );
    }
    Ok(Some(text.to_owned()))
}

/// Asks without an echo.
pub(super) fn hidden(what: &str) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("the terminal cannot be read: {error}"));
    say(&format!("{what} (not shown): "));
    let _silent = Silent::begin().map_err(failed)?;
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).map_err(failed)?;
    say("\n");
    Ok(text)
}

/// Asks for what may be seen.
pub(super) fn shown(what: &str) -> Result<String, Failure> {
    say(&format!("{what}: "));
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::new(Exit::Failed, format!("the terminal cannot be read: {error}")))?;
    Ok(text)
}

/// Whether a person agrees. Only `y` and `yes` do.
pub(super) fn agrees(question: &str) -> Result<bool, Failure> {
    say(&format!("{question} [y/N] "));
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::new(Exit::Failed, format!("the terminal cannot be read: {error}")))?;
    Ok(matches!(text.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn say(text: &str) {
    let mut stderr = anstream::stderr();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// The terminal does not echo while this lives.
struct Silent(rustix::termios::Termios);

impl Silent {
    fn begin() -> std::io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let set =
            rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, &self.0);
        if let Err(error) = set {
            tracing::debug!(%error, "the terminal does not echo any more");
        }
    }
}

/// No secret is longer.
const SECRET_BYTES: u64 = 1 << 20;

/// Settings as JSON, or from `@FILE` (`@-`: standard input).
pub(super) fn settings(written: &str) -> Result<Value, Failure> {
    let unread =
        |what: &str, error: std::io::Error| Failure::usage(format!("{what} cannot be read: {error}"));
    let read = match written.strip_prefix('@') {
        None => written.to_owned(),
        Some("-") => {
            std::io::read_to_string(std::io::stdin()).map_err(|error| unread("standard input", error))?
        }
        Some(file) => std::fs::read_to_string(file).map_err(|error| unread(file, error))?,
    };
    serde_json::from_str(&read).map_err(|error| Failure::usage(format!("the settings are no JSON: {error}")))
}

/// An object of `KEY=VALUE`, where a value that is JSON is that, and any other a text.
pub(super) fn fields(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for field in given {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`-f {field}` is not of the form KEY=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        object.insert(key.to_owned(), value);
    }
    Ok(object)
}
