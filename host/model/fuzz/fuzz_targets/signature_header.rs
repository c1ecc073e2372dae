//! A line with the signed template, a line with the signature's header, then the body: never a panic, and nothing that
//! was not signed verifies.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_model::secret::Secret;
use sluice_model::signature::{
    Algorithm, Encoding, Form, Part, Place, Proof, Recipe, Request, SecretForm, Signed, Template,
    TimestampPlace, TimestampSource, TimestampUnit,
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
    let in_header = TimestampPlace::At(Place::Header("x-time".into()));
    let list = |prefix: &str, separator| Form::Values {
        prefix: prefix.into(),
        separator: Some(separator),
    };
    let fields = Form::Fields {
        separator: ',',
        signature: "v1".into(),
    };
    let pairs = Form::Pairs {
        separator: '&',
        between: '|',
    };
    for (form, place) in [
        (list("v1,", ' '), in_header.clone()),
        (list("", ','), TimestampPlace::First),
        (fields, TimestampPlace::Field("t".into())),
        (pairs, in_header),
    ] {
        let recipe = Recipe::Signed(Box::new(Signed {
            proof: Proof::Hmac(Algorithm::HmacSha256),
            encoding: Encoding::Base64,
            places: vec![Place::Header("x-signature".into())],
            form,
            timestamp: signed.has_timestamp().then_some(TimestampSource {
                place,
                unit: TimestampUnit::Seconds,
                tolerance: Duration::from_secs(300),
            }),
            signed: signed.clone(),
            secret: SecretForm::default(),
            key_id: None,
            fetched: None,
            digest: None,
            one_time: None,
            fixed: Vec::new(),
        }));
        let headers = [
            ("x-signature".to_owned(), value.to_owned()),
            ("x-time".to_owned(), "1795000000".to_owned()),
        ];
        let request = |headers| Request {
            method: "POST",
            url: "https://hooks.example.com/1?a=b",
            headers,
            body: body.as_bytes(),
        };
        assert!(recipe.verify(&request(&headers), &secrets, None, now).is_err());
        // A header that is signed twice over, or that is the signature's own, is nothing that a vendor has.
        let is_vendors = |part: &Part| {
            !matches!(
                part,
                Part::Value(_) | Part::Params | Part::ParamsEncoded | Part::Secret
            )
        };
        if signed.parts().iter().all(|part| is_vendors(part)) {
            let made = recipe.sign(&request(&[]), &secrets[0], now);
            if !made.is_empty() {
                assert!(recipe.verify(&request(&made), &secrets, None, now).is_ok());
            }
        }
    }
});
