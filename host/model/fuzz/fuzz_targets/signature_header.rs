//! A line with the signed template, a line with the signature's header, then the body: never a panic, and nothing that
//! was not signed verifies.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_model::secret::Secret;
use sluice_model::signature::{
    Algorithm, Encoding, Form, Hmac, Recipe, SecretForm, Template, TimestampPlace, TimestampSource,
    TimestampUnit,
};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (Some(template), Some(value), Some(body)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let Ok(signed) = Template::parse(template) else {
        return;
    };
    let now = Timestamp::from_millis(1_795_000_000_000);
    let secrets = [Secret::new(b"a secret that the fuzzer cannot guess".to_vec())];
    for form in [
        Form::Values {
            prefix: "v1,".into(),
            separator: Some(' '),
        },
        Form::Fields {
            separator: ',',
            signature: "v1".into(),
        },
    ] {
        let place = match form {
            Form::Fields { .. } => TimestampPlace::Field("t".into()),
            Form::Values { .. } => TimestampPlace::Header("x-time".into()),
        };
        let recipe = Recipe::Hmac(Hmac {
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Base64,
            header: "x-signature".into(),
            form,
            timestamp: signed.has_timestamp().then_some(TimestampSource {
                place,
                unit: TimestampUnit::Seconds,
            }),
            signed: signed.clone(),
            tolerance: Duration::from_secs(300),
            secret: SecretForm::default(),
        });
        let headers = [
            ("x-signature".to_owned(), value.to_owned()),
            ("x-time".to_owned(), "1795000000".to_owned()),
        ];
        assert!(recipe.verify(&headers, body.as_bytes(), &secrets, now).is_err());
        let headers = recipe.sign(body.as_bytes(), &secrets[0], now);
        if !headers.is_empty() {
            assert_eq!(recipe.verify(&headers, body.as_bytes(), &secrets, now), Ok(()));
        }
    }
});
