//! Uploads in parts, for objects that one request does not carry (S3 user guide, "Uploading and copying objects using
//! multipart upload"). The parts come by `put_part` or by links ([`presign`](crate::presign)); at Amazon every part but the
//! last has at least 5 MiB.

use serde::{Deserialize, Serialize};
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};

use crate::actions::{Encoding, bytes, check_kind, done, etag};
use crate::bucket::Bucket;
use crate::refusal;

/// S3 user guide, "Amazon S3 multipart upload limits".
const MAX_PARTS: u32 = 10_000;
/// The longest upload id that is sent on, in bytes; services make them of a few hundred.
const MAX_ID_BYTES: usize = 2_048;

#[derive(Deserialize)]
pub(crate) struct Start {
    key: String,
    #[serde(default)]
    content_type: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Started {
    key: String,
    upload_id: String,
}

/// S3 API, "CreateMultipartUpload".
pub(crate) fn start(bucket: &Bucket, start: Start) -> Result<Started, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "UploadId")]
        upload_id: String,
    }
    let mut request = http::post(bucket.object(&start.key)?).query("uploads", "");
    if let Some(kind) = &start.content_type {
        check_kind(kind)?;
        request = request.header("content-type", kind);
    }
    let response = done(request.send()?)?;
    let answer: Answer = quick_xml::de::from_str(response.text()?)
        .map_err(|error| Error::transient(format!("the vendor's answer is no upload: {error}")))?;
    Ok(Started {
        key: start.key,
        upload_id: answer.upload_id,
    })
}

#[derive(Deserialize)]
pub(crate) struct Put {
    key: String,
    upload_id: String,
    part_number: u32,
    content: String,
    #[serde(default)]
    encoding: Option<Encoding>,
}

#[derive(Serialize)]
pub(crate) struct Stored {
    part_number: u32,
    etag: Option<String>,
}

/// S3 API, "UploadPart". The same part again takes the place of the one before.
pub(crate) fn put(bucket: &Bucket, put: &Put) -> Result<Stored, Error> {
    let bytes = bytes(&put.content, put.encoding)?;
    let request = part(bucket.object(&put.key)?, &put.upload_id, put.part_number)?;
    let response = known(request.body("application/octet-stream", bytes).send()?)?;
    Ok(Stored {
        part_number: put.part_number,
        etag: etag(&response),
    })
}

/// The request that stores a part, without it.
pub(crate) fn part(url: String, upload_id: &str, number: u32) -> Result<Request, Error> {
    if !(1..=MAX_PARTS).contains(&number) {
        let message = format!("parts have the numbers 1 to {MAX_PARTS}");
        return Err(Error::invalid_data(message).at("/part_number"));
    }
    let request = http::put(url).query("partNumber", &number.to_string());
    Ok(request.query("uploadId", id(upload_id)?))
}

#[derive(Deserialize)]
pub(crate) struct Finish {
    key: String,
    upload_id: String,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    part_number: u32,
    etag: String,
}

#[derive(Serialize)]
pub(crate) struct Finished {
    key: String,
    etag: Option<String>,
}

/// S3 API, "CompleteMultipartUpload". It may fail after it has begun to answer with 200.
pub(crate) fn finish(bucket: &Bucket, finish: Finish) -> Result<Finished, Error> {
    #[derive(Serialize)]
    struct Parts {
        #[serde(rename = "Part")]
        parts: Vec<One>,
    }
    #[derive(Serialize)]
    struct One {
        #[serde(rename = "PartNumber")]
        number: u32,
        #[serde(rename = "ETag")]
        etag: String,
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "ETag")]
        etag: Option<String>,
    }
    if finish.parts.is_empty() || finish.parts.len() > MAX_PARTS as usize {
        let message = format!("an upload has 1 to {MAX_PARTS} parts");
        return Err(Error::invalid_data(message).at("/parts"));
    }
    let one = |part: Part| One {
        number: part.part_number,
        etag: format!("\"{}\"", part.etag.trim_matches('"')),
    };
    let mut parts: Vec<One> = finish.parts.into_iter().map(one).collect();
    parts.sort_by_key(|part| part.number);
    let body = quick_xml::se::to_string_with_root("CompleteMultipartUpload", &Parts { parts })
        .map_err(|error| Error::invalid_data(error.to_string()).at("/parts"))?;
    let request = http::post(bucket.object(&finish.key)?)
        .query("uploadId", id(&finish.upload_id)?)
        .body("application/xml", body);
    let mut response = request.send()?;
    if response.status == 200 && refusal::is_refusal(&response) {
        // S3 API: to be treated as the 500 that it could not become any more.
        response.status = 500;
    }
    let response = match known(response) {
        Err(Error::InvalidData(detail)) if detail.pointer.is_none() => {
            return Err(Error::invalid_data(detail.message).at("/parts"));
        }
        other => other?,
    };
    let answer: Option<Answer> = quick_xml::de::from_str(response.text()?).ok();
    let etag = answer.and_then(|answer| answer.etag);
    Ok(Finished {
        key: finish.key,
        etag: etag.map(|etag| etag.trim_matches('"').to_owned()),
    })
}

