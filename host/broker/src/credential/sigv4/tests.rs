//! Known answers: the examples of AWS's S3 documentation, "Authenticating Requests: Using the Authorization Header" and
//! "Using Query Parameters", with the access key that all of AWS's examples have.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use sluice_model::auth::Template;
use sluice_model::clock::Timestamp;
use sluice_model::secret::Secret;

use super::*;
use crate::credential::{Apply, Content, presign};
use crate::place::Place;

/// 2013-05-24T00:00:00Z.
const AT: Timestamp = Timestamp::from_millis(1_369_353_600_000);

fn credential(service: &str) -> Credential {
    let apply = Apply::SigV4 {
        service: service.to_owned(),
        region: Template::text("us-east-1"),
    };
    let mut credential = Credential::new("aws", Secret::new(Vec::new()), apply, Vec::new());
    let part = |name: &str, value: &str| (name.to_owned(), Secret::new(value.as_bytes().to_vec()));
    credential.parts = vec![
        part("access_key_id", "AKIAIOSFODNN7EXAMPLE"),
        part("secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ];
    credential
}

/// The Authorization field of a request.
fn signed(
    service: &str,
    method: &str,
    url: &str,
    fields: &[(&'static str, &str)],
    body: &'static str,
) -> String {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("not signed"));
    for (name, value) in fields {
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut place = Place::parse(url).unwrap();
    credential(service)
        .apply(&mut Outbound {
            method: &Method::from_bytes(method.as_bytes()).unwrap(),
            place: &mut place,
            headers: &mut headers,
            content: Content::Whole(&mut Bytes::from_static(body.as_bytes())),
            now: AT,
        })
        .unwrap();
    headers["authorization"].to_str().unwrap().to_owned()
}

#[test]
fn the_documented_examples_of_s3() {
    let host = "https://examplebucket.s3.amazonaws.com";
    for (method, path, fields, body, names, signature) in [
        (
            "GET",
            "/test.txt",
            &[("range", "bytes=0-9")][..],
            "",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            "Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?lifecycle",
            &[],
            "",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?prefix=J&max-keys=2",
            &[],
            "",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        assert_eq!(
            signed("s3", method, &format!("{host}{path}"), fields, body),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={names},Signature={signature}"
            ),
            "{method} {path}"
        );
    }
}

#[test]
fn the_documented_presigned_address() {
    let mut place = Place::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
    let day = Duration::from_secs(86_400);
    presign::sign(&credential("s3"), "GET", &mut place, day, AT).unwrap();
    assert!(
        place
            .as_str()
            .ends_with("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
        "{}",
        place.as_str()
    );
}

#[test]
fn paths_are_encoded_once_for_s3_and_twice_for_all_others() {
    for (service, wire, canonical) in [
        ("s3", "/a%20b/c", "/a%20b/c"),
        ("s3", "/a:b@c!", "/a%3Ab%40c%21"),
        ("s3", "/%c3%bc", "/%C3%BC"),
        ("s3", "/100%25", "/100%25"),
        ("ses", "/a%20b/c", "/a%2520b/c"),
        ("ses", "/", "/"),
    ] {
        assert_eq!(path(service, wire), canonical, "{service} {wire}");
    }
}

#[test]
fn what_is_sent_as_it_comes() {
    let send = |service: &str, url: &str| {
        let mut headers = HeaderMap::new();
        let sent = credential(service).apply(&mut Outbound {
            method: &Method::PUT,
            place: &mut Place::parse(url).unwrap(),
            headers: &mut headers,
            content: Content::Stream,
            now: AT,
        });
        sent.map(|()| headers["x-amz-content-sha256"].to_str().unwrap().to_owned())
    };
    assert_eq!(send("s3", "https://b.test/k").unwrap(), "UNSIGNED-PAYLOAD");
    for (service, url) in [("s3", "http://b.test/k"), ("ses", "https://b.test/k")] {
        assert_eq!(send(service, url).unwrap_err().code(), "egress.bad_request");
    }
}
