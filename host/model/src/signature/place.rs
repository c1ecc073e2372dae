//! Where a value stands in a request, and the request with its parts read on demand.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::fields::{self, Fields};
use super::{Request, json};

/// Longest value that is looked at.
const MAX_VALUE_BYTES: usize = 8 * 1024;
/// The most items that a pointer with `*` finds.
const MAX_ITEMS: usize = 1000;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A header, by its name in lower case.
    Header(String),
    /// A parameter of the URL's query.
    Query(String),
    /// A field of a form's body, URL-encoded or multipart.
    Form(String),
    /// What a JSON pointer (RFC 6901) finds in the body. A segment `*` means each item of an array.
    Pointer(String),
    /// The text of the only XML element of this local name in the body.
    Element(String),
    /// The whole body, which is one text.
    Body,
}

impl Place {
    /// The values at this place of a request: one, or those of each item where a pointer has `*`. Nothing if one is missing or
    /// is there twice.
    #[must_use]
    pub fn values(&self, request: &Request<'_>) -> Option<Vec<String>> {
        let view = View::new(request);
        let found = view.all(self)?;
        Some(found.into_iter().map(Cow::into_owned).collect())
    }

    /// Whether the value is part of the body.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        !matches!(self, Self::Header(_) | Self::Query(_))
    }
}

/// A request whose query, form and JSON are read once, when first asked for.
pub(super) struct View<'r> {
    pub(super) request: Request<'r>,
    query: OnceCell<Option<Fields>>,
    form: OnceCell<Option<Fields>>,
    json: OnceCell<Option<Value>>,
}

impl<'r> View<'r> {
    pub(super) fn new(request: &Request<'r>) -> Self {
        Self {
            request: *request,
            query: OnceCell::new(),
            form: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    /// The one value at a place. One that is there twice is as good as none, since others may read the other one.
    pub(super) fn only(&self, place: &Place) -> Option<Cow<'_, str>> {
        let value = match place {
            Place::Header(name) => only(self.request.headers, name).map(Cow::Borrowed),
            Place::Query(name) => single(self.query()?, name).map(Cow::Borrowed),
            Place::Form(name) => single(self.form()?, name).map(Cow::Borrowed),
            Place::Pointer(pointer) => scalar(self.json()?.pointer(pointer)?),
            Place::Element(name) => element(self.request.body, name).map(Cow::Borrowed),
            Place::Body => std::str::from_utf8(self.request.body).ok().map(Cow::Borrowed),
        }?;
        let limit = match place {
            Place::Body | Place::Form(_) | Place::Pointer(_) => json::MAX_PARSED_BYTES,
            _ => MAX_VALUE_BYTES,
        };
        (value.len() <= limit).then_some(value)
    }

    /// Whether a header is there more than once.
    pub(super) fn is_doubled(&self, place: &Place) -> bool {
        match place {
            Place::Header(name) => {
                self.request
                    .headers
                    .iter()
                    .filter(|(other, _)| other == name)
                    .count()
                    > 1
            }
            _ => false,
        }
    }

    /// All values at a place: one, or those of each item where a pointer has `*`. Nothing if one of them is missing.
    pub(super) fn all(&self, place: &Place) -> Option<Vec<Cow<'_, str>>> {
        match place {
            Place::Pointer(pointer) if pointer.split('/').any(|segment| segment == "*") => {
                let mut steps = pointer.split("/*");
                let mut found = vec![self.json()?.pointer(steps.next()?)?];
                for step in steps {
                    let items = each(&found)?;
                    found = items
                        .into_iter()
                        .map(|item| item.pointer(step))
                        .collect::<Option<_>>()?;
                }
                found.into_iter().map(scalar).collect()
            }
            _ => Some(vec![self.only(place)?]),
        }
    }

    pub(super) fn query(&self) -> Option<&Fields> {
        let read = || fields::pairs(self.request.query().as_bytes());
        self.query.get_or_init(read).as_ref()
    }

    /// The body's fields, if it says that it is a form.
    pub(super) fn form(&self) -> Option<&Fields> {
        let read = || fields::form(only(self.request.headers, "content-type")?, self.request.body);
        self.form.get_or_init(read).as_ref()
    }

    pub(super) fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| json::read(self.request.body)).as_ref()
    }
}

/// The one value of a header; a header that is there twice is as good as none, since others may read the other one.
pub(super) fn only<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    single_of(headers, name).filter(|value| value.len() <= MAX_VALUE_BYTES)
}

