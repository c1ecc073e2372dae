use http::HeaderValue;
use proptest::prelude::*;
use sluice_model::schedule::MAX_RETRY_AFTER;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn of(status: u16, headers: &HeaderMap) -> Stated<'_> {
    read(
        StatusCode::from_u16(status).unwrap(),
        headers,
        Some("x-acme-budget"),
        NOW,
    )
}

/// `name limit/remaining renews` of each reading.
fn check(fields: &[(&'static str, &str)], expected: &[&str]) {
    let headers = headers(fields);
    let stated = of(200, &headers);
    let shown = stated.readings.iter().map(|reading| {
        let limit = reading.limit.map_or("?".to_owned(), |limit| limit.to_string());
        let renews = match reading.renews {
            Renews::Whole(time) => format!("in {}s", time.as_secs_f64()),
            Renews::Within(time) => format!("within {}s", time.as_secs_f64()),
            Renews::Each(time) => format!("each {}s", time.as_secs_f64()),
        };
        format!("{}:{}/{limit} {renews}", reading.name, reading.remaining)
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{fields:?}");
    assert_eq!(stated.wait, None);
    assert!(!stated.throttled);
}

#[test]
fn budgets_of_vendors() {
    check(&[("content-type", "text/plain")], &[]);
    // GitHub.
    check(
        &[
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4999"),
            ("x-ratelimit-reset", "1700000060"),
            ("x-ratelimit-used", "1"),
        ],
        &[":4999/5000 in 60s"],
    );
    // Seconds from now, milliseconds since the epoch, an RFC 3339 date (Jira), seconds with a fraction (Discord).
    for (reset, shown) in [
        ("60", 60.0),
        ("1700000060000", 60.0),
        ("2023-11-14T22:14:20Z", 60.0),
        ("1.5", 1.5),
        ("999999999", 86_400.0),
        ("99999999999999999", 86_400.0),
    ] {
        check(
            &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", reset)],
            &[format!(":7/? in {shown}s").as_str()],
        );
    }
    check(
        &[
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "soon"),
            ("x-ratelimit-reset-after", "0.25"),
        ],
        &[":7/? in 0.25s"],
    );
    // Okta.
    check(
        &[
            ("x-rate-limit-limit", "600"),
            ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-reset", "1700000030"),
        ],
        &[":0/600 in 30s"],
    );
    // draft-ietf-httpapi-ratelimit-headers, versions 06, 07 and since 08.
    check(
        &[
            ("ratelimit-limit", "100, 100;w=60"),
            ("ratelimit-remaining", "50"),
            ("ratelimit-reset", "5"),
        ],
        &[":50/100 in 5s"],
    );
    check(
        &[("ratelimit", "limit=100, remaining=0, reset=7")],
        &[":0/100 in 7s"],
    );
    check(&[("ratelimit", "\"default\";r=3;t=8")], &["default:3/? in 8s"]);
    check(
        &[
            ("ratelimit", "\"burst, short\";r=0;t=2, \"daily\";r=70"),
            ("ratelimit", "\"bytes\";r=5;t=9"),
            (
                "ratelimit-policy",
                "\"burst, short\";q=10;w=2;pk=:YQ==:, \"daily\";q=100;w=86400;qu=\"requests\"",
            ),
            ("ratelimit-policy", "\"bytes\";q=5000;w=60;qu=\"content-bytes\""),
        ],
        // A name with a space is none, and its budget is left out; so is one that counts bytes.
        &["daily:70/100 within 86400s"],
    );
    check(
        &[
            ("ratelimit", "\"burst\";r=0;t=2, \"daily\";r=70;t=3600"),
            ("ratelimit-policy", "\"burst\";q=10;w=2, \"daily\";q=100;w=86400"),
        ],
        &["burst:0/10 in 2s", "daily:70/100 in 3600s"],
    );
    // HubSpot.
    check(
        &[
            ("x-hubspot-ratelimit-daily", "250000"),
            ("x-hubspot-ratelimit-daily-remaining", "249000"),
            ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
            ("x-hubspot-ratelimit-remaining", "99"),
            ("x-hubspot-ratelimit-max", "100"),
        ],
        &["daily:249000/250000 within 86400s", "interval:99/100 within 10s"],
    );
    // Shopify.
    check(
        &[("x-shopify-shop-api-call-limit", "32/40")],
        &["leaky:8/40 each 0.5s"],
    );
    check(
        &[("x-shopify-shop-api-call-limit", "41/40")],
        &["leaky:0/40 each 0.5s"],
    );
    // Salesforce.
    check(
        &[(
            "sforce-limit-info",
            "api-usage=18/5000; per-app-api-usage=17/250(appName=sample)",
        )],
        &["daily:4982/5000 within 86400s", "daily-app:233/250 within 86400s"],
    );
}

#[test]
fn what_no_vendor_means() {
    for number in [
        "-1",
        "",
        "many",
        "1e9",
        "0x10",
        "١",
        "99999999999999999999",
        "1 0",
    ] {
        let value = HeaderValue::from_bytes(number.as_bytes()).unwrap();
        let mut map = headers(&[("x-ratelimit-reset", "60")]);
        map.insert("x-ratelimit-remaining", value.clone());
        assert_eq!(read(StatusCode::OK, &map, None, NOW).readings, [], "{number}");
        map.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
        map.insert("x-ratelimit-reset", value);
        assert_eq!(read(StatusCode::OK, &map, None, NOW).readings, [], "{number}");
        map.insert(
            "x-shopify-shop-api-call-limit",
            HeaderValue::from_bytes(format!("{number}/40").as_bytes()).unwrap(),
        );
        assert_eq!(read(StatusCode::OK, &map, None, NOW).readings, [], "{number}");
    }
    for field in ["1/0", "/", "5", "1/-40"] {
        check(&[("x-shopify-shop-api-call-limit", field)], &[]);
        check(&[("sforce-limit-info", &format!("api-usage={field}"))], &[]);
    }
    for field in [
        "\"a\"",
        "\"a\";r=0",
        "\"a\";r=0;t=0",
        "\"a\";r=-1;t=5",
        "\"a;r=0;t=5",
        ";;;,,,",
    ] {
        check(&[("ratelimit", field)], &[]);
    }
    // What has passed is over.
    check(
        &[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1699999999"),
        ],
        &[],
    );
    let many = "\"a\";r=0;t=5,".repeat(20);
    assert_eq!(
        of(200, &headers(&[("ratelimit", &many)])).readings.len(),
        MAX_READINGS
    );
}

#[test]
fn what_is_counted_where() {
    let named = |fields: &[(&'static str, &str)]| of(200, &headers(fields)).resource.map(str::to_owned);
    assert_eq!(named(&[]), None);
    assert_eq!(
        named(&[("x-ratelimit-resource", "search")]).as_deref(),
        Some("search")
    );
    assert_eq!(
        named(&[("x-acme-budget", "reports"), ("x-ratelimit-resource", "search")]).as_deref(),
        Some("reports")
    );
    assert_eq!(named(&[("x-ratelimit-resource", &"x".repeat(65))]), None);
    assert_eq!(named(&[("x-ratelimit-resource", "a b")]), None);
}

#[test]
fn waits() {
    let wait = |status: u16, fields: &[(&'static str, &str)]| {
        let headers = headers(fields);
        let stated = of(status, &headers);
        let wait = stated.wait.map(|wait| (wait.after.as_millis(), wait.reach));
        (wait, stated.throttled)
    };
    let (all, bucket) = (Reach::Host, Reach::Bucket);
    let retry = |value| ("retry-after", value);
    assert_eq!(wait(200, &[retry("9")]), (None, false));
    assert_eq!(wait(404, &[retry("9")]), (None, false));
    assert_eq!(wait(429, &[]), (None, true));
    assert_eq!(wait(503, &[]), (None, true));
    assert_eq!(wait(429, &[retry("9")]), (Some((9_000, bucket)), true));
    assert_eq!(wait(503, &[retry("9")]), (Some((9_000, all)), true));
    assert_eq!(wait(429, &[retry("2.0")]), (Some((2_000, bucket)), true));
    assert_eq!(
        wait(429, &[retry("Tue, 14 Nov 2023 22:13:30 GMT")]),
        (Some((10_000, bucket)), true)
    );
    for long in [
        "999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "1000000.5",
    ] {
        assert_eq!(wait(429, &[retry(long)]), (Some((3_600_000, bucket)), true));
    }
    for none in ["0", "-5", "soon", "Tue, 14 Nov 2023 22:13:10 GMT", "1e3", "inf"] {
        assert_eq!(wait(429, &[retry(none)]), (None, true), "{none}");
    }
    // GitHub: a secondary limit while the budget is not used up, and a budget that is.
    let github = |remaining| {
        [
            retry("60"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", "1700000060"),
            ("x-ratelimit-resource", "core"),
        ]
    };
    assert_eq!(wait(403, &github("4000")), (Some((60_000, all)), true));
    assert_eq!(wait(429, &github("4000")), (Some((60_000, all)), true));
    assert_eq!(wait(403, &github("0")), (Some((60_000, bucket)), true));
    assert_eq!(wait(403, &github("0")[1..]), (None, false));
    // Stripe.
    for (reason, expected) in [
        ("global-rate", Some((1_000, all))),
        ("endpoint-rate", Some((1_000, bucket))),
        ("resource-specific", Some((1_000, bucket))),
        ("global-concurrency", None),
        ("endpoint-concurrency", None),
    ] {
        assert_eq!(
            wait(429, &[("stripe-rate-limited-reason", reason)]),
            (expected, true)
        );
    }
}

const FIELDS: [&str; 18] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-resource",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-hubspot-ratelimit-daily-remaining",
    "x-hubspot-ratelimit-remaining",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-shopify-shop-api-call-limit",
    "sforce-limit-info",
    "stripe-rate-limited-reason",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("{a}/{b}").into_bytes()),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("api-usage={a}/{b};x").into_bytes()),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("\"p\";r={a};t={b};q={a};w={b}").into_bytes()),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("remaining={a}, reset={b}").into_bytes()),
        any::<f64>().prop_map(|number| number.to_string().into_bytes()),
        "[ -~]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn nothing_absurd_comes_out(
        status in 100_u16..600,
        fields in proptest::collection::vec((0..FIELDS.len(), value()), 0..8),
        now in any::<u64>(),
    ) {
        let mut map = HeaderMap::new();
        for (at, value) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(FIELDS[at], value);
            }
        }
        let stated = read(StatusCode::from_u16(status).unwrap(), &map, None, Timestamp::from_millis(now));
        prop_assert!(stated.readings.len() <= MAX_READINGS);
        for reading in &stated.readings {
            prop_assert!(reading.remaining <= MAX_COUNT && reading.limit.is_none_or(|limit| limit <= MAX_COUNT));
            prop_assert!(reading.name.len() <= MAX_NAME_BYTES);
            let (Renews::Whole(time) | Renews::Within(time) | Renews::Each(time)) = reading.renews;
            prop_assert!(!time.is_zero() && time <= MAX_RESET);
        }
        if let Some(wait) = stated.wait {
            prop_assert!(!wait.after.is_zero() && wait.after <= MAX_RETRY_AFTER);
            prop_assert!(stated.throttled);
        }
    }
}
