//! What is too large is refused before anything is written.

use super::room::{code, room, upsert};

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_written() {
    let r = room().await;
    let fencing = r.run(1).await;
    let page = r.page(1, fencing, vec![upsert("a", "1")], &"c".repeat(70_000));
    assert_eq!(code(r.store.commit_page(page).await), "store.too_large");
    let page = r.page(1, fencing, vec![upsert(&"i".repeat(513), "1")], "c");
    assert_eq!(code(r.store.commit_page(page).await), "store.too_large");
    let mut receipt = r.receipt(1, "k");
    receipt.body = vec![0; 33 << 20];
    assert_eq!(
        code(r.store.accept_receipt(r.org, receipt).await),
        "store.too_large"
    );
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
}
