//! Links to single objects: whoever has one reads the object, or stores it, without a key, until it ends (S3 user guide,
//! "Download and upload objects with presigned URLs"). The host signs them and puts them into the answer; here they are
//! placeholders.

use serde::{Deserialize, Serialize};
use sluice_sdk::{Error, http};

use crate::bucket::Bucket;
use crate::upload;

/// How long a link is good for unless it is said, in seconds.
const USUAL_S: u32 = 3_600;
/// The longest that AWS takes, in seconds (S3 user guide, "Expiration time for presigned URLs").
const LONGEST_S: u32 = 604_800;

#[derive(Deserialize)]
pub(crate) struct Presign {
    key: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    expires_s: Option<u32>,
    /// With `part_number`: the link stores a part of this upload.
    #[serde(default)]
    upload_id: Option<String>,
    #[serde(default)]
    part_number: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    #[default]
    Get,
    Put,
}

#[derive(Serialize)]
pub(crate) struct Link {
    method: &'static str,
    url: String,
    expires_s: u32,
}

pub(crate) fn presign(bucket: &Bucket, presign: &Presign) -> Result<Link, Error> {
    let expires_s = presign.expires_s.unwrap_or(USUAL_S);
    if !(1..=LONGEST_S).contains(&expires_s) {
        let message = format!("a link is good for 1 to {LONGEST_S} seconds");
        return Err(Error::invalid_data(message).at("/expires_s"));
    }
    let url = bucket.object(&presign.key)?;
    let (method, request) = match (presign.method, &presign.upload_id, presign.part_number) {
        (Method::Get, None, None) => ("GET", http::get(url)),
        (Method::Put, None, None) => ("PUT", http::put(url)),
        (Method::Put, Some(id), Some(number)) => ("PUT", upload::part(url, id, number)?),
        (Method::Put, Some(_), None) => {
            return Err(Error::invalid_data("a part of an upload has a number").at("/part_number"));
        }
        (_, _, _) => {
            return Err(Error::invalid_data("only a link to a part is of an upload").at("/upload_id"));
        }
    };
    Ok(Link {
        method,
        url: request.presign(expires_s)?.placeholder(),
        expires_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::run;
    use sluice_sdk::testing;

    const CONFIG: &str = r#"{"endpoint":"s3.example","region":"auto","bucket":"acme"}"#;

    fn act(input: &str) -> Result<String, Error> {
        run(&testing::connection(CONFIG), "presign", input)
    }

    #[test]
    fn a_link_says_what_it_is_for() {
        for (input, method, asked, expires) in [
            (
                r#"{"key":"a b.txt"}"#,
                "GET",
                "https://s3.example/acme/a%20b.txt",
                3_600,
            ),
            (
                r#"{"key":"a","method":"put","expires_s":60}"#,
                "PUT",
                "https://s3.example/acme/a",
                60,
            ),
            (
                r#"{"key":"a","method":"put","upload_id":"u/1","part_number":2}"#,
                "PUT",
                "https://s3.example/acme/a?partNumber=2&uploadId=u%2F1",
                3_600,
            ),
        ] {
            assert_eq!(
                act(input).unwrap(),
                format!(
                    r#"{{"method":"{method}","url":"sluice-placeholder-{method} {asked} for {expires} s","expires_s":{expires}}}"#
                )
            );
        }
    }

    #[test]
    fn what_no_link_can_be_is_pointed_at() {
        for (input, at) in [
            (r#"{"key":"a/../b"}"#, "/key"),
            (r#"{"key":"a","expires_s":0}"#, "/expires_s"),
            (r#"{"key":"a","expires_s":604801}"#, "/expires_s"),
            (r#"{"key":"a","method":"put","upload_id":"u"}"#, "/part_number"),
            (r#"{"key":"a","method":"put","part_number":1}"#, "/upload_id"),
            (r#"{"key":"a","upload_id":"u","part_number":1}"#, "/upload_id"),
            (
                r#"{"key":"a","method":"put","upload_id":"u","part_number":10001}"#,
                "/part_number",
            ),
        ] {
            match act(input) {
                Err(Error::InvalidData(detail)) => assert_eq!(detail.pointer.as_deref(), Some(at), "{input}"),
                other => panic!("{input}: {other:?}"),
            }
        }
    }
}
