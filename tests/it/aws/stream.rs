//! Bodies that nobody holds: signed chunk by chunk where their length is known.

use serde_json::{Value, json};

use super::World;

#[test]
fn a_body_that_is_sent_as_it_comes_is_signed_chunk_by_chunk() {
    let world = World::odd();
    let connection = world.key_for("objects");
    let put = |key: &str, bytes: usize, piece: usize, length: bool| {
        let input = json!({"key": key, "bytes": bytes, "piece": piece, "length": length});
        world.acts(&connection, "stream", &input)["status"].clone()
    };
    for (key, bytes, piece) in [
        ("small", 10, 3),
        ("exact", 65_536, 4_096),
        ("large", 200_000, 4_095),
    ] {
        assert_eq!(put(key, bytes, piece, true), 200, "{key}");
        let payload = last(&world)["payload"].clone();
        assert_eq!(payload, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "{key}");
        let got = world.get_object(key);
        assert_eq!(got.status, 200, "{}", got.text());
        assert!(got.body == "a".repeat(bytes).into_bytes(), "{key}");
        assert_ne!(got.header("content-encoding"), Some("aws-chunked"), "{key}");
    }
    // Nothing to stream, and nothing known of it.
    assert_eq!(put("empty", 0, 1, true), 200);
    assert_eq!(put("unknown", 100, 10, false), 200);
    assert_eq!(last(&world)["payload"], "UNSIGNED-PAYLOAD");
    assert_eq!(world.get_object("unknown").body.len(), 100);
    let counts = world.aws.get("counts");
    assert_eq!(counts["refused"], json!({}), "{counts}");
}

/// The last request that was not made with a link.
fn last(world: &World) -> Value {
    let requests = world.aws.get("requests");
    let requests = requests["requests"].as_array().expect("requests");
    let of = requests.iter().rfind(|request| request["signed"] == "header");
    of.expect("a request").clone()
}
