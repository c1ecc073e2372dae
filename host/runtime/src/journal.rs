//! The log of one call: what the connector says, by the contract's `log` or by stdout and stderr, as lines that are
//! safe to print anywhere and that are bounded.

use std::sync::{Arc, Mutex, PoisonError};

use crate::outcome::{Level, LogLine, Source};

/// A longer line is cut, in bytes: long enough for a stack trace's line or a small JSON document.
const LINE_BYTES: usize = 4 << 10;

/// What a line costs beside its text, so that empty lines are bounded too.
const LINE_COST: u64 = 32;

/// What is put where text was cut.
const CUT: &str = "…";

/// The lines of one call. Clones share them: stdout, stderr and `log` are three mouths of one voice.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    lines: Vec<LogLine>,
    /// Bytes that may still be written.
    left: u64,
    /// Lines that did not fit.
    dropped: u64,
}

impl Journal {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Pages {
            lines: Vec::new(),
            left: bytes,
            dropped: 0,
        })))
    }

    /// Writes a line; newlines in it are shown, not obeyed.
    pub(crate) fn write(&self, level: Level, source: Source, message: &str, fields: Option<&str>) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot fit is not cleaned first: a flood costs the host a comparison a line.
        if pages.left < LINE_COST + 1 {
            pages.dropped = pages.dropped.saturating_add(1);
            return;
        }
        let message = clean(message, LINE_BYTES);
        let fields = fields.map(object);
        let cost = LINE_COST + (message.len() + fields.as_ref().map_or(0, String::len)) as u64;
        if cost > pages.left {
            pages.dropped = pages.dropped.saturating_add(1);
            return;
        }
        pages.left -= cost;
        pages.lines.push(LogLine {
            level,
            source,
            message,
            fields,
        });
    }

    /// What Rust's standard library said last of a panic, which it does on stderr before the guest traps: where, and why.
    pub(crate) fn panic(&self) -> Option<(String, String)> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = None;
        let mut lines = pages.lines.iter().filter(|line| line.source == Source::Stderr);
        while let Some(line) = lines.next() {
            let Some((_, place)) = line.message.split_once("' panicked at ").or_else(|| {
                // With the number of its thread, as later versions write it.
                line.message.split_once(") panicked at ")
            }) else {
                continue;
            };
            let why = lines.next().map_or("", |line| line.message.as_str());
            said = Some((place.trim_end_matches(':').to_owned(), why.to_owned()));
        }
        said
    }

    /// The lines, the last of which says how many were dropped.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = std::mem::take(&mut pages.lines);
        let dropped = std::mem::take(&mut pages.dropped);
        if dropped > 0 {
            let message = format!("dropped {dropped} lines: the log budget of the call is used up");
            lines.push(LogLine {
                level: Level::Warn,
                source: Source::Host,
                message,
                fields: None,
            });
        }
        lines
    }
}

/// Text without anything that a terminal, a log viewer or a parser of lines would obey: escape sequences, control
/// characters, characters that change the direction of what follows or that cannot be seen. At most `limit` bytes.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let keep = match letter {
            '\u{1b}' | '\u{9b}' => {
                skip_escape(letter, &mut letters);
                continue;
            }
            '\t' | '\u{2028}' | '\u{2029}' => ' ',
            '\n' => '↵',
            _ if letter.is_control() || is_unseen(letter) => continue,
            _ => letter,
        };
        if out.len() + keep.len_utf8() + CUT.len() > limit {
            out.push_str(CUT);
            break;
        }
        out.push(keep);
    }
    out
}

