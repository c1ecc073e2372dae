//! What can be done at Dropbox. Each may be done twice without harm: the same bytes at the same path are no conflict
//! ("upload", `strict_conflict`), a link that there is already is handed out again, a temporary link changes nothing, and a file is
//! kept in the place of what was kept of it before.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_sdk::Error;
use sluice_sdk::files::{self, Fetched, Save};
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, input};

use crate::api;

/// The largest file that an action carries, in bytes; `connector.toml` caps bodies a little above it.
const MAX_BYTES: usize = 8 << 20;

#[cfg(test)]
pub(crate) const NAMES: [&str; 4] = [
    "upload_file",
    "create_shared_link",
    "get_temporary_link",
    "keep_file",
];

pub(crate) fn run(name: &str, text: &str, idempotency_key: &str) -> Result<String, Error> {
    match name {
        "upload_file" => upload(input(text)?, idempotency_key),
        "create_shared_link" => share(&input(text)?, idempotency_key),
        "get_temporary_link" => temporary(&input(text)?, idempotency_key),
        "keep_file" => keep(&input(text)?, idempotency_key),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Upload {
    path: String,
    content: String,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    overwrite: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    Base64,
}

/// `/files/upload`.
fn upload(wanted: Upload, key: &str) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
        mode: &'static str,
        autorename: bool,
        mute: bool,
        strict_conflict: bool,
    }
    check_path(&wanted.path)?;
    let content = match wanted.encoding {
        Encoding::Text => wanted.content.into_bytes(),
        Encoding::Base64 => BASE64
            .decode(wanted.content.as_bytes())
            .map_err(|error| Error::invalid_data(format!("not base64: {error}")).at("/content"))?,
    };
    if content.len() > MAX_BYTES {
        return Err(Error::invalid_data(format!("larger than {MAX_BYTES} bytes")).at("/content"));
    }
    let arguments = Arguments {
        path: &wanted.path,
        mode: if wanted.overwrite { "overwrite" } else { "add" },
        autorename: false,
        mute: false,
        strict_conflict: false,
    };
    let request = api::upload("/2/files/upload", &arguments, content)?.idempotency_key(key);
    answer(request.send()?)
}

#[derive(Deserialize)]
struct Share {
    path: String,
    #[serde(default)]
    audience: Option<String>,
    #[serde(default)]
    expires: Option<String>,
}

/// `/sharing/create_shared_link_with_settings`; where there is a link, that one.
fn share(wanted: &Share, key: &str) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        settings: Option<Settings<'a>>,
    }
    #[derive(Serialize)]
    struct Settings<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<&'a str>,
    }
    check_path(&wanted.path)?;
    let settings = Settings {
        audience: wanted.audience.as_deref(),
        expires: wanted.expires.as_deref(),
    };
    let arguments = Arguments {
        path: &wanted.path,
        settings: (wanted.audience.is_some() || wanted.expires.is_some()).then_some(settings),
    };
    let request = api::call("/2/sharing/create_shared_link_with_settings", &arguments)?;
    let response = request.idempotency_key(key).send()?;
    if api::is_refused_as(&response, "shared_link_already_exists") {
        return existing(&wanted.path, key);
    }
    answer(response)
}

/// The link that there is for this path (`/sharing/list_shared_links`).
fn existing(path: &str, key: &str) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
        direct_only: bool,
    }
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        links: Vec<Value>,
    }
    let arguments = Arguments {
        path,
        direct_only: true,
    };
    let request = api::call("/2/sharing/list_shared_links", &arguments)?;
    let response = api::ok(request.idempotency_key(key).send()?)?;
    let list: List = response.json()?;
    match list.links.first() {
        Some(link) => record::text(link),
        None => Err(Error::invalid_data(
            "Dropbox says that there is a link for this path, and shows none",
        )),
    }
}

#[derive(Deserialize)]
struct Temporary {
    path: String,
}

/// `/files/get_temporary_link`.
fn temporary(wanted: &Temporary, key: &str) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
    }
    check_path(&wanted.path)?;
    let arguments = Arguments { path: &wanted.path };
    let request = api::call("/2/files/get_temporary_link", &arguments)?;
    answer(request.idempotency_key(key).send()?)
}

#[derive(Deserialize)]
struct Keep {
    path: String,
    name: Option<String>,
}

/// `/files/download`, to be kept here: nobody holds the content.
fn keep(wanted: &Keep, key: &str) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        path: &'a str,
    }
    check_path(&wanted.path)?;
    let last = wanted.path.rsplit('/').next().unwrap_or_default();
    let name = wanted.name.as_deref().unwrap_or(last);
    let arguments = Arguments { path: &wanted.path };
    let request = api::download("/2/files/download", &arguments)?.idempotency_key(key);
    match files::fetch(request, Save::new(&wanted.path, name))? {
        Fetched::File(file) => record::text(&file.reference()),
        Fetched::Response(response) => answer(response),
    }
}

/// A path or an id of Dropbox's; what is wrong with it otherwise, Dropbox says.
fn check_path(path: &str) -> Result<(), Error> {
    if path.starts_with('/') || path.starts_with("id:") {
        return Ok(());
    }
    Err(Error::invalid_data("not a path (`/…`) and not an id (`id:…`)").at("/path"))
}

