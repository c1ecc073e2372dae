//! JSON strings and the text they stand for.

use std::borrow::Cow;

/// The text of a JSON string with its quotes. A surrogate without its pair, which no text can hold, becomes U+FFFD.
pub(crate) fn decode(raw: &str) -> Cow<'_, str> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|raw| raw.strip_suffix('"'))
        .unwrap_or(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let (char, taken) = escaped(after);
                text.push(char);
                rest = after.get(taken..).unwrap_or_default();
                continue;
            }
            Some(other) => text.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of `uXXXX` or of `uXXXX\uXXXX`, and how many bytes said it.
fn escaped(after: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = after.get(from..from + 4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(1).unwrap_or(0xfffd);
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first).unwrap_or('\u{fffd}'), 5);
    }
    let low = (after.get(5..7) == Some("\\u")).then(|| unit(7)).flatten();
    match low {
        Some(low @ 0xdc00..0xe000) => {
            let point = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or('\u{fffd}'), 11)
        }
        _ => ('\u{fffd}', 5),
    }
}

/// A text as a JSON string.
pub(crate) fn encode(text: &str) -> String {
    // A string always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read() {
        for (raw, text) in [
            ("\"a\"", "a"),
            ("\"\\u00e9\\n\\/\"", "é\n/"),
            ("\"\\ud83d\\ude00!\"", "😀!"),
            ("\"\\ud83d\"", "\u{fffd}"),
            ("\"\\ud83dx\\u0041\"", "\u{fffd}xA"),
            ("\"\\\\u0041\"", "\\u0041"),
        ] {
            assert_eq!(decode(raw), text);
        }
    }

    proptest! {
        #[test]
        fn encoded_text_comes_back(text in any::<String>()) {
            let raw = encode(&text);
            prop_assert_eq!(decode(&raw), text);
        }
    }
}
