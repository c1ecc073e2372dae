//! An answer from the vendor counts once, in time, and in the browser that began (RFC 9700 §4.7, RFC 9207, RFC 6749 §10.12).

use serde_json::{Value, json};

use super::{World, code_on, param, path_of, title, with_param};
use crate::server::{http, wait_for};

/// Everything that is not the answer that is waited for changes nothing; the right one still counts afterwards.
#[test]
fn only_the_right_answer_counts() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", true);
    // Another flow of the same connection, with a cookie and a state of its own.
    let other = world.follow(&world.begin(&connection, &json!({})));
    let state = param(&callback, "state");
    let mut changed = state.clone().into_bytes();
    let last = changed.last_mut().expect("a state");
    *last = if *last == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("a text");
    let other_state = param(&other.location, "state");
    let refused = [
        (
            "no state",
            with_param(&callback, "state", None),
            followed.cookie.clone(),
        ),
        (
            "an empty state",
            with_param(&callback, "state", Some("")),
            followed.cookie.clone(),
        ),
        (
            "a short state",
            with_param(&callback, "state", Some(&state[..40])),
            followed.cookie.clone(),
        ),
        (
            "a changed state",
            with_param(&callback, "state", Some(&changed)),
            followed.cookie.clone(),
        ),
        (
            "two states",
            format!("{callback}&state={state}"),
            followed.cookie.clone(),
        ),
        (
            "another flow's state",
            with_param(&callback, "state", Some(&other_state)),
            followed.cookie.clone(),
        ),
        ("no cookie", callback.clone(), String::new()),
        ("another flow's cookie", callback.clone(), other.cookie.clone()),
        (
            "another value",
            callback.clone(),
            format!("{}=AAAA", followed.cookie.split('=').next().unwrap_or_default()),
        ),
        (
            "another flow's value",
            callback.clone(),
            format!(
                "{}={}",
                followed.cookie.split('=').next().unwrap_or_default(),
                other.cookie.split_once('=').expect("a cookie").1
            ),
        ),
        // Somebody tells the browser that it was refused.
        (
            "a forged refusal",
            format!(
                "{}?error=access_denied&state={changed}",
                callback.split('?').next().unwrap_or_default()
            ),
            followed.cookie.clone(),
        ),
        (
            "a refusal from elsewhere",
            format!(
                "{}?error=access_denied&state={state}",
                callback.split('?').next().unwrap_or_default()
            ),
            String::new(),
        ),
    ];
    for (what, callback, cookie) in refused {
        let landed = world.land(&callback, &cookie);
        assert_eq!(code_on(&landed), "auth.state", "{what}: {}", landed.text());
        assert_eq!(title(&landed), "Not connected", "{what}");
        let status = world.status(&connection, &link);
        assert_eq!(status["step"], "started", "{what}: {status}");
    }
    assert_eq!(world.idp.count("token_requests"), 0);

    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let again = world.land(&callback, &followed.cookie);
    assert_eq!(code_on(&again), "auth.used", "{}", again.text());
    assert_eq!(world.idp.count("code_exchanges"), 1);
    assert_eq!(world.idp.count("token_requests"), 1);
    assert_eq!(world.whoami(&connection), "mona");
}

#[test]
fn of_two_callbacks_at_once_one_exchanges_the_code() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let followed = world.follow(&world.begin(&connection, &json!({})));
    let callback = world.answers(&followed.location, "mona", true);
    let path = path_of(&callback);
    let address = world.api().address;
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (path, cookie) = (path.clone(), followed.cookie.clone());
            std::thread::spawn(move || {
                http::request(address, "GET", &path, &[("cookie", &cookie)], b"").expect("come back")
            })
        })
        .collect();
    let titles: Vec<_> = threads
        .into_iter()
        .map(|thread| {
            let landed = thread.join().expect("an answer");
            let code = code_on(&landed);
            assert!(["", "auth.used", "auth.state"].contains(&code.as_str()), "{code}");
            title(&landed)
        })
        .collect();
    let connected = titles.iter().filter(|title| *title == "Connected").count();
    assert_eq!(connected, 1, "{titles:?}");
    assert_eq!(world.idp.count("token_requests"), 1);
    assert_eq!(world.whoami(&connection), "mona");
}

/// A vendor's form (response_mode=form_post) comes without the cookie; the same as a navigation comes with it.
#[test]
fn a_form_is_taken_the_same_way() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let followed = world.follow(&world.begin(&connection, &json!({})));
    let callback = world.answers(&followed.location, "mona", true);
    let (_, query) = callback.split_once('?').expect("a query");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let address = world.api().address;
    let posted = http::request(address, "POST", "/connect/callback", &[kind], query.as_bytes());
    let posted = posted.expect("post the form");
    assert_eq!(posted.status, 303, "{}", posted.text());
    let location = posted.header("location").expect("a location").to_owned();
    assert!(location.starts_with("/connect/callback?"), "{location}");
    assert_eq!(world.idp.count("token_requests"), 0, "a form alone does nothing");
    let landed = world.land(&format!("http://{address}{location}"), &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());

    for body in [
        &b"\xff\xfe=\x00"[..],
        &[b'a'; 70_000],
        b"state=a%0d%0alocation:%20https://evil.example/",
    ] {
        let posted = http::request(address, "POST", "/connect/callback", &[kind], body).expect("post");
        let location = posted.header("location").unwrap_or_default().to_owned();
        assert!(
            posted.status >= 400 || location.starts_with("/connect/callback?"),
            "{} {location}",
            posted.status
        );
        assert!(!location.contains("\r\n"), "{location}");
    }
}

