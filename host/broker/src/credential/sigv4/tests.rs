//! Known answers: the examples of AWS's S3 documentation, "Authenticating Requests: Using the Authorization Header" and
//! "Using Query Parameters", with the access key that all of AWS's examples have.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use sluice_model::auth::Template;
use sluice_model::clock::Timestamp;
use sluice_model::secret::Secret;

use super::*;
use crate::credential::{Apply, Content, Streamed, presign};
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
    let send = |service: &str, url: &str, length: Option<u64>| {
        let mut headers = HeaderMap::new();
        let mut streamed = Streamed {
            length,
            ..Streamed::default()
        };
        let sent = credential(service).apply(&mut Outbound {
            method: &Method::PUT,
            place: &mut Place::parse(url).unwrap(),
            headers: &mut headers,
            content: Content::Stream(&mut streamed),
            now: AT,
        });
        sent.map(|()| headers["x-amz-content-sha256"].to_str().unwrap().to_owned())
    };
    assert_eq!(send("s3", "https://b.test/k", None).unwrap(), "UNSIGNED-PAYLOAD");
    for url in ["https://b.test/k", "http://b.test/k"] {
        assert_eq!(
            send("s3", url, Some(1)).unwrap(),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        );
    }
    for (service, url, length) in [
        ("s3", "http://b.test/k", None),
        ("ses", "https://b.test/k", None),
        ("ses", "https://b.test/k", Some(1)),
    ] {
        assert_eq!(
            send(service, url, length).unwrap_err().code(),
            "egress.bad_request"
        );
    }
}

/// A body of so many letters in such pieces, as it goes on the wire, with the request's headers.
fn streamed(length: usize, piece: usize, fields: &[(&'static str, &'static str)]) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let mut streamed = Streamed {
        length: Some(length as u64),
        ..Streamed::default()
    };
    let url = "https://s3.amazonaws.com/examplebucket/chunkObject.txt";
    credential("s3")
        .apply(&mut Outbound {
            method: &Method::PUT,
            place: &mut Place::parse(url).unwrap(),
            headers: &mut headers,
            content: Content::Stream(&mut streamed),
            now: AT,
        })
        .unwrap();
    let mut chunks = streamed.chunks.unwrap();
    let mut wire = Vec::new();
    for piece in vec![b'a'; length].chunks(piece) {
        wire.extend_from_slice(&chunks.feed(piece));
    }
    wire.extend_from_slice(&chunks.finish());
    (headers, wire)
}

/// AWS, "Transferring Payload in Multiple Chunks", "Example: PUT Object".
#[test]
fn the_documented_example_of_a_body_in_chunks() {
    let (headers, wire) = streamed(66_560, 1_000, &[("x-amz-storage-class", "REDUCED_REDUNDANCY")]);
    let signed = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    assert_eq!(
        headers["authorization"],
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
        )
        .as_str()
    );
    assert_eq!(headers["content-length"], "66824");
    assert_eq!(headers["x-amz-decoded-content-length"], "66560");
    let frame = |size: usize, signature: &str| {
        format!("{size:x};chunk-signature={signature}\r\n{}\r\n", "a".repeat(size))
    };
    let expected = [
        frame(
            65_536,
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        ),
        frame(
            1_024,
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        ),
        frame(
            0,
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ),
    ];
    assert!(wire == expected.concat().into_bytes());
}

#[test]
fn the_length_on_the_wire_is_known_beforehand() {
    for length in [0, 1, 15, 16, 4_096, 65_535, 65_536, 65_537, 131_072, 200_000] {
        for piece in [1_000, 65_536, 300_000] {
            let (headers, wire) = streamed(length, piece, &[]);
            assert_eq!(
                headers["content-length"],
                wire.len().to_string().as_str(),
                "{length}"
            );
        }
    }
}

#[test]
fn another_coding_stays() {
    let (headers, _) = streamed(1, 1, &[("content-encoding", "gzip, aws-chunked")]);
    assert_eq!(headers["content-encoding"], "aws-chunked,gzip");
}
