//! Lists that come in pages: tokens that have to lead on, small lists read whole, and what a page of a stream ends with.
//!
//! A vendor that gives the same token again, or one without an end, must not keep a run going for ever: every walk here is
//! bounded, and what leads nowhere is an error.

use serde::Serialize;

use crate::{Change, Error, Page, ReadRequest, record};

/// The longest token that is carried on, in bytes: a cursor has 64 KiB, and more than one token may be in it.
pub const MAX_TOKEN_BYTES: usize = 4_096;

/// The token of the next page, if there is one and it leads on; `before` is the one that led here.
///
/// ```
/// use sluice_sdk::paging;
/// assert_eq!(paging::token("", None)?, None);
/// assert_eq!(paging::token("b", Some("a"))?.as_deref(), Some("b"));
/// assert!(paging::token("a", Some("a")).is_err());
/// # Ok::<(), sluice_sdk::Error>(())
/// ```
///
/// # Errors
/// `invalid-data` for the same token again, and for one of more than [`MAX_TOKEN_BYTES`].
pub fn token(text: &str, before: Option<&str>) -> Result<Option<String>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_TOKEN_BYTES || Some(text) == before {
        return Err(Error::invalid_data(
            "the vendor's list leads nowhere: its token is the same again, or too long",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// Reads a list whole, for lists that are small by nature (bases, fields, channels): `page` is called with each token, none
/// at first, and gives the entries and the vendor's next token, empty at the end.
///
/// # Errors
/// `page`'s own; `invalid-data` for a token that leads nowhere, and where the list does not end after `most_pages` pages.
pub fn all<T>(
    most_pages: usize,
    mut page: impl FnMut(Option<&str>) -> Result<(Vec<T>, String), Error>,
) -> Result<Vec<T>, Error> {
    let mut entries = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..most_pages {
        let (more, text) = page(next.as_deref())?;
        entries.extend(more);
        match token(&text, next.as_deref())? {
            Some(text) => next = Some(text),
            None => return Ok(entries),
        }
    }
    Err(Error::invalid_data(format!(
        "the vendor's list does not end after {most_pages} pages"
    )))
}

/// How many records to ask for: what the host would like, at most what the vendor gives.
///
/// ```
/// let request = sluice_sdk::testing::read_request("any", None);
/// assert_eq!((request.page_hint, sluice_sdk::paging::size(&request, 50)), (100, 50));
/// ```
#[must_use]
pub fn size(request: &ReadRequest, most: u32) -> u32 {
    request.page_hint.clamp(1, most.max(1))
}

impl Page {
    /// A page that ends with a cursor of the connector's own type.
    ///
    /// # Errors
    /// `internal` for a cursor that has no JSON form.
    pub fn at<C: Serialize>(changes: Vec<Change>, cursor: &C, more: bool) -> Result<Self, Error> {
        Ok(Self {
            changes,
            cursor: Some(record::text(cursor)?),
            more,
            total_hint: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_list_is_followed_to_its_end() {
        let read = all(9, |token| {
            Ok(match token {
                None => (vec![1, 2], "b".to_owned()),
                Some("b") => (vec![3], String::new()),
                Some(other) => panic!("{other}"),
            })
        });
        assert_eq!(read, Ok(vec![1, 2, 3]));
    }

    #[test]
    fn a_list_without_an_end_is_an_error() {
        let same = all(9, |_| Ok((vec![0], "a".to_owned())));
        assert!(matches!(same, Err(Error::InvalidData(_))));
        let mut at = 0;
        let endless = all(9, |_| {
            at += 1;
            Ok((vec![at], at.to_string()))
        });
        assert!(matches!(endless, Err(Error::InvalidData(_))));
        assert_eq!(at, 9);
        assert!(token(&"a".repeat(MAX_TOKEN_BYTES + 1), None).is_err());
    }

    #[test]
    fn the_hint_stays_within_bounds() {
        let mut request = crate::testing::read_request("any", None);
        request.page_hint = 0;
        assert_eq!(size(&request, 100), 1);
        request.page_hint = u32::MAX;
        assert_eq!(size(&request, 100), 100);
    }
}
