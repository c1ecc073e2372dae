//! Files that connectors have the host download and keep: what one is called, and what it counts.
//!
//! What must always hold: nothing that a vendor or a connector says of a file can become a path, a header line or a page that a
//! browser runs. Its name is for people, its media type for programs, and both are cut to what is harmless here.

/// A key has 1 to so many bytes of UTF-8 without control characters.
pub const MAX_KEY_BYTES: usize = 256;

/// A name has at most so many bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// A media type has at most so many bytes.
const MAX_TYPE_BYTES: usize = 127;

/// What nobody said the type of.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What a file of this size takes of its connection's quota: whole blocks of 4 KiB, and at least one, so that a quota bounds the
/// number of files too.
#[must_use]
pub const fn charge(bytes: u64) -> u64 {
    let blocks = bytes.div_ceil(4096);
    let blocks = if blocks == 0 { 1 } else { blocks };
    blocks.saturating_mul(4096)
}

/// Whether a file can be kept under this key.
#[must_use]
pub fn is_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control)
}

/// The name without what is special in paths, headers and terminals; `file` where nothing is left.
#[must_use]
pub fn name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = match c {
            '/' | '\\' | ':' | '"' | '<' | '>' | '|' | '?' | '*' => '_',
            c if crate::manifest::words::is_hidden(c) => '_',
            c => c,
        };
        if name.len() + c.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        name.push(c);
    }
    let bare = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if bare.is_empty() {
        "file".to_owned()
    } else {
        bare.to_owned()
    }
}

/// `type/subtype` in lower case, of a Content-Type field (RFC 9110, 8.3.1), without parameters.
#[must_use]
pub fn media_type(field: &str) -> String {
    let essence = field.split(';').next().unwrap_or_default().trim();
    let is_token = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !text.is_empty() && text.bytes().all(fits)
    };
    match essence.split_once('/') {
        Some((kind, sub)) if is_token(kind) && is_token(sub) && essence.len() <= MAX_TYPE_BYTES => {
            essence.to_ascii_lowercase()
        }
        _ => UNKNOWN_TYPE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lose_what_is_special() {
        for (given, kept) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\x", "C__x"),
            ("..", "file"),
            ("", "file"),
            ("a\u{202e}fdp.exe", "a_fdp.exe"),
            ("r\r\nX: y", "r__X_ y"),
            ("Größe.txt", "Größe.txt"),
        ] {
            assert_eq!(name(given), kept);
        }
    }

    #[test]
    fn types_are_essences_or_unknown() {
        for (given, kept) in [
            ("image/PNG", "image/png"),
            ("text/html; charset=utf-8", "text/html"),
            ("", UNKNOWN_TYPE),
            ("a/b/c", UNKNOWN_TYPE),
            ("text/html\r\nX: y", UNKNOWN_TYPE),
        ] {
            assert_eq!(media_type(given), kept);
        }
    }

    #[test]
    fn the_smallest_file_counts() {
        assert_eq!(
            [charge(0), charge(1), charge(4096), charge(4097)],
            [4096, 4096, 4096, 8192]
        );
        assert!(charge(u64::MAX) > 0);
    }

    proptest! {
        #[test]
        fn any_name_is_harmless(text: String) {
            let name = name(&text);
            prop_assert!((1..=MAX_NAME_BYTES).contains(&name.len()));
            prop_assert!(!name.starts_with('.') && !name.contains(['/', '\\', '"', '\n', '\r', '\0']));
            prop_assert_eq!(&super::name(&name), &name);
        }
    }
}
