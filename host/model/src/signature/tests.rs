use std::time::Duration;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use ring::hmac;

use super::*;

/// Made by the vendors' own libraries or taken from their documentation; every secret in it is made up.
const VECTORS: &str = include_str!("../../tests/signatures.json");

fn values(header: &str, prefix: &str, separator: Option<char>, encoding: Encoding) -> Signed {
    Signed {
        proof: Proof::Hmac(Algorithm::HmacSha256),
        encoding,
        places: vec![Place::Header(header.into())],
        form: Form::Values {
            prefix: prefix.into(),
            separator,
        },
        signed: Template::body(),
        timestamp: None,
        secret: SecretForm::default(),
        key_id: None,
        fetched: None,
        digest: None,
        one_time: None,
        fixed: Vec::new(),
    }
}

fn plain(recipe: Signed) -> Recipe {
    Recipe::Signed(Box::new(recipe))
}

fn in_header(name: &str) -> TimestampPlace {
    TimestampPlace::At(Place::Header(name.into()))
}

fn timed(recipe: Signed, signed: &str, place: TimestampPlace) -> Recipe {
    let timestamp = Some(TimestampSource {
        place,
        unit: TimestampUnit::Seconds,
        tolerance: Duration::from_secs(300),
    });
    plain(Signed {
        signed: Template::parse(signed).unwrap(),
        timestamp,
        ..recipe
    })
}

fn svix(name: &str) -> Recipe {
    let recipe = Signed {
        secret: SecretForm {
            has_id: false,
            prefix: Some("whsec_".into()),
            encoding: KeyEncoding::Written(Encoding::Base64),
        },
        ..values(&format!("{name}-signature"), "v1,", Some(' '), Encoding::Base64)
    };
    let signed = format!("{{header:{name}-id}}.{{timestamp}}.{{body}}");
    timed(recipe, &signed, in_header(&format!("{name}-timestamp")))
}

fn recipe(provider: &str) -> Recipe {
    match provider {
        "github" => plain(values("x-hub-signature-256", "sha256=", None, Encoding::Hex)),
        "stripe" => {
            let form = Form::Fields {
                separator: ',',
                signature: "v1".into(),
            };
            let recipe = Signed {
                form,
                ..values("stripe-signature", "", None, Encoding::Hex)
            };
            timed(recipe, "{timestamp}.{body}", TimestampPlace::Field("t".into()))
        }
        "svix" => svix("svix"),
        "standardwebhooks" => svix("webhook"),
        "slack" => timed(
            values("x-slack-signature", "v0=", None, Encoding::Hex),
            "v0:{timestamp}:{body}",
            in_header("x-slack-request-timestamp"),
        ),
        "zoom" => timed(
            values("x-zm-signature", "v0=", None, Encoding::Hex),
            "v0:{timestamp}:{body}",
            in_header("x-zm-request-timestamp"),
        ),
        "shopify" => plain(values("x-shopify-hmac-sha256", "", None, Encoding::Base64)),
        "sha1" => plain(Signed {
            proof: Proof::Hmac(Algorithm::HmacSha1),
            ..values("x-signature", "", None, Encoding::Hex)
        }),
        "sha512" => plain(Signed {
            proof: Proof::Hmac(Algorithm::HmacSha512),
            ..values("x-signature", "", None, Encoding::Base64)
        }),
        _ => panic!("{provider}"),
    }
}

