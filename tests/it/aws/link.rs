//! Links: what an action gives to whoever ran it works without a key, for what it was made for and for nothing else, and is nowhere
//! but in that answer.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{HOST, World, assert_nowhere};
use crate::server::{Answer, http};

impl World {
    /// As anybody would use a link: without a key, by plain HTTP.
    fn follow(&self, method: &str, link: &str, body: &[u8]) -> Answer {
        let port = self.aws.ready["http_port"].as_u64().expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        let path = link
            .strip_prefix(&format!("https://{HOST}"))
            .unwrap_or_else(|| panic!("no link to the AWS: {link}"));
        http::request(address, method, path, &[("host", HOST)], body).expect("ask the AWS")
    }

    /// An object by a link of the other connector.
    pub(super) fn get_object(&self, key: &str) -> Answer {
        let shared = self.acts("objects", "share", &json!({"key": key}));
        self.follow("GET", shared["url"].as_str().expect("a link"), b"")
    }
}

fn signature(link: &str) -> String {
    let (_, signature) = link.split_once("X-Amz-Signature=").expect("a signature");
    signature.to_owned()
}

#[test]
fn a_link_works_for_what_it_was_made_for() {
    let mut world = World::start();
    let connection = world.draft("bucket", &world.aws.ready["user"]);
    assert_eq!(world.test(&connection)["ok"], true);
    let link = |input: &Value| {
        let link = world.acts(&connection, "presign", input);
        link["url"].as_str().expect("a link").to_owned()
    };
    let key = "a folder/ä + b.txt";
    let put = link(&json!({"key": key, "method": "put", "expires_s": 60}));
    assert!(put.contains("&X-Amz-Expires=60&"), "{put}");
    let stored = world.follow("PUT", &put, b"by link");
    assert_eq!(stored.status, 200, "{}", stored.text());
    let get = link(&json!({"key": key}));
    let got = world.follow("GET", &get, b"");
    assert_eq!((got.status, got.text().as_str()), (200, "by link"));
    let got = world.acts(&connection, "get_object", &json!({"key": key}));
    assert_eq!(got["content"], "by link");

    // Changed in any way, it is worth nothing.
    let good = signature(&get);
    let flipped = good.replace(['0', 'a'], "f");
    for (method, tampered) in [
        ("GET", get.replace(&good, &flipped)),
        ("GET", get.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")),
        ("GET", get.replace("b.txt", "c.txt")),
        ("PUT", get.clone()),
        ("GET", put.clone()),
        ("DELETE", put.clone()),
        ("GET", get.split('?').next().expect("an address").to_owned()),
    ] {
        assert_eq!(
            world.follow(method, &tampered, b"").status,
            403,
            "{method} {tampered}"
        );
    }
    // Nor does one that the key may not make.
    let reader = world.draft("reader", &world.aws.ready["reader"]);
    assert_eq!(world.test(&reader)["ok"], true);
    let weak = world.acts(&reader, "presign", &json!({"key": key, "method": "put"}));
    let weak = weak["url"].as_str().expect("a link").to_owned();
    assert_eq!(world.follow("PUT", &weak, b"x").status, 403);
    let long = json!({"key": key, "expires_s": 604_801});
    assert_eq!(world.act(&connection, "presign", &long).status, 422);

    let secrets = [signature(&get), signature(&put), signature(&weak)];
    assert_nowhere(&mut world, &secrets);
}

#[test]
fn a_large_object_is_stored_in_parts_by_link() {
    let world = World::start();
    let connection = world.draft("bucket", &world.aws.ready["user"]);
    assert_eq!(world.test(&connection)["ok"], true);
    let act = |action: &str, input: &Value| world.acts(&connection, action, input);
    let begun = act(
        "start_upload",
        &json!({"key": "large", "content_type": "text/plain"}),
    );
    let id = &begun["upload_id"];

    // At Amazon, and here, every part but the last has 5 MiB.
    let first = vec![b'1'; 5 << 20];
    let link = act(
        "presign",
        &json!({"key": "large", "method": "put", "upload_id": id, "part_number": 1}),
    );
    let stored = world.follow("PUT", link["url"].as_str().expect("a link"), &first);
    assert_eq!(stored.status, 200, "{}", stored.text());
    let etag = stored.header("etag").expect("a tag").to_owned();
    let last = act(
        "put_part",
        &json!({"key": "large", "upload_id": id, "part_number": 2, "content": "2"}),
    );
    let finished = act(
        "finish_upload",
        &json!({"key": "large", "upload_id": id, "parts": [
            {"part_number": 1, "etag": etag}, {"part_number": 2, "etag": last["etag"]},
        ]}),
    );
    assert!(
        finished["etag"].as_str().expect("a tag").ends_with("-2"),
        "{finished}"
    );
    let link = act("presign", &json!({"key": "large"}));
    let got = world.follow("GET", link["url"].as_str().expect("a link"), b"");
    assert!(got.status == 200 && got.body == [&first[..], b"2"].concat());

    let begun = act("start_upload", &json!({"key": "dropped"}));
    let dropped = json!({"key": "dropped", "upload_id": begun["upload_id"]});
    act("abort_upload", &dropped);
    let mut part = dropped;
    part["part_number"] = json!(1);
    part["content"] = json!("x");
    let refused = world.act(&connection, "put_part", &part);
    assert!(refused.status >= 400, "{}", refused.text());
}

#[test]
fn a_link_is_for_whoever_ran_the_action_and_for_nobody_else() {
    let mut world = World::odd();
    let connection = world.key_for("objects");
    world.acts(
        &connection,
        "stream",
        &json!({"key": "k", "bytes": 1, "piece": 1, "length": true}),
    );
    let shared = world.acts(&connection, "share", &json!({"key": "k"}));
    let url = shared["url"].as_str().expect("a link");
    assert_eq!(world.follow("GET", url, b"").text(), "a");
    assert_eq!(shared["again"], json!([format!("<{url}>")]));
    // What is not a link of this call stays the text that stands for it.
    for name in ["key", "derived"] {
        let text = shared[name].as_str().expect("a placeholder");
        assert!(text.starts_with("sluice-placeholder-"), "{shared}");
    }
    // No request carries one, and policy decides about it as about a request.
    let told = |name: &str, what: &str| {
        let text = shared[name].as_str().expect("a refusal");
        let refused = text.contains("Denied") || text.contains("not permitted");
        assert!(refused && text.contains(what), "{name}: {text}");
    };
    told("carried", "presigned");
    told("elsewhere", "other.example");
    told("deleted", "DELETE");
    assert!(
        shared["week"].as_str().expect("a refusal").contains("seven days"),
        "{shared}"
    );

    // An action that does not say so gives none away.
    let refused = world.act(&connection, "slip", &json!({"key": "k"}));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (502, "action.presigned")
    );
    assert!(!refused.text().contains("X-Amz"), "{}", refused.text());
    let install = world.api().get("/api/v1/installs/aws");
    let text = install["permissions"]["text"].as_str().expect("a page");
    let line = "  give     whoever runs \"Share an object\" a link to one object, valid for up to 7 days\n";
    assert!(text.contains(line) && !text.contains("Slip"), "{text}");

    let secret = world.aws.ready["user"]["secret_access_key"].clone();
    let secrets = [signature(url), secret.as_str().expect("a secret").to_owned()];
    assert_nowhere(&mut world, &secrets);
}
