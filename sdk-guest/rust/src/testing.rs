//! The sandbox played on an ordinary target, so that a connector's tests need no wasm: requests are answered by a
//! function of the test, storage is a map, log lines are kept. Per thread, so tests do not meet.
//!
//! ```
//! use sluice_sdk::{http, testing};
//!
//! testing::serve(|request| match request.url() {
//!     "https://api.vendor.example/ok" => testing::answer(200, &[("etag", "\"1\"")], "{}"),
//!     _ => testing::answer(404, &[], "{}"),
//! });
//! assert_eq!(http::get("https://api.vendor.example/ok").send()?.etag(), Some("\"1\""));
//! assert!(http::get("https://api.vendor.example/other").send()?.ok().is_err());
//! assert_eq!(testing::requests().len(), 2);
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

use std::cell::{Cell, RefCell};

use crate::http::{Error, Headers, Request, Response};
use crate::log::Level;
use crate::secrets::Secret;
use crate::{Connection, ReadRequest, Receipt};

type Vendor = Box<dyn FnMut(&Request) -> Result<Response, Error>>;

thread_local! {
    static VENDOR: RefCell<Option<Vendor>> = const { RefCell::new(None) };
    static REQUESTS: RefCell<Vec<Request>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    static WEBHOOK_SECRET: Cell<bool> = const { Cell::new(false) };
}

/// Whether the webhook that is registered on this thread has a secret; its placeholder is `sluice-placeholder-webhook`.
pub fn give_webhook_secret(has: bool) {
    WEBHOOK_SECRET.with(|slot| slot.set(has));
}

pub(crate) fn webhook_secret() -> Option<Secret> {
    let placeholder = || {
        Secret(crate::secrets::Inner::new(
            "sluice-placeholder-webhook".to_owned(),
        ))
    };
    WEBHOOK_SECRET.with(Cell::get).then(placeholder)
}

/// Lets `vendor` answer this thread's requests from now on, and forgets the earlier ones. Without it every request is
/// [`Error::Denied`].
pub fn serve(vendor: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
    VENDOR.with(|slot| *slot.borrow_mut() = Some(Box::new(vendor)));
    REQUESTS.with(|requests| requests.borrow_mut().clear());
}

/// An answer for [`serve`].
///
/// # Errors
/// Never: it is the type that a vendor function returns.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Response, Error> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Ok(Response {
        status,
        headers,
        body: body.as_bytes().to_vec(),
    })
}

/// The requests since [`serve`], in order.
#[must_use]
pub fn requests() -> Vec<Request> {
    REQUESTS.with(|requests| requests.borrow().clone())
}

/// The log lines of this thread.
#[must_use]
pub fn lines() -> Vec<(Level, String)> {
    LINES.with(|lines| lines.borrow().clone())
}

/// A connection with this configuration.
#[must_use]
pub fn connection(config: &str) -> Connection {
    Connection {
        id: "cnn_test".to_owned(),
        config: config.to_owned(),
        account: None,
    }
}

/// A request for the first page of a stream, or for the one after `cursor`.
#[must_use]
pub fn read_request(stream: &str, cursor: Option<String>) -> ReadRequest {
    ReadRequest {
        stream_name: stream.to_owned(),
        partition: None,
        cursor,
        window: None,
        page_hint: 100,
    }
}