#[derive(Deserialize)]
pub(crate) struct Abort {
    key: String,
    upload_id: String,
}

#[derive(Serialize)]
pub(crate) struct Aborted {
    key: String,
}

/// S3 API, "AbortMultipartUpload". One that is gone already is what was wanted.
pub(crate) fn abort(bucket: &Bucket, abort: Abort) -> Result<Aborted, Error> {
    let request = http::delete(bucket.object(&abort.key)?).query("uploadId", id(&abort.upload_id)?);
    let response = request.send()?;
    if !refusal::is(&response, "NoSuchUpload") {
        known(response)?;
    }
    Ok(Aborted { key: abort.key })
}

fn id(upload_id: &str) -> Result<&str, Error> {
    if upload_id.is_empty() || upload_id.len() > MAX_ID_BYTES {
        return Err(Error::invalid_data("not an upload's id").at("/upload_id"));
    }
    Ok(upload_id)
}

/// A success; an upload that the vendor does not know is the caller's.
fn known(response: Response) -> Result<Response, Error> {
    if refusal::is(&response, "NoSuchUpload") {
        return Err(Error::invalid_data("there is no such upload").at("/upload_id"));
    }
    done(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::run;
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
    fn an_upload_from_its_beginning_to_its_end() {
        testing::serve(|request| match request.method() {
            "POST" if request.url().ends_with("?uploads=") => {
                testing::answer(200, &[], include_str!("../fixtures/upload-started.xml"))
            }
            "POST" => testing::answer(200, &[], include_str!("../fixtures/upload-finished.xml")),
            "PUT" => testing::answer(200, &[("etag", "\"p1\"")], ""),
            _ => testing::answer(204, &[], ""),
        });
        let started = act("start_upload", r#"{"key":"a","content_type":"text/plain"}"#);
        assert_eq!(started.unwrap(), r#"{"key":"a","upload_id":"VXBsb2FkIElE"}"#);
        let part = act(
            "put_part",
            r#"{"key":"a","upload_id":"u","part_number":1,"content":"eA==","encoding":"base64"}"#,
        );
        assert_eq!(part.unwrap(), r#"{"part_number":1,"etag":"p1"}"#);
        let finished = act(
            "finish_upload",
            r#"{"key":"a","upload_id":"u","parts":[{"part_number":2,"etag":"<&>"},{"part_number":1,"etag":"\"p1\""}]}"#,
        );
        assert_eq!(finished.unwrap(), r#"{"key":"a","etag":"done-2"}"#);
        act("abort_upload", r#"{"key":"a","upload_id":"u"}"#).unwrap();
        let requests = testing::requests();
        assert_eq!(requests[0].header_value("content-type"), Some("text/plain"));
        assert_eq!(
            requests[1].url(),
            "https://s3.example/acme/a?partNumber=1&uploadId=u"
        );
        assert_eq!(requests[1].content(), Some(&b"x"[..]));
        assert_eq!(
            String::from_utf8_lossy(requests[2].content().unwrap()),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"p1\"</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>\"&lt;&amp;&gt;\"</ETag></Part></CompleteMultipartUpload>"
        );
        assert_eq!(
            (requests[3].method(), requests[3].url()),
            ("DELETE", "https://s3.example/acme/a?uploadId=u")
        );
    }

    #[test]
    fn a_refusal_points_at_what_is_wrong() {
        let code = |status: u16, code: &'static str| {
            testing::serve(move |_| {
                testing::answer(status, &[], &format!("<Error><Code>{code}</Code></Error>"))
            });
        };
        let finish = r#"{"key":"a","upload_id":"u","parts":[{"part_number":1,"etag":"x"}]}"#;
        code(404, "NoSuchUpload");
        assert_eq!(
            pointer(act("finish_upload", finish)).as_deref(),
            Some("/upload_id")
        );
        act("abort_upload", r#"{"key":"a","upload_id":"u"}"#).unwrap();
        code(400, "EntityTooSmall");
        assert_eq!(pointer(act("finish_upload", finish)).as_deref(), Some("/parts"));
        // An error that came too late for its status.
        code(200, "InternalError");
        assert!(matches!(act("finish_upload", finish), Err(Error::Transient(_))));
        let none = r#"{"key":"a","upload_id":"u","parts":[]}"#;
        assert_eq!(pointer(act("finish_upload", none)).as_deref(), Some("/parts"));
        let zero = r#"{"key":"a","upload_id":"u","part_number":0,"content":""}"#;
        assert_eq!(pointer(act("put_part", zero)).as_deref(), Some("/part_number"));
        let empty = r#"{"key":"a","upload_id":"","part_number":1,"content":""}"#;
        assert_eq!(pointer(act("put_part", empty)).as_deref(), Some("/upload_id"));
    }
}
