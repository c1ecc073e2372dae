//! Keys that rotate. The power is cut before every write and sync of a rotation: every secret is readable at every
//! point, and a key is never let go before it is not needed.

use std::io::Read;
use std::sync::Arc;

use sluice_model::id::{AuthorizationId, ConnectionId, HookId, OrgId};
use sluice_model::seal::MasterKey;
use sluice_model::secret::Secret;
use sluice_store::authorization::{NewAuthorization, Step};
use sluice_store::credential::{Life, NewCredential};
use sluice_store::{Options, Page, Store};

use super::disk::{MemoryDisk, Unsynced};
use super::room::{NOW, furnish, later, master, open_on, room_on};

fn key(first: &str) -> MasterKey {
    let text = format!("{first}0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    MasterKey::from_text(&text).unwrap()
}

/// Opens with these keys, the present one first. `00` is the key that everything is made with.
fn open(disk: &MemoryDisk, keys: &[&str]) -> Result<Store, &'static str> {
    let options = Options {
        previous: keys[1..].iter().map(|first| key(first)).collect(),
        ..Options::new("memory".into(), key(keys[0]))
    };
    Store::open_on(Arc::new(disk.clone()), options).map_err(|error| error.code())
}

/// Everything sealed of one organization.
struct Sealed {
    org: OrgId,
    connection: ConnectionId,
    authorization: AuthorizationId,
}

const ORGS: u8 = 3;

/// Organizations, each with a credential, an app and an authorization.
async fn fill(disk: &MemoryDisk) -> Vec<Sealed> {
    let store = open_on(disk);
    let mut all = Vec::new();
    for n in 1..=ORGS {
        let org = store.ensure_org(&format!("org {n}"), NOW).await.unwrap();
        let room = furnish(store.clone(), org, n).await;
        let secret = |what: &str| Secret::new(format!("{what} of {n}").into_bytes());
        let new = NewCredential {
            secret: secret("token"),
            origins: vec!["https://api.example.com:443".to_owned()],
            life: Life::default(),
        };
        let connection = room.connection;
        store
            .put_credential(org, connection, "oauth", new, None)
            .await
            .unwrap();
        store
            .put_secret(org, "app/github", "oauth", secret("app"), NOW)
            .await
            .unwrap();
        let authorization = AuthorizationId::from_bytes([n; 16]);
        let new = NewAuthorization {
            id: authorization,
            connection,
            scheme: "oauth".to_owned(),
            step: Step::Waiting,
            created: NOW,
            expires: later(600),
            memory: secret("verifier"),
        };
        store.create_authorization(org, new).await.unwrap();
        all.push(Sealed {
            org,
            connection,
            authorization,
        });
    }
    all
}

/// Whether everything is readable, and as it was.
async fn is_readable(store: &Store, all: &[Sealed]) -> bool {
    let mut right = 0;
    for (sealed, n) in all.iter().zip(1..) {
        let is = |secret: &Secret, what: &str| secret.expose() == format!("{what} of {n}").as_bytes();
        let token = store.get_credential(sealed.org, sealed.connection, "oauth").await;
        let app = store.get_secret(sealed.org, "app/github", "oauth").await;
        let memory = store.get_authorization(sealed.org, sealed.authorization).await;
        let (Ok(Some(token)), Ok(Some(app)), Ok(Some(memory))) = (token, app, memory) else {
            return false;
        };
        assert!(is(&token.secret, "token") && is(&app, "app"));
        assert!(is(&memory.memory.unwrap(), "verifier"));
        right += 1;
    }
    right == all.len()
}

async fn rewrap(store: &Store) -> u64 {
    let mut steps = 0;
    loop {
        let progress = store.rewrap(1).await.unwrap();
        steps += 1;
        if progress.left == 0 {
            return steps;
        }
        assert!(steps < 100);
    }
}