fn single<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    single_of(fields, name)
}

fn single_of<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    let mut values = fields.iter().filter(|(other, _)| other == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value.as_str())
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        _ => None,
    }
}

/// The items of arrays that are not empty.
fn each<'v>(arrays: &[&'v Value]) -> Option<Vec<&'v Value>> {
    let mut items = Vec::new();
    for array in arrays {
        let array = array.as_array().filter(|array| !array.is_empty())?;
        if items.len() + array.len() > MAX_ITEMS {
            return None;
        }
        items.extend(array);
    }
    Some(items)
}

/// The text of the only element of this local name. Documents with declarations, comments or CDATA, in which a reader
/// could find another one, are refused.
fn element<'b>(body: &'b [u8], name: &str) -> Option<&'b str> {
    let text = std::str::from_utf8(body).ok()?;
    if text.len() > json::MAX_PARSED_BYTES || text.contains("<!") {
        return None;
    }
    let mut found = None;
    for (at, _) in text.match_indices('<') {
        let tail = text.get(at + 1..)?;
        let end = tail.find(['>', ' ', '/', '\t', '\r', '\n'])?;
        let tag = tail.get(..end)?;
        if tag.rsplit(':').next() != Some(name) {
            continue;
        }
        let inside = tail.get(tail.find('>')? + 1..)?;
        let value = inside.get(..inside.find('<')?)?;
        if found.replace(value.trim()).is_some() {
            return None;
        }
    }
    found.filter(|value| !value.is_empty() && !value.contains('&'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &Place, headers: &[(String, String)], body: &str) -> Option<Vec<String>> {
        let request = Request {
            method: "POST",
            url: "https://h.test/hooks/1?a=1&b=2&b=3&c=x%20y",
            headers,
            body: body.as_bytes(),
        };
        let view = View::new(&request);
        let values = view.all(place)?;
        Some(values.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn values_are_found_once_or_not_at_all() {
        let text = |text: &str| text.to_owned();
        let check = |place: Place, body: &str, expected: &[&str]| {
            let headers = [
                (
                    text("content-type"),
                    text("application/x-www-form-urlencoded; charset=utf-8"),
                ),
                (text("x"), text("1")),
                (text("y"), text("1")),
                (text("y"), text("1")),
            ];
            let expected = (!expected.is_empty()).then(|| expected.iter().map(|v| text(v)).collect());
            assert_eq!(at(&place, &headers, body), expected, "{place:?} {body}");
        };
        check(Place::Header("x".into()), "", &["1"]);
        check(Place::Header("y".into()), "", &[]);
        check(Place::Header("z".into()), "", &[]);
        check(Place::Query("a".into()), "", &["1"]);
        check(Place::Query("b".into()), "", &[]);
        check(Place::Query("c".into()), "", &["x y"]);
        check(Place::Form("a".into()), "a=5", &["5"]);
        check(Place::Form("a".into()), "a=5&a=6", &[]);
        check(Place::Pointer("/a/b".into()), r#"{"a":{"b":7}}"#, &["7"]);
        check(Place::Pointer("/a".into()), r#"{"a":1,"a":2}"#, &[]);
        let items = Place::Pointer("/value/*/state".into());
        check(
            items.clone(),
            r#"{"value":[{"state":"s"},{"state":"t"}]}"#,
            &["s", "t"],
        );
        check(items.clone(), r#"{"value":[{"state":"s"},{}]}"#, &[]);
        check(items.clone(), r#"{"value":[]}"#, &[]);
        check(items, r#"{"value":{"0":{"state":"s"}}}"#, &[]);
        check(Place::Pointer("/*".into()), r#"["a","b"]"#, &["a", "b"]);
        check(Place::Pointer("/*/*".into()), r#"[["a"],["b"]]"#, &["a", "b"]);
        let element = Place::Element("OrganizationId".into());
        check(
            element.clone(),
            "<n><x:OrganizationId>0 </x:OrganizationId></n>",
            &["0"],
        );
        check(
            element.clone(),
            "<OrganizationId>0</OrganizationId><OrganizationId>1</OrganizationId>",
            &[],
        );
        check(
            element.clone(),
            "<!-- <OrganizationId>0</OrganizationId> -->",
            &[],
        );
        check(element.clone(), "<OrganizationIds>0</OrganizationIds>", &[]);
        check(element, "<OrganizationId", &[]);
    }
}