const PROVIDERS: [&str; 9] = [
    "github",
    "stripe",
    "svix",
    "standardwebhooks",
    "slack",
    "zoom",
    "shopify",
    "sha1",
    "sha512",
];

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn secs(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

const NOW: u64 = 1_795_000_000;
const KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

type Headers = [(String, String)];

fn request<'r>(headers: &'r Headers, body: &'r [u8]) -> Request<'r> {
    Request {
        method: "POST",
        url: "",
        headers,
        body,
    }
}

fn check(
    recipe: &Recipe,
    headers: &Headers,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let verified = recipe.verify(&request(headers, body), secrets, None, now);
    verified.map(drop)
}

fn sign(recipe: &Recipe, body: &[u8], secret: &Secret, now: Timestamp) -> Vec<(String, String)> {
    recipe.sign(&request(&[], body), secret, now)
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn every_vector_verifies_and_none_with_a_flipped_byte() {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let recipe = recipe(&text("provider"));
        let headers: Vec<_> = vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| header(n, v.as_str().unwrap()))
            .collect();
        let (body, now) = (
            text("body").into_bytes(),
            secs(vector["now_unix"].as_u64().unwrap()),
        );
        let secrets = [secret("whsec_b2xk"), secret(&text("secret"))];
        assert_eq!(check(&recipe, &headers, &body, &secrets, now), Ok(()), "{vector}");
        assert!(
            check(&recipe, &headers, &body, &secrets[..1], now).is_err(),
            "{vector}"
        );
        for place in 0..body.len() {
            let mut other = body.clone();
            other[place] ^= 1;
            assert_eq!(
                check(&recipe, &headers, &other, &secrets, now),
                Err(SignatureError::Mismatch)
            );
        }
        for place in 0..headers.len() {
            let mut without = headers.clone();
            without.remove(place);
            assert!(
                check(&recipe, &without, &body, &secrets, now).is_err(),
                "{vector} without {place}"
            );
            let mut twice = headers.clone();
            twice.push(headers[place].clone());
            assert!(
                check(&recipe, &twice, &body, &secrets, now).is_err(),
                "{vector} with {place} twice"
            );
        }
    }
}

#[test]
fn what_is_signed_verifies() {
    for provider in PROVIDERS {
        let (recipe, secrets) = (recipe(provider), [secret(KEY)]);
        let headers = sign(&recipe, b"body", &secrets[0], secs(NOW));
        assert!(!headers.is_empty(), "{provider}");
        assert_eq!(
            check(&recipe, &headers, b"body", &secrets, secs(NOW)),
            Ok(()),
            "{provider}"
        );
        assert_eq!(
            check(&recipe, &headers, b"Body", &secrets, secs(NOW)),
            Err(SignatureError::Mismatch)
        );
        let others = check(&recipe, &headers, b"body", &[secret("whsec_b3RoZXI=")], secs(NOW));
        assert_eq!(others, Err(SignatureError::Mismatch), "{provider}");
        assert_eq!(
            check(&recipe, &[], b"body", &secrets, secs(NOW)),
            Err(SignatureError::Missing),
            "{provider}"
        );
    }
}

#[test]
fn a_timestamp_that_is_none_is_refused() {
    for provider in ["stripe", "svix", "slack"] {
        let recipe = recipe(provider);
        let key = secret(KEY);
        for stamp in [
            "",
            "-1795000000",
            "9223372036854775808",
            "18446744073709551616",
            "1795000000.5",
            "1795000000000",
            "1.795e9",
            "+1795000000",
            "0x6b0",
            "now",
            "1795000301",
            "1794999699",
            "0",
        ] {
            let genuine = sign(&recipe, b"body", &key, secs(NOW));
            let now = NOW.to_string();
            let headers: Vec<_> = genuine
                .iter()
                .map(|(n, v)| header(n, &v.replace(&now, stamp)))
                .collect();
            let refused = check(&recipe, &headers, b"body", std::slice::from_ref(&key), secs(NOW));
            assert_eq!(refused, Err(SignatureError::Timestamp), "{provider} {stamp}");
        }
        let genuine = sign(&recipe, b"body", &key, secs(NOW));
        for (shift, fits) in [(0, true), (299, true), (300, true), (301, false), (600, false)] {
            for now in [NOW + shift, NOW - shift] {
                let verdict = check(&recipe, &genuine, b"body", std::slice::from_ref(&key), secs(now));
                let expected = if fits {
                    Ok(())
                } else {
                    Err(SignatureError::Timestamp)
                };
                assert_eq!(verdict, expected, "{provider} {shift}");
            }
        }
    }
    let headers = [header("stripe-signature", "v1=00")];
    let refused = check(&recipe("stripe"), &headers, b"", &[secret(KEY)], secs(NOW));
    assert_eq!(refused, Err(SignatureError::Timestamp));
}

