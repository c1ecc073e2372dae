use sluice_model::Timestamp;
use sluice_model::seal::MasterKey;

use super::*;
use crate::{Options, Store};

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

struct Room {
    store: Store,
    org: OrgId,
    _directory: tempfile::TempDir,
}

async fn room() -> Room {
    let directory = tempfile::tempdir().unwrap();
    let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let master = MasterKey::from_text(text).unwrap();
    let store = Store::open(Options::new(directory.path().to_owned(), master)).unwrap();
    let org = store.ensure_org("acme", NOW).await.unwrap();
    Room {
        store,
        org,
        _directory: directory,
    }
}

impl Room {
    async fn put(&self, field: &str, text: &str) {
        let secret = Secret::new(text.as_bytes().to_vec());
        self.store
            .put_secret(self.org, "o", field, secret, NOW)
            .await
            .unwrap();
    }

    async fn get(&self, field: &str) -> Result<String, Error> {
        let found = self.store.get_secret(self.org, "o", field).await?.unwrap();
        Ok(String::from_utf8(found.expose().to_vec()).unwrap())
    }

    async fn set_uses(&self, version: u32, uses: u64) {
        let place = row_key(self.org, version);
        self.store
            .write(64, move |rows| rows.put_number(Table::OrgKeyUses, &place, uses))
            .await
            .unwrap();
    }

    fn row(&self, field: &str) -> Vec<u8> {
        let place = crate::credential::secret_key(self.org, "o", field);
        self.store
            .read_now(|rows| rows.get(Table::Secrets, &place))
            .unwrap()
            .unwrap()
    }

    async fn put_row(&self, field: &str, row: Vec<u8>) {
        let place = crate::credential::secret_key(self.org, "o", field);
        self.store
            .write(64, move |rows| rows.put(Table::Secrets, &place, &[&row]))
            .await
            .unwrap();
    }

    async fn state(&self) -> OrgKeyState {
        self.store.org_key(self.org).await.unwrap()
    }
}

#[tokio::test]
async fn a_worn_key_is_replaced_by_the_value_that_finds_it_so() {
    let r = room().await;
    r.put("a", "1").await;
    r.put("b", "2").await;
    let worn = OrgKey::MAX_USES / 10 * 9;
    r.set_uses(1, worn - 1).await;
    r.put("b", "3").await;
    let state = r.state().await;
    assert_eq!((state.version, state.uses, state.older), (1, worn, 0));
    r.put("b", "4").await;
    let state = r.state().await;
    assert_eq!(
        state,
        OrgKeyState {
            version: 2,
            uses: 1,
            older: 1,
            left: 1
        }
    );
    assert_eq!(
        (r.get("a").await.unwrap(), r.get("b").await.unwrap()),
        ("1".into(), "4".into())
    );
    // What was sealed under the worn key moves by itself.
    assert!(!r.store.sweep(NOW, 100).await.unwrap());
    let state = r.state().await;
    assert_eq!(
        state,
        OrgKeyState {
            version: 2,
            uses: 2,
            older: 0,
            left: 0
        }
    );
    assert_eq!(
        (r.get("a").await.unwrap(), r.get("b").await.unwrap()),
        ("1".into(), "4".into())
    );
}

#[tokio::test]
async fn a_key_whose_count_is_beyond_its_limit_refuses_nothing() {
    let r = room().await;
    r.put("a", "1").await;
    r.set_uses(1, u64::MAX).await;
    r.put("a", "2").await;
    assert_eq!(
        (r.get("a").await.unwrap(), r.state().await.version),
        ("2".into(), 2)
    );
    // Worn again before the first rotation is over.
    r.set_uses(2, u64::MAX).await;
    r.put("b", "3").await;
    assert_eq!((r.state().await.version, r.state().await.older), (3, 2));
    assert!(!r.store.sweep(NOW, 100).await.unwrap());
    let state = r.state().await;
    assert_eq!((state.version, state.older, state.left), (3, 0, 0));
    assert_eq!(
        (r.get("a").await.unwrap(), r.get("b").await.unwrap()),
        ("2".into(), "3".into())
    );
}

