//! Which JSON texts a database can hold as `jsonb`. It refuses what RFC 8259 permits: `\u0000` (§7), halves of surrogate
//! pairs (§8.2), nesting beyond its stack (§9), and numbers beyond its `numeric`.

use crate::decimal;

/// Levels of nesting that are kept as they are. PostgreSQL's default stack ends at some thousands.
const MAX_DEPTH: usize = 500;

/// Whether a value can be held. `text` is valid JSON.
pub(crate) fn is_holdable(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'"' => match string_end(bytes, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes.iter().skip(at).take_while(is_part).count();
                let number = text.get(at..at + length).unwrap_or_default();
                // Below this length without a power it cannot be too large.
                let is_short = length < 100 && !number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
                if !is_short && !decimal::is_holdable(number) {
                    return false;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    true
}

/// Where the string that begins before `at` is over; `None` where it has what cannot be held.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' if bytes.get(at + 1) == Some(&b'u') => {
                let unit = unit(bytes, at)?;
                at += 6;
                match unit {
                    0 | 0xdc00..=0xdfff => return None,
                    0xd800..=0xdbff => {
                        let low = unit_at(bytes, at).filter(|low| (0xdc00..=0xdfff).contains(low));
                        low?;
                        at += 6;
                    }
                    _ => {}
                }
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The unit of the `\uXXXX` at `at`, if there is one.
fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    (bytes.get(at) == Some(&b'\\') && bytes.get(at + 1) == Some(&b'u')).then_some(())?;
    unit(bytes, at)
}

fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let hex = std::str::from_utf8(bytes.get(at + 2..at + 6)?).ok()?;
    u16::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_takes() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for good in [
            "null",
            r#""a\u0001\\u0000""#,
            r#""\ud83d\ude00""#,
            r#"{"a":[1,2.5e300,"\"\\"]}"#,
            r#""[[[\"[[""#,
            &deep(500),
        ] {
            assert!(is_holdable(good), "{good}");
        }
        for bad in [
            r#""\u0000""#,
            r#"{"\u0000":1}"#,
            r#"["\\\u0000"]"#,
            r#""\ud83d""#,
            r#""\ude00\ud83d""#,
            r#""\ud83d\n""#,
            r#"[1e99999]"#,
            "-1E-99999",
            &deep(501),
        ] {
            assert!(!is_holdable(bad), "{bad}");
        }
    }
}
