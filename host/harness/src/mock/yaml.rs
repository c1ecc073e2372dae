//! YAML as JSON. A document comes from a vendor, or from whoever says so: what its few bytes unfold to is bounded here, before any of it
//! is looked at.

use serde_json::Value;

/// Nested collections. The deepest published documents that we know of have about 40.
const MAX_DEPTH: usize = 96;
/// Scalars, lists and maps. The largest published documents have about two million.
const MAX_NODES: usize = 4_000_000;
/// What the parser tells of a document, aliases unfolded: each node once, each collection twice.
const MAX_EVENTS: usize = 10_000_000;
/// Of these, what aliases repeat: twelve lines of them can make a thousand million nodes.
const MAX_REPEATED: usize = 500_000;

/// Reads one document of YAML 1.2; the error is one line, for people.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_EVENTS,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED,
            max_replay_stack_depth: MAX_DEPTH,
        },
        // YAML 1.2: `no` is a text.
        strict_booleans: true,
    };
    serde_saphyr::from_slice_with_options(text, options).map_err(|error| {
        let whole = error.without_snippet().to_string();
        let line = whole.lines().next().unwrap_or_default();
        match error.location() {
            Some(place) if !line.contains("line ") => format!("{line} at line {}", place.line()),
            _ => line.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_what_its_json_is() {
        let text = "openapi: 3.0.3 # a text, though it looks like a number\nresponses:\n  200: {description: 'yes', \
                    example: no}\nshared: &it\n  on: 2026-01-02\n  text: |\n    two\n    lines\nagain: *it\n";
        let it = json!({"on": "2026-01-02", "text": "two\nlines\n"});
        let expected = json!({
            "openapi": "3.0.3",
            "responses": {"200": {"description": "yes", "example": "no"}},
            "shared": it,
            "again": it,
        });
        assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn few_bytes_do_not_become_many() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
        let indented: String = (0..2_000).map(|at| format!("{}a:\n", " ".repeat(at))).collect();
        for text in [
            bomb,
            deep,
            indented,
            "a: &a [*a]".to_owned(),
            "a: 1\na: 2".to_owned(),
        ] {
            let refused = parse(text.as_bytes());
            assert!(refused.is_err(), "{}", text.get(..40).unwrap_or(&text));
            assert!(!refused.unwrap_err().contains('\n'));
        }
        let wrong = parse(b"a: 1\nb: [1, 2\n").unwrap_err();
        assert!(wrong.contains("line "), "{wrong}");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in "[-:\\[\\]{}&*!|>'\"#a1,? \n]{0,80}", raw in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(parse(bytes.as_bytes()));
            drop(parse(&raw));
        }
    }
}