#[test]
fn lists_are_read_and_bounded() {
    let key = secret(KEY);
    let find = |headers: &[(String, String)], name: &str| {
        headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.clone())
            .unwrap()
    };
    let svix = recipe("svix");
    let signed = sign(&svix, b"body", &key, secs(NOW));
    let good = find(&signed, "svix-signature");
    let list = |text: String| -> Vec<_> {
        signed
            .iter()
            .map(|(n, v)| header(n, if n == "svix-signature" { &text } else { v }))
            .collect()
    };
    let verify = |text: String| {
        check(
            &svix,
            &list(text),
            b"body",
            &[secret("whsec_b2xk"), key.clone()],
            secs(NOW),
        )
    };
    assert_eq!(verify(format!("v1,AAAA v1a,xyz {good}")), Ok(()));
    assert_eq!(verify(format!("{good} v2,AAAA")), Ok(()));
    assert_eq!(verify(format!("{}{good}", "v1,AAAA ".repeat(15))), Ok(()));
    assert_eq!(
        verify(format!("{}{good}", "v1,AAAA ".repeat(16))),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify(format!("{good} {}", "v1,AAAA ".repeat(1000))),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verify(good.replace("v1,", "v1a,")), Err(SignatureError::Missing));
    assert_eq!(verify("v1,".to_owned()), Err(SignatureError::Missing));
    assert_eq!(
        verify(good.trim_end_matches('=').to_owned()),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verify("v1,====".to_owned()), Err(SignatureError::Mismatch));

    let stripe = recipe("stripe");
    let signed = find(&sign(&stripe, b"body", &key, secs(NOW)), "stripe-signature");
    let verify = |text: String| {
        check(
            &stripe,
            &[header("stripe-signature", &text)],
            b"body",
            std::slice::from_ref(&key),
            secs(NOW),
        )
    };
    assert_eq!(verify(signed.replace(",v1", ",v1=00,v0=11,v1")), Ok(()));
    assert_eq!(
        verify(format!("{signed},t={NOW}")),
        Err(SignatureError::Timestamp)
    );
    assert_eq!(
        verify(format!("{signed},{}", "v1=00,".repeat(40))),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verify(format!("t={NOW}")), Err(SignatureError::Missing));
}

#[test]
fn nothing_verifies_without_a_usable_secret() {
    let github = recipe("github");
    let headers = [header(
        "x-hub-signature-256",
        &format!("sha256={}", "0".repeat(64)),
    )];
    for secrets in [&[][..], &[secret("")]] {
        assert_eq!(
            check(&github, &headers, b"x", secrets, secs(NOW)),
            Err(SignatureError::Secret)
        );
    }
    // HMAC with an empty key is well defined; nobody may sign with it.
    let empty = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), b"x");
    let headers = [header(
        "x-hub-signature-256",
        &format!("sha256={}", HEXLOWER.encode(empty.as_ref())),
    )];
    assert_eq!(
        check(&github, &headers, b"x", &[secret("")], secs(NOW)),
        Err(SignatureError::Secret)
    );
    for text in ["", "whsec_", "whsec_*", "whsec_abc"] {
        let headers = sign(&recipe("svix"), b"x", &secret(KEY), secs(NOW));
        assert_eq!(
            check(&recipe("svix"), &headers, b"x", &[secret(text)], secs(NOW)),
            Err(SignatureError::Secret)
        );
    }
    assert!(sign(&recipe("svix"), b"x", &secret("whsec_*"), secs(NOW)).is_empty());
}

#[test]
fn only_the_first_secrets_count() {
    let github = recipe("github");
    let good = secret("good");
    let headers = sign(&github, b"x", &good, secs(NOW));
    let mut secrets: Vec<_> = (0..3).map(|n| secret(&format!("old{n}"))).collect();
    secrets.push(good);
    assert_eq!(check(&github, &headers, b"x", &secrets, secs(NOW)), Ok(()));
    secrets.insert(0, secret("old4"));
    assert_eq!(
        check(&github, &headers, b"x", &secrets, secs(NOW)),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn a_signature_of_another_hash_or_length_is_refused() {
    let github = recipe("github");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"k"), b"x");
    let hex = HEXLOWER.encode(tag.as_ref());
    let sha1 = HEXLOWER
        .encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"k"), b"x").as_ref());
    let verify = |text: String| {
        check(
            &github,
            &[header("x-hub-signature-256", &text)],
            b"x",
            &[secret("k")],
            secs(NOW),
        )
    };
    assert_eq!(verify(format!("sha256={hex}")), Ok(()));
    assert_eq!(verify(format!("sha256={}", hex.to_uppercase())), Ok(()));
    for text in [
        format!("sha256={sha1}"),
        format!("sha256={}", &hex[..62]),
        format!("sha256={hex}00"),
    ] {
        assert_eq!(verify(text), Err(SignatureError::Mismatch));
    }
    assert_eq!(verify(format!("sha1={hex}")), Err(SignatureError::Missing));
    assert_eq!(verify(hex), Err(SignatureError::Missing));
    assert_eq!(verify(String::new()), Err(SignatureError::Missing));
}

