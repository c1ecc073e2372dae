use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_a_pattern_means() {
    for (text, path, meant) in [
        ("/user", "/user", true),
        ("/user", "/user/", false),
        ("/user", "/users", false),
        ("/user", "/User", false),
        ("/", "/", true),
        ("/", "/a", false),
        ("/repos/*", "/repos/a", true),
        ("/repos/*", "/repos/", false),
        ("/repos/*", "/repos", false),
        ("/repos/*", "/repos/a/b", false),
        ("/repos/*/issues", "/repos/a/issues", true),
        ("/repos/*/issues", "/repos/a/b/issues", false),
        ("/repos/**", "/repos", true),
        ("/repos/**", "/repos/", true),
        ("/repos/**", "/repos/a", true),
        ("/repos/**", "/repos/a/b/c", true),
        ("/repos/**", "/reposit", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/**/x", "/x", true),
        ("/**/x", "/a/b/x", true),
        ("/**/x", "/a/x/b", false),
        ("/a/**/b/**/c", "/a/b/c", true),
        ("/a/**/b/**/c", "/a/1/b/2/3/b/c", true),
        ("/a/**/b/**/c", "/a/1/2/c", false),
        ("/v*/x", "/v1/x", true),
        ("/v*/x", "/v/x", true),
        ("/v*/x", "/w1/x", false),
        ("/*.json", "/a.json", true),
        ("/*.json", "/a/b.json", false),
        ("/a*b*c", "/aXbYc", true),
        ("/a*b*c", "/abc", true),
        ("/a*b*c", "/acb", false),
        ("/ab*ba", "/aba", false),
        ("/a%20b", "/a%20b", true),
    ] {
        assert_eq!(pattern(text).matches(path), meant, "{text} and {path}");
    }
}

#[test]
fn a_path_that_can_be_read_two_ways_is_never_permitted() {
    let all = pattern("/**");
    for path in [
        "",
        "a",
        "//",
        "/a//b",
        "/a/../b",
        "/..",
        "/.",
        "/a/.",
        "/a/./b",
        "/a/..;/b",
        "/a/.;x=1/b",
        "/a%2fb",
        "/a%2Fb",
        "/%2e%2e/a",
        "/%2E",
        "/a\\b",
        "/a%5cb",
        "/a%5Cb",
        "/a%252fb",
        "/a%25252Fb",
        "/%252e%252e/a",
        "/a%00",
        "/a%0a",
        "/a%0D",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a b",
        "/a\tb",
        "/ä",
        "/a?b",
        "/a#b",
        "/a\0",
        "/a\n",
    ] {
        assert!(!all.matches(path), "{path:?}");
    }
    assert!(!all.matches(&format!("/{}", "a".repeat(MAX_PATH_BYTES))));
    assert!(!all.matches(&"/a".repeat(MAX_PATH_SEGMENTS + 1)));
    for path in [
        "/...",
        "/.well-known/x",
        "/a..b",
        "/a;b",
        "/%20",
        "/%25",
        "/100%25off",
        "/a%C3%A4",
        "/~a/@b:c",
    ] {
        assert!(all.matches(path), "{path:?}");
    }
}

#[test]
fn what_is_not_a_pattern() {
    for (text, reason) in [
        ("", "begin"),
        ("a", "begin"),
        ("*", "begin"),
        ("/a**", "whole segment"),
        ("/**a/b", "whole segment"),
        ("/***", "whole segment"),
        ("/a//b", "empty segment"),
        ("/../a", "segment"),
        ("/./a", "segment"),
        ("/a?x=1", "query"),
        ("/a#b", "query"),
        ("/a%2fb", "encoded"),
        ("/a%", "hexadecimal"),
        ("/a b", "character"),
        ("/ä", "character"),
        ("/a\\b", "backslash"),
    ] {
        let error = PathPattern::parse(text).unwrap_err();
        assert!(error.reason().contains(reason), "{text}: {error}");
    }
    assert!(PathPattern::parse(&format!("/{}", "a".repeat(600))).is_err());
    assert!(PathPattern::parse(&"/a".repeat(65)).is_err());
}

#[test]
fn what_a_pattern_covers() {
    for (wide, narrow, covered) in [
        ("/repos/**", "/repos/*", true),
        ("/repos/**", "/repos", true),
        ("/repos/*", "/repos/**", false),
        ("/repos/*", "/repos/a", true),
        ("/**", "/**/a/**", true),
        ("/**/a/**", "/**", false),
        ("/**/*", "/*/**", false), // `/a/` is one of the second's and none of the first's
        ("/*/**", "/**/*", true),
        ("/*/**", "/*/*/**", true),
        ("/*/*/**", "/*/**", false),
        ("/v*", "/v1*", true),
        ("/v1*", "/v*", false),
        ("/*", "/v*", true),
        ("/v*", "/*", false),
        ("/a*b", "/a*c*b", true),
        ("/a*c*b", "/a*b", false),
        ("/*", "/", false),
        ("/**", "/", true),
        ("/a/**/b", "/a/b", true),
        ("/a/**/b", "/a/**/x/b", true),
        ("/a/**/b/**", "/a/x/b", true),
    ] {
        assert_eq!(
            pattern(wide).covers(&pattern(narrow)),
            covered,
            "{wide} over {narrow}"
        );
    }
}

#[test]
fn a_hostile_pair_is_answered_within_bounds() {
    let wide = pattern(&format!("/**/a{}", "/*".repeat(60)));
    let narrow = pattern(&"/**/a".repeat(32));
    assert!(!wide.covers(&narrow));
    let path = "/a".repeat(MAX_PATH_SEGMENTS);
    assert!(!pattern(&format!("{}/b", "/**/a".repeat(20))).matches(&path));
}

fn any_pattern() -> impl Strategy<Value = PathPattern> {
    let segment = prop_oneof![
        "[ab]{1,2}",
        "[ab]{0,1}\\*[ab]{0,1}",
        Just("*".to_owned()),
        Just("**".to_owned())
    ];
    (prop::collection::vec(segment, 1..5), any::<bool>()).prop_filter_map("parses", |(segments, slash)| {
        PathPattern::parse(&format!(
            "/{}{}",
            segments.join("/"),
            if slash { "/" } else { "" }
        ))
        .ok()
    })
}

fn any_path() -> impl Strategy<Value = String> {
    (prop::collection::vec("[abx]{1,3}", 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let end = if slash && !segments.is_empty() { "/" } else { "" };
        format!("/{}{end}", segments.join("/"))
    })
}

/// Paths of up to four segments that tell the patterns of [`any_pattern`] apart.
fn sample() -> Vec<String> {
    let parts = [
        "a", "b", "x", "aa", "bb", "ab", "ba", "xa", "xb", "ax", "bx", "axa", "axb", "bxa", "bxb",
    ];
    let mut paths = vec![String::new()];
    let mut all = vec!["/".to_owned()];
    for _ in 0..4 {
        paths = paths
            .iter()
            .flat_map(|path| parts.map(|part| format!("{path}/{part}")))
            .collect();
        all.extend(paths.iter().cloned());
        all.extend(paths.iter().map(|path| format!("{path}/")));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_covered_is_permitted(a in any_pattern(), b in any_pattern(), path in any_path()) {
        if a.covers(&b) && b.matches(&path) {
            prop_assert!(a.matches(&path), "{a} covers {b} but not {path}");
        }
    }

    #[test]
    fn covering_is_reflexive(a in any_pattern()) {
        prop_assert!(a.covers(&a));
        prop_assert!(pattern("/**").covers(&a));
    }

    #[test]
    fn covering_is_transitive(a in any_pattern(), b in any_pattern(), c in any_pattern()) {
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c), "{a} over {b} over {c}");
        }
    }

    #[test]
    fn the_text_reads_back(a in any_pattern()) {
        prop_assert_eq!(pattern(&a.to_string()), a);
    }

    #[test]
    fn reading_and_matching_never_panic(text in ".{0,40}", path in "[/.%2fFeE*a\\\\;]{0,20}") {
        if let Ok(read) = PathPattern::parse(&text) {
            let _ = read.matches(&path);
        }
        if let Ok(read) = PathPattern::parse(&path) {
            let _ = read.covers(&pattern("/**/a"));
            let _ = read.matches(&path);
        }
    }

    /// The greedy matcher against the obvious one.
    #[test]
    fn matching_is_what_the_definition_says(a in any_pattern(), path in any_path()) {
        fn slow(pattern: &[Segment], path: &[&str]) -> bool {
            match pattern.split_first() {
                None => path.is_empty(),
                Some((Segment::Many, rest)) => (0..=path.len()).any(|n| slow(rest, &path[n..])),
                Some((segment, rest)) => path.split_first().is_some_and(|(part, more)| segment.matches(part) && slow(rest, more)),
            }
        }
        let parts: Vec<&str> = path[1..].split('/').collect();
        prop_assert_eq!(a.matches(&path), slow(&a.segments, &parts), "{} and {}", a, path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Completeness on the sample: if no path of it tells the two apart, ours should cover theirs. Both directions
    /// together pin the answer down.
    #[test]
    fn what_is_not_covered_has_a_witness(a in any_pattern(), b in any_pattern()) {
        if !a.covers(&b) && b.segments.len() <= 3 {
            let witness = sample().into_iter().any(|path| b.matches(&path) && !a.matches(&path));
            prop_assert!(witness, "{a} does not cover {b}, but no path shows it");
        }
    }
}
