//! Credentials by version and by what is due, and authorizations that are used once.

use sluice_model::Timestamp;
use sluice_model::id::AuthorizationId;
use sluice_model::secret::Secret;
use sluice_store::authorization::{Move, NewAuthorization, Step};
use sluice_store::connection::Data;
use sluice_store::credential::{Life, NewCredential};
use sluice_store::due::Work;
use sluice_store::{Error, Page};

use super::disk::MemoryDisk;
use super::room::{NOW, Room, later, open_on, room_on};

fn token(text: &str, due: Option<Timestamp>) -> NewCredential {
    NewCredential {
        secret: Secret::new(text.as_bytes().to_vec()),
        origins: vec!["https://api.example.com:443".to_owned()],
        life: Life {
            obtained: Some(NOW),
            expires: due,
            due,
            scopes: vec!["read".to_owned()],
        },
    }
}

impl Room {
    async fn put(&self, scheme: &str, new: NewCredential, expect: Option<u32>) -> Result<u32, Error> {
        self.store
            .put_credential(self.org, self.connection, scheme, new, expect)
            .await
    }

    async fn due(&self) -> Option<Timestamp> {
        self.store.next_due(Work::Credentials).await.unwrap()
    }

    async fn authorization(&self, n: u8, expires: Timestamp) -> AuthorizationId {
        let id = AuthorizationId::from_bytes([n; 16]);
        let new = NewAuthorization {
            id,
            connection: self.connection,
            scheme: "oauth".to_owned(),
            step: Step::Waiting,
            created: NOW,
            expires,
            memory: Secret::new(b"verifier-verifier".to_vec()),
        };
        self.store.create_authorization(self.org, new).await.unwrap();
        id
    }
}

#[tokio::test]
async fn of_two_writers_of_a_version_one_wins() {
    let r = room_on(&MemoryDisk::default()).await;
    assert_eq!(r.put("oauth", token("a", None), Some(0)).await.unwrap(), 1);
    assert!(matches!(
        r.put("oauth", token("b", None), Some(0)).await,
        Err(Error::Revision {
            expected: 0,
            found: 1,
            ..
        })
    ));
    assert_eq!(r.put("oauth", token("c", None), Some(1)).await.unwrap(), 2);
    let found = r
        .store
        .get_credential(r.org, r.connection, "oauth")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.secret.expose(), found.version), (&b"c"[..], 2));
    assert_eq!(found.life.scopes, ["read"]);
    let stale = r
        .store
        .remove_credential(r.org, r.connection, "oauth", Some(1))
        .await;
    assert!(matches!(stale, Err(Error::Revision { .. })));
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, NOW)
        .await
        .unwrap();
    // What comes back late from the vendor brings nothing back.
    assert!(matches!(
        r.put("oauth", token("d", Some(NOW)), Some(2)).await,
        Err(Error::Missing { .. })
    ));
    assert_eq!(r.due().await, None);
}

#[tokio::test]
async fn the_earliest_credential_of_a_connection_is_due_and_leased_once() {
    let r = room_on(&MemoryDisk::default()).await;
    r.put("a", token("a", Some(later(300))), None).await.unwrap();
    r.put("b", token("b", Some(later(100))), None).await.unwrap();
    assert_eq!(r.due().await, Some(later(100)));
    let lease = |now| {
        r.store
            .lease_due_credentials(now, std::time::Duration::from_secs(60), 10)
    };
    assert_eq!(lease(later(99)).await.unwrap(), []);
    assert_eq!(lease(later(100)).await.unwrap(), [(r.org, r.connection)]);
    assert_eq!(lease(later(100)).await.unwrap(), []);
    assert_eq!(r.due().await, Some(later(160)));
    r.put("b", token("b2", Some(later(1000))), Some(1)).await.unwrap();
    assert_eq!(r.due().await, Some(later(300)));
    r.store
        .defer_credentials(r.org, r.connection, Some(later(400)))
        .await
        .unwrap();
    assert_eq!(r.due().await, Some(later(400)));
    r.store
        .remove_credential(r.org, r.connection, "a", None)
        .await
        .unwrap();
    assert_eq!(r.due().await, Some(later(1000)));
    r.store.delete_org(r.org).await.unwrap();
    assert_eq!(r.due().await, None);
}

