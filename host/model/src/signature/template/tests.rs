use proptest::prelude::*;

use super::*;
use crate::signature::Request;

#[test]
fn what_is_not_a_template() {
    for (text, reason) in [
        ("", "nothing of the request"),
        ("{timestamp}", "nothing of the request"),
        ("{secret}", "nothing of the request"),
        ("{body}{body}", "twice"),
        ("{timestamp}.{timestamp}.{body}", "twice"),
        ("{header:x}{body}", "beside"),
        ("{body}{header:x}", "beside"),
        ("{timestamp}{url}.{body}", "beside"),
        ("{params}{body}", "beside"),
        ("{url:sorted}{body}", "beside"),
        ("{header:x}{header:y}", "beside"),
        ("{timestamp}0{body}", "digit"),
        ("{body}.1{timestamp}", "digit"),
        ("{uri}{body}", "nothing else"),
        ("{header:X-Id}.{body}", "nothing else"),
        ("{header:}.{body}", "nothing else"),
        ("{pointer:x}.{body}", "nothing else"),
        ("{body", "without"),
        ("body}", "without"),
        ("\n{body}", "control"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}

struct Sent<'s> {
    method: &'s str,
    url: &'s str,
    id: &'s str,
    stamp: &'s str,
    body: &'s str,
}

const SENT: Sent<'static> = Sent {
    method: "POST",
    url: "https://h.test/w",
    id: "m",
    stamp: "1795000000",
    body: "{}",
};

fn fill(text: &str, unit: TimestampUnit, sent: &Sent<'_>) -> Option<String> {
    let headers = [("id".to_owned(), sent.id.to_owned())];
    let request = Request {
        method: sent.method,
        url: sent.url,
        headers: if sent.id.is_empty() { &[] } else { &headers },
        body: sent.body.as_bytes(),
    };
    let given = Given {
        timestamp: Some(sent.stamp),
        unit,
        secret: "s",
        is_digested: false,
    };
    let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let signed = template.fill(&View::new(&request), &given)?;
    String::from_utf8(signed).ok()
}

#[test]
fn a_value_that_moves_a_border_is_refused() {
    use TimestampUnit::{Millis, Rfc3339, Seconds};
    let check = |text: &str, unit, sent: &Sent<'_>, expected: Option<&str>| {
        assert_eq!(fill(text, unit, sent).as_deref(), expected, "{text}");
    };
    let dotted = "{header:id}.{timestamp}.{body}";
    check(dotted, Seconds, &SENT, Some("m.1795000000.{}"));
    check(dotted, Seconds, &Sent { id: "m.1", ..SENT }, None);
    check(dotted, Seconds, &Sent { id: "", ..SENT }, None);
    check("{timestamp}{body}", Seconds, &SENT, Some("1795000000{}"));
    check(
        "{timestamp}{body}",
        Seconds,
        &Sent {
            stamp: "179500000",
            ..SENT
        },
        None,
    );
    check(
        "{timestamp}{body}",
        Seconds,
        &Sent {
            stamp: "1795000000000",
            ..SENT
        },
        None,
    );
    check(
        "{timestamp}{body}",
        Millis,
        &Sent {
            stamp: "1795000000000",
            ..SENT
        },
        Some("1795000000000{}"),
    );
    let zulu = Sent {
        stamp: "2026-11-18T12:26:40-07:00",
        ..SENT
    };
    check(
        "{body}{timestamp}",
        Rfc3339,
        &zulu,
        Some("{}2026-11-18T12:26:40-07:00"),
    );
    for stamp in ["", "-5", "5.0", "+5", " 5", "5e3", "99999999999999999999"] {
        check("{timestamp}.{body}", Seconds, &Sent { stamp, ..SENT }, None);
    }
    check("{url}{body}", Seconds, &SENT, Some("https://h.test/w{}"));
    check("{body}{url}", Seconds, &SENT, Some("{}https://h.test/w"));
    check("{url}{body}", Seconds, &Sent { body: "a", ..SENT }, None);
    check("{body}{url}", Seconds, &Sent { body: "a", ..SENT }, None);
    check(
        "{url}{body}",
        Seconds,
        &Sent {
            url: "https://h.test/{",
            ..SENT
        },
        None,
    );
    check("{url}{body}", Seconds, &Sent { url: "", ..SENT }, None);
    let hubspot = "{method}{url:decoded}{body}{timestamp}";
    check(
        hubspot,
        Millis,
        &Sent {
            stamp: "1795000000000",
            ..SENT
        },
        Some("POSThttps://h.test/w{}1795000000000"),
    );
    check(
        hubspot,
        Millis,
        &Sent {
            method: "post",
            stamp: "1795000000000",
            ..SENT
        },
        None,
    );
    check(
        "{header:id}|{timestamp}|{secret}|{crc32}",
        Seconds,
        &SENT,
        Some("m|1795000000|s|2745614147"),
    );
    check(
        "{header:id}|{timestamp}|{secret}|{crc32}",
        Seconds,
        &Sent { id: "m|", ..SENT },
        None,
    );
    check(
        "{url:sorted}.{header:id}",
        Seconds,
        &Sent { body: "", ..SENT },
        Some("https://h.test/w.m"),
    );
    check(
        "{url:sorted}.{header:id}",
        Seconds,
        &Sent {
            body: "",
            id: "m.n",
            ..SENT
        },
        None,
    );
}

