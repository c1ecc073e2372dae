//! Texts that are shown to people: bounded, and without characters that would make them look like something else.

/// Whether a text can be shown as it is: no control characters but line feeds and tabs, nothing that turns the direction of
/// writing around, no line separators (Unicode TR 36 §3).
pub(crate) fn is_plain(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\n' | '\t')
            || !(c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
                    | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'))
    })
}

/// A short part of somebody's text within a message.
pub(crate) fn shown(text: &str) -> String {
    cut(text, 80)
}

/// A reason that a library gives, which may have somebody's text in it.
pub(crate) fn shown_long(text: &str) -> String {
    cut(text, 300)
}

fn cut(text: &str, chars: usize) -> String {
    text.chars()
        .take(chars)
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '.' })
        .collect()
}
