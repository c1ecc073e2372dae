//! Files that connectors keep: what there is, and their bytes.
//!
//! What must always hold: no browser runs what a vendor sent. Bytes are an attachment of no type that anything opens by itself, whatever
//! the vendor called them, and the front door says `nosniff` and forbids scripts on top; the type is in the file's description.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sluice_model::id::{ConnectionId, FileId};
use sluice_service::connection;
use sluice_service::file::{self, KeptFile};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, json};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// A file that a connector keeps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
pub(super) struct FileView {
    id: String,
    connection: String,
    /// What the connector calls it; the id stays the same as long as the key is kept.
    key: String,
    name: String,
    /// As the vendor says.
    media_type: String,
    bytes: u64,
    /// In lower-case hexadecimal.
    sha256: String,
    /// The record that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<OwnerView>,
    /// When these bytes were kept.
    #[schema(format = "date-time")]
    kept: String,
}

/// A record, by its stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileOwner)]
pub(super) struct OwnerView {
    stream: String,
    id: String,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    let name = format!("files\0{holder}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = file::list(&app.service, caller.org, holder, &page).await?;
    Ok(json(&listed(&name, found, |file| view(holder, file))))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = file::get(&app.service, caller.org, parse(&id)?)?;
    let (connection, file) = found.ok_or_else(|| missing(&id))?;
    Ok(json(&view(connection, file)))
}

/// The bytes, or the part of them that was asked for (RFC 9110, 14).
pub(super) async fn content(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = file::open(&app.service, caller.org, parse(&id)?).await?;
    let (kept, bytes) = found.ok_or_else(|| missing(&id))?;
    let tag = format!("\"{}\"", kept.sha256);
    let whole = Part {
        start: 0,
        len: kept.bytes,
    };
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked = asked.filter(|_| headers.get(header::IF_RANGE).is_none_or(|seen| *seen == *tag));
    let (status, part) = match asked.map_or(Wanted::All, |range| wanted(range, kept.bytes)) {
        Wanted::All => (StatusCode::OK, whole),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => {
            return Err(Problem::new(
                "file.range",
                format!(
                    "the file has {} bytes, and none of those that were asked for",
                    kept.bytes
                ),
            ));
        }
    };
    let mut bytes = tokio::fs::File::from_std(bytes);
    bytes
        .seek(std::io::SeekFrom::Start(part.start))
        .await
        .map_err(|error| Problem::new("internal", format!("the file cannot be read: {error}")))?;
    let mut response = Body::from_stream(pieces(bytes, part.len)).into_response();
    *response.status_mut() = status;
    let told = response.headers_mut();
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static(file_type()));
    told.insert(header::CONTENT_LENGTH, part.len.into());
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let texts = [
        (header::CONTENT_DISPOSITION, disposition(&kept.name)),
        (header::ETAG, tag),
        // Of the whole, also where this is a part (RFC 9530).
        (http::HeaderName::from_static("repr-digest"), digest(&kept.sha256)),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            told.insert(name, value);
        }
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let end = part.start + part.len.saturating_sub(1);
        let range = format!("bytes {}-{end}/{}", part.start, kept.bytes);
        if let Ok(value) = HeaderValue::from_str(&range) {
            told.insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// What every file is served as.
const fn file_type() -> &'static str {
    sluice_model::file::UNKNOWN_TYPE
}

fn view(connection: ConnectionId, file: KeptFile) -> FileView {
    FileView {
        id: file.id.to_string(),
        connection: connection.to_string(),
        key: file.key,
        name: file.name,
        media_type: file.media_type,
        bytes: file.bytes,
        sha256: file.sha256,
        record: file.record.map(|record| OwnerView {
            stream: record.stream,
            id: record.id,
        }),
        kept: file.kept.to_string(),
    }
}

fn parse(id: &str) -> Result<FileId, Problem> {
    id.parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new("file.not_found", format!("there is no file `{shown}`"))
}

/// Read at once.
const PIECE: usize = 64 << 10;

fn pieces(
    bytes: tokio::fs::File,
    len: u64,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold((bytes.take(len), len), |(mut bytes, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE];
        let read = bytes.read(&mut piece).await?;
        if read == 0 {
            // The head has promised more, so the answer must not look whole.
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(Some((
            Bytes::from(piece),
            (bytes, left.saturating_sub(read as u64)),
        )))
    })
}

/// A stretch of bytes; never empty where it is part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    start: u64,
    len: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Part),
    Nothing,
}

/// One range of bytes. Whatever else a Range field says is as if it were not there, as RFC 9110 allows.
fn wanted(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Wanted::Nothing,
            Some(suffix) => (size.saturating_sub(suffix), size),
            None => return Wanted::All,
        },
        (first, "") => match number(first) {
            Some(first) => (first, size),
            None => return Wanted::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
            _ => return Wanted::All,
        },
    };
    if start >= size {
        return Wanted::Nothing;
    }
    Wanted::Part(Part {
        start,
        len: end - start,
    })
}

/// RFC 6266, with the name in RFC 8187's form where it is not plain.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' '..='~' if c != '"' && c != '\\' && c != '%' => c,
            _ => '_',
        })
        .collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

fn digest(sha256: &str) -> String {
    let bytes = HEXLOWER.decode(sha256.as_bytes()).unwrap_or_default();
    format!("sha-256=:{}:", BASE64.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |start, len| Wanted::Part(Part { start, len });
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=5-99999999999999999999", part(5, 5)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("items=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(wanted(range, 10), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn names_are_told_in_two_forms() {
        assert_eq!(disposition("a b.pdf"), "attachment; filename=\"a b.pdf\"");
        assert_eq!(
            disposition("ä\".txt"),
            "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%A4%22.txt"
        );
    }

    #[test]
    fn a_part_is_within_the_file() {
        for size in [0, 1, 2, 7, u64::MAX] {
            for (first, last) in [(0, 0), (0, u64::MAX), (1, 1), (6, 9), (u64::MAX, u64::MAX)] {
                for range in [format!("bytes={first}-{last}"), format!("bytes=-{last}")] {
                    if let Wanted::Part(part) = wanted(&range, size) {
                        assert!(part.len > 0 && part.len <= size - part.start, "{range} of {size}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_name_is_a_header() {
        for name in ["", "a\r\nb: c", "\"; x=\"y", "😀%", "\0"] {
            let name = sluice_model::file::name(name);
            assert!(HeaderValue::from_str(&disposition(&name)).is_ok(), "{name}");
        }
    }
}
