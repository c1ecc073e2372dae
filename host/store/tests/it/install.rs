//! Installs and their components.

use sluice_store::connection::Data;

use super::room::{NOW, code, room};

#[tokio::test]
async fn installs_and_components_go_together() {
    let r = room().await;
    let install = r.store.get_install(r.org, r.install).await.unwrap().unwrap();
    assert_eq!(r.store.all_installs().await.unwrap(), [(r.org, install.clone())]);
    let digest = install.component_digest;
    assert_eq!(
        r.store.component(r.org, digest).await.unwrap().unwrap(),
        b"component"
    );
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, NOW)
        .await
        .unwrap();
    r.store.remove_install(r.org, r.install).await.unwrap();
    assert_eq!(r.store.component(r.org, digest).await.unwrap(), None);
    assert_eq!(
        code(r.store.remove_install(r.org, r.install).await),
        "store.missing"
    );
}
