//! What is too much, and what is nearly right.

use proptest::prelude::*;
use serde_json::json;

use super::FULL;
use crate::manifest::Manifest;

#[test]
fn sizes_are_bounded() {
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("p{n} = \"x\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (from, to, path) in [
        (
            "access_type = \"offline\"",
            many(31),
            "auth[5].oauth2.authorize_params.p30",
        ),
        (
            "aud = \"${token_url}\", scope",
            format!("{}, scope", many(31)),
            "auth[6].oauth2.assertion.claims.p29",
        ),
        (
            "access_type = \"offline\"",
            format!("a = \"{}\"", "x".repeat(2001)),
            "auth[5].oauth2.authorize_params.a",
        ),
        (
            "scopes = [\"read\"]",
            format!("scopes = [{}]", "\"x\",".repeat(201)),
            "auth[6].oauth2.scopes",
        ),
        (
            "ended = [\"token_revoked\"]",
            format!("ended = [{}]", "\"x\",".repeat(21)),
            "auth[5].oauth2.answer.ended",
        ),
        (
            "token_url = \"https://oauth2",
            format!("token_url = \"https://oauth2.x.example/{}", "x".repeat(2000)),
            "auth[6].oauth2.token_url",
        ),
    ] {
        let error = Manifest::parse(&FULL.replacen(from, &to, 1)).unwrap_err();
        assert_eq!(error.path, path, "{error}");
    }
}

proptest! {
    /// Any one character replaced gives a manifest or an error with a place within the text, and whatever is read has
    /// addresses that are `https` or lead to this machine.
    #[test]
    fn a_changed_character_gives_a_place(at in 0..FULL.len(), with in "[\"\\[{}\n$.:/a1 ]") {
        let at = (0..=at).rev().find(|at| FULL.is_char_boundary(*at)).unwrap();
        let rest = FULL[at..].chars().next().map_or(0, char::len_utf8);
        let text = format!("{}{with}{}", &FULL[..at], &FULL[at + rest..]);
        match Manifest::parse(&text) {
            Err(error) => {
                prop_assert!(error.line as usize <= text.lines().count() + 1);
                prop_assert!(error.line > 0 && error.column > 0);
            }
            Ok(manifest) => {
                let config = json!({"sub": "a", "tenant": "b", "instance": "c.example", "region": "d"});
                for rule in manifest.auth.iter().filter_map(|scheme| scheme.reach(&config).ok()).flatten() {
                    prop_assert!(rule.to_string().contains("https://"), "{}", rule);
                }
            }
        }
    }
}
