//! Hostile guests and hostile components: every one of `fixtures/guests`, through the real runtime and the real broker,
//! against what `expected.toml` says and what THREATS says holds for all of them.
//!
//! One test for each family of the data, so that a failure names the guests that got away with something.

mod bombs;
mod canary;
mod expected;
mod paper;
mod vendor;
mod verdict;
mod yard;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expected::File;
use sluice_model::limits::Limits;
use yard::{Seed, Yard};

use crate::guests;

/// The families that the tests below run.
const FAMILIES: &[&str] = &[
    "stop", "take", "values", "crash", "logs", "learn", "secrets", "egress", "storage", "load",
];

async fn family(name: &str) -> Yard {
    let file = File::read();
    let yard = Yard::open().await;
    let mut wrong = Vec::new();
    for (guest, expected) in file.family(name) {
        wrong.extend(verdict::judge(&yard, &file, guest, expected).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    yard
}

#[test]
fn every_guest_is_expected_and_every_expectation_has_a_guest() {
    let file = File::read();
    let expected: BTreeSet<String> = file.guest.keys().cloned().collect();
    assert_eq!(expected, guests::names());
    for (name, entry) in &file.guest {
        assert!(
            FAMILIES.contains(&entry.family.as_str()),
            "{name}: no test runs the family `{}`",
            entry.family
        );
        assert_ne!(
            entry.load.is_some(),
            entry.expect.is_some(),
            "{name}: either `load` or `expect`"
        );
        file.limits(entry);
    }
}

/// Invariant 3 of ARCHITECTURE.md.
#[test]
fn every_limit_that_can_be_declared_stops_a_guest() {
    let file = File::read();
    let stops: BTreeSet<&str> = file
        .guest
        .values()
        .flat_map(|entry| entry.stopped_by.iter().map(String::as_str))
        .collect();
    let declared: BTreeSet<&str> = Limits::default().named().iter().map(|(name, _)| *name).collect();
    assert_eq!(stops, declared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_stops_is_stopped() {
    family("stop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_much_is_refused() {
    let file = File::read();
    let yard = family("take").await;
    let flood = file.guest.get("flood_send_all").unwrap();
    let allowed = usize::try_from(file.limits(flood).http_concurrency).unwrap();
    assert!(
        yard.vendor.most_open() <= allowed,
        "{} requests at once, {allowed} are allowed",
        yard.vendor.most_open()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_bounded_and_checked() {
    family("values").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_crashes_takes_nothing_along() {
    let yard = family("crash").await;
    assert!(
        yard.vendor.is_let_go().await,
        "a crashed guest's connection stays open"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_bounded_and_clean() {
    family("logs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_to_learn() {
    let yard = family("learn").await;
    assert_eq!(
        yard.names.asked(),
        Vec::<String>::new(),
        "no name is looked up for a socket"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_stay_with_the_host() {
    let yard = family("secrets").await;
    let vendor = yard.vendor.take();
    let applied = vendor
        .iter()
        .filter(|request| canary::found(request).is_some())
        .count();
    assert!(
        applied > 0,
        "the credential does reach the vendor that it is bound to"
    );
    assert_eq!(
        yard.other
            .take()
            .iter()
            .filter_map(|request| canary::found(request))
            .next(),
        None
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_granted_is_reached() {
    let yard = family("egress").await;
    assert_eq!(
        yard.other
            .take()
            .iter()
            .filter_map(|request| canary::found(request))
            .next(),
        None
    );
    let asked = yard.names.asked();
    let not_granted: Vec<_> = asked.iter().filter(|name| name.contains("evil")).collect();
    assert!(
        not_granted.is_empty(),
        "looked up without a grant: {not_granted:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_keeps_its_quota_and_its_versions() {
    family("storage").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_connector_is_not_loaded() {
    family("load").await;
}

/// One organization that calls as much as it can has at most its half; another is served meanwhile (G14).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_organization_takes_all_slots() {
    let yard = Yard::open().await;
    let seed = || Seed::snapshot(&BTreeMap::new());
    let limits = Limits {
        call_time: Duration::from_millis(700),
        ..Limits::default()
    };
    let greedy = yard.load(&guests::component("loop_in_export")).await.unwrap();
    let calm = yard.load(&guests::component("neighbour")).await.unwrap();
    let org = yard.call(&greedy, limits.clone(), seed()).caller.org;
    let crowd = (0..3 * yard::SLOTS).map(|_| {
        let mut call = yard.call(&greedy, limits.clone(), seed());
        call.caller.org = org;
        yard.runtime.act(call, "probe".into(), "{}".into(), "key".into())
    });
    let crowd = futures_util::future::join_all(crowd);
    let served = async {
        let mut served = 0;
        for _ in 0..10 {
            let call = yard.call(&calm, Limits::default(), seed());
            served += u32::from(matches!(yard.runtime.check(call).await.result, Ok(Ok(_))));
        }
        served
    };
    let (crowd, served) = tokio::join!(crowd, served);
    assert_eq!(served, 10);
    for outcome in crowd {
        let code = outcome.result.unwrap_err().code();
        assert!(["guest.deadline", "guest.saturated"].contains(&code), "{code}");
    }
}