/// A single row of an older backup put back: as long as its key is there it is the value that it was (nothing inside a
/// database can tell), and after a rotation it is none.
#[tokio::test]
async fn an_old_row_put_back_does_not_open_after_a_rotation() {
    let r = room().await;
    r.put("a", "old").await;
    let old = r.row("a");
    r.put("a", "new").await;
    let new = r.row("a");
    r.put_row("a", old.clone()).await;
    assert_eq!(r.get("a").await.unwrap(), "old");
    // Its version is part of what is authenticated: the old value cannot pass for the new one.
    let head = |row: &[u8]| {
        let (_, head, _) = crate::row::split_head_bytes::<serde_json::Value>(Table::Secrets, row).unwrap();
        head.len()
    };
    let mixed = [&new[..head(&new)], &old[head(&old)..]].concat();
    r.put_row("a", mixed).await;
    assert_eq!(r.get("a").await.unwrap_err().code(), "seal.refused");
    r.put_row("a", new).await;
    r.store.rotate_org_key(r.org).await.unwrap();
    assert_eq!(r.get("a").await.unwrap(), "new");
    r.put_row("a", old).await;
    assert_eq!(r.get("a").await.unwrap_err().code(), "seal.refused");
}

#[tokio::test]
async fn a_value_that_does_not_open_keeps_its_key_until_it_is_set_anew() {
    let r = room().await;
    r.put("a", "1").await;
    r.put("b", "2").await;
    let mut row = r.row("b");
    *row.last_mut().unwrap() ^= 1;
    r.put_row("b", row).await;
    let state = r.store.rotate_org_key(r.org).await.unwrap();
    assert_eq!((state.version, state.older, state.left), (2, 1, 1));
    assert_eq!(r.get("a").await.unwrap(), "1");
    // Asked again it goes on with this rotation, and neither spins nor gives up the key.
    let state = r.store.rotate_org_key(r.org).await.unwrap();
    assert_eq!((state.version, state.older, state.left), (2, 1, 1));
    for steps in [1, 100] {
        assert!(!r.store.sweep(NOW, steps).await.unwrap());
    }
    r.put("b", "3").await;
    assert!(!r.store.sweep(NOW, 100).await.unwrap());
    let state = r.state().await;
    assert_eq!((state.version, state.older, state.left), (2, 0, 0));
    assert_eq!(r.get("b").await.unwrap(), "3");
}

/// A sweep of more organizations than it has steps comes to its end.
#[tokio::test]
async fn many_organizations_with_nothing_to_do_end_a_sweep() {
    let r = room().await;
    for n in 0..5 {
        r.store.ensure_org(&format!("other {n}"), NOW).await.unwrap();
    }
    assert!(!r.store.sweep(NOW, 1).await.unwrap());
}

#[tokio::test]
async fn a_rotation_goes_in_bounded_steps() {
    let r = room().await;
    for n in 0..600 {
        r.put(&n.to_string(), &format!("value {n}")).await;
    }
    r.put("large", &"x".repeat(900_000)).await;
    let worn = OrgKey::MAX_USES;
    r.set_uses(1, worn).await;
    r.put("new", "x").await;
    let mut calls = 0;
    while r.store.sweep(NOW, 1).await.unwrap() {
        calls += 1;
        let state = r.state().await;
        assert!(state.left <= 601 && calls < 10, "{state:?}");
        for n in [0, 300, 599] {
            assert_eq!(r.get(&n.to_string()).await.unwrap(), format!("value {n}"));
        }
    }
    // Of 250 values each at most.
    assert!(calls >= 3, "{calls}");
    let state = r.state().await;
    assert_eq!((state.version, state.older, state.left), (2, 0, 0));
    assert_eq!(state.uses, 602);
    for n in 0..600 {
        assert_eq!(r.get(&n.to_string()).await.unwrap(), format!("value {n}"));
    }
}
