//! Masks for personal data.

use crate::json::{self, Kind};
use crate::rules::Way;

const STARS: &str = "****";

/// What is shown of a value. It never has the value inside: what is kept is at most half of it, and the stars are always four.
pub(super) fn mask(value: &str, way: &Way) -> String {
    if let Way::Fixed(text) = way {
        return text.clone();
    }
    let text = match json::kind(value) {
        Kind::Text => json::decode(value),
        Kind::Number => value.into(),
        _ => return STARS.to_owned(),
    };
    match way {
        Way::Fixed(text) => text.clone(),
        Way::KeepLast(count) => {
            let length = text.chars().count();
            let kept = usize::from(*count).min(length / 2);
            let last: String = text.chars().skip(length - kept).collect();
            format!("{STARS}{last}")
        }
        Way::Email => match text.rsplit_once('@') {
            Some((local, domain)) => {
                let mut chars = local.chars();
                let first = chars.next().filter(|_| chars.next().is_some());
                let first = first.map(String::from).unwrap_or_default();
                format!("{first}{STARS}@{domain}")
            }
            None => STARS.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn masks() {
        for (value, way, expected) in [
            ("\"4111111111111234\"", Way::KeepLast(4), "****1234"),
            ("\"1234\"", Way::KeepLast(4), "****34"),
            ("\"é\"", Way::KeepLast(4), "****"),
            ("5551234567", Way::KeepLast(2), "****67"),
            ("[\"a\"]", Way::KeepLast(9), "****"),
            ("\"jane@example.com\"", Way::Email, "j****@example.com"),
            ("\"j@example.com\"", Way::Email, "****@example.com"),
            ("\"no address\"", Way::Email, "****"),
            ("\"x\"", Way::Fixed("hidden".into()), "hidden"),
        ] {
            assert_eq!(mask(value, &way), expected, "{value} {way:?}");
        }
    }

    proptest! {
        #[test]
        fn the_value_is_never_inside(text in "[a-zA-Z0-9@. é]{1,40}", count in 0u8..40) {
            let value = json::encode(&text);
            // An address without anything before its @ is a domain, which is shown.
            prop_assume!(!text.starts_with('@'));
            prop_assert!(!mask(&value, &Way::KeepLast(count)).contains(&text));
            prop_assert!(!mask(&value, &Way::Email).contains(&text));
        }
    }
}
