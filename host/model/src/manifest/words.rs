//! Rules for the texts of a manifest.

/// Whether a character controls, hides or reorders what is shown: control characters, zero-width and direction marks,
/// line separators, variation and tag characters (Unicode TR 36 §3).
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A name that code uses: `[a-z][a-z0-9_-]{0,63}`.
pub(super) fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(word)
}

/// A connector's id: `[a-z][a-z0-9-]{1,62}`.
pub(super) fn is_id(text: &str) -> bool {
    (2..=63).contains(&text.len()) && is_name(text) && !text.contains('_')
}

/// A semantic version (semver.org 2.0.0 §2, §9, §10).
pub(super) fn is_version(text: &str) -> bool {
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| {
        word(part) && digits(part) && part.len() <= 19 && (part == "0" || !part.starts_with('0'))
    };
    let pre_part = |part: &str| word(part) && (!digits(part) || number(part));
    text.len() <= 128
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(pre_part))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// A version of the contract: `0.1`.
pub(super) fn is_contract(text: &str) -> bool {
    let number = |part: &str| {
        (1..=4).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    text.split_once('.')
        .is_some_and(|(major, minor)| number(major) && number(minor))
}

/// A kind of event: letters, digits and `_.:/-`; `*` alone or as the last part.
pub(super) fn is_event_kind(text: &str) -> bool {
    let stem = if text == "*" {
        return true;
    } else {
        text.strip_suffix(".*").unwrap_or(text)
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
    (1..=100).contains(&stem.len()) && stem.bytes().all(word)
}

/// A JSON pointer (RFC 6901 §3) to something within the document; the whole of it is nobody's id or token.
pub(crate) fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// Appends a key to a path, quoted where TOML would quote it.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if bare {
        shown(key)
    } else {
        format!("\"{}\"", shown(key))
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// A text of the author's within a message: short, and without characters that would change the message's look.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(64)
        .map(|c| if is_hidden(c) { '\u{fffd}' } else { c })
        .collect();
    if shown.len() < text.len() && text.chars().count() > 64 {
        shown.push('…');
    }
    shown
}

/// `a`, `b`.
pub(super) fn listed(keys: &[&str]) -> String {
    keys.iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The key that was probably meant: at most a third of its letters away.
pub(super) fn closest<'k>(name: &str, keys: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let near = keys.iter().map(|key| (distance(name, key), *key)).min()?;
    (near.0 <= near.1.len().max(3) / 3).then_some(near.1)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, left) in a.bytes().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.bytes()) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in [
            "0.1.0",
            "1.2.3",
            "1.0.0-rc.1",
            "1.0.0+build.5",
            "1.0.0-a-b.0+x",
            "10.20.30",
        ] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.x",
            "1.2.3 ",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn ids() {
        for good in ["github", "a1", "acme-crm"] {
            assert!(is_id(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "Github",
            "1a",
            "-a",
            "a_b",
            "a.b",
            "gıthub",
            &"a".repeat(64),
        ] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(closest("tittle", &["name", "title"]), Some("title"));
        assert_eq!(closest("method", &["methods", "paths"]), Some("methods"));
        assert_eq!(closest("zzz", &["methods", "paths"]), None);
    }

    #[test]
    fn event_kinds() {
        for good in [
            "issues",
            "issues.opened",
            "issues.*",
            "*",
            "MESSAGE_CREATE",
            "a:b/c-d",
        ] {
            assert!(is_event_kind(good), "{good}");
        }
        for bad in ["", ".*x", "a*", "a b", "a.*.b", "ä"] {
            assert!(!is_event_kind(bad), "{bad}");
        }
    }
}
