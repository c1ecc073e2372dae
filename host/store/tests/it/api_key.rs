//! API keys, found by their hash.

use sluice_model::id::KeyId;
use sluice_store::api_key::ApiKey;

use super::room::{NOW, code, later, room};

#[tokio::test]
async fn an_api_key_is_found_by_its_hash() {
    let r = room().await;
    let id = KeyId::from_bytes([1; 16]);
    let key = ApiKey {
        id,
        name: "n".into(),
        prefix: "p".into(),
        hash: [3; 32],
        created: NOW,
        revoked: None,
        approves: true,
    };
    r.store.put_api_key(r.org, key.clone()).await.unwrap();
    assert_eq!(
        code(r.store.put_api_key(r.org, key.clone()).await),
        "store.conflict"
    );
    assert_eq!(r.store.find_api_key([3; 32]).await.unwrap(), Some((r.org, key)));
    assert_eq!(r.store.find_api_key([4; 32]).await.unwrap(), None);
    r.store.revoke_api_key(r.org, id, later(1)).await.unwrap();
    assert_eq!(
        r.store.list_api_keys(r.org).await.unwrap()[0].revoked,
        Some(later(1))
    );
}
