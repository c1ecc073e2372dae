//! Icons: a PNG, or an SVG that draws and does nothing else.

use crate::error::FormatError;

/// Pixels on one side of a PNG; an icon is drawn far smaller.
const MAX_SIDE: u32 = 1024;

/// What an icon is.
pub(crate) fn media_type(icon: &[u8]) -> Result<&'static str, FormatError> {
    if let Some(rest) = icon.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        // PNG (3rd edition) §11.2.1: the header chunk comes first, with width and height.
        let side = |at: usize| {
            let bytes = rest.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        let (width, height) = (side(8).unwrap_or(0), side(12).unwrap_or(0));
        let headed = rest.get(4..8) == Some(b"IHDR");
        let fits = |side: u32| (1..=MAX_SIDE).contains(&side);
        return if headed && fits(width) && fits(height) {
            Ok("image/png")
        } else {
            Err(wrong("is a PNG of a size that no icon has"))
        };
    }
    let text = std::str::from_utf8(icon).map_err(|_| wrong("is neither a PNG nor an SVG"))?;
    let lower = text.to_ascii_lowercase();
    if !lower.trim_start().starts_with("<svg") || !crate::text::is_plain(text) {
        return Err(wrong("is neither a PNG nor an SVG"));
    }
    match FORBIDDEN.iter().find(|word| lower.contains(**word)) {
        Some(word) => Err(wrong(&format!("is an SVG that has `{word}` in it"))),
        None if has_handler(&lower) => Err(wrong("is an SVG with an event handler")),
        None => Ok("image/svg+xml"),
    }
}

/// What runs, loads, or hides from a reader of the text.
const FORBIDDEN: &[&str] = &[
    "<!",
    "<?",
    "&",
    "<script",
    "<foreignobject",
    "<iframe",
    "<image",
    "<use",
    "<animate",
    "<set",
    "<style",
    "<a ",
    "<a>",
    "href",
    "javascript:",
    "data:",
    "url(http",
    "url('",
    "url(\"",
    "@import",
];

/// Whether an attribute begins with `on`.
fn has_handler(lower: &str) -> bool {
    lower
        .split(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '/'))
        .any(|word| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=') && name.starts_with("on")
        })
        || lower.split_ascii_whitespace().any(|word| word.starts_with("on"))
}

fn wrong(reason: &str) -> FormatError {
    FormatError::part("icon", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_draws_is_an_icon() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><path d=\"M0 0h8v8z\" fill=\"#333\"/></svg>";
        assert_eq!(media_type(svg.as_bytes()), Ok("image/svg+xml"));
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x40\0\0\0\x40\x08\x06\0\0\0".to_vec();
        assert_eq!(media_type(&png), Ok("image/png"));
        png[16] = 1;
        assert!(media_type(&png).is_err());
        assert!(media_type(&png[..12]).is_err());
    }

    #[test]
    fn what_does_more_is_not() {
        for svg in [
            "<svg onload=alert(1)>",
            "<svg ONLOAD = alert(1)>",
            "<svg/onload=alert(1)>",
            "<svg><script>1</script></svg>",
            "<!DOCTYPE svg [<!ENTITY a \"b\">]><svg/>",
            "<svg><a href='javascript:1'/></svg>",
            "<svg><image href='https://x'/></svg>",
            "<svg>&#106;</svg>",
            "<html></html>",
            "GIF89a",
            "",
        ] {
            assert!(media_type(svg.as_bytes()).is_err(), "{svg}");
        }
    }
}
