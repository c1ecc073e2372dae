//! Secrets: sealed, and gone with their organization.

use sluice_model::secret::Secret;
use sluice_store::credential::{Life, NewCredential};

use super::disk::MemoryDisk;
use super::room::{NOW, later, room_on};

#[tokio::test]
async fn secrets_are_sealed_and_go_with_their_organization() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    let secret = Secret::new(b"hunter2-hunter2".to_vec());
    let origins = vec!["https://api.github.com".to_owned()];
    let put = |secret| {
        let new = NewCredential {
            secret,
            origins: origins.clone(),
            life: Life::default(),
        };
        r.store.put_credential(r.org, r.connection, "token", new, None)
    };
    assert_eq!(put(secret.clone()).await.unwrap(), 1);
    assert_eq!(put(secret.clone()).await.unwrap(), 2);
    let found = r
        .store
        .get_credential(r.org, r.connection, "token")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.secret, found.version, found.origins),
        (secret.clone(), 2, origins.clone())
    );
    let heads = r.store.credential_heads(r.org, r.connection).await.unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!((heads[0].scheme.as_str(), heads[0].version), ("token", 2));
    r.store
        .put_secret(r.org, &r.hook.to_string(), "signing", secret.clone(), NOW)
        .await
        .unwrap();
    let found = r
        .store
        .get_secret(r.org, &r.hook.to_string(), "signing")
        .await
        .unwrap();
    assert_eq!(found, Some(secret));
    let image = disk.bytes();
    for part in [image.database, image.redo] {
        assert!(!part.windows(7).any(|window| window == b"hunter2"));
    }
    r.store.delete_org(r.org).await.unwrap();
    assert_eq!(
        r.store
            .get_credential(r.org, r.connection, "token")
            .await
            .unwrap(),
        None
    );
    assert_eq!(r.store.get_hook_public(r.hook).await.unwrap(), None);
    assert_eq!(r.store.get_org(r.org).await.unwrap(), None);
    assert_ne!(r.store.ensure_org("acme", later(1)).await.unwrap(), r.org);
}
