use futures_util::FutureExt;
use http::HeaderValue;
use proptest::prelude::*;
use sluice_model::capability::PathPattern;
use sluice_model::manifest::RateScope;
use sluice_model::schedule::MAX_RETRY_AFTER;
use tokio::time::advance;

use super::*;
use crate::caller::AppOwner;
use crate::caller::tests::{caller, hint, through};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A generous governor and one who asks it.
struct Rig {
    rates: Rates,
}

impl Rig {
    fn new() -> Self {
        Self {
            rates: Rates::new(Pace {
                per_second: 100_000.0,
                burst: 100_000,
            }),
        }
    }

    async fn pass(&self, caller: &Caller, url: &str) -> Result<Turn, Error> {
        let (owner, place) = (caller.owner(), Place::parse(url).unwrap());
        let ask = Ask::of(caller, &owner, &place);
        self.rates.pass(&ask, Instant::now() + MINUTE).await
    }

    /// One exchange that is answered with this at once.
    async fn exchange(
        &self,
        caller: &Caller,
        url: &str,
        status: u16,
        fields: &[(&'static str, &str)],
    ) -> Result<(), Error> {
        let turn = self.pass(caller, url).await?;
        drop(self.answer(caller, url, turn, status, fields));
        Ok(())
    }

    fn answer(
        &self,
        caller: &Caller,
        url: &str,
        turn: Turn,
        status: u16,
        fields: &[(&'static str, &str)],
    ) -> Slot {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let (owner, place) = (caller.owner(), Place::parse(url).unwrap());
        let ask = Ask::of(caller, &owner, &place);
        let status = StatusCode::from_u16(status).unwrap();
        self.rates.answered(&ask, turn, (status, &headers), NOW)
    }

    /// How long `caller` has to wait, in whole seconds.
    fn closed(&self, caller: &Caller, url: &str) -> Option<u64> {
        let (owner, place) = (caller.owner(), Place::parse(url).unwrap());
        let closed = self.rates.closed(&Ask::of(caller, &owner, &place));
        closed.map(|after| after.as_secs_f64().round() as u64)
    }
}

fn after(result: Result<(), Error>) -> Option<u64> {
    match result {
        Ok(()) => None,
        Err(Error::RateLimited { after }) => Some(after.as_secs_f64().round() as u64),
        Err(error) => panic!("{error:?}"),
    }
}

async fn check(status: u16, fields: &[(&'static str, &str)], seconds: Option<u64>) {
    let rig = Rig::new();
    let url = "https://x.com/a";
    rig.exchange(&caller(1, &[]), url, status, fields).await.unwrap();
    assert_eq!(rig.closed(&caller(1, &[]), url), seconds, "{fields:?}");
    assert_eq!(rig.closed(&caller(2, &[]), url), None);
    assert_eq!(rig.closed(&caller(1, &[]), "https://y.com/a"), None);
}

#[tokio::test(start_paused = true)]
async fn what_vendors_state() {
    let remaining = |remaining| ("x-ratelimit-remaining", remaining);
    let reset = |reset| ("x-ratelimit-reset", reset);
    check(200, &[remaining("1"), reset("60")], None).await;
    check(200, &[remaining("0"), reset("1700000060")], Some(60)).await;
    check(403, &[remaining("0"), reset("60")], Some(60)).await;
    check(
        200,
        &[("ratelimit-remaining", "0"), ("ratelimit-reset", "5")],
        Some(5),
    )
    .await;
    check(200, &[("ratelimit", "limit=100, remaining=0, reset=7")], Some(7)).await;
    check(200, &[("ratelimit", "\"default\";r=0;t=8")], Some(8)).await;
    check(200, &[("ratelimit", "\"default\";r=3;t=8")], None).await;
    check(200, &[("x-hubspot-ratelimit-daily-remaining", "0")], Some(3600)).await;
    check(200, &[("sforce-limit-info", "api-usage=5000/5000")], Some(3600)).await;
    check(429, &[("retry-after", "9")], Some(9)).await;
    check(503, &[("retry-after", "9")], Some(9)).await;
    check(200, &[("retry-after", "9")], None).await;
    check(429, &[("retry-after", "999999999")], Some(3600)).await;
    check(200, &[remaining("0"), reset("99999999999999999")], Some(3600)).await;
    for garbage in ["-1", "", "soon", "18446744073709551616", "1699999999"] {
        check(200, &[remaining("0"), reset(garbage)], None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn paces_wait_and_refuse() {
    let rates = Rates::new(Pace {
        per_second: 10.0,
        burst: 2,
    });
    let (caller, start) = (caller(1, &[]), Instant::now());
    let (owner, place) = (caller.owner(), Place::parse("https://x.com/").unwrap());
    let ask = Ask::of(&caller, &owner, &place);
    for _ in 0..4 {
        rates.pass(&ask, start + Duration::from_secs(1)).await.unwrap();
    }
    assert!(
        (190..=230).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    let error = rates.pass(&ask, Instant::now()).await.unwrap_err();
    assert_eq!(error.code(), "egress.rate_limited");
}

#[tokio::test(start_paused = true)]
async fn a_connections_pace_holds_beside_hints_and_the_hosts_own_jobs_have_theirs() {
    let fast = RateHint {
        per_second: 100.0,
        burst: 100,
        ..hint("a.example")
    };
    let of_a_connection = caller(1, &[fast]);
    let of_the_host = Caller {
        connection: None,
        ..of_a_connection.clone()
    };
    let without_a_hint = Caller {
        rates: Vec::new(),
        ..of_the_host.clone()
    };
    for (caller, seconds) in [(of_a_connection, 4), (of_the_host, 0), (without_a_hint, 4)] {
        let rates = Rates::new(Pace {
            per_second: 10.0,
            burst: 10,
        });
        let rig = Rig { rates };
        let began = Instant::now();
        for _ in 0..50 {
            drop(rig.pass(&caller, "https://a.example/").await.unwrap());
        }
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pace_slower_than_a_day_is_one_of_a_day() {
    let rig = Rig::new();
    let caller = caller(
        1,
        &[RateHint {
            per_second: 1e-300,
            burst: 1,
            ..hint("x.com")
        }],
    );
    rig.pass(&caller, "https://x.com/").await.unwrap();
    let error = rig.pass(&caller, "https://x.com/").await.unwrap_err();
    assert_eq!(error.code(), "egress.rate_limited");
}

#[tokio::test(start_paused = true)]
async fn short_waits_are_sat_out() {
    let rig = Rig::new();
    let (caller, url) = (caller(1, &[]), "https://x.com/");
    let stripe = [("stripe-rate-limited-reason", "global-rate")];
    rig.exchange(&caller, url, 429, &stripe).await.unwrap();
    let start = Instant::now();
    rig.pass(&caller, url).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    rig.exchange(&caller, url, 429, &[("retry-after", "5")])
        .await
        .unwrap();
    assert_eq!(after(rig.pass(&caller, url).await.map(drop)), Some(5));
    assert_eq!(start.elapsed(), Duration::from_secs(1), "refused at once");
}

#[tokio::test(start_paused = true)]
async fn connections_of_one_app_share_its_budget() {
    let url = "https://x.com/a";
    let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")];
    for (scope, shared) in [(RateScope::App, true), (RateScope::Connection, false)] {
        let rig = Rig::new();
        let hints = [RateHint {
            scope,
            ..hint("x.com")
        }];
        let one = through(1, &hints, AppOwner::Organization);
        let mut two = one.clone();
        two.connection = Some(sluice_model::id::ConnectionId::from_bytes([9; 16]));
        let mut other_app = two.clone();
        other_app.app = other_app.app.map(|app| {
            Arc::new(VendorApp {
                id: "client-2".into(),
                ..(*app).clone()
            })
        });
        let mut token = two.clone();
        token.app = None;
        let tenant = through(2, &hints, AppOwner::Organization);
        rig.exchange(&one, url, 200, &used_up).await.unwrap();
        assert_eq!(rig.closed(&one, url), Some(60));
        assert_eq!(rig.closed(&two, url), shared.then_some(60));
        assert_eq!(rig.closed(&other_app, url), None);
        assert_eq!(rig.closed(&token, url), None, "not through the app");
        assert_eq!(rig.closed(&tenant, url), None);
    }
}

#[tokio::test(start_paused = true)]
async fn one_tenants_answers_say_nothing_about_another() {
    let rig = Rig::new();
    let hints = [RateHint {
        scope: RateScope::App,
        ..hint("x.com")
    }];
    let url = "https://x.com/a";
    let one = through(1, &hints, AppOwner::Operator);
    let two = through(2, &hints, AppOwner::Operator);
    rig.exchange(&one, url, 429, &[("retry-after", "600")])
        .await
        .unwrap();
    rig.exchange(&one, "https://x.com/b", 200, &[]).await.unwrap_err();
    assert_eq!(rig.closed(&two, url), None);
}

/// What each of two organizations gets of the operator's app's pace in ten seconds, the first asking as often as it can.
#[tokio::test(start_paused = true)]
async fn a_pace_is_shared_among_tenants() {
    let rig = Rig::new();
    let hints = [RateHint {
        scope: RateScope::App,
        per_second: 10.0,
        burst: 1,
        ..hint("x.com")
    }];
    let greedy = through(1, &hints, AppOwner::Operator);
    let modest = through(2, &hints, AppOwner::Operator);
    let asks = async |caller: &Caller, until: Instant| {
        let mut count = 0;
        while Instant::now() < until {
            drop(rig.pass(caller, "https://x.com/").await.unwrap());
            count += 1;
        }
        count
    };
    let until = Instant::now() + Duration::from_secs(10);
    assert!(
        (99..=101).contains(&asks(&greedy, until).await),
        "alone, all of it"
    );
    let until = Instant::now() + Duration::from_secs(10);
    let (one, two, three, four) = tokio::join!(
        asks(&greedy, until),
        asks(&greedy, until),
        asks(&greedy, until),
        asks(&modest, until)
    );
    let greedy = one + two + three;
    // Beside its half: what it waited for when it was alone, and what it waits for beyond the end.
    assert!((45..=58).contains(&greedy), "{greedy}");
    assert!((45..=54).contains(&four), "{four}");
}

#[tokio::test(start_paused = true)]
async fn parts_are_counted_by_themselves() {
    let rig = Rig::new();
    let search = RateHint {
        path: Some(PathPattern::parse("/search/**").unwrap()),
        concurrency: 1,
        per_day: Some(2),
        ..hint("x.com")
    };
    let hints = [search, hint("x.com")];
    let caller = caller(1, &hints);
    let (find, read) = ("https://x.com/search/a", "https://x.com/repos");
    let held = rig.pass(&caller, find).await.unwrap();
    assert!(rig.pass(&caller, find).now_or_never().is_none(), "its one slot");
    rig.exchange(&caller, read, 200, &[]).await.unwrap();
    drop(rig.answer(
        &caller,
        find,
        held,
        200,
        &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")],
    ));
    assert_eq!(after(rig.exchange(&caller, find, 200, &[]).await), Some(60));
    rig.exchange(&caller, read, 200, &[]).await.unwrap();
    advance(MINUTE).await;
    rig.exchange(&caller, find, 200, &[]).await.unwrap();
    assert_eq!(
        after(rig.exchange(&caller, find, 200, &[]).await),
        Some(MAX_RETRY_AFTER.as_secs()),
        "the day is used up"
    );
    rig.exchange(&caller, read, 200, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_named_bucket_is_learned() {
    let rig = Rig::new();
    let hints = [RateHint {
        bucket_header: Some("x-budget".into()),
        ..hint("x.com")
    }];
    let caller = caller(1, &hints);
    let told = |name, remaining| {
        [
            ("x-budget", name),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", "60"),
        ]
    };
    let (find, read) = ("https://x.com/search/a", "https://x.com/repos/b");
    rig.exchange(&caller, read, 200, &told("core", "50"))
        .await
        .unwrap();
    rig.exchange(&caller, find, 200, &told("search", "0"))
        .await
        .unwrap();
    assert_eq!([find, read].map(|url| rig.closed(&caller, url)), [Some(60), None]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_budget_asks_less_at_once() {
    let rig = Rig::new();
    let caller = caller(1, &[hint("x.com")]);
    let url = "https://x.com/";
    let at_once = async || {
        let mut held = Vec::new();
        while let Some(turn) = rig.pass(&caller, url).now_or_never() {
            held.push(turn.unwrap());
        }
        held.len()
    };
    assert_eq!(at_once().await, 8);
    for (status, left) in [(429, 4), (503, 2), (500, 2), (429, 1), (429, 1)] {
        rig.exchange(&caller, url, status, &[]).await.unwrap();
        assert_eq!(at_once().await, left, "after {status}");
    }
    rig.exchange(&caller, url, 200, &[]).await.unwrap();
    assert_eq!(at_once().await, 2);
    rig.pass(&caller, url).await.unwrap().timed_out();
    assert_eq!(at_once().await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_budget_is_not_asked_for_twice() {
    let rig = Rig::new();
    let (caller, url) = (caller(1, &[]), "https://x.com/");
    let left = |remaining| [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "60")];
    rig.exchange(&caller, url, 200, &left("1")).await.unwrap();
    let last = rig.pass(&caller, url).await.unwrap();
    let (mut one, mut two) = (Box::pin(rig.pass(&caller, url)), Box::pin(rig.pass(&caller, url)));
    assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
    drop(rig.answer(&caller, url, last, 200, &left("0")));
    for waiting in [one, two] {
        let refused = waiting.now_or_never().unwrap();
        assert_eq!(after(refused.map(drop)), Some(60), "without any time passing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_day_leaves_something_for_all() {
    let rig = Rig::new();
    let hints = [RateHint {
        scope: RateScope::App,
        per_day: Some(100),
        ..hint("x.com")
    }];
    let url = "https://x.com/";
    let mut all = Vec::new();
    for org in 1..=3 {
        let caller = through(org, &hints, AppOwner::Operator);
        let mut count = 0;
        while rig.exchange(&caller, url, 200, &[]).await.is_ok() {
            count += 1;
        }
        all.push(count);
    }
    assert_eq!(all, [80, 16, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_can_be_looked_at() {
    let rig = Rig::new();
    let hints = [RateHint {
        scope: RateScope::App,
        per_day: Some(100),
        ..hint("x.com")
    }];
    let caller = through(1, &hints, AppOwner::Organization);
    let told = [
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "59"),
        ("x-ratelimit-reset", "60"),
        ("x-ratelimit-resource", "core"),
    ];
    rig.exchange(&caller, "https://x.com/", 200, &told).await.unwrap();
    rig.exchange(&caller, "https://x.com/", 429, &[("retry-after", "9")])
        .await
        .unwrap();
    let app = Owner::app(caller.org, caller.app.clone().unwrap());
    let shown = rig.rates.allowances(&[caller.owner(), app]);
    let x = || Allowance {
        host: "x.com".into(),
        ..Allowance::default()
    };
    let expected = [
        Allowance {
            closed_for: Some(Duration::from_secs(9)),
            ..x()
        },
        Allowance {
            window: "day".into(),
            limit: Some(100),
            remaining: Some(98),
            resets_in: Some(Duration::from_secs(86_400)),
            concurrency: Some(4),
            ..x()
        },
        Allowance {
            bucket: "core".into(),
            limit: Some(60),
            remaining: Some(59),
            resets_in: Some(MINUTE),
            ..x()
        },
    ];
    assert_eq!(shown, expected);
    assert_eq!(
        rig.rates.allowances(&[caller.owner()]),
        [],
        "the app holds it all"
    );
    let stranger = through(2, &hints, AppOwner::Organization);
    let theirs = Owner::app(stranger.org, stranger.app.clone().unwrap());
    assert_eq!(rig.rates.allowances(&[stranger.owner(), theirs]), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many organizations ask however often, one app's pace is kept by all of them together, but for the burst that
    /// each may begin with, and nobody who asks is left out.
    #[test]
    fn an_apps_pace_holds_for_all_together(orgs in 1_u8..5, asking in 1_usize..4, per_second in 5_u32..50) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let counts = runtime.block_on(async {
            let rig = Arc::new(Rig::new());
            let hints = [RateHint { scope: RateScope::App, per_second: f64::from(per_second), burst: 1, ..hint("x.com") }];
            // All of them have asked before it begins.
            for org in 1..=orgs {
                drop(rig.pass(&through(org, &hints, AppOwner::Operator), "https://x.com/").await.unwrap());
            }
            let until = Instant::now() + Duration::from_secs(10);
            let mut tasks = Vec::new();
            for org in 1..=orgs {
                for _ in 0..asking {
                    let (rig, caller) = (Arc::clone(&rig), through(org, &hints, AppOwner::Operator));
                    tasks.push((org, tokio::spawn(async move {
                        let mut count = 0_u32;
                        while Instant::now() < until {
                            drop(rig.pass(&caller, "https://x.com/").await.unwrap());
                            count += 1;
                        }
                        count
                    })));
                }
            }
            let mut counts = vec![0; usize::from(orgs)];
            for (org, task) in tasks {
                counts[usize::from(org) - 1] += task.await.unwrap();
            }
            counts
        });
        let all: u32 = counts.iter().sum();
        // Each asker may have one that it waited for beyond the end, and each organization one of its burst.
        let slack = u32::from(orgs) * (u32::try_from(asking).unwrap() + 1);
        prop_assert!(all <= 10 * per_second + slack, "{counts:?}");
        let share = 10 * per_second / u32::from(orgs);
        for count in &counts {
            prop_assert!(*count + 2 >= share * 9 / 10, "{counts:?}");
        }
    }
}
