//! Long lists over HTTP: `limit` and the opaque `after`.
//!
//! A token says which list it belongs to, so that the token of one list, or of the same list under another filter, is
//! refused instead of giving a page that is wrong. It is no secret and carries no right: whose rows are read is decided
//! by the key, never by the token.

use data_encoding::BASE64URL_NOPAD;
use ring::digest;
use serde::{Deserialize, Serialize};
use sluice_service::page::{Listed, MAX_LIMIT, Page};

use super::problem::Problem;

/// The parameters of every list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paging {
    pub(super) limit: Option<u32>,
    pub(super) after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// Ask with it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// Checks a limit.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(other) => Err(Problem::new(
            "request.query",
            format!("`limit` is {other}, not 1 to {MAX_LIMIT}"),
        )),
    }
}

/// Which page of the list with this name is wanted. The name includes the filters.
pub(super) fn page(list: &str, limit_asked: Option<u32>, after: Option<&str>) -> Result<Page, Problem> {
    let after = after.map(|token| open(list, token)).transpose()?;
    Ok(Page {
        after,
        limit: limit(limit_asked)?,
    })
}

/// The page as it is sent.
pub(super) fn listed<T, V>(list: &str, listed: Listed<T>, view: impl Fn(T) -> V) -> List<V> {
    List {
        items: listed.items.into_iter().map(view).collect(),
        next: listed.next.map(|at| seal(list, &at)),
    }
}

fn seal(list: &str, at: &str) -> String {
    let mut bytes = mark(list, at).to_vec();
    bytes.extend_from_slice(at.as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

fn open(list: &str, token: &str) -> Result<String, Problem> {
    let refused = || {
        Problem::new("request.page_token", "`after` is not a page token of this list")
            .hint("pass `next` of the page before as it is, with the same filters, or leave `after` out")
    };
    if token.len() > TOKEN_BYTES {
        return Err(refused());
    }
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| refused())?;
    let (marked, at) = bytes.split_first_chunk::<MARK_BYTES>().ok_or_else(refused)?;
    let at = std::str::from_utf8(at).map_err(|_| refused())?;
    if *marked != mark(list, at) {
        return Err(refused());
    }
    Ok(at.to_owned())
}

fn mark(list: &str, at: &str) -> [u8; MARK_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"sluice page 1\0");
    context.update(&(list.len() as u64).to_be_bytes());
    context.update(list.as_bytes());
    context.update(at.as_bytes());
    let mut mark = [0; MARK_BYTES];
    mark.iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    mark
}

/// Enough to notice every mistake; nobody gains by a forged one.
const MARK_BYTES: usize = 8;
/// The longest place in a list is a record's id.
const TOKEN_BYTES: usize = 1200;
/// Items of a page where nothing was asked.
const DEFAULT_LIMIT: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_list() {
        let token = seal("runs\0cnn_1", "run_9");
        assert_eq!(open("runs\0cnn_1", &token).unwrap(), "run_9");
        let mut tampered = token.clone();
        tampered.replace_range(12..13, if &token[12..13] == "A" { "B" } else { "A" });
        for (list, token) in [
            ("runs", token.as_str()),
            ("runs\0cnn_1", &tampered),
            ("runs", ""),
            ("runs", "ö"),
            ("x", "AAAA"),
        ] {
            assert_eq!(
                open(list, token).unwrap_err().code(),
                "request.page_token",
                "{token}"
            );
        }
        assert!(open("x", &"A".repeat(100_000)).is_err());
    }

    #[test]
    fn limits() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err() && limit(Some(u32::MAX)).is_err());
    }
}