/// A webhook as it arrives.
#[must_use]
pub fn receipt(headers: &[(&str, &str)], body: &str) -> Receipt {
    Receipt {
        id: "rcp_test".to_owned(),
        webhook: String::new(),
        received: 1_795_000_000_000,
        method: "POST".to_owned(),
        query: Vec::new(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn send(request: &Request) -> Result<Response, Error> {
    REQUESTS.with(|requests| requests.borrow_mut().push(request.clone()));
    VENDOR.with(|slot| match slot.borrow_mut().as_mut() {
        Some(vendor) => vendor(request),
        None => Err(Error::Denied(format!("{} {}", request.method(), request.url()))),
    })
}

pub(crate) fn open(request: &Request) -> Result<Incoming, Error> {
    Ok(Incoming {
        response: send(request)?,
        read: Cell::new(0),
    })
}

/// A response that is there whole and is given in pieces.
#[derive(Debug)]
pub(crate) struct Incoming {
    response: Response,
    read: Cell<usize>,
}

impl Incoming {
    pub(crate) fn status(&self) -> u16 {
        self.response.status
    }

    pub(crate) fn headers(&self) -> Headers {
        self.response.headers.clone()
    }

    pub(crate) fn read(&self, max: u32) -> Result<Option<Vec<u8>>, Error> {
        let rest = self.response.body.get(self.read.get()..).unwrap_or_default();
        let piece: Vec<u8> = rest.iter().take(max.max(1) as usize).copied().collect();
        self.read.set(self.read.get() + piece.len());
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

pub(crate) fn presign(request: &Request, expires_s: u32) -> Secret {
    let (method, url) = (request.method(), request.url());
    let text = format!("sluice-placeholder-{method} {url} for {expires_s} s");
    Secret(crate::secrets::Inner::new(text))
}

pub(crate) fn logged(level: Level, message: &str, _fields: Option<&str>) {
    LINES.with(|lines| lines.borrow_mut().push((level, message.to_owned())));
}

pub(crate) mod files {
    //! The connection's files as a map of this thread, without a quota and without their bytes. The digest is none: outside of the
    //! sandbox there is nothing to make one with, so it only tells lengths apart.

    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use crate::files::{Error, Fetched, File, Save};
    use crate::http::Request;

    thread_local! {
        static MAP: RefCell<BTreeMap<String, File>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(crate) fn fetch(request: &Request, into: Save) -> Result<Fetched, Error> {
        if !super::storage::is_key(&into.key) {
            return Err(Error::InvalidKey);
        }
        let response = super::send(request).map_err(Error::Http)?;
        if !(200..300).contains(&response.status) {
            return Ok(Fetched::Response(response));
        }
        let kind = response
            .header("content-type")
            .unwrap_or("application/octet-stream");
        let media_type = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let size = response.body.len() as u64;
        let file = MAP.with(|map| {
            let mut map = map.borrow_mut();
            let id = match map.get(&into.key) {
                Some(there) => there.id.clone(),
                None => format!("fil_test{}", map.len() + 1),
            };
            let file = File {
                id,
                size,
                sha256: format!("{size:064x}"),
                media_type,
                name: into.name,
            };
            map.insert(into.key, file.clone());
            file
        });
        Ok(Fetched::File(file))
    }

    pub(crate) fn get(key: &str) -> Option<File> {
        MAP.with(|map| map.borrow().get(key).cloned())
    }

    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        if !super::storage::is_key(key) {
            return Err(Error::InvalidKey);
        }
        MAP.with(|map| map.borrow_mut().remove(key));
        Ok(())
    }
}

pub(crate) mod storage {
    //! The connection's storage as a map of this thread; without a quota.

    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use crate::storage::{Entry, Error};

    thread_local! {
        static MAP: RefCell<BTreeMap<String, Entry>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(crate) fn get(key: &str) -> Option<Entry> {
        MAP.with(|map| map.borrow().get(key).cloned())
    }

    pub(crate) fn set(key: &str, value: &[u8], expect: Option<u64>) -> Result<(), Error> {
        if !is_key(key) {
            return Err(Error::InvalidKey);
        }
        MAP.with(|map| {
            let mut map = map.borrow_mut();
            let version = map.get(key).map_or(0, |entry| entry.version);
            if expect.is_some_and(|expected| expected != version) {
                return Err(Error::Conflict);
            }
            map.insert(
                key.to_owned(),
                Entry {
                    value: value.to_vec(),
                    version: version + 1,
                },
            );
            Ok(())
        })
    }

    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        if !is_key(key) {
            return Err(Error::InvalidKey);
        }
        MAP.with(|map| map.borrow_mut().remove(key));
        Ok(())
    }

    pub(crate) fn list_keys(prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        MAP.with(|map| {
            let map = map.borrow();
            let matching = map.keys().filter(|key| key.starts_with(prefix));
            let later = matching.filter(|key| after.is_none_or(|after| key.as_str() > after));
            later.take(limit.min(1_000) as usize).cloned().collect()
        })
    }

    pub(super) fn is_key(key: &str) -> bool {
        (1..=256).contains(&key.len()) && !key.chars().any(char::is_control)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_version_counts_the_writes() {
            assert_eq!(set("a", b"1", Some(0)), Ok(()));
            assert_eq!(set("a", b"2", Some(0)), Err(Error::Conflict));
            assert_eq!(set("a", b"2", Some(1)), Ok(()));
            assert_eq!(get("a").map(|entry| entry.version), Some(2));
            assert_eq!(set("", b"", None), Err(Error::InvalidKey));
            assert_eq!(set("ab", b"", None), Ok(()));
            assert_eq!(list_keys("a", Some("a"), 10), ["ab"]);
            assert_eq!(delete("a"), Ok(()));
            assert_eq!(get("a"), None);
        }
    }
}
