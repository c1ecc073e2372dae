//! The page as text for a terminal: what belongs together stands together, and no line is longer than a person reads.

use std::fmt;

use super::{CredentialLine, HookLine, PermissionPage, RequestLine};

/// Lists are wrapped to lines of so many characters.
const WIDTH: usize = 100;
/// Up to so many kinds of events stand on the webhook's own line.
const FEW_KINDS: usize = 3;
/// Under the word behind `send`, `use` and `receive`, and below that.
const INDENT: &str = "           ";
const DEEPER: &str = "             ";

impl fmt::Display for PermissionPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({} {})", self.name, self.id, self.version)?;
        writeln!(f, "\nMAY")?;
        if self.requests.is_empty() {
            writeln!(f, "  send no requests at all")?;
        }
        requests(f, &self.requests)?;
        for line in &self.credentials {
            let (title, applied) = (&line.title, &line.applied);
            writeln!(
                f,
                "  use      \"{title}\", added {applied} and never seen by its code, only to {}",
                line.origins.join(", ")
            )?;
            let come_by = come_by(line);
            if !come_by.is_empty() {
                writeln!(f, "{INDENT}{come_by}")?;
            }
        }
        for line in &self.hooks {
            hook(f, line)?;
        }
        for line in &self.links {
            writeln!(f, "  give     whoever runs \"{}\" {}", line.title, line.gives)?;
        }
        if let Some(files) = &self.files {
            writeln!(f, "  keep     {files}")?;
        }
        for line in &self.limits {
            writeln!(f, "  use up   {line}")?;
        }
        if !self.optional.is_empty() {
            writeln!(f, "\nOPTIONAL, off until you switch it on")?;
            requests(f, &self.optional)?;
        }
        writeln!(f, "\nCANNOT")?;
        for line in &self.cannot {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// Lines that differ only in their path are one: methods and host, the paths below, the claim once.
fn requests(f: &mut fmt::Formatter<'_>, lines: &[RequestLine]) -> fmt::Result {
    for alike in lines.chunk_by(|a, b| a.parts.0 == b.parts.0 && a.claim == b.claim) {
        match alike {
            [] => {}
            [only] => writeln!(f, "  send     {}", only.rule)?,
            [first, ..] => {
                writeln!(f, "  send     {}", first.parts.0)?;
                for line in alike {
                    writeln!(f, "{DEEPER}{}", line.parts.1)?;
                }
            }
        }
        if let Some(claim) = alike.first().and_then(|line| line.claim.as_ref()) {
            writeln!(f, "{INDENT}the publisher says: \"{claim}\"")?;
        }
    }
    Ok(())
}

/// How it is come by, on one line.
fn come_by(line: &CredentialLine) -> String {
    let quoted = |titles: &[String]| {
        let titles: Vec<_> = titles.iter().map(|title| format!("\"{title}\"")).collect();
        titles.join(", ")
    };
    let mut sentences = Vec::new();
    if !line.gives.is_empty() {
        sentences.push(format!("whoever connects gives {}", quoted(&line.gives)));
    }
    if !line.app.is_empty() {
        sentences.push(format!("its app needs {}", quoted(&line.app)));
    }
    if !line.asked.is_empty() {
        sentences.push(format!("the server itself asks {}", line.asked.join(", ")));
    }
    sentences.join("; ")
}

fn hook(f: &mut fmt::Formatter<'_>, line: &HookLine) -> fmt::Result {
    let HookLine {
        name,
        events,
        verified,
        contents,
        claim,
        sources,
    } = line;
    let how = match (verified, contents) {
        (true, true) => "signature verified by the host",
        (true, false) => "sender verified by the host, but not what it sends",
        (false, _) => "NOT VERIFIED: anybody can send it",
    };
    if events.len() <= FEW_KINDS {
        writeln!(f, "  receive  webhook `{name}` ({}), {how}", events.join(", "))?;
    } else {
        let kinds = events.len();
        writeln!(f, "  receive  webhook `{name}`, {how}, of {kinds} kinds:")?;
        wrapped(f, events)?;
    }
    if let Some(claim) = claim {
        writeln!(f, "{INDENT}the publisher says: \"{claim}\"")?;
    }
    match sources.len() {
        0 => Ok(()),
        1..=FEW_KINDS => writeln!(f, "{INDENT}only from {}", sources.join(", ")),
        many => {
            writeln!(f, "{INDENT}only from {many} ranges of addresses:")?;
            wrapped(f, sources)
        }
    }
}

/// Words with commas between them, on as few lines as they need.
fn wrapped(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    let mut column = 0;
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 < words.len() { "," } else { "" };
        let length = word.chars().count() + comma.len();
        if column > 0 && column + 1 + length > WIDTH {
            writeln!(f)?;
            column = 0;
        }
        let gap = if column == 0 { DEEPER } else { " " };
        write!(f, "{gap}{word}{comma}")?;
        column += gap.len() + length;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_kinds_are_counted_and_wrapped() {
        let line = |events: Vec<String>| {
            let hooks = vec![HookLine {
                name: "events".to_owned(),
                events,
                verified: true,
                contents: true,
                claim: None,
                sources: vec![],
            }];
            let page = PermissionPage {
                id: String::new(),
                name: String::new(),
                version: String::new(),
                requests: vec![],
                optional: vec![],
                credentials: vec![],
                hooks,
                links: vec![],
                files: None,
                limits: vec![],
                cannot: vec![],
            };
            page.to_string()
        };
        let many = line((0..60).map(|n| format!("kind_{n}.*")).collect());
        assert!(many.contains(
            "`events`, signature verified by the host, of 60 kinds:\n             kind_0.*, kind_1.*"
        ));
        assert!(many.contains("kind_59.*\n"));
        assert!(many.lines().all(|line| line.len() <= WIDTH), "{many}");
        assert!(line(vec!["a".to_owned(), "b".to_owned()]).contains("webhook `events` (a, b), signature"));
    }
}
