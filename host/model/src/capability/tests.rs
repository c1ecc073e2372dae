use proptest::prelude::*;
use serde_json::json;

use super::*;

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn rule(methods: &[&str], scheme: Scheme, name: &str, port: u16, path: &str) -> EgressRule {
    EgressRule {
        scheme,
        host: host(name),
        port,
        methods: MethodSet::of(methods).unwrap(),
        path: PathPattern::parse(path).unwrap(),
        optional: false,
        reason: None,
    }
}

#[test]
fn what_is_not_a_host_pattern() {
    for (text, reason) in [
        ("", "empty"),
        ("*", "`*`"),
        ("*.", "empty"),
        ("*.com", "top-level"),
        ("*.localhost", "top-level"),
        ("*x.com", "`*`"),
        ("a.*.x.com", "`*`"),
        ("*.*.x.com", "`*`"),
        ("x.*", "`*`"),
        ("**.x.com", "`*`"),
        ("*.10.0.0.1", "address"),
        ("*.1.2", "number"),
        ("API.github.com", "lower case"),
        ("x.com.", "dot"),
        ("*.x.com.", "dot"),
        (".x.com", "empty label"),
        ("a..x.com", "empty label"),
        ("*..x.com", "empty label"),
        ("exämple.com", "ASCII"),
        ("ｌocalhost", "ASCII"),
        ("a\u{200d}b.com", "ASCII"),
        ("user@x.com", "user"),
        ("x.com:443", "port"),
        ("https://x.com", "scheme"),
        ("x.com/path", "path"),
        ("x .com", "label"),
        ("x\n.com", "label"),
        ("-x.com", "label"),
        ("x-.com", "label"),
        ("127.1", "number"),
        ("0177.0.0.1", "number"),
        ("0x7f000001", "number"),
        ("a.0x7f", "number"),
        ("2130706433", "number"),
        ("[::1", "port"),
        ("0:0:0:0:0:0:0:1", "canonical"),
        ("::FFFF", "canonical"),
        ("${config.}", "property"),
        ("${config.a.b}", "property"),
        ("${host}", "form"),
        ("${config.host", "form"),
        ("a.${config.host}", "label"),
    ] {
        match HostPattern::parse(text) {
            Ok(read) => panic!("{text} was read as {read:?}"),
            Err(error) => assert!(error.reason().contains(reason), "{text}: {error}"),
        }
    }
    assert!(HostPattern::parse(&format!("{}.com", "a".repeat(64))).is_err());
    assert!(HostPattern::parse(&format!("{}com", "a.".repeat(126))).is_err());
}

#[test]
fn which_hosts_a_pattern_means() {
    for (pattern, name, meant) in [
        ("api.github.com", "api.github.com", true),
        ("api.github.com", "github.com", false),
        ("*.x.com", "a.x.com", true),
        ("*.x.com", "a.b.x.com", true),
        ("*.x.com", "x.com", false),
        ("*.x.com", ".x.com", false),
        ("*.x.com", "a..x.com", false),
        ("*.x.com", "evilx.com", false),
        ("*.x.com", "x.com.evil.net", false),
        ("*.x.com", "a.x.com.evil.net", false),
        ("*.x.com", "a.x.com.", false),
        ("*.x.com", "a.X.com", false),
        ("10.0.0.1", "10.0.0.1", true),
        ("[::1]", "::1", true),
        ("::1", "::1", true),
        ("${config.host}", "${config.host}", false),
        ("${config.host}", "host", false),
    ] {
        assert_eq!(host(pattern).matches(name), meant, "{pattern} and {name}");
    }
}

#[test]
fn which_hosts_a_pattern_covers() {
    for (wide, narrow, covered) in [
        ("*.x.com", "a.x.com", true),
        ("*.x.com", "*.a.x.com", true),
        ("*.x.com", "*.x.com", true),
        ("*.x.com", "x.com", false),
        ("*.a.x.com", "*.x.com", false),
        ("a.x.com", "*.x.com", false),
        ("*.x.com", "*.evilx.com", false),
        ("${config.a}", "${config.a}", true),
        ("${config.a}", "${config.b}", false),
        ("*.x.com", "${config.a}", false),
        ("${config.a}", "a.x.com", false),
    ] {
        assert_eq!(host(wide).covers(&host(narrow)), covered, "{wide} over {narrow}");
    }
}

#[test]
fn scheme_port_and_method_are_exact() {
    let rule = rule(&["GET", "POST"], Scheme::Https, "x.com", 443, "/**");
    let target = Target {
        scheme: Scheme::Https,
        host: "x.com",
        port: 443,
        method: "GET",
        path: "/",
    };
    assert!(rule.permits(&target));
    assert!(!rule.permits(&Target {
        scheme: Scheme::Http,
        ..target
    }));
    for port in [0, 22, 25, 80, 8443] {
        assert!(!rule.permits(&Target { port, ..target }));
    }
    for method in ["get", "HEAD", "DELETE", "CONNECT", "TRACE", "", "GET "] {
        assert!(!rule.permits(&Target { method, ..target }), "{method}");
    }
}