/// What the vendor itself sends back wrongly.
#[test]
fn an_answer_of_another_issuer_is_refused() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    for (kind, code, step) in [
        ("wrong_iss", "auth.issuer", "failed"),
        ("no_iss", "auth.issuer", "failed"),
        ("wrong_state", "auth.state", "started"),
        ("no_state", "auth.state", "started"),
        ("wrong_code", "auth.ended", "failed"),
    ] {
        world.idp.post("reset", &json!({}));
        world.fault(&json!({"endpoint": "authorization", "kind": kind}));
        let link = world.begin(&connection, &json!({}));
        let followed = world.follow(&link);
        let callback = world.answers(&followed.location, "mona", true);
        let landed = world.land(&callback, &followed.cookie);
        assert_eq!(code_on(&landed), code, "{kind}: {}", landed.text());
        let status = world.status(&connection, &link);
        assert_eq!(status["step"], step, "{kind}: {status}");
        let exchanged = world.idp.count("token_requests");
        assert_eq!(exchanged, u64::from(kind == "wrong_code"), "{kind}");
    }
    assert!(world.show(&connection)["credential"].is_null());
}

#[test]
fn a_link_is_good_once_and_for_its_time() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    world.follow(&link);
    let again = world.try_follow(&link);
    assert_eq!(code_on(&again), "auth.used", "{}", again.text());
    assert!(again.header("set-cookie").is_none());

    let url = link["url"].as_str().expect("a link");
    let short = &url[..url.len() - 1];
    let mut changed = short.to_owned();
    changed.push(if url.ends_with('A') { 'B' } else { 'A' });
    for wrong in [short, &changed, &format!("{url}A"), &format!("{url}/..")] {
        let refused = world.try_follow(&json!({"url": wrong}));
        assert!(refused.status >= 400, "{wrong}: {}", refused.text());
        assert!(refused.header("location").is_none(), "{wrong}");
    }

    let link = world.begin(&connection, &json!({"lifetime_s": 1}));
    let path = path_of(link["url"].as_str().expect("a link"));
    let late = wait_for("the link to expire", || {
        let looked = http::request(world.api().address, "GET", &path, &[], b"").expect("look");
        (looked.status != 200).then_some(looked)
    });
    assert_eq!(code_on(&late), "auth.expired", "{}", late.text());
    let followed = world.try_follow(&link);
    assert_eq!(code_on(&followed), "auth.expired", "{}", followed.text());
    let status = world.status(&connection, &link);
    assert_eq!(
        (&status["step"], &status["error"]["code"]),
        (&json!("failed"), &json!("auth.expired")),
        "{status}"
    );
    let week: Value = world.begin(&connection, &json!({"lifetime_s": 4_000_000}));
    let end = week["expires"].as_str().expect("an end").to_owned();
    let week: Value = world.begin(&connection, &json!({"lifetime_s": 604_800}));
    let most = week["expires"].as_str().expect("an end");
    assert!(end.as_str() <= most, "no link lives longer than a week: {end}");
}

/// A link that is followed at its last moment leaves its time for the vendor's pages.
#[test]
fn who_followed_in_time_may_come_back_later() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({"lifetime_s": 5}));
    let followed = world.follow(&link);
    let later = world.status(&connection, &link)["expires"].clone();
    assert!(later.as_str() > link["expires"].as_str(), "{later} {link}");
    // Another link, begun later, runs out; the first one's flow does not.
    let marker = world.begin(&connection, &json!({"lifetime_s": 5}));
    wait_for("the links to run out", || {
        (world.status(&connection, &marker)["step"] == "failed").then_some(())
    });
    let callback = world.answers(&followed.location, "mona", true);
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
}

/// Where the browser goes is never what a request says.
#[test]
fn no_request_says_where_the_browser_goes() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let own = format!("http://{}", world.api().address);

    let link = world.begin(&connection, &json!({}));
    let url = link["url"].as_str().expect("a link");
    assert!(url.starts_with(&format!("{own}/connect/")), "{url}");
    let path = path_of(url);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    for header in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example"),
    ] {
        let answer = http::request(world.api().address, "POST", &path, &[kind, header], b"");
        let answer = answer.expect("follow");
        if answer.status == 303 {
            let location = answer.header("location").expect("a location");
            assert!(!location.contains("evil"), "{header:?}: {location}");
            assert!(!answer.text().contains("evil"), "{header:?}");
            break;
        }
        assert!(answer.status >= 400, "{header:?}: {}", answer.text());
    }

    let followed = world.follow(&world.begin(&connection, &json!({})));
    assert!(
        followed
            .location
            .starts_with("https://id.acme.example/authorize?"),
        "{}",
        followed.location
    );
    let callback = world.answers(&followed.location, "mona", true);
    let lured = format!(
        "{callback}&return_to=https%3A%2F%2Fevil.example%2F&redirect_uri=https%3A%2F%2Fevil.example%2F&connection=x&outcome=ok"
    );
    let landed = world.land(&lured, &followed.cookie);
    assert_eq!(landed.status, 200, "{}", landed.text());
    assert!(landed.header("location").is_none());
    assert_eq!(title(&landed), "Connected", "{}", landed.text());

    // Whose authorization it is matters as well.
    let other = world.draft("other", "oauth");
    let id = link["id"].as_str().expect("an id");
    let path = format!("/api/v1/connections/{other}/authorizations/{id}");
    let answer = world.api().send("GET", &path, "application/json", b"");
    assert_eq!(answer.code(), "auth.not_found", "{}", answer.text());
}

/// Drafts and flows survive a restart; the callback's address does not change where it is configured.
#[test]
fn a_journey_survives_a_power_cut() {
    let mut world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    world.restart();
    assert_eq!(world.status(&connection, &link)["step"], "waiting");
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", true);
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    assert_eq!(world.show(&connection)["state"], "active");
}
