//! What is printed, and where: data on standard output, everything else on standard error. What comes from outside may
//! hold control characters; they are shown, never sent to the terminal.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::Global;
use super::failure::Failure;

/// Where a command's words go.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    /// Whether a person can be asked.
    pub(super) may_ask: bool,
    /// Whether progress can be drawn.
    pub(super) draws: bool,
    /// Whether what only the server's log explains is shown too.
    verbose: bool,
    quiet: u8,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BOLD: Style = Style::new().bold();

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            json: global.json,
            may_ask: !global.no_input && std::io::stdin().is_terminal() && terminal,
            draws: terminal
                && global.quiet == 0
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            verbose: global.verbose > 0,
            quiet: global.quiet,
        }
    }

    /// Data as it is.
    pub(super) fn data(&self, text: &str) {
        // A reader that has gone has seen enough: `| head` is no failure.
        drop(anstream::stdout().write_all(text.as_bytes()));
    }

    /// A line of data.
    pub(super) fn line(&self, text: &str) {
        self.data(&format!("{}\n", clean(text)));
    }

    /// One object: as JSON if asked for, else as `plain` prints it.
    pub(super) fn show(&self, value: &impl Serialize, plain: impl FnOnce(&Self)) {
        if !self.json {
            return plain(self);
        }
        match serde_json::to_string(value) {
            Ok(text) => self.data(&(text + "\n")),
            Err(error) => self.note(&format!("cannot be printed: {error}")),
        }
    }

    /// A table; its cells are from outside.
    pub(super) fn table<const N: usize>(
        &self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.map(str::to_uppercase));
        let mut any = false;
        for row in rows {
            any = true;
            table.add_row(row.map(|cell| clean(&cell)));
        }
        if any {
            // Without a border the padding on the left is not wanted, and that on the right is never.
            let line = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n";
            self.data(&table.lines().map(line).collect::<String>());
        } else {
            self.note("there are none");
        }
    }

    /// Names and values of one object.
    pub(super) fn fields(&self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            self.line(&format!("{name:width$}  {value}"));
        }
    }

    /// Something beside the data.
    pub(super) fn note(&self, text: &str) {
        if self.quiet == 0 {
            self.say(&format!("{}\n", clean_lines(text)));
        }
    }

    /// What must be read now or never: even `-q` does not hide it.
    pub(super) fn important(&self, text: &str) {
        self.say(&format!("{}\n", clean_lines(text)));
    }

    /// What went well.
    pub(super) fn done(&self, text: &str) {
        if self.quiet == 0 {
            self.say(&format!("{GOOD}ok{GOOD:#}  {}\n", clean(text)));
        }
    }

    /// What should be looked at.
    pub(super) fn warn(&self, text: &str) {
        if self.quiet < 2 {
            self.say(&format!("{WARN}warning{WARN:#}: {}\n", clean(text)));
        }
    }

    /// A failure, as CLI.md has it.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.quiet > 1 {
            return;
        }
        if self.json {
            return self.say(&format!("{}\n", failure.to_json()));
        }
        let mut text = render(failure);
        if let Some(id) = failure.request_id.as_ref().filter(|_| self.verbose) {
            text.push_str(&format!("  {DIM}asked {DIM:#} {}\n", clean(id)));
        }
        self.say(&text);
    }

    fn say(&self, text: &str) {
        drop(anstream::stderr().write_all(text.as_bytes()));
    }
}

/// ```text
/// error[SLU-2107]: github-sync may not talk to uploads.github.com
///   tried  POST https://uploads.github.com/
///   hint   …
///   more   sluice explain SLU-2107
/// ```
pub(super) fn render(failure: &Failure) -> String {
    let number = failure.number();
    let tag = number
        .as_ref()
        .map(|number| format!("[{number}]"))
        .unwrap_or_default();
    let mut text = format!(
        "{ERROR}error{tag}{ERROR:#}: {BOLD}{}{BOLD:#}\n",
        clean(&failure.message)
    );
    let mut fact = |name: &str, value: &str| {
        let value = clean(value);
        text.push_str(&format!("  {DIM}{name:<6}{DIM:#} {value}\n"));
    };
    for (name, value) in &failure.facts {
        fact(name, value);
    }
    if let Some(hint) = failure.hint.as_deref().filter(|hint| !hint.is_empty()) {
        fact("hint", hint);
    }
    if let Some(number) = number {
        fact("more", &format!("sluice explain {number}"));
    }
    text
}

/// Text of one line without control characters.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_bidi(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// Marks that make a line read in another order than it is.
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A field of an object as text; nothing for what is not there.
pub(super) fn text(value: &Value, name: &str) -> String {
    match value.pointer(&format!("/{}", name.replace('.', "/"))) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    }
}

/// The items of a list.
pub(super) fn items(value: &Value) -> &[Value] {
    value
        .get("items")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}
