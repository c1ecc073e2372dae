//! The power is cut while a token is on its way: afterwards the connection serves, or needs its owner and says so once; it never
//! loops, and what was deleted stays deleted.

use serde_json::json;

use super::{World, code_on, title};
use crate::server::wait_for;

/// Refreshes in the background, whatever comes of it.
fn refresh_aside(world: &World, connection: &str) -> std::thread::JoinHandle<()> {
    let (api, path) = (world.api(), format!("/api/v1/connections/{connection}/refresh"));
    std::thread::spawn(move || {
        let key = format!("Bearer {}", api.key);
        let headers = [
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        // The server may be gone before it answers.
        drop(crate::server::http::request(
            api.address,
            "POST",
            &path,
            &headers,
            b"{}",
        ));
    })
}

fn held(world: &World) {
    wait_for("the refresh to be at the vendor", || {
        (world.idp.count("held") == 1).then_some(())
    });
}

/// Serves, or needs its owner: then once said, not asked about again, and healed by connecting.
fn is_well_or_told(world: &World, connection: &str, told_before: usize) {
    let before = world.idp.count("refresh_requests");
    for _ in 0..5 {
        drop(world.act(connection, "whoami", &json!({})));
    }
    let refreshed = world.try_refresh(connection);
    let asked = world.idp.count("refresh_requests") - before;
    let shown = world.show(connection);
    if refreshed.status == 200 {
        assert_eq!(shown["state"], "active", "{shown}");
        assert_eq!(world.whoami(connection), "mona");
        assert_eq!(world.told(connection, "needs-reauth"), told_before);
        assert_eq!(asked, 1);
        return;
    }
    assert_eq!(refreshed.code(), "auth.ended", "{}", refreshed.text());
    assert_eq!(shown["state"], "needs-reauth", "{shown}");
    assert_eq!(world.told(connection, "needs-reauth"), told_before + 1);
    // The present one, and the one before it.
    assert!(asked <= 2, "{asked} requests");
    let landed = world.journey(connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
}

#[test]
fn before_the_vendor_has_rotated() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    world.fault(&json!({"kind": "hold", "grant_type": "refresh_token"}));
    let aside = refresh_aside(&world, &connection);
    held(&world);
    world.restart();
    aside.join().expect("it ended");
    assert_eq!(world.show(&connection)["state"], "active");
    assert_eq!(world.version(&connection), 1);
    // What is held stays held: the token was not used.
    assert_eq!(world.whoami(&connection), "mona");
    world.refreshes(&connection);
    assert_eq!(world.version(&connection), 2);
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.told(&connection, "needs-reauth"), 0);
    assert_eq!(world.idp.count("reuse_detections"), 0);
}

#[test]
fn after_the_vendor_has_rotated() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    world.fault(&json!({"kind": "hold_answer", "grant_type": "refresh_token"}));
    let aside = refresh_aside(&world, &connection);
    held(&world);
    world.restart();
    aside.join().expect("it ended");
    world.idp.post("release", &json!({}));
    assert_eq!(world.version(&connection), 1);
    assert_eq!(
        world.whoami(&connection),
        "mona",
        "the access token of before still lives"
    );
    is_well_or_told(&world, &connection, 0);
}

/// Between the vendor's answer and whatever comes after it, at a moment that the machine chooses.
#[test]
fn around_the_commit() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    let mut told = 0;
    for round in 0..6 {
        let before = world.idp.count("refreshes");
        let version = world.version(&connection);
        let aside = refresh_aside(&world, &connection);
        if round % 2 == 0 {
            wait_for("the vendor's answer", || {
                (world.idp.count("refreshes") > before).then_some(())
            });
        } else {
            wait_for("the commit", || {
                (world.version(&connection) > version).then_some(())
            });
        }
        world.restart();
        aside.join().expect("it ended");
        if round % 2 == 1 {
            assert!(
                world.version(&connection) > version,
                "what was committed is there"
            );
            assert_eq!(world.whoami(&connection), "mona");
        }
        is_well_or_told(&world, &connection, told);
        told = world.told(&connection, "needs-reauth");
    }
}

