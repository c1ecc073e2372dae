//! What a registry answers, which anybody may run: a list of packages, a zero and its signature; or the manifest of an image. A typed error or what
//! stays in its directory; a list reads back from its own text, and no signature that we did not make is one.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_package::index::{Index, sign, verify};
use sluice_package::{Policy, SigningKey, oci};

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::read(&SigningKey::generate().unwrap()).unwrap())
}

fuzz_target!(|given: &[u8]| {
    let mut parts = given.splitn(2, |byte| *byte == 0);
    let bytes = parts.next().unwrap_or_default();
    let signature = parts
        .next()
        .map_or("", |text| std::str::from_utf8(text).unwrap_or_default());
    match Index::read(bytes) {
        Ok(index) => {
            for listed in index.packages() {
                assert!(!listed.file.contains(['/', '\\']) && !listed.file.contains(".."));
            }
            assert_eq!(
                Index::read(index.to_text().as_bytes()).unwrap().to_text(),
                index.to_text()
            );
        }
        Err(error) => assert!(!error.code().is_empty()),
    }
    if let Ok(found) = verify(bytes, signature, None, AT) {
        assert_ne!(found.key, key().public(), "this key has signed nothing");
    }
    let own = sign(bytes, key(), AT, Duration::from_secs(60));
    assert_eq!(verify(bytes, &own, None, AT).unwrap().key, key().public());
    assert!(verify(&[bytes, b" "].concat(), &own, None, AT).is_err());
    drop(oci::component(bytes));
    // A policy comes over the API, as JSON.
    if let Ok(policy) = serde_json::from_slice::<Policy>(bytes) {
        drop(policy.check());
    }
});
