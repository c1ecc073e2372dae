//! Where values end: a strict reader of RFC 8259 that makes no tree.

use std::borrow::Cow;
use std::collections::HashSet;

use super::text::decode;

/// Objects and arrays inside each other. serde_json, jq and PostgreSQL's tools stop at or above it.
pub(crate) const MAX_DEPTH: usize = 128;

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it is not JSON (at byte {0})")]
    Syntax(usize),
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    Deep,
    #[error("an object has the same name twice")]
    Twice,
}

/// A member of an object: the name decoded, the name as written with its quotes, the value as written.
pub(crate) type RawMember<'a> = (Cow<'a, str>, &'a str, &'a str);

/// Whether the whole text is one JSON value; the value without the space around it.
pub(crate) fn check(text: &str) -> Result<&str, Malformed> {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    let start = scan.at;
    scan.value(0)?;
    let end = scan.at;
    scan.space();
    if scan.at < text.len() {
        return Err(Malformed::Syntax(scan.at));
    }
    scan.slice(start, end)
}

/// The members of a text that is an object.
pub(crate) fn members(text: &str) -> Result<Vec<RawMember<'_>>, Malformed> {
    let mut scan = Scan { text, at: 0 };
    let mut found: Vec<RawMember<'_>> = Vec::new();
    scan.space();
    scan.take(b'{')?;
    scan.space();
    if !scan.skip(b'}') {
        loop {
            scan.space();
            let (start, ()) = (scan.at, scan.string()?);
            let raw = scan.slice(start, scan.at)?;
            scan.space();
            scan.take(b':')?;
            scan.space();
            let (start, ()) = (scan.at, scan.value(1)?);
            found.push((decode(raw), raw, scan.slice(start, scan.at)?));
            scan.space();
            if scan.skip(b'}') {
                break;
            }
            scan.take(b',')?;
        }
    }
    scan.end()?;
    refuse_twice(&found)?;
    Ok(found)
}

/// The elements of a text that is an array.
pub(crate) fn elements(text: &str) -> Result<Vec<&str>, Malformed> {
    let mut scan = Scan { text, at: 0 };
    let mut found = Vec::new();
    scan.space();
    scan.take(b'[')?;
    scan.space();
    if !scan.skip(b']') {
        loop {
            scan.space();
            let (start, ()) = (scan.at, scan.value(1)?);
            found.push(scan.slice(start, scan.at)?);
            scan.space();
            if scan.skip(b']') {
                break;
            }
            scan.take(b',')?;
        }
    }
    scan.end()?;
    Ok(found)
}

fn refuse_twice(members: &[RawMember<'_>]) -> Result<(), Malformed> {
    // Comparing all pairs is quicker than hashing while there are few.
    let twice = if members.len() <= 12 {
        let mut rest = members;
        let mut twice = false;
        while let Some((first, others)) = rest.split_first() {
            twice |= others.iter().any(|other| other.0 == first.0);
            rest = others;
        }
        twice
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        !members.iter().all(|member| seen.insert(member.0.as_ref()))
    };
    if twice { Err(Malformed::Twice) } else { Ok(()) }
}

/// A place in a text.
pub(crate) struct Scan<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn wrong<T>(&self) -> Result<T, Malformed> {
        Err(Malformed::Syntax(self.at))
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> Result<&'a str, Malformed> {
        self.text.get(start..end).ok_or(Malformed::Syntax(start))
    }

    pub(crate) fn skip(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.skip(byte) { Ok(()) } else { self.wrong() }
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        self.space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.wrong()
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(Malformed::Deep),
            Some(b'{') => self.many(depth, b'}'),
            Some(b'[') => self.many(depth, b']'),
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            _ => self.number(),
        }
    }

    fn many(&mut self, depth: usize, close: u8) -> Result<(), Malformed> {
        self.at += 1;
        self.space();
        if self.skip(close) {
            return Ok(());
        }
        loop {
            self.space();
            if close == b'}' {
                self.string()?;
                self.space();
                self.take(b':')?;
                self.space();
            }
            self.value(depth + 1)?;
            self.space();
            if self.skip(close) {
                return Ok(());
            }
            self.take(b',')?;
        }
    }

    pub(crate) fn word(&mut self, word: &str) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn string(&mut self) -> Result<(), Malformed> {
        self.take(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return self.wrong();
                                }
                                self.at += 1;
                            }
                        }
                        _ => return self.wrong(),
                    }
                }
                Some(0..0x20) | None => return self.wrong(),
                Some(_) => self.at += 1,
            }
        }
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { self.wrong() }
    }

    pub(crate) fn number(&mut self) -> Result<(), Malformed> {
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_and_what_is_not() {
        for text in [
            "0",
            " -0 ",
            "1.10",
            "1e400",
            "-12.5E-3",
            "\"a\\u00e9\\n\"",
            "[]",
            "[ 1 , [2] ]",
            "{\"a\":{}}",
            "null",
            "true",
        ] {
            assert_eq!(check(text), Ok(text.trim()), "{text}");
        }
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\u{1}\"",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "1 2",
            "NaN",
            "-",
        ] {
            assert!(matches!(check(text), Err(Malformed::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn depth_has_an_end() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(check(&deep(MAX_DEPTH + 1)), Err(Malformed::Deep));
        assert_eq!(check(&deep(1_000_000)), Err(Malformed::Deep));
    }

    #[test]
    fn names_come_once() {
        assert_eq!(members("{\"a\":1,\"\\u0061\":2}"), Err(Malformed::Twice));
        let many: Vec<String> = (0..40).map(|n| format!("\"k{}\":1", n % 39)).collect();
        assert_eq!(members(&format!("{{{}}}", many.join(","))), Err(Malformed::Twice));
    }
}
