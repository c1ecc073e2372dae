//! The quarter of an hour that a person has at the vendor.

use std::time::Duration;

use sluice_store::authorization::Step;

use super::Room;
use super::disk::MemoryDisk;
use super::vendor::Vendor;
use crate::auth::{self, Begin, Begun, Callback, Error};

/// A draft and its link, followed; what the browser brings back, with a code.
async fn followed(room: &Room) -> (sluice_model::id::AuthorizationId, Callback) {
    let begun = auth::begin(&room.service, room.org, room.connection, Begin::default())
        .await
        .unwrap();
    let Begun::Link { id, path, .. } = begun else {
        panic!("{begun:?}")
    };
    let link = path.strip_prefix("/connect/").unwrap();
    let followed = auth::follow(&room.service, link, "http://127.0.0.1:7420")
        .await
        .unwrap();
    let location = url::Url::parse(&followed.location).unwrap();
    let state = location
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    let callback = Callback {
        params: vec![
            ("state".to_owned(), state.into_owned()),
            ("code".to_owned(), "a-code".to_owned()),
        ],
        cookies: vec![followed.cookie],
    };
    (id, callback)
}

#[tokio::test]
async fn a_callback_counts_for_a_quarter_of_an_hour() {
    let disk = MemoryDisk::default();
    let room = Room::furnished(&disk, Vendor::start(disk.clone())).await;
    let (id, callback) = followed(&room).await;
    room.clock.pass(Duration::from_secs(15 * 60));
    let late = auth::callback(&room.service, callback).await;
    assert!(matches!(late, Err(Error::Expired)), "{late:?}");
    assert_eq!(room.vendor.requests(), 0, "the code was not exchanged");
    let status = auth::status(&room.service, room.org, id).await.unwrap();
    assert_eq!(status.step, Step::Failed);
    assert_eq!(status.problem.unwrap().code, "auth.expired");

    // A moment before, it is exchanged: what comes after that needs code, which there is none of here.
    let (id, callback) = followed(&room).await;
    room.clock.pass(Duration::from_millis(15 * 60 * 1000 - 1));
    let landed = auth::callback(&room.service, callback).await.unwrap();
    assert_eq!(room.vendor.requests(), 1);
    assert!(landed.outcome.is_err(), "the component is none");
    let status = auth::status(&room.service, room.org, id).await.unwrap();
    assert_eq!(status.step, Step::Failed);
}

/// A clock that is set back gives nobody more time than the link was good for by it, and one that is set on ends what is open.
#[tokio::test]
async fn a_jump_revives_no_flow() {
    let disk = MemoryDisk::default();
    let room = Room::furnished(&disk, Vendor::start(disk.clone())).await;
    let (_, callback) = followed(&room).await;
    let params = callback.params.clone();
    let cookies = callback.cookies.clone();
    room.clock.pass(Duration::from_secs(10 * 365 * 86_400));
    assert!(matches!(
        auth::callback(&room.service, callback).await,
        Err(Error::Expired)
    ));
    // Back again: it is in time, once.
    room.clock.set(super::START.after(Duration::from_secs(60)));
    let again = || Callback {
        params: params.clone(),
        cookies: cookies.clone(),
    };
    auth::callback(&room.service, again()).await.unwrap();
    assert_eq!(room.vendor.requests(), 1);
    let used = auth::callback(&room.service, again()).await;
    assert!(matches!(used, Err(Error::Used(_))), "{used:?}");
    assert_eq!(room.vendor.requests(), 1);
}
