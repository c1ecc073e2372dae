//! What can be done with single objects in one request each; links are in [`presign`], uploads in parts in [`upload`]. Each of
//! these may be done twice without harm: a PUT of the same bytes gives the same object, and deleting what is gone succeeds (S3
//! API, "PutObject", "DeleteObject").

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::{self, input};
use sluice_sdk::{Connection, Error};

use crate::bucket::{self, Bucket};
use crate::{presign, refusal, upload};

/// The largest object that an action carries, in bytes; `connector.toml` caps bodies a little above it.
const MAX_BYTES: u64 = 8 << 20;

/// What `get_object` carries unless it is told otherwise.
const USUAL_BYTES: u64 = 1 << 20;

pub(crate) fn run(connection: &Connection, name: &str, text: &str) -> Result<String, Error> {
    let bucket = bucket::of(connection)?;
    match name {
        "get_object" => record::text(&get(&bucket, &input(text)?)?),
        "put_object" => record::text(&put(&bucket, &input(text)?)?),
        "delete_object" => record::text(&delete(&bucket, input(text)?)?),
        "presign" => record::text(&presign::presign(&bucket, &input(text)?)?),
        "start_upload" => record::text(&upload::start(&bucket, input(text)?)?),
        "put_part" => record::text(&upload::put(&bucket, &input(text)?)?),
        "finish_upload" => record::text(&upload::finish(&bucket, input(text)?)?),
        "abort_upload" => record::text(&upload::abort(&bucket, input(text)?)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

/// How an object's bytes are written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    Text,
    Base64,
}

#[derive(Deserialize)]
struct Get {
    key: String,
    #[serde(default)]
    max_bytes: Option<u64>,
    /// Text where it is text, unless it is said.
    #[serde(default)]
    encoding: Option<Encoding>,
}

#[derive(Serialize)]
struct Got {
    key: String,
    size: u64,
    etag: Option<String>,
    content_type: Option<String>,
    last_modified: Option<String>,
    encoding: Encoding,
    content: String,
}

/// Asks for the size first (S3 API, "HeadObject"), so that what is too large is not sent at all. A refusal is asked for
/// again with GET: that of HEAD has no words.
fn get(bucket: &Bucket, get: &Get) -> Result<Got, Error> {
    let url = bucket.object(&get.key)?;
    let most = get.max_bytes.unwrap_or(USUAL_BYTES).min(MAX_BYTES);
    let fits = |size: u64| {
        if size <= most {
            return Ok(());
        }
        let message = format!("the object has {size} bytes, and {most} are the most that were asked for");
        Err(Error::invalid_data(message).at("/max_bytes"))
    };
    let head = http::request("HEAD", url.as_str()).send()?;
    let size = head.header("content-length").and_then(|size| size.parse().ok());
    if let Some(size) = size.filter(|_| head.status == 200) {
        fits(size)?;
    }
    let response = done(http::get(url).send()?)?;
    let size = response.body.len() as u64;
    fits(size)?;
    let header = |name: &str| response.header(name).map(str::to_owned);
    let (etag, content_type) = (etag(&response), header("content-type"));
    let last_modified = header("last-modified");
    let (encoding, content) = match (get.encoding, String::from_utf8(response.body)) {
        (None | Some(Encoding::Text), Ok(text)) => (Encoding::Text, text),
        (Some(Encoding::Text), Err(_)) => {
            return Err(Error::invalid_data("the object is not UTF-8 text").at("/encoding"));
        }
        (Some(Encoding::Base64), Ok(text)) => (Encoding::Base64, BASE64.encode(text.as_bytes())),
        (_, Err(bytes)) => (Encoding::Base64, BASE64.encode(bytes.as_bytes())),
    };
    Ok(Got {
        key: get.key.clone(),
        size,
        etag,
        content_type,
        last_modified,
        encoding,
        content,
    })
}

#[derive(Deserialize)]
struct Put {
    key: String,
    content: String,
    #[serde(default)]
    encoding: Option<Encoding>,
    #[serde(default)]
    content_type: Option<String>,
}

#[derive(Serialize)]
struct Stored {
    key: String,
    size: u64,
    etag: Option<String>,
}

fn put(bucket: &Bucket, put: &Put) -> Result<Stored, Error> {
    let url = bucket.object(&put.key)?;
    let bytes = bytes(&put.content, put.encoding)?;
    let size = bytes.len() as u64;
    let usual = match put.encoding {
        Some(Encoding::Base64) => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    };
    let kind = put.content_type.as_deref().unwrap_or(usual);
    check_kind(kind)?;
    let response = done(http::put(url).body(kind, bytes).send()?)?;
    Ok(Stored {
        key: put.key.clone(),
        size,
        etag: etag(&response),
    })
}

/// What an action was given as an object's or a part's content.
pub(crate) fn bytes(content: &str, encoding: Option<Encoding>) -> Result<Vec<u8>, Error> {
    let bytes = match encoding {
        None | Some(Encoding::Text) => content.as_bytes().to_vec(),
        Some(Encoding::Base64) => BASE64
            .decode(content.as_bytes())
            .map_err(|error| Error::invalid_data(format!("not base64: {error}")).at("/content"))?,
    };
    let size = bytes.len() as u64;
    if size > MAX_BYTES {
        let message = format!("has {size} bytes, and {MAX_BYTES} are the most");
        return Err(Error::invalid_data(message).at("/content"));
    }
    Ok(bytes)
}

pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Error::invalid_data("not a media type").at("/content_type"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Delete {
    key: String,
}

#[derive(Serialize)]
struct Deleted {
    key: String,
}

fn delete(bucket: &Bucket, delete: Delete) -> Result<Deleted, Error> {
    done(http::delete(bucket.object(&delete.key)?).send()?)?;
    Ok(Deleted { key: delete.key })
}

/// A success. That this key may not do this to this object is the caller's to know, not a reason to connect anew.
pub(crate) fn done(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    match refusal::of(&response) {
        Error::Auth(detail) if refusal::is(&response, "AccessDenied") => {
            Err(Error::invalid_data(detail.message).at("/key"))
        }
        error @ Error::InvalidData(_) if response.status == 404 => Err(error.at("/key")),
        error => Err(error),
    }
}

/// The tag without its quotes, as the stream has it.
pub(crate) fn etag(response: &Response) -> Option<String> {
    response.etag().map(|etag| etag.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn act(name: &str, input: &str) -> Result<String, Error> {
        let config = r#"{"endpoint":"s3.example","region":"auto","bucket":"acme"}"#;
        run(&testing::connection(config), name, input)
    }

    fn pointer(result: Result<String, Error>) -> Option<String> {
        match result {
            Err(Error::InvalidData(detail)) => detail.pointer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_read_after_its_size() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://s3.example/acme/a%20b.txt");
            let headers = [
                ("Content-Length", "5"),
                ("ETag", "\"t1\""),
                ("Content-Type", "text/plain"),
            ];
            testing::answer(
                200,
                &headers,
                if request.method() == "HEAD" { "" } else { "hällo" },
            )
        });
        let got = act("get_object", r#"{"key":"a b.txt"}"#).unwrap();
        assert_eq!(
            got,
            r#"{"key":"a b.txt","size":6,"etag":"t1","content_type":"text/plain","last_modified":null,"encoding":"text","content":"hällo"}"#
        );
        let methods: Vec<String> = testing::requests()
            .iter()
            .map(|r| r.method().to_owned())
            .collect();
        assert_eq!(methods, ["HEAD", "GET"]);
        let got = act("get_object", r#"{"key":"a b.txt","encoding":"base64"}"#).unwrap();
        assert!(
            got.contains(r#""encoding":"base64","content":"aMOkbGxv""#),
            "{got}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_as_base64() {
        testing::serve(|_| {
            let mut answer = testing::answer(200, &[], "")?;
            answer.body = vec![0xff, 0x00];
            Ok(answer)
        });
        let got = act("get_object", r#"{"key":"a"}"#).unwrap();
        assert!(
            got.contains(r#""size":2"#) && got.contains(r#""encoding":"base64","content":"/wA=""#),
            "{got}"
        );
        let refused = act("get_object", r#"{"key":"a","encoding":"text"}"#);
        assert_eq!(pointer(refused).as_deref(), Some("/encoding"));
    }

    #[test]
    fn an_object_that_is_too_large_is_not_sent_for() {
        testing::serve(|_| testing::answer(200, &[("content-length", "11")], ""));
        let refused = act("get_object", r#"{"key":"a","max_bytes":10}"#);
        assert_eq!(pointer(refused).as_deref(), Some("/max_bytes"));
        assert_eq!(testing::requests().len(), 1);
        // One that grew in between, or whose size was not told.
        testing::serve(|_| testing::answer(200, &[], "eleven byte"));
        let refused = act("get_object", r#"{"key":"a","max_bytes":10}"#);
        assert_eq!(pointer(refused).as_deref(), Some("/max_bytes"));
    }

    #[test]
    fn an_object_is_stored() {
        testing::serve(|_| testing::answer(200, &[("etag", "\"t2\"")], ""));
        let stored = act(
            "put_object",
            r#"{"key":"x/y.json","content":"{}","content_type":"application/json"}"#,
        );
        assert_eq!(stored.unwrap(), r#"{"key":"x/y.json","size":2,"etag":"t2"}"#);
        let request = testing::requests().remove(0);
        assert_eq!(
            (request.method(), request.url()),
            ("PUT", "https://s3.example/acme/x/y.json")
        );
        assert_eq!(request.header_value("content-type"), Some("application/json"));
        assert_eq!(request.content(), Some(&b"{}"[..]));
        act(
            "put_object",
            r#"{"key":"x","content":"/wA=","encoding":"base64"}"#,
        )
        .unwrap();
        assert_eq!(testing::requests()[1].content(), Some(&[0xff, 0x00][..]));
    }

    #[test]
    fn bad_input_is_pointed_at_and_nothing_is_sent() {
        testing::serve(|_| testing::answer(200, &[], ""));
        let check = |name: &str, input: &str, at: &str| {
            assert_eq!(pointer(act(name, input)).as_deref(), Some(at), "{input}");
        };
        check(
            "put_object",
            r#"{"key":"a","content":"?","encoding":"base64"}"#,
            "/content",
        );
        check("put_object", r#"{"key":"a/../b","content":""}"#, "/key");
        check(
            "put_object",
            r#"{"key":"a","content":"","content_type":"a\nb"}"#,
            "/content_type",
        );
        check(
            "put_object",
            r#"{"key":"a","content":"","encoding":"hex"}"#,
            "/encoding",
        );
        check("delete_object", r#"{"key":""}"#, "/key");
        check("get_object", r#"{"key":1}"#, "/key");
        let large = format!(r#"{{"key":"a","content":"{}"}}"#, "x".repeat((8 << 20) + 1));
        check("put_object", &large, "/content");
        assert!(testing::requests().is_empty());
        assert!(matches!(act("rename", "{}"), Err(Error::Unsupported(_))));
    }

    #[test]
    fn deleting_is_one_request() {
        testing::serve(|_| testing::answer(204, &[], ""));
        assert_eq!(act("delete_object", r#"{"key":"a"}"#).unwrap(), r#"{"key":"a"}"#);
        assert_eq!(testing::requests()[0].method(), "DELETE");
    }

    #[test]
    fn a_permission_that_is_missing_for_one_object_does_not_end_the_connection() {
        testing::serve(|_| testing::answer(403, &[], "<Error><Code>AccessDenied</Code></Error>"));
        let denied = act("delete_object", r#"{"key":"a"}"#);
        assert_eq!(pointer(denied).as_deref(), Some("/key"));
        testing::serve(|_| testing::answer(403, &[], "<Error><Code>InvalidAccessKeyId</Code></Error>"));
        assert!(matches!(
            act("delete_object", r#"{"key":"a"}"#),
            Err(Error::Auth(_))
        ));
        testing::serve(|_| testing::answer(404, &[], ""));
        assert_eq!(
            pointer(act("get_object", r#"{"key":"a"}"#)).as_deref(),
            Some("/key")
        );
    }
}
