//! Handles and placeholders: the guest works with a secret and never sees it.

use crate::support::{Making, TOKEN, shared};

#[tokio::test]
async fn a_tour() {
    let (runtime, connector) = shared().await;
    let outcome = runtime.check(Making::new(&connector, "secrets").call()).await;
    let seen = outcome.result.unwrap().unwrap().name;
    let words: Vec<_> = seen.splitn(5, ' ').collect();
    for placeholder in &words[..3] {
        assert!(
            placeholder.starts_with(sluice_broker::placeholder::PREFIX),
            "{seen}"
        );
    }
    assert_ne!(words[0], words[1]);
    assert_eq!(words[3], "false");
    assert_eq!(words[4], "`alg` of the header must be HS256 or RS256");
    assert!(!seen.contains(TOKEN));
}
