//! Grants that are over: told once, not tried again, healed by connecting anew.

use serde_json::{Value, json};

use super::{World, code_on, title};
use crate::github;
use crate::server::wait_for;

#[test]
fn a_grant_that_is_over_is_told_once_and_left_alone() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    world.idp.post("disconnect", &json!({}));
    world.idp.post("reset", &json!({}));

    let threads: Vec<_> = (0..30)
        .map(|number| {
            let api = world.api();
            let path = match number % 3 {
                0 => format!("/api/v1/connections/{connection}/refresh"),
                1 => format!("/api/v1/connections/{connection}/test"),
                _ => format!("/api/v1/connections/{connection}/actions/whoami"),
            };
            std::thread::spawn(move || api.try_post(&path, &json!({})))
        })
        .collect();
    for thread in threads {
        let answer = thread.join().expect("an answer");
        let is_report = answer.json()["steps"].is_array();
        assert!(
            answer.status >= 400 || (is_report && answer.json()["ok"] == false),
            "{}",
            answer.text()
        );
    }
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "needs-reauth", "{shown}");
    assert_eq!(shown["error"]["code"], "auth.ended", "{shown}");
    assert_eq!(world.told(&connection, "needs-reauth"), 1);
    assert_eq!(world.idp.count("refresh_requests"), 1);

    // What the process remembered is gone; that the grant is over is not.
    world.restart();
    for _ in 0..3 {
        let acted = world.act(&connection, "whoami", &json!({}));
        assert_ne!(acted.status, 200, "{}", acted.text());
    }
    let sync = world.api().try_post(
        &format!("/api/v1/connections/{connection}/sync"),
        &json!({"streams": ["items"], "mode": "full"}),
    );
    assert_eq!(sync.code(), "sync.not_active", "{}", sync.text());
    assert_eq!(world.idp.count("refresh_requests"), 1, "nothing tries again");
    assert_eq!(world.told(&connection, "needs-reauth"), 1);

    // The owner comes back.
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "active", "{shown}");
    assert!(shown["error"].is_null(), "{shown}");
    let run = github::sync(&world.api(), &connection, "items", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    world.refreshes(&connection);
}

/// The old grant serves while somebody reconnects, and goes on if they do not finish or come back as somebody else.
#[test]
fn another_account_takes_nothing_over() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let link = world.begin(&connection, &json!({}));
    assert_eq!(
        world.show(&connection)["state"],
        "active",
        "it serves while somebody reconnects"
    );
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "hubot", true);
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(code_on(&landed), "auth.other_account", "{}", landed.text());
    let text = landed.text();
    assert!(
        text.contains("Hubot of Acme") && text.contains("Mona of Acme"),
        "{text}"
    );
    let status = world.status(&connection, &link);
    assert_eq!(status["error"]["code"], "auth.other_account", "{status}");
    assert_eq!(world.whoami(&connection), "mona");
    let shown = world.show(&connection);
    assert_eq!(
        (
            &shown["state"],
            &shown["account"]["id"],
            &shown["credential"]["version"]
        ),
        (&json!("active"), &json!("mona"), &json!(1)),
        "{shown}"
    );
    world.refreshes(&connection);

    let landed = world.journey(&connection, "hubot", &json!({"any_account": true}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    assert_eq!(world.whoami(&connection), "hubot");
    assert_eq!(world.show(&connection)["account"]["id"], "hubot");
    let events = world
        .api()
        .feed("/api/v1/events?kind=sluice.connection.authorized");
    let last = events.last().expect("an event");
    assert_eq!(last["data"]["other_account"], true, "{last}");
}

#[test]
fn a_refusal_leaves_what_was_connected() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let link = world.begin(&connection, &json!({}));
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", false);
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(code_on(&landed), "auth.denied", "{}", landed.text());
    assert_eq!(world.show(&connection)["state"], "active");
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.told(&connection, "needs-reauth"), 0);
}

/// Two people with the same connection's links: each is one flow, the last that ends well counts, none breaks the other.
#[test]
fn two_links_of_one_connection_do_not_disturb_each_other() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let followed: Vec<_> = (0..2)
        .map(|_| world.follow(&world.begin(&connection, &json!({}))))
        .collect();
    let callbacks: Vec<_> = followed
        .iter()
        .map(|followed| world.answers(&followed.location, "mona", true))
        .collect();
    // One browser has both cookies.
    let cookies = format!("{}; {}", followed[0].cookie, followed[1].cookie);
    for callback in callbacks.iter().rev() {
        let landed = world.land(callback, &cookies);
        assert_eq!(title(&landed), "Connected", "{}", landed.text());
    }
    let shown: Value = world.show(&connection);
    assert_eq!(shown["credential"]["version"], 2, "{shown}");
    assert_eq!(world.whoami(&connection), "mona");
    world.refreshes(&connection);
}

/// A connector that opens a handle of a token that is over: its owner has to act, and nobody else is at fault.
#[test]
fn a_handle_of_what_is_over_is_its_owners_business() {
    let world = World::with(&["--access-token-s", "2"], Vec::new());
    let connection = world.connected_by("coded", "custom", "mona");
    world.idp.post("disconnect", &json!({}));
    let opens = json!({"how": "handle", "names": ["custom.access_token"]});
    let refused = wait_for("the token's end", || {
        let acted = world.act(&connection, "steal", &opens);
        (acted.status != 200).then_some(acted)
    });
    assert_eq!(refused.code(), "guest.auth", "{}", refused.text());
    assert!(refused.status < 500, "{}", refused.text());
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "needs-reauth", "{shown}");
    assert_eq!(world.told(&connection, "needs-reauth"), 1);
    let again = world.act(&connection, "steal", &opens);
    assert_eq!(again.code(), "guest.auth", "{}", again.text());
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
}
