//! A sync of 100,000 issues, killed at fifty random moments: nothing is lost, nothing is there twice, and the memory does
//! not grow with what was read.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::github::{self, NAME, StandIn};
use crate::server::{Server, wait_for};

const ISSUES: usize = 100_000;
const KILLS: usize = 50;
/// What shares a commit, in the service.
const PAGES_AT_ONCE: u64 = 16;

/// A development build; the bar for a release build is in `bench/`.
const RESIDENT_BYTES: u64 = 300 << 20;

/// What a stretch of 40,000 records may add to the memory of one that has warmed up.
const GROWTH_BYTES: u64 = 48 << 20;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// When to kill, in requests that the vendor has seen: fifty moments in the first six tenths of the sync, so that a long
/// stretch without a kill follows. `SLUICE_SEED` repeats a run.
fn moments() -> Vec<u64> {
    let seed = std::env::var("SLUICE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_261_121);
    #[expect(clippy::print_stdout, reason = "a run that fails is repeated with its seed")]
    {
        println!("SLUICE_SEED={seed}");
    }
    let mut random = Random(seed);
    let pages = ISSUES as u64 / 100;
    let mut moments: Vec<u64> = (0..KILLS).map(|_| 1 + random.below(pages * 6 / 10)).collect();
    moments.sort_unstable();
    moments
}

#[test]
fn a_sync_survives_fifty_kills() {
    let stand_in = StandIn::with_issues(ISSUES);
    let control = stand_in.control();
    let mut setup = stand_in.setup();
    // So that the database's own cache is full early and does not look like growth.
    setup.set = vec![("SLUICE_DATA__CACHE_BYTES", (16 << 20).to_string())];
    let mut server = Server::start(&setup);
    let connection = github::ready(&server);
    let run = github::start_sync(&server.api(), &connection, &["issues"], "full").remove(0);

    let begin = control.requests();
    let mut most = 0;
    for moment in moments() {
        wait_for("the next moment", || {
            (control.requests() >= begin + moment).then_some(())
        });
        most = most.max(server.resident_bytes());
        server.restart();
    }

    let api = server.api();
    let mut warm = 0;
    let ended = wait_for("the end of the sync", || {
        let run = api.get(&format!("/api/v1/runs/{run}"));
        let resident = server.resident_bytes();
        most = most.max(resident);
        if run["pages"].as_u64().expect("pages") < 700 {
            warm = warm.max(resident);
        }
        (run["over"] == true).then_some(run)
    });
    let end = server.resident_bytes();
    println!(
        "resident: at most {} MiB, warm {} MiB, at the end {} MiB; {} requests",
        most >> 20,
        warm >> 20,
        end >> 20,
        control.requests() - begin
    );
    assert_eq!(ended["state"], "succeeded", "{ended}");
    github::assert_adds_up(&ended);
    assert_eq!(ended["counts"]["added"], ISSUES, "{ended}");
    assert_eq!(ended["counts"]["updated"], 0, "{ended}");
    assert!(most < RESIDENT_BYTES, "{most} bytes resident");
    assert!(end < warm + GROWTH_BYTES, "from {warm} to {end} bytes resident");
    let requests = control.requests() - begin;
    let pages = ended["pages"].as_u64().expect("pages");
    assert!(
        requests <= pages + KILLS as u64 * (PAGES_AT_ONCE + 1),
        "a kill repeats the pages of one commit, and the one that was read: {requests} requests for {pages} pages"
    );

    assert_eq!(github::held(&api, &connection, "issues"), ISSUES as u64);
    let mut ids = BTreeSet::new();
    let mut last = 0;
    let mut after = 0;
    loop {
        let path = format!("/api/v1/connections/{NAME}/records?stream=issues&limit=1000&after={after}");
        let page = api.get(&path);
        for row in page["items"].as_array().expect("items") {
            let seq = row["seq"].as_u64().expect("a number");
            assert!(seq > last, "the feed is in order");
            last = seq;
            assert_eq!(row["op"], "added", "{}", row["id"]);
            let id = row["id"].as_str().expect("an id").to_owned();
            assert_eq!(row["data"]["id"].to_string(), id);
            assert!(ids.insert(id), "{} is in the feed twice", row["id"]);
        }
        after = page["next"].as_u64().expect("next");
        if page["end"] == Value::Bool(true) {
            break;
        }
    }
    assert_eq!(ids.len(), ISSUES);
    server.stop();
}