#[test]
fn a_rule_reads_like_the_permission_page() {
    let text = |scheme, name, port| rule(&["POST", "GET"], scheme, name, port, "/repos/**").to_string();
    assert_eq!(
        text(Scheme::Https, "api.github.com", 443),
        "GET, POST https://api.github.com/repos/**"
    );
    assert_eq!(
        text(Scheme::Http, "*.x.com", 8080),
        "GET, POST http://*.x.com:8080/repos/**"
    );
    assert_eq!(
        text(Scheme::Https, "[::1]", 443),
        "GET, POST https://[::1]/repos/**"
    );
    assert_eq!(
        text(Scheme::Https, "${config.host}", 443),
        "GET, POST https://${config.host}/repos/**"
    );
}

#[test]
fn a_placeholder_takes_a_host_and_nothing_else() {
    let rule = rule(&["GET"], Scheme::Https, "${config.host}", 443, "/**");
    for (value, expected) in [
        (json!("gitlab.corp.example"), Some(("gitlab.corp.example", 443))),
        (
            json!("gitlab.corp.example:8443"),
            Some(("gitlab.corp.example", 8443)),
        ),
        (json!("10.1.2.3:80"), Some(("10.1.2.3", 80))),
        (json!("::1"), Some(("::1", 443))),
        (json!("[::1]"), Some(("::1", 443))),
        (json!("[::1]:99"), Some(("::1", 99))),
        (json!("*.corp.example"), None),
        (json!("${config.host}"), None),
        (json!("https://x.com"), None),
        (json!("x.com/a"), None),
        (json!("user@x.com"), None),
        (json!("x.com:0"), None),
        (json!("x.com:65536"), None),
        (json!("x.com:+80"), None),
        (json!("x.com:"), None),
        (json!(""), None),
        (json!(5), None),
        (json!(null), None),
    ] {
        let read = rule.expand(&json!({ "host": value }));
        let read = read.ok().map(|rule| (rule.host.to_string(), rule.port));
        assert_eq!(
            read,
            expected.map(|(name, port)| (name.to_owned(), port)),
            "{value}"
        );
    }
    assert!(rule.expand(&json!({})).is_err());
    assert!(rule.expand(&json!([])).is_err());
}

#[test]
fn a_rule_is_kept_as_it_was() {
    let rule = EgressRule {
        reason: Some("why".into()),
        ..rule(&["GET"], Scheme::Https, "*.x.com", 444, "/a/*")
    };
    let text = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<EgressRule>(&text).unwrap(), rule);
    assert!(serde_json::from_str::<EgressRule>(&text.replace("*.x.com", "*.com")).is_err());
    assert!(serde_json::from_str::<EgressRule>(&text.replace("GET", "TRACE")).is_err());
    assert!(serde_json::from_str::<EgressRule>(&text.replace("reason", "raison")).is_err());
}

#[test]
fn codes_are_listed() {
    assert!(PatternError::CODES.contains(&HostPattern::parse("*").unwrap_err().code()));
}

fn any_rule() -> impl Strategy<Value = EgressRule> {
    let name = prop_oneof![
        Just("x.com"),
        Just("a.x.com"),
        Just("*.x.com"),
        Just("*.a.x.com"),
        Just("evilx.com"),
        Just("${config.h}")
    ];
    let path = prop_oneof![
        Just("/**"),
        Just("/a/*"),
        Just("/a/**"),
        Just("/a/b"),
        Just("/*/b"),
        Just("/a*/b")
    ];
    (name, 1u8..8, any::<bool>(), 442u16..444, path).prop_map(|(name, methods, tls, port, path)| EgressRule {
        methods: MethodSet::of(
            &MethodSet::names()
                .iter()
                .enumerate()
                .filter(|(n, _)| methods >> n & 1 == 1)
                .map(|(_, m)| *m)
                .collect::<Vec<_>>(),
        )
        .unwrap(),
        ..rule(
            &["GET"],
            if tls { Scheme::Https } else { Scheme::Http },
            name,
            port,
            path,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_covered_is_permitted(
        a in any_rule(),
        b in any_rule(),
        tls: bool,
        name in prop_oneof![Just("x.com"), Just("a.x.com"), Just("b.a.x.com"), Just("evilx.com")],
        port in 442u16..444,
        method in prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("get")],
        path in prop_oneof![Just("/"), Just("/a"), Just("/a/b"), Just("/a/b/c"), Just("/ab/b"), Just("/a/../b")],
    ) {
        prop_assert!(a.covers(&a));
        let scheme = if tls { Scheme::Https } else { Scheme::Http };
        let target = Target { scheme, host: name, port, method, path };
        if a.covers(&b) && b.permits(&target) {
            prop_assert!(a.permits(&target), "{a} covers {b} but not {target}");
        }
    }

    #[test]
    fn covering_is_transitive(a in any_rule(), b in any_rule(), c in any_rule()) {
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c), "{a} over {b} over {c}");
        }
    }

    #[test]
    fn only_names_below_the_domain_are_meant(name in "[a-z.]{0,12}") {
        let meant = host("*.x.com").matches(&format!("{name}x.com"));
        let labels = name.strip_suffix('.').is_some_and(|rest| rest.split('.').all(|label| !label.is_empty()));
        prop_assert_eq!(meant, labels);
    }

    #[test]
    fn reading_a_host_never_panics_and_reads_back(text in "[a-z0-9.*:\\[\\]${}@-]{0,24}") {
        if let Ok(read) = HostPattern::parse(&text) {
            prop_assert_eq!(host(&read.to_string()), read);
        }
    }
}