/// While a worker drives it and nobody looks.
#[test]
fn a_worker_that_is_killed_goes_on() {
    let mut world = World::with(&["--access-token-s", "3"], Vec::new());
    let connection = world.connected("work", "mona");
    let mut last = 1;
    for _ in 0..3 {
        wait_for("a worker's refresh", || {
            let shown = world.show(&connection);
            let version = shown["credential"]["version"].as_u64().unwrap_or_default();
            (version > last || shown["state"] == "needs-reauth").then_some(())
        });
        last = world.version(&connection);
        world.restart();
    }
    world.idp.post("lifetimes", &json!({"access_token_s": 3600}));
    let shown = wait_for("an end of it", || {
        let shown = world.show(&connection);
        let long = world.act(&connection, "whoami", &json!({})).status == 200;
        (shown["state"] == "needs-reauth" || (shown["state"] == "active" && long)).then_some(shown)
    });
    let told = world.told(&connection, "needs-reauth");
    assert_eq!(told, usize::from(shown["state"] == "needs-reauth"), "{shown}");
}

#[test]
fn what_is_deleted_while_its_token_is_on_its_way_stays_deleted() {
    let mut world = World::start();
    for (name, fault) in [("before", "hold"), ("after", "hold_answer")] {
        let connection = world.connected(name, "mona");
        let path = format!("/api/v1/connections/{connection}");
        world.fault(&json!({"kind": fault, "grant_type": "refresh_token"}));
        let aside = refresh_aside(&world, &connection);
        held(&world);
        let deleted = world.api().delete(&path);
        assert!(deleted.status < 300, "{}", deleted.text());
        world.idp.post("release", &json!({}));
        aside.join().expect("it ended");
        for restarted in [false, true] {
            if restarted {
                world.restart();
            }
            let shown = world.api().send("GET", &path, "application/json", b"");
            assert_eq!(shown.status, 404, "{fault}: {}", shown.text());
            let listed = world.api().all("/api/v1/connections");
            assert!(
                listed.iter().all(|found| found["id"] != connection.as_str()),
                "{listed:?}"
            );
        }
    }

    // And while the first one is.
    let connection = world.draft("first", "oauth");
    let followed = world.follow(&world.begin(&connection, &json!({})));
    let callback = world.answers(&followed.location, "mona", true);
    world.fault(&json!({"kind": "hold_answer"}));
    let (address, path) = (world.api().address, super::path_of(&callback));
    let cookie = followed.cookie;
    let landing = std::thread::spawn(move || {
        crate::server::http::request(address, "GET", &path, &[("cookie", &cookie)], b"").expect("come back")
    });
    held(&world);
    let path = format!("/api/v1/connections/{connection}");
    assert!(world.api().delete(&path).status < 300);
    world.idp.post("release", &json!({}));
    let landed = landing.join().expect("an answer");
    assert_eq!(title(&landed), "Not connected", "{}", landed.text());
    assert!(!code_on(&landed).is_empty(), "{}", landed.text());
    let shown = world.api().send("GET", &path, "application/json", b"");
    assert_eq!(shown.status, 404, "{}", shown.text());
}

/// A code that was taken and whose exchange was cut off is not exchanged again; the person is told that it failed.
#[test]
fn an_exchange_that_was_cut_off_ends() {
    let mut world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", true);
    world.fault(&json!({"kind": "hold_answer"}));
    let (address, path) = (world.api().address, super::path_of(&callback));
    let cookie = followed.cookie.clone();
    let landing = std::thread::spawn(move || {
        drop(crate::server::http::request(
            address,
            "GET",
            &path,
            &[("cookie", &cookie)],
            b"",
        ));
    });
    held(&world);
    world.restart();
    landing.join().expect("it ended");
    let here = format!("http://{}{}", world.api().address, super::path_of(&callback));
    let again = world.land(&here, &followed.cookie);
    assert_eq!(code_on(&again), "auth.used", "{}", again.text());
    assert!(world.show(&connection)["credential"].is_null());
    // Whatever state it is in, connecting anew is possible.
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    assert_eq!(world.show(&connection)["state"], "active");
}
