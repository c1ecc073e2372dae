use std::time::Duration;

use proptest::prelude::*;
use sluice_model::Timestamp;

use super::*;
use crate::cassette::Exchange;

fn document() -> Mock {
    let text = json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.acme.example/v1"}],
        "paths": {
            "/pets": {
                "get": {"responses": {"200": {
                    "headers": {"Link": {"schema": {"type": "string"}, "example": "<next>"}},
                    "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}
                }}},
                "post": {"responses": {"201": {"content": {"application/json": {"example": {"id": 9}}}}, "400": {}}}
            },
            "/pets/{id}": {"get": {"responses": {"default": {"$ref": "#/components/responses/One"}}}},
            "/pets/mine": {"delete": {"responses": {"204": {"description": "gone"}}}}
        },
        "components": {
            "responses": {"One": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
            "schemas": {
                "Pet": {"allOf": [{"$ref": "#/components/schemas/Named"}], "properties": {
                    "id": {"type": "integer", "minimum": 5}, "born": {"type": ["null", "string"], "format": "date"},
                    "mother": {"$ref": "#/components/schemas/Pet"}, "kind": {"enum": ["cat", "dog"]}
                }},
                "Named": {"type": "object", "properties": {"name": {"type": "string", "example": "Tom"}}}
            }
        }
    });
    Mock::of_document(Document::parse(text.to_string().as_bytes()).unwrap())
}

fn ask(mock: &Mock, method: &str, target: &str) -> Played {
    mock.play(&Asked {
        method,
        target,
        body: Bytes::new(),
    })
}

fn json_of(played: &Played) -> Value {
    serde_json::from_slice(&played.answer.as_ref().unwrap().body).unwrap()
}

#[test]
fn a_document_is_played_by_its_examples_and_schemas() {
    let mock = document();
    let pets = ask(&mock, "GET", "/v1/pets?page=2");
    let first = &json_of(&pets)[0];
    assert_eq!(
        (&first["id"], &first["name"], &first["kind"]),
        (&json!(5), &json!("Tom"), &json!("cat"))
    );
    assert_eq!(first["born"], "2026-01-02");
    assert!(
        pets.answer
            .unwrap()
            .headers
            .contains(&("link".to_owned(), "<next>".to_owned()))
    );
    let made = ask(&mock, "POST", "/pets");
    assert_eq!(
        (made.answer.as_ref().unwrap().status, json_of(&made)),
        (201, json!({"id": 9}))
    );
    assert_eq!(json_of(&ask(&mock, "GET", "/v1/pets/7"))["name"], "Tom");
    let gone = ask(&mock, "DELETE", "/pets/mine").answer.unwrap();
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    for (method, target, status) in [
        ("GET", "/v1/dogs", 404),
        ("PUT", "/pets", 405),
        ("GET", "/pets/", 404),
    ] {
        assert_eq!(
            ask(&mock, method, target).answer.unwrap().status,
            status,
            "{method} {target}"
        );
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let check = |text: &str, expected: DocumentError| {
        assert_eq!(Document::parse(text.as_bytes()).unwrap_err(), expected);
    };
    check(r#"{"swagger": "2.0"}"#, DocumentError::Version);
    check(r#"{"openapi": "3.0.1"}"#, DocumentError::Paths);
    check("openapi: 3.0.1", DocumentError::Paths);
    assert!(matches!(
        Document::parse(b"{openapi: 3.0.1}"),
        Err(DocumentError::Json(_))
    ));
    assert!(matches!(
        Document::parse(b"openapi: [3.0.1"),
        Err(DocumentError::Yaml(_))
    ));
}

#[test]
fn a_cassette_is_played_whatever_host_is_asked() {
    let said = Said {
        method: "GET".to_owned(),
        url: "https://api.acme.example/x?a=1".to_owned(),
        headers: Vec::new(),
        body: Some(Bytes::new()),
    };
    let heard = Heard {
        status: 200,
        headers: Vec::new(),
        body: Bytes::from_static(b"{\"a\":1}"),
    };
    let cassette = Cassette::new(Timestamp::default(), vec![Exchange::of(&said, Ok(heard))]);
    let mock = Mock::of_cassette(cassette);
    assert_eq!(json_of(&ask(&mock, "GET", "/x?a=1")), json!({"a": 1}));
    let missed = ask(&mock, "GET", "/x?a=2");
    assert_eq!(missed.answer.as_ref().unwrap().status, 404);
    assert_eq!(json_of(&missed)["difference"], "`a` is `2`, and `1` was recorded");
}

#[test]
fn it_misbehaves_as_it_is_ordered_and_no_longer() {
    let mock = document();
    mock.order("429,retry-after=2*1@/v1/pets".parse().unwrap());
    mock.order("reset*1".parse().unwrap());
    assert_eq!(
        ask(&mock, "GET", "/other").answer,
        None,
        "the second order is for any path"
    );
    let refused = ask(&mock, "GET", "/v1/pets").answer.unwrap();
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .headers
            .contains(&("retry-after".to_owned(), "2".to_owned()))
    );
    assert_eq!(ask(&mock, "GET", "/v1/pets").answer.unwrap().status, 200);
    mock.order("delay=50".parse().unwrap());
    let late = ask(&mock, "POST", "/pets");
    assert_eq!(
        (late.wait, late.answer.unwrap().status),
        (Duration::from_millis(50), 201)
    );
    mock.behave();
    mock.order("half".parse().unwrap());
    assert_eq!(&ask(&mock, "POST", "/pets").answer.unwrap().body[..], b"{\"id");
    mock.behave();
    mock.order("malformed".parse().unwrap());
    let nonsense = ask(&mock, "GET", "/pets").answer.unwrap();
    assert!(serde_json::from_slice::<Value>(&nonsense.body).is_err());
    for wrong in [
        "",
        "99",
        "600",
        "429,after=2",
        "500*0",
        "500*x",
        "reset@pets",
        "delay=x",
        "delay=9999999",
    ] {
        assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_order_and_no_document_panics(text in ".{0,40}", bytes: Vec<u8>, target in "/[a-z{}/%?]{0,20}") {
        let _ = text.parse::<Fault>();
        let _ = Document::parse(&bytes);
        let _ = ask(&document(), "GET", &target);
    }
}
