//! The way back: a connection that went over to another version comes back with what it was, whatever is under way.

use serde_json::{Value, json};

use super::{SECOND_FORMAT, WIDER, World, version, version_of};
use crate::github;
use crate::links::open;
use crate::server::wait_for;

#[test]
fn a_rollback_ends_the_run_that_is_in_its_way() {
    let world = World::start();
    let api = world.server.api();
    let first = github::install(&api, &version_of("0.1.0", &[]));
    let connection = open(&api, "left");
    let place = format!("/api/v1/connections/{connection}");
    world.ledger.edit("left", "", &json!({"name": "n0"}));
    github::sync(&api, &connection, "entries", "incremental");
    github::install(&api, &version_of("0.2.0", &[]));
    api.post(&format!("{place}/upgrade"), &json!({}));
    world.ledger.edit("left", "", &json!({"name": "n1"}));
    // The vendor keeps its answer, so the run would not end by itself.
    world.ledger.hold(true);
    let run = github::start_sync(&api, &connection, &["entries"], "incremental").remove(0);
    wait_for("the run to ask", || (world.ledger.waiting() == 1).then_some(()));
    let looked = api.post(&format!("{place}/rollback"), &json!({"dry_run": true}));
    assert_eq!(
        (&looked["done"], &looked["interrupted"]),
        (&json!(false), &json!([]))
    );
    let done = api.post(&format!("{place}/rollback"), &json!({}));
    assert_eq!(
        (&done["done"], &done["interrupted"]),
        (&json!(true), &json!([run])),
        "{done}"
    );
    assert_eq!(api.get(&place)["install"], first["id"]);
    let ended = api.get(&format!("/api/v1/runs/{run}"));
    assert_eq!(ended["state"], "cancelled", "{ended}");
    world.ledger.hold(false);
    // What it had committed stands, and the version of before reads on from there.
    world.ledger.read();
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(
        (&run["state"], &run["counts"]["received"]),
        (&json!("succeeded"), &json!(1)),
        "{run}"
    );
    assert_eq!(world.ledger.read(), ["/left/entries?after=1"]);
    assert_eq!(github::held(&api, &connection, "entries"), 2);
}

#[test]
fn a_move_is_taken_back_with_its_cursors() {
    let world = World::start();
    let api = world.server.api();
    let first = github::install(&api, &version_of("0.1.0", &[]));
    let connection = open(&api, "left");
    let place = format!("/api/v1/connections/{connection}");
    let nothing = api.try_post(&format!("{place}/rollback"), &json!({}));
    assert_eq!(
        (nothing.status, nothing.code().as_str()),
        (404, "connection.no_move")
    );
    for n in 0..3 {
        world.ledger.edit("left", "", &json!({"name": format!("n{n}")}));
    }
    github::sync(&api, &connection, "entries", "incremental");
    github::install(&api, &version_of("0.2.0", &[SECOND_FORMAT, WIDER]));
    let told = api.post(&format!("{place}/upgrade"), &json!({"dry_run": true}));
    assert_eq!(told["carried"], json!(["entries"]), "{told}");
    assert_eq!(told["diff"]["wider"].as_array().unwrap().len(), 1, "{told}");
    api.post(&format!("{place}/upgrade"), &json!({}));
    world.ledger.edit("left", "", &json!({"name": "n3"}));
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["counts"]["received"], 1, "{run}");

    let looked = world
        .server
        .cli(&["connection", "rollback", &connection, "--dry-run", "--json"]);
    let looked: Value = serde_json::from_str(&looked.out).unwrap();
    assert_eq!(
        (&looked["done"], &looked["cursors"], &looked["to"]["version"]),
        (&json!(false), &json!(1), &json!("0.1.0")),
        "{looked}"
    );
    assert_eq!(version(&api, &connection), "0.2.0");
    let done = world
        .server
        .cli(&["connection", "rollback", &connection, "--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let now = api.get(&place);
    assert_eq!(now["install"], first["id"], "{now}");
    // It goes on where it was when it was moved, also after a kill; what it had read meanwhile is there already.
    let mut world = world;
    world.server.kill();
    world.server.run();
    let api = world.server.api();
    world.ledger.read();
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(
        (&run["state"], &run["counts"]["received"]),
        (&json!("succeeded"), &json!(1)),
        "{run}"
    );
    assert_eq!(world.ledger.read(), ["/left/entries?after=3"]);
    assert_eq!(github::held(&api, &connection, "entries"), 4);
    // Who may not approve does not go where there is more.
    let refused = world.member().try_post(&format!("{place}/rollback"), &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (403, "auth.approval"));
    // That was a move as well.
    let again = api.post(&format!("{place}/rollback"), &json!({}));
    assert_eq!(
        (&again["done"], &again["to"]["version"]),
        (&json!(true), &json!("0.2.0")),
        "{again}"
    );
}
