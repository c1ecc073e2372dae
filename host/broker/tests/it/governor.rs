use std::sync::Arc;
use std::time::Duration;

use sluice_broker::{AppOwner, CredentialChoice, Error, RateHint, RateScope, Request, Response, VendorApp};
use sluice_model::capability::HostPattern;
use sluice_model::id::{ConnectionId, OrgId};

use crate::rig::{Reply, Rig, ok, status};

fn get(url: &str) -> Request {
    let mut request = Request::new("GET", url);
    request.credential = CredentialChoice::None;
    request
}

fn hint(scope: RateScope) -> RateHint {
    RateHint {
        host: HostPattern::parse("api.test").unwrap(),
        path: None,
        scope,
        per_second: 1_000.0,
        burst: 1_000,
        concurrency: 8,
        per_day: None,
        bucket_header: None,
    }
}

/// What becomes of a request: a status, or the seconds to wait.
fn shown(sent: Result<Response, Error>) -> String {
    match sent {
        Ok(response) => response.status.to_string(),
        Err(Error::RateLimited { after }) => format!("{:.0} s", after.as_secs_f64()),
        Err(error) => error.code().to_owned(),
    }
}

/// GitHub: two connections of one app, one of them asks the search until it is used up.
#[tokio::test]
async fn a_budget_is_its_apps_and_its_parts() {
    let told = |remaining, resource| {
        status(
            200,
            &format!(
                "x-ratelimit-limit: 30\r\nx-ratelimit-remaining: {remaining}\r\nx-ratelimit-reset: 60\r\n\
                 x-ratelimit-resource: {resource}\r\n"
            ),
        )
    };
    let mut rig = Rig::new(vec![told(0, "search"), told(29, "core")]).await;
    let app = Arc::new(VendorApp {
        connector: "test".into(),
        id: "client-1".into(),
        owner: AppOwner::Organization,
    });
    rig.caller.rates = vec![hint(RateScope::App)];
    rig.caller.app = Some(Arc::clone(&app));
    let mut sibling = rig.caller.clone();
    sibling.connection = Some(ConnectionId::from_bytes([2; 16]));
    let mut stranger = rig.caller.clone();
    stranger.org = OrgId::from_bytes([2; 16]);

    let (search, read) = ("http://api.test/search/issues", "http://api.test/repos/a");
    assert_eq!(shown(rig.send(get(search)).await), "200");
    assert_eq!(shown(rig.send(get(search)).await), "60 s");
    assert_eq!(shown(rig.broker.send(&sibling, get(search)).await), "60 s");
    assert_eq!(rig.peer.requests().len(), 1, "refused before it was sent");
    assert_eq!(shown(rig.broker.send(&sibling, get(read)).await), "200");
    assert_eq!(shown(rig.send(get(read)).await), "200");
    assert_eq!(shown(rig.broker.send(&stranger, get(search)).await), "200");

    let known = rig
        .broker
        .budgets(rig.caller.org, rig.caller.connection.unwrap(), Some(app));
    let known: Vec<_> = known
        .iter()
        .map(|one| (one.bucket.as_str(), one.limit, one.remaining, one.concurrency))
        .collect();
    assert_eq!(
        known,
        [
            ("", None, None, Some(8)),
            ("core", Some(30), Some(29), None),
            ("search", Some(30), Some(0), None)
        ]
    );
    let own = rig
        .broker
        .budgets(rig.caller.org, rig.caller.connection.unwrap(), None);
    assert_eq!(own, [], "the app holds them");
}

#[tokio::test]
async fn a_daily_quota_is_refused_before_it_is_sent() {
    let mut rig = Rig::new(vec![ok("x")]).await;
    rig.caller.rates = vec![RateHint {
        per_day: Some(2),
        ..hint(RateScope::Connection)
    }];
    for expected in ["200", "200", "3600 s", "3600 s"] {
        assert_eq!(shown(rig.send(get("http://api.test/")).await), expected);
    }
    assert_eq!(rig.peer.requests().len(), 2);
}

/// GitHub's secondary limits come as a 403; a short one is waited for, a long one is the caller's.
#[tokio::test]
async fn a_secondary_limit_is_a_wait() {
    let limited = |after| {
        status(
            403,
            &format!("retry-after: {after}\r\nx-ratelimit-remaining: 9\r\nx-ratelimit-reset: 60\r\n"),
        )
    };
    let rig = Rig::new(vec![limited(0), ok("x"), limited(60)]).await;
    assert_eq!(shown(rig.send(get("http://api.test/a")).await), "200");
    assert_eq!(shown(rig.send(get("http://api.test/a")).await), "403");
    assert_eq!(shown(rig.send(get("http://api.test/b")).await), "60 s");
    assert_eq!(rig.peer.requests().len(), 3);
}

/// A vendor that stops answering is asked by fewer at once.
#[tokio::test]
async fn a_silent_vendor_is_asked_less() {
    let mut rig = Rig::hurried(vec![Reply::Stall(Vec::new())]).await;
    rig.caller.rates = vec![hint(RateScope::Connection)];
    let (one, two) = tokio::join!(
        rig.send(get("http://api.test/a")),
        rig.send(get("http://api.test/b"))
    );
    assert_eq!(
        (shown(one), shown(two)),
        ("egress.timeout".into(), "egress.timeout".into())
    );
    let known = rig
        .broker
        .budgets(rig.caller.org, rig.caller.connection.unwrap(), None);
    assert_eq!(known[0].concurrency, Some(4), "two of one moment are one sign");
    assert_eq!(known[0].resets_in, None::<Duration>);
}
