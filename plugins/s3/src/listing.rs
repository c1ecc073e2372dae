//! A page of the list, from its XML (S3 API, "ListObjectsV2").
//!
//! What must always hold: a document that is not a list, or does not end, is an error and never an empty list: an empty
//! list means that every object is gone. Entities of a document type are not known and therefore an error.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sluice_sdk::Error;

/// The longest id of a record, in bytes (contract, `sync.item`). Keys can be twice as long.
const MAX_ID_BYTES: usize = 512;

/// A page of the list.
#[derive(Debug, PartialEq)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<Object>,
    /// Where the next page begins; none at the end of the list.
    pub(crate) next: Option<String>,
}

/// An object as the stream gives it.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Object {
    /// Empty where the vendor sent none: the host sets the record aside.
    pub(crate) key: String,
    pub(crate) size: Option<u64>,
    /// Without its quotes.
    pub(crate) etag: Option<String>,
    /// RFC 3339.
    pub(crate) last_modified: Option<String>,
    pub(crate) storage_class: Option<String>,
}

impl Object {
    /// The key; the digest of one that is too long to be an id.
    pub(crate) fn id(&self) -> String {
        if self.key.len() <= MAX_ID_BYTES {
            return self.key.clone();
        }
        format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(&self.key)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    /// Every list has it, and nothing else that S3 answers.
    is_truncated: String,
    #[serde(default)]
    next_continuation_token: Option<String>,
    #[serde(default)]
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    last_modified: Option<String>,
    #[serde(default, rename = "ETag")]
    etag: Option<String>,
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    storage_class: Option<String>,
}

/// Reads a page of the list.
///
/// # Errors
/// `invalid-data`: it is not one.
pub(crate) fn parse(xml: &str) -> Result<Listing, Error> {
    let document: Document = quick_xml::de::from_str(xml)
        .map_err(|error| Error::invalid_data(format!("the page is not a list of objects: {error}")))?;
    let encoded = match document.encoding_type.as_deref() {
        None => false,
        Some("url") => true,
        Some(_) => return Err(Error::invalid_data("the page's keys are in an unknown encoding")),
    };
    let next = match (document.is_truncated.as_str(), document.next_continuation_token) {
        ("false", _) => None,
        ("true", Some(token)) if !token.is_empty() => Some(token),
        ("true", _) => {
            return Err(Error::invalid_data(
                "the page says that more follows, but not where",
            ));
        }
        _ => return Err(Error::invalid_data("the page does not say whether more follows")),
    };
    let objects = document
        .contents
        .into_iter()
        .map(|contents| object(contents, encoded))
        .collect::<Result<_, _>>()?;
    Ok(Listing { objects, next })
}

fn object(contents: Contents, encoded: bool) -> Result<Object, Error> {
    let key = contents.key.unwrap_or_default();
    let key = if encoded {
        decode(&key)
            .ok_or_else(|| Error::invalid_data("the page has a key that is not encoded as it says"))?
    } else {
        key
    };
    let etag = contents.etag.map(|etag| etag.trim_matches('"').to_owned());
    Ok(Object {
        key,
        size: contents.size.and_then(|size| size.parse().ok()),
        etag,
        last_modified: contents.last_modified,
        storage_class: contents.storage_class,
    })
}

/// Undoes the encoding of `encoding-type=url`: that of forms, where a space is a `+`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let listing = parse(include_str!("../fixtures/list-page.xml")).unwrap();
        assert_eq!(listing.next.as_deref(), Some("page/2+token="));
        assert_eq!(
            listing.objects[0],
            Object {
                key: "reports/2024 Q1 & more/ä.csv".to_owned(),
                size: Some(1_234),
                etag: Some("9b2cf535f27731c974343645a3985328".to_owned()),
                last_modified: Some("2024-05-01T10:00:00.000Z".to_owned()),
                storage_class: Some("STANDARD".to_owned()),
            }
        );
        assert_eq!(listing.objects[1].key, "reports/a\u{1}+.csv");
        assert_eq!(listing.objects.len(), 2);
        let empty = parse(include_str!("../fixtures/list-empty.xml")).unwrap();
        assert_eq!((empty.objects.len(), empty.next), (0, None));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let bad = [
            "",
            "{}",
            "<html><body>no</body></html>",
            "<Error><Code>InternalError</Code></Error>",
            "<ListBucketResult/>",
            "<ListBucketResult><IsTruncated>false</IsTruncated>",
            "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>rot13</EncodingType></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>\
             <Contents><Key>%zz</Key></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>\
             <Contents><Key>%ff</Key></Contents></ListBucketResult>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><IsTruncated>false</IsTruncated>\
             <Contents><Key>&a;</Key></Contents></ListBucketResult>",
        ];
        for xml in bad {
            assert!(matches!(parse(xml), Err(Error::InvalidData(_))), "{xml}");
        }
        let deep = format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{}",
            "<a>".repeat(100_000)
        );
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn a_record_that_is_odd_does_not_fail_the_page() {
        let xml = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents/>\
                   <Contents><Key>a</Key><Size>-1</Size><Owner><ID>7</ID></Owner></Contents></ListBucketResult>";
        let listing = parse(xml).unwrap();
        assert_eq!(listing.objects[0].id(), "");
        assert_eq!(
            (listing.objects[1].key.as_str(), listing.objects[1].size),
            ("a", None)
        );
    }

    #[test]
    fn a_key_that_is_too_long_for_an_id_has_one_of_its_own() {
        let object = |key: String| Object {
            key,
            size: None,
            etag: None,
            last_modified: None,
            storage_class: None,
        };
        assert_eq!(object("k".repeat(512)).id(), "k".repeat(512));
        let (one, two) = (object("k".repeat(513)).id(), object("k".repeat(514)).id());
        assert!(one.len() == 71 && one != two, "{one} {two}");
    }

    #[test]
    fn forms_are_decoded() {
        for (text, expected) in [
            ("a+b%20c%2Bd", Some("a b c+d")),
            ("%C3%A4", Some("ä")),
            ("%", None),
            ("%4", None),
            ("%+1", None),
            ("%C3", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