fn answer(response: Response) -> Result<String, Error> {
    api::ok(response)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_file_is_carried_with_its_arguments_in_a_header() {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"id:1","path_lower":"/a.txt"}"#));
        run("upload_file", r#"{"path":"/a.txt","content":"häll"}"#, "key-1").unwrap();
        run(
            "upload_file",
            r#"{"path":"/a.bin","content":"/wA=","encoding":"base64","overwrite":true}"#,
            "key-2",
        )
        .unwrap();
        let requests = testing::requests();
        assert_eq!(
            (requests[0].method(), requests[0].url(), requests[0].content()),
            (
                "POST",
                "https://content.dropboxapi.com/2/files/upload",
                Some("häll".as_bytes())
            )
        );
        assert_eq!(
            requests[0].header_value("dropbox-api-arg"),
            Some(r#"{"path":"/a.txt","mode":"add","autorename":false,"mute":false,"strict_conflict":false}"#)
        );
        assert_eq!(requests[1].content(), Some(&[0xff, 0][..]));
        assert!(
            requests[1]
                .header_value("dropbox-api-arg")
                .unwrap()
                .contains("overwrite")
        );
    }

    #[test]
    fn a_link_that_there_is_is_handed_out_again() {
        testing::serve(
            |request| match request.url().ends_with("create_shared_link_with_settings") {
                true => {
                    assert_eq!(
                        request.content(),
                        Some(&br#"{"path":"/a.txt","settings":{"audience":"team"}}"#[..])
                    );
                    testing::answer(
                        409,
                        &[],
                        r#"{"error_summary":"shared_link_already_exists/metadata/..","error":{".tag":"shared_link_already_exists"}}"#,
                    )
                }
                false => testing::answer(200, &[], r#"{"links":[{"url":"https://www.dropbox.com/s/a"}]}"#),
            },
        );
        let link = run(
            "create_shared_link",
            r#"{"path":"/a.txt","audience":"team"}"#,
            "k",
        )
        .unwrap();
        assert_eq!(link, r#"{"url":"https://www.dropbox.com/s/a"}"#);
        testing::serve(|request| {
            assert_eq!(request.content(), Some(&br#"{"path":"id:1"}"#[..]));
            testing::answer(200, &[], r#"{"url":"u"}"#)
        });
        run("create_shared_link", r#"{"path":"id:1"}"#, "k").unwrap();
    }

    #[test]
    fn a_temporary_link_is_dropboxs_answer() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/temporary-link.json")));
        let answer = run("get_temporary_link", r#"{"path":"/plan.txt"}"#, "k").unwrap();
        assert!(answer.contains("https://uc0.dl.dropboxusercontent.com/"));
        assert_eq!(
            testing::requests()[0].url(),
            "https://api.dropboxapi.com/2/files/get_temporary_link"
        );
    }

    #[test]
    fn a_file_is_kept_under_its_path() {
        testing::serve(|request| match request.header_value("dropbox-api-arg") {
            Some(r#"{"path":"/plans/a.pdf"}"#) => {
                testing::answer(200, &[("content-type", "application/octet-stream")], "bytes")
            }
            _ => testing::answer(
                409,
                &[],
                r#"{"error_summary":"path/not_found/..","error":{".tag":"path"}}"#,
            ),
        });
        let kept = run("keep_file", r#"{"path":"/plans/a.pdf"}"#, "k").unwrap();
        let kept: Value = input(&kept).unwrap();
        assert_eq!((&kept["name"], &kept["bytes"]), (&"a.pdf".into(), &5.into()));
        assert!(files::get("/plans/a.pdf").is_some());
        let request = &testing::requests()[0];
        assert_eq!(
            (request.method(), request.url(), request.content()),
            ("POST", "https://content.dropboxapi.com/2/files/download", None)
        );
        let gone = run("keep_file", r#"{"path":"/gone"}"#, "k");
        assert!(matches!(gone, Err(Error::InvalidData(_))), "{gone:?}");
    }

    #[test]
    fn bad_input_is_pointed_at() {
        let pointer = |name: &str, input: &str| match run(name, input, "k") {
            Err(Error::InvalidData(detail)) => detail.pointer.unwrap_or_default(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer("upload_file", r#"{"path":"a","content":""}"#), "/path");
        assert_eq!(
            pointer(
                "upload_file",
                r#"{"path":"/a","content":"?","encoding":"base64"}"#
            ),
            "/content"
        );
        assert_eq!(
            pointer("upload_file", r#"{"path":"/a","content":"","encoding":"hex"}"#),
            "/encoding"
        );
        assert_eq!(pointer("get_temporary_link", r#"{"path":7}"#), "/path");
        let big = format!(r#"{{"path":"/a","content":"{}"}}"#, "x".repeat(MAX_BYTES + 1));
        assert_eq!(pointer("upload_file", &big), "/content");
        assert!(matches!(run("delete", "{}", "k"), Err(Error::Unsupported(_))));
    }
}
