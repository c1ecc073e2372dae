//! Putting a credential on a request: a bearer token, and an AWS signature over a small request. Nothing is looked up in a
//! store and nothing is decrypted: the vault keeps what is used open, and what is measured is what each request pays.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use sluice_bench::per_call;
use sluice_broker::{Apply, Body, Credential, Origin, Request, Whole};
use sluice_model::auth::Template;
use sluice_model::capability::{HostPattern, Scheme};
use sluice_model::clock::Timestamp;
use sluice_model::secret::Secret;

/// The bars of issue 3, in nanoseconds.
const BAR_BEARER_NS: f64 = 5_000.0;
const BAR_SIGNED_NS: f64 = 30_000.0;
/// What is signed: the size of a usual JSON body.
const BODY_BYTES: usize = 512;

fn main() -> ExitCode {
    match measure() {
        Ok(true) => {
            eprintln!("credential: holds (bars: {BAR_BEARER_NS} ns, signed {BAR_SIGNED_NS} ns)");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            eprintln!("credential: does not hold (bars: {BAR_BEARER_NS} ns, signed {BAR_SIGNED_NS} ns)");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("credential: not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<bool, Box<dyn Error>> {
    let token = [("secret", "a-token-of-forty-characters-or-there-abouts")];
    let bearer = check("bearer", Apply::Bearer, &token)?;
    let aws = Apply::SigV4 {
        service: "s3".to_owned(),
        region: Template::text("eu-central-1"),
    };
    let keys = [
        ("access_key_id", "AKIDEXAMPLE"),
        ("secret_access_key", "a-key-of-forty-characters-or-there-abouts"),
    ];
    let signed = check("aws-sigv4", aws, &keys)?;
    Ok(bearer <= BAR_BEARER_NS && signed <= BAR_SIGNED_NS)
}

/// The median of one application, in nanoseconds.
fn check(scheme: &str, apply: Apply, parts: &[(&str, &str)]) -> Result<f64, Box<dyn Error>> {
    let bound = Origin {
        scheme: Scheme::Https,
        host: HostPattern::parse("bucket.example.com")?,
        port: 443,
    };
    let mut credential = Credential::new("own", Secret::new(Vec::new()), apply, vec![bound]);
    credential.parts = parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new(value.as_bytes().to_vec())))
        .collect();
    let mut request = Request::new(
        "PUT",
        "https://bucket.example.com/folder/a%20key?versionId=3&tagging",
    );
    request.headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-amz-meta-kind".to_owned(), "record".to_owned()),
    ];
    request.body = Body::Bytes(Bytes::from(vec![b'x'; BODY_BYTES]));
    let mut whole = Whole::new(&request, Timestamp::from_millis(1_700_000_000_000))?;
    credential.put_on(&mut whole)?;
    assert!(
        whole.header("authorization").is_some(),
        "what is measured puts something on the request"
    );
    let time = per_call(500, 200, || {
        black_box(black_box(&credential).put_on(black_box(&mut whole)).is_ok());
    });
    println!(
        r#"{{"bench":"credential","scheme":"{scheme}","p50_ns":{:.1},"p99_ns":{:.1}}}"#,
        time.p50, time.p99
    );
    Ok(time.p50)
}
