//! A file that says it is a connector: a package or a typed error, in time that its bytes are worth; what is taken off it, put on it and
//! signed reads back as the same; a policy that trusts one key trusts nothing that this key has not signed.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_package::{
    Package, Part, Policy, Publisher, Remembered, SigningKey, Terms, UnknownKeys, attach, detach, sign,
};

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::read(&SigningKey::generate().unwrap()).unwrap())
}

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy {
        require_signatures: true,
        unknown_keys: UnknownKeys::Refuse,
        publishers: vec![Publisher {
            name: "acme".parse().unwrap(),
            keys: vec![key().public()],
            identities: Vec::new(),
            names: vec!["*".into()],
        }],
        ..Policy::default()
    })
}

fuzz_target!(|bytes: &[u8]| {
    let package = match Package::read(bytes) {
        Ok(package) => package,
        Err(error) => {
            assert!(!error.code().is_empty());
            return;
        }
    };
    for (part, size) in package.parts() {
        assert!(size <= part.limit());
    }
    let none: [&sluice_package::Name; 0] = [];
    let stranger = policy().judge(&package, &Remembered::default(), none, None, AT);
    assert!(stranger.is_err(), "nobody has signed it with this key");
    let plain = detach(bytes).unwrap();
    assert_eq!(plain, package.content());
    let again = Package::read(&plain).unwrap();
    assert_eq!(again.manifest_text(), package.manifest_text());
    assert!(again.part(Part::Signature).is_none());
    let terms = Terms {
        publisher: "acme".parse().unwrap(),
        signed: AT,
        lifetime: Duration::from_secs(3600),
    };
    let Ok(signature) = sign(bytes, key(), &terms) else {
        return;
    };
    let both = attach(bytes, &signature).unwrap();
    let read = Package::read(&both).unwrap();
    assert_eq!(read.content(), plain);
    // A bundle that was there stays, and then the key alone is not enough.
    let judged = policy().judge(&read, &Remembered::default(), none, None, AT);
    assert_eq!(judged.is_ok(), package.bundle().is_none());
    let signed = attach(&plain, &signature).unwrap();
    let read = Package::read(&signed).unwrap();
    assert!(
        policy()
            .judge(&read, &Remembered::default(), none, None, AT)
            .is_ok()
    );
    let mut altered = signed.clone();
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % plain.len();
    altered[at] ^= 1;
    assert!(
        Package::read(&altered).is_err(),
        "byte {at} is not what was signed"
    );
});