#[test]
fn what_is_unsigned_verifies_and_says_so() {
    let recipe = Recipe::Unsigned {
        reason: "the vendor has none".into(),
    };
    assert!(!recipe.is_signed());
    assert_eq!(check(&recipe, &[], b"", &[], secs(NOW)), Ok(()));
    assert!(sign(&recipe, b"", &secret("k"), secs(NOW)).is_empty());
}

/// Shared tokens and learned secrets pass through requests and answers: no log may have them.
#[test]
fn nothing_printed_has_a_secret() {
    let headers = [header("x-hook-secret", KEY), header("authorization", KEY)];
    let request = Request {
        method: "POST",
        url: KEY,
        headers: &headers,
        body: KEY.as_bytes(),
    };
    let learns = Challenge {
        method: None,
        when: vec![],
        verified: false,
        token: None,
        value: Some(Place::Header("x-hook-secret".into())),
        sign: None,
        reply: Reply::Text("{value}".into()),
        echo: Some("x-hook-secret".into()),
        keep: true,
        visit: vec![],
    };
    let recipe = recipe("github");
    let admitted = admit(&[learns], &recipe, &request, &[], None, secs(NOW)).unwrap();
    let Admitted::Challenge(answer) = &admitted else {
        panic!("{admitted:?}")
    };
    assert_eq!(answer.keep, Some(secret(KEY)));
    for printed in [
        format!("{admitted:?}"),
        format!("{answer:#?}"),
        format!("{request:?}"),
    ] {
        assert!(!printed.contains(KEY), "{printed}");
    }
}

#[test]
fn codes_are_listed() {
    use SignatureError::{Address, Body, Claims, Material, Mismatch, Missing, Secret, Timestamp};
    for error in [
        Missing, Timestamp, Mismatch, Body, Claims, Secret, Material, Address,
    ] {
        assert!(SignatureError::CODES.contains(&error.code()));
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_for_every_body(
        place in 0..PROVIDERS.len(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        now in 1_000_000_000u64..9_999_999_999,
    ) {
        let recipe = recipe(PROVIDERS[place]);
        let headers = sign(&recipe, &body, &secret(KEY), secs(now));
        prop_assert_eq!(check(&recipe, &headers, &body, &[secret(KEY)], secs(now)), Ok(()));
    }

    #[test]
    fn reading_a_header_never_panics_and_never_verifies(place in 0..PROVIDERS.len(), text in ".{0,80}") {
        let recipe = recipe(PROVIDERS[place]);
        let mut headers = sign(&recipe, b"x", &secret(KEY), secs(NOW));
        for (name, value) in &mut headers {
            if name.contains("signature") || name.contains("hmac") {
                value.clone_from(&text);
            }
        }
        prop_assert!(check(&recipe, &headers, b"x", &[secret(KEY)], secs(NOW)).is_err());
    }
}

#[test]
fn a_secret_that_is_made_is_one_of_the_vendors_kind() {
    for provider in PROVIDERS {
        let recipe = recipe(provider);
        let made = recipe.make_secret(&[0x5a; 32]);
        let text = std::str::from_utf8(made.expose()).unwrap();
        let is_standard = matches!(provider, "svix" | "standardwebhooks");
        assert_eq!(text.starts_with("whsec_"), is_standard, "{provider}");
        // 32 bytes, as GitLab wants them, in base64 behind the prefix.
        assert_eq!(text.len(), if is_standard { 6 + 44 } else { 64 }, "{provider}");
        let headers = sign(&recipe, b"body", &made, secs(NOW));
        assert_eq!(
            check(&recipe, &headers, b"body", &[made], secs(NOW)),
            Ok(()),
            "{provider}"
        );
    }
}