fn any_template() -> impl Strategy<Value = Template> {
    let before = prop::collection::vec(
        prop_oneof![
            Just("{timestamp}"),
            Just("{header:a}"),
            Just("{header:b}"),
            Just("{url}"),
            Just("{method}")
        ],
        0..3,
    );
    let literal = || prop::collection::vec("[.:v]{0,2}", 8);
    let body = prop_oneof![4 => Just(Some("{body}")), 1 => Just(None)];
    (before.clone(), body, before, literal()).prop_filter_map("parses", |(before, body, after, literals)| {
        let mut literals = literals.iter();
        let mut text = String::new();
        for part in before.iter().copied().chain(body).chain(after) {
            text.push_str(literals.next().map_or("", String::as_str));
            text.push_str(part);
        }
        Template::parse(&text).ok()
    })
}

/// Every template that a vendor of REQUIREMENTS §8 has and that does not put names and values beside each other.
fn vendors_template() -> impl Strategy<Value = Template> {
    let texts = [
        "{body}",
        "{timestamp}.{body}",
        "{timestamp}:{body}",
        "v0:{timestamp}:{body}",
        "{header:a}.{timestamp}.{body}",
        "{timestamp}{body}",
        "{body}{timestamp}",
        "hmacsha256={body}",
        "{url}{body}",
        "{body}{url}",
        "{method}{url}{body}{timestamp}",
        "{header:a}|{method}|{url}|{header:b}",
        "{timestamp}{header:a}",
    ];
    prop::sample::select(texts.to_vec()).prop_map(|text| Template::parse(text).unwrap())
}

type Values = (String, u8, String, String, String, String);

fn any_values() -> impl Strategy<Value = Values> {
    (
        "[.:v1{}]{0,4}",
        0u8..20,
        "[.:v1|]{0,2}",
        "[.:v1|]{0,2}",
        "[.:v1{}]{1,3}",
        prop_oneof![Just("GET".to_owned()), Just("G".to_owned())],
    )
}

fn filled(template: &Template, (body, stamp, a, b, url, method): &Values) -> Option<Vec<u8>> {
    let headers = [("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())];
    let request = Request {
        method,
        url,
        headers: &headers,
        body: body.as_bytes(),
    };
    let stamp = (1_111_111_111 + u64::from(*stamp)).to_string();
    let given = Given {
        timestamp: Some(&stamp),
        unit: TimestampUnit::Seconds,
        secret: "s",
        is_digested: false,
    };
    template.fill(&View::new(&request), &given)
}

fn used(template: &Template, (body, stamp, a, b, url, method): &Values) -> Vec<Option<String>> {
    let has = |part: Part, text: &str| template.parts().contains(&part).then(|| text.to_owned());
    vec![
        has(Part::Body, body),
        has(Part::Timestamp, &stamp.to_string()),
        has(Part::Value(Place::Header("a".into())), a),
        has(Part::Value(Place::Header("b".into())), b),
        has(Part::Url, url),
        has(Part::Method, method),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_global_rejects: 200_000, ..ProptestConfig::default() })]

    /// Two webhooks that differ in the body, the time or another signed part differ in what is signed.
    #[test]
    fn templates_are_injective(
        template in prop_oneof![any_template(), vendors_template()],
        one in any_values(),
        two in any_values(),
    ) {
        if let (Some(first), Some(second)) = (filled(&template, &one), filled(&template, &two)) {
            prop_assert_eq!(first == second, used(&template, &one) == used(&template, &two));
        }
    }

    #[test]
    fn reading_never_panics(text in "[{}:a-z.]{0,40}") {
        let _ = Template::parse(&text);
    }
}

/// Twilio and Plivo put names and values beside each other, and Authy flattens, so that two bodies can have one
/// signature. Whoever has one genuine webhook could move a border in it; nothing that a receiver does can mend that.
#[test]
fn the_vendors_own_ambiguity() {
    let form = [(
        "content-type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    )];
    let given = Given {
        timestamp: None,
        unit: TimestampUnit::Seconds,
        secret: "",
        is_digested: false,
    };
    let fill = |text: &str, headers: &[(String, String)], body: &str| {
        let request = Request {
            method: "POST",
            url: "https://h.test/",
            headers,
            body: body.as_bytes(),
        };
        Template::parse(text).unwrap().fill(&View::new(&request), &given)
    };
    for text in ["{url}{params}", "{url:sorted}"] {
        assert_eq!(fill(text, &form, "a=bc"), fill(text, &form, "ab=c"), "{text}");
        assert_ne!(fill(text, &form, "a=bc"), fill(text, &form, "a=bd"), "{text}");
        assert_eq!(fill(text, &[], "{}"), None, "{text}: no form");
    }
    let encoded = "{method}|{params:encoded}";
    assert_eq!(
        fill(encoded, &[], r#"{"a":1}"#),
        fill(encoded, &[], r#"{"a":"1"}"#)
    );
    assert_ne!(fill(encoded, &[], r#"{"a":1}"#), fill(encoded, &[], r#"{"a":2}"#));
    assert_eq!(fill(encoded, &[], "not JSON"), None);
}