/// The images of every cut from `begin` on.
fn cuts(disk: &MemoryDisk, begin: usize) -> impl Iterator<Item = (usize, MemoryDisk)> + '_ {
    let syncs: Vec<_> = disk.syncs().into_iter().filter(|at| *at >= begin).collect();
    let at_syncs = syncs
        .into_iter()
        .flat_map(|sync| [sync, sync + 1])
        .flat_map(|cut| [Unsynced::Lost, Unsynced::Torn, Unsynced::Some(!0)].map(|what| (cut, what)));
    let anywhere = (begin..=disk.log_len()).map(|cut| {
        let bits = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(cut as u64 + 1);
        (cut, Unsynced::Some(bits))
    });
    at_syncs
        .chain(anywhere)
        .map(|(cut, what)| (cut, MemoryDisk::of(disk.image(cut, what))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_is_rotated_through_a_cut_anywhere() {
    let disk = MemoryDisk::default();
    let all = fill(&disk).await;
    let begin = disk.log_len();
    let store = open(&disk, &["aa", "00"]).unwrap();
    // An organization that is new meanwhile needs no old key, and all others still do.
    assert_eq!(store.master_keys().await.unwrap().left, u64::from(ORGS) + 1);
    assert_eq!(rewrap(&store).await, u64::from(ORGS) + 1);
    assert!(is_readable(&store, &all).await);
    drop(store);

    let (mut early, mut ended) = (0, 0);
    for (cut, image) in cuts(&disk, begin) {
        let of = |bytes: &MemoryDisk| MemoryDisk::of(bytes.bytes());
        // One key alone opens the database only while, or once, that one is enough.
        match open(&of(&image), &["00"]) {
            Ok(store) => assert!(is_readable(&store, &all).await, "cut {cut}"),
            Err(code) => assert!(["key.previous_missing", "key.wrong"].contains(&code), "{code}"),
        }
        match open(&of(&image), &["aa"]) {
            Ok(store) => {
                ended += 1;
                assert!(is_readable(&store, &all).await, "cut {cut}");
                assert_eq!(store.master_keys().await.unwrap().left, 0);
            }
            Err(code) => {
                early += 1;
                assert!(["key.previous_missing", "key.wrong"].contains(&code), "{code}");
            }
        }
        // A change of mind is a rotation back.
        let back = of(&image);
        let store = open(&back, &["00", "aa"]).unwrap();
        assert!(is_readable(&store, &all).await, "cut {cut}");
        rewrap(&store).await;
        drop(store);
        assert!(
            is_readable(&open(&back, &["00"]).unwrap(), &all).await,
            "cut {cut}"
        );

        let store = open(&image, &["aa", "00"]).unwrap();
        assert!(is_readable(&store, &all).await, "cut {cut}");
        rewrap(&store).await;
        drop(store);
        assert!(
            is_readable(&open(&image, &["aa"]).unwrap(), &all).await,
            "cut {cut}"
        );
        assert_eq!(open(&image, &["00"]).unwrap_err(), "key.wrong");
    }
    assert!(early > 10 && ended > 0, "{early} {ended}");
}

#[tokio::test]
async fn a_rotation_that_another_overtakes_needs_all_keys() {
    let disk = MemoryDisk::default();
    let all = fill(&disk).await;
    let store = open(&disk, &["aa", "00"]).unwrap();
    assert_eq!(store.rewrap(1).await.unwrap().left, u64::from(ORGS));
    drop(store);
    for keys in [&["bb", "aa"][..], &["bb", "00"], &["aa"], &["00"]] {
        assert_eq!(open(&disk, keys).unwrap_err(), "key.previous_missing", "{keys:?}");
    }
    assert_eq!(open(&disk, &["bb"]).unwrap_err(), "key.wrong");
    let store = open(&disk, &["bb", "00", "aa"]).unwrap();
    assert_eq!(store.master_keys().await.unwrap().previous, 2);
    assert!(is_readable(&store, &all).await);
    rewrap(&store).await;
    drop(store);
    assert!(is_readable(&open(&disk, &["bb"]).unwrap(), &all).await);
    // A key that opens nothing is no reason to refuse.
    assert!(is_readable(&open(&disk, &["bb", "cc", "00"]).unwrap(), &all).await);
    assert_eq!(open(&disk, &["cc", "00"]).unwrap_err(), "key.wrong");
}

#[tokio::test]
async fn an_organization_made_in_a_rotation_is_under_the_present_key() {
    let disk = MemoryDisk::default();
    fill(&disk).await;
    let store = open(&disk, &["aa", "00"]).unwrap();
    let org = store.ensure_org("new", NOW).await.unwrap();
    let secret = Secret::new(b"x".to_vec());
    store
        .put_secret(org, "o", "f", secret.clone(), NOW)
        .await
        .unwrap();
    drop(store);
    // So the present key is needed although nothing was wrapped anew yet.
    assert_eq!(open(&disk, &["00"]).unwrap_err(), "key.previous_missing");
    let store = open(&disk, &["aa", "00"]).unwrap();
    assert_eq!(store.get_secret(org, "o", "f").await.unwrap(), Some(secret));
    assert_eq!(store.master_keys().await.unwrap().left, u64::from(ORGS) + 1);
    let whole = store.rewrap(usize::MAX).await.unwrap();
    assert_eq!((whole.done, whole.left), (u64::from(ORGS), 1));
    assert_eq!(store.rewrap(1).await.unwrap().left, 0);
    assert_eq!(store.rewrap(1).await.unwrap().done, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organizations_key_is_rotated_through_a_cut_anywhere() {
    let disk = MemoryDisk::default();
    let all = fill(&disk).await;
    let store = open_on(&disk);
    let org = all[0].org;
    let begin = disk.log_len();
    let state = store.rotate_org_key(org).await.unwrap();
    assert_eq!((state.version, state.older, state.left), (2, 0, 0));
    assert!(is_readable(&store, &all).await);
    drop(store);
    let mut under_way = 0;
    for (cut, image) in cuts(&disk, begin) {
        let store = open_on(&image);
        assert!(is_readable(&store, &all).await, "cut {cut}");
        let state = store.org_key(org).await.unwrap();
        under_way += usize::from(state.older > 0);
        assert!(!store.sweep(NOW, 100).await.unwrap());
        let state = store.org_key(org).await.unwrap();
        assert_eq!((state.older, state.left), (0, 0), "cut {cut}");
        assert!(is_readable(&store, &all).await, "cut {cut}");
        drop(store);
        assert!(is_readable(&open_on(&image), &all).await, "cut {cut}");
    }
    assert!(under_way > 5, "{under_way}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_set_and_read_while_keys_rotate() {
    let disk = MemoryDisk::default();
    fill(&disk).await;
    let store = open(&disk, &["aa", "00"]).unwrap();
    let org = store.ensure_org("org 1", NOW).await.unwrap();
    for n in 0..300 {
        let secret = Secret::new(n.to_string().into_bytes());
        store
            .put_secret(org, "o", &n.to_string(), secret, NOW)
            .await
            .unwrap();
    }
    let rotations = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                store.rotate_org_key(org).await.unwrap();
                store.rewrap(2).await.unwrap();
            }
        })
    };
    let mut rounds = 0;
    while !rotations.is_finished() || rounds < 3 {
        rounds += 1;
        for n in (0..300).step_by(7) {
            let field = n.to_string();
            let found = store.get_secret(org, "o", &field).await.unwrap().unwrap();
            let text = std::str::from_utf8(found.expose()).unwrap();
            assert_eq!(text.split('+').next(), Some(field.as_str()));
            let secret = Secret::new(format!("{n}+{rounds}").into_bytes());
            store.put_secret(org, "o", &field, secret, NOW).await.unwrap();
        }
    }
    rotations.await.unwrap();
    let state = store.org_key(org).await.unwrap();
    assert_eq!((state.version, state.older, state.left), (6, 0, 0));
    for n in 0..300 {
        let found = store.get_secret(org, "o", &n.to_string()).await.unwrap();
        assert!(found.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_an_organization_destroys_every_version_in_its_first_commit() {
    let disk = MemoryDisk::default();
    let all = fill(&disk).await;
    let store = open_on(&disk);
    let org = all[0].org;
    for n in 0..3000 {
        let secret = Secret::new(n.to_string().into_bytes());
        store
            .put_secret(org, "o", &n.to_string(), secret, NOW)
            .await
            .unwrap();
    }
    // A rotation that is dropped in its middle: two versions of the key are there.
    let begun = disk.log_len();
    {
        let rotation = store.rotate_org_key(org);
        tokio::pin!(rotation);
        while store.org_key(org).await.unwrap().older == 0 {
            tokio::select! {
                biased;
                done = &mut rotation => panic!("{done:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    assert_eq!(store.org_key(org).await.unwrap().older, 1);
    assert!(disk.log_len() > begun);
    // What the rotation had queued is committed before this is answered, and is not taken for the deletion.
    let last = Secret::new(b"last".to_vec());
    store.put_secret(org, "o", "last", last, NOW).await.unwrap();
    let before = disk.log_len();
    store.delete_org(org).await.unwrap();
    drop(store);
    // Two syncs are the first commit: whatever is left of the organization behind them opens no more.
    let first = disk
        .syncs()
        .into_iter()
        .filter(|at| *at >= before)
        .nth(1)
        .unwrap();
    let store = open_on(&MemoryDisk::of(disk.image(first + 1, Unsynced::Lost)));
    assert_eq!(store.get_org(org).await.unwrap(), None);
    assert_eq!(store.org_key(org).await.unwrap_err().code(), "store.missing");
    let found = store.get_secret(org, "app/github", "oauth").await;
    assert!(found.is_err() || found.unwrap().is_none());
    assert!(store.rotate_org_key(org).await.is_err());
    assert!(is_readable(&store, &all[..0]).await);
    assert_eq!(store.master_keys().await.unwrap().unreadable, 0);
}

#[tokio::test]
async fn a_file_of_format_1_is_opened_as_it_was() {
    let mut bytes = Vec::new();
    let packed = include_bytes!("../formats/1.redb.gz");
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sluice.redb");
    std::fs::write(&file, &bytes).unwrap();
    let open = |master| Store::open(Options::new(directory.path().to_owned(), master));
    // Another key is refused before the file is stepped up.
    assert_eq!(open(key("ff")).unwrap_err().code(), "key.wrong");
    for round in 1..3 {
        let store = open(master()).unwrap();
        let org = store.ensure_org("acme", NOW).await.unwrap();
        let other = store.ensure_org("other", NOW).await.unwrap();
        let connection = ConnectionId::from_bytes([1; 16]);
        let found = store.get_connection(org, connection).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.revision), ("main 1", 1));
        let found = store
            .get_credential(org, connection, "token")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.secret.expose(), found.version), (&b"of format one"[..], 2));
        assert_eq!(found.origins, ["https://api.github.com:443"]);
        let hook = HookId::from_bytes([1; 16]).to_string();
        let found = store.get_secret(org, &hook, "signing").await.unwrap().unwrap();
        assert_eq!(found.expose(), b"signs in format one");
        let found = store
            .get_secret(other, "app/github", "oauth")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.expose(), b"another organization's");
        let records = store
            .list_records(org, connection, "issues", Page::first(10))
            .await
            .unwrap();
        let texts: Vec<_> = records.items.iter().map(|record| record.data.as_str()).collect();
        assert_eq!(texts, ["{\"n\":1}", "{\"n\":2}"]);
        assert_eq!(
            store
                .cursor(org, connection, "issues", None)
                .await
                .unwrap()
                .map(|cursor| cursor.text)
                .as_deref(),
            Some("second")
        );
        // What it counted goes on, and what it sealed is sealed anew.
        let state = store.org_key(org).await.unwrap();
        assert_eq!((state.version, state.older), (round, 0));
        assert_eq!(state.uses, if round == 1 { 3 } else { 2 });
        let state = store.rotate_org_key(org).await.unwrap();
        assert_eq!((state.version, state.left), (round + 1, 0));
    }
}

#[tokio::test]
async fn a_rotated_key_is_another_key() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    assert_eq!(r.store.org_key(r.org).await.unwrap().version, 1);
    for version in 2..5 {
        assert_eq!(r.store.rotate_org_key(r.org).await.unwrap().version, version);
    }
    let none = OrgId::from_bytes([9; 16]);
    assert_eq!(
        r.store.rotate_org_key(none).await.unwrap_err().code(),
        "store.missing"
    );
}