#[tokio::test]
async fn an_authorization_is_used_once_and_then_remembers_nothing() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    let id = r.authorization(7, later(600)).await;
    let to = |from, to, memory: Option<&str>| Move {
        from,
        to,
        memory: memory.map(|text| Secret::new(text.as_bytes().to_vec())),
        expires: None,
        reason: None,
    };
    let step = |change| r.store.move_authorization(r.org, id, change);
    step(to(Step::Waiting, Step::Started, Some("changed")))
        .await
        .unwrap();
    assert!(matches!(
        step(to(Step::Waiting, Step::Started, None)).await,
        Err(Error::State { state: "started", .. })
    ));
    let found = r.store.get_authorization(r.org, id).await.unwrap().unwrap();
    assert_eq!(found.memory.unwrap().expose(), b"changed");
    let racing = [
        step(to(Step::Started, Step::Completing, None)),
        step(to(Step::Started, Step::Completing, None)),
    ];
    let [first, second] = racing;
    let (first, second) = tokio::join!(first, second);
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
    step(to(Step::Completing, Step::Done, None)).await.unwrap();
    assert!(
        r.store
            .get_authorization(r.org, id)
            .await
            .unwrap()
            .unwrap()
            .memory
            .is_none()
    );
    let image = disk.bytes();
    for part in [image.database, image.redo] {
        assert!(!part.windows(8).any(|bytes| bytes == b"verifier"));
    }

    let store = open_on(&MemoryDisk::of(disk.bytes()));
    assert_eq!(
        store.get_authorization(r.org, id).await.unwrap().unwrap().step,
        Step::Done
    );
}

#[tokio::test]
async fn secrets_are_listed_without_being_opened() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    r.put("oauth", token("a", Some(later(10))), None).await.unwrap();
    r.put("oauth", token("b", Some(later(20))), None).await.unwrap();
    let secret = Secret::new(b"x".to_vec());
    for scheme in ["oauth", "key"] {
        r.store
            .put_secret(r.org, "app/github", scheme, secret.clone(), later(5))
            .await
            .unwrap();
    }
    let other = r.store.ensure_org("other", NOW).await.unwrap();
    r.store
        .put_secret(other, "app/github", "oauth", secret, NOW)
        .await
        .unwrap();
    r.store.rotate_org_key(r.org).await.unwrap();
    let mut found = Vec::new();
    let mut page = Page::first(1);
    loop {
        let listing = r.store.list_secrets(r.org, page).await.unwrap();
        assert_eq!(listing.items.len(), 1);
        found.extend(listing.items);
        let Some(next) = listing.next else { break };
        page = Page {
            after: Some(next),
            limit: 1,
        };
    }
    let view: Vec<_> = found
        .iter()
        .map(|head| {
            (
                head.owner.as_str(),
                head.scheme(),
                head.version,
                head.life.obtained,
            )
        })
        .collect();
    let connection = r.connection.to_string();
    assert_eq!(
        view,
        [
            ("app/github", None, 1, Some(later(5))),
            ("app/github", None, 1, Some(later(5))),
            (connection.as_str(), Some("oauth"), 2, Some(NOW)),
        ]
    );
    assert_eq!(
        (found[0].field.as_str(), found[1].field.as_str()),
        ("key", "oauth")
    );
    assert!(found.iter().all(|head| head.key_version == 2));
}

#[tokio::test]
async fn authorizations_are_forgotten_a_day_after_their_end() {
    let r = room_on(&MemoryDisk::default()).await;
    let (old, young) = (
        r.authorization(1, later(10)).await,
        r.authorization(2, later(100_000)).await,
    );
    r.store.sweep(later(86_400 + 11), 10).await.unwrap();
    assert!(r.store.get_authorization(r.org, old).await.unwrap().is_none());
    assert!(r.store.get_authorization(r.org, young).await.unwrap().is_some());
}