/// ECMA-48: a control sequence ends with a byte of 0x40–0x7E; an operating system command with BEL or ST.
fn skip_escape(first: char, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = if first == '\u{9b}' {
        Some('[')
    } else {
        letters.next()
    };
    match kind {
        Some('[') => {
            for letter in letters.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&letter) {
                    break;
                }
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(letter) = letters.next() {
                let terminated = letter == '\u{1b}' && letters.next_if_eq(&'\\').is_some();
                if terminated || matches!(letter, '\u{7}' | '\u{9c}' | '\n') {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// Marks of direction and characters without width: with them a line can read differently from what it is.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Fields as a JSON object, whatever they were.
fn object(fields: &str) -> String {
    let parsed = if fields.len() <= LINE_BYTES {
        serde_json::from_str(fields).ok()
    } else {
        None
    };
    let value = match parsed {
        Some(serde_json::Value::Object(map)) => clean_value(serde_json::Value::Object(map)),
        _ => serde_json::json!({ "text": clean(fields, LINE_BYTES) }),
    };
    value.to_string()
}

/// The parser bounds the depth.
fn clean_value(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) => String(clean(&text, LINE_BYTES)),
        Array(items) => Array(items.into_iter().map(clean_value).collect()),
        Object(map) => Object(
            map.into_iter()
                .map(|(name, value)| (clean(&name, LINE_BYTES), clean_value(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Bytes of stdout or stderr on their way to lines.
#[derive(Debug)]
pub(crate) struct Lines {
    journal: Journal,
    level: Level,
    source: Source,
    line: Vec<u8>,
    /// The line was too long; what follows up to its end is let go.
    skipping: bool,
}

impl Lines {
    pub(crate) fn new(journal: Journal, level: Level, source: Source) -> Self {
        Self {
            journal,
            level,
            source,
            line: Vec::new(),
            skipping: false,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if !self.skipping {
                let room = LINE_BYTES.saturating_sub(self.line.len());
                self.line.extend_from_slice(part.get(..room).unwrap_or(part));
                if part.len() > room {
                    self.line.extend_from_slice(CUT.as_bytes());
                    self.end();
                    self.skipping = true;
                }
            }
            if parts.peek().is_some() {
                if !self.skipping {
                    self.end();
                }
                self.skipping = false;
            }
        }
    }

    fn end(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            self.journal.write(self.level, self.source, text, None);
        }
        self.line.clear();
    }
}

/// The last line may lack its newline.
impl Drop for Lines {
    fn drop(&mut self) {
        if !self.skipping {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(journal: &Journal) -> Vec<String> {
        journal.take().into_iter().map(|line| line.message).collect()
    }

    #[test]
    fn escapes_are_removed() {
        let check = |text: &str, expected: &str| assert_eq!(clean(text, 100), expected, "{text:?}");
        check("plain", "plain");
        check("\u{1b}[31mred\u{1b}[0m", "red");
        check("\u{1b}]0;title\u{7}after", "after");
        check("\u{1b}]0;title\u{1b}\\after", "after");
        check("\u{9b}2Jx", "x");
        check("a\rb\u{8}c\0", "abc");
        check("a\nb", "a↵b");
        check("a\u{202e}b\u{200b}c\u{2066}", "abc");
        check("\u{1b}", "");
        check("tab\tbed", "tab bed");
        assert_eq!(clean("abcdefgh", 6), "abc…");
    }

    #[test]
    fn fields_become_an_object() {
        let check = |text: &str, expected: &str| assert_eq!(object(text), expected);
        check(r#"{"a":1}"#, r#"{"a":1}"#);
        check(r#"{"a":"\u001b[2J"}"#, r#"{"a":""}"#);
        check("[1]", r#"{"text":"[1]"}"#);
        check("not json", r#"{"text":"not json"}"#);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let journal = Journal::new(1000);
        for _ in 0..1000 {
            journal.write(Level::Info, Source::Log, "0123456789", None);
        }
        let lines = journal.take();
        assert_eq!(lines.len(), 24);
        assert_eq!(
            lines.last().unwrap().message,
            "dropped 977 lines: the log budget of the call is used up"
        );
    }

    #[test]
    fn bytes_become_lines() {
        let journal = Journal::new(1 << 20);
        let mut lines = Lines::new(journal.clone(), Level::Info, Source::Stdout);
        lines.write(b"one\ntw");
        lines.write(b"o\r\n\nthree");
        drop(lines);
        assert_eq!(messages(&journal), ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_end_is_one_line() {
        let journal = Journal::new(1 << 20);
        let mut lines = Lines::new(journal.clone(), Level::Info, Source::Stdout);
        for _ in 0..1000 {
            lines.write(&[b'x'; 1000]);
        }
        lines.write(b"\nnext\n");
        let found = messages(&journal);
        assert_eq!(found.len(), 2);
        assert!(found[0].len() <= LINE_BYTES && found[0].ends_with(CUT));
        assert_eq!(found[1], "next");
    }
}
