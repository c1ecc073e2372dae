//! Which kinds of events an endpoint wants.

/// More patterns are a mistake: `*` wants everything.
pub const MAX_KINDS: usize = 100;
/// Bytes of one pattern; no kind of event is longer.
const MAX_KIND_BYTES: usize = 200;

/// Why patterns are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindsError {
    /// One is not a pattern.
    #[error(
        "`{0}` is not a kind of event: letters, digits and `_.:/-`, with `.*` at most at the end, or `*`"
    )]
    Pattern(String),
    /// There are none, or too many.
    #[error("name 1 to {MAX_KINDS} kinds of events, or `*`")]
    Count,
}

/// Checks patterns: a kind, a kind's beginning and `.*`, or `*` for all.
///
/// # Errors
/// When one is something else, or there are none or too many.
pub fn parse_kinds(patterns: &[String]) -> Result<(), KindsError> {
    if patterns.is_empty() || patterns.len() > MAX_KINDS {
        return Err(KindsError::Count);
    }
    for pattern in patterns {
        let bare = match pattern.as_str() {
            "*" => "all",
            other => other.strip_suffix(".*").unwrap_or(other),
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        if bare.is_empty() || bare.len() > MAX_KIND_BYTES || !bare.bytes().all(is_word) {
            let shown = pattern.chars().take(80).flat_map(char::escape_default).collect();
            return Err(KindsError::Pattern(shown));
        }
    }
    Ok(())
}

/// Whether one of the patterns means this kind. `a.*` means `a.b` and `a.b.c`, not `a`.
#[must_use]
pub fn is_wanted(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some("") => true,
        Some(start) if start.ends_with('.') => kind.starts_with(start),
        _ => pattern == kind,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, kind: &str, expected: bool) {
        assert_eq!(
            is_wanted(&[pattern.to_owned()], kind),
            expected,
            "{pattern} {kind}"
        );
    }

    #[test]
    fn patterns_mean_what_they_say() {
        check("*", "github.push", true);
        check("github.*", "github.push", true);
        check("github.*", "github.issues.opened", true);
        check("github.*", "github", false);
        check("github.*", "githubs.push", false);
        check("github.push", "github.push", true);
        check("github.push", "github.push.x", false);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "*.x", "a*", "a.*.b", "a b", "a\r\nb", ".*x", "ä", "**"] {
            assert!(parse_kinds(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
        for pattern in ["*", "a", "a.*", "github.issues:opened/x_y-z.*"] {
            assert!(parse_kinds(&[pattern.to_owned()]).is_ok(), "{pattern}");
        }
        assert_eq!(parse_kinds(&[]), Err(KindsError::Count));
        assert_eq!(parse_kinds(&vec!["a".to_owned(); 101]), Err(KindsError::Count));
    }

    proptest! {
        #[test]
        fn no_text_panics(pattern: String, kind: String) {
            let _ = (parse_kinds(std::slice::from_ref(&pattern)), is_wanted(&[pattern], &kind));
        }
    }
}
