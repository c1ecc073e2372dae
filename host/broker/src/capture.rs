//! Captures: values of a JSON answer that the host keeps. The body that goes on has placeholders in their places.

use bytes::Bytes;
use serde_json::Value;
use sluice_model::secret::Secret;

use crate::request::{Capture, CaptureInto};

/// Captures of one request.
pub(crate) const MAX_CAPTURES: usize = 16;

/// The body is not JSON, so nobody can tell where in it the secret stands.
#[derive(Debug)]
pub(crate) struct NotJson;

/// Takes what the captures point at out of `body`.
pub(crate) fn take(
    body: Bytes,
    captures: &[Capture],
) -> Result<(Bytes, Vec<(CaptureInto, Secret)>), NotJson> {
    let mut value = serde_json::from_slice::<Value>(&body).map_err(|_| NotJson)?;
    let mut captured = Vec::new();
    for capture in captures {
        let Some(found) = value.pointer_mut(&capture.pointer) else {
            continue;
        };
        let text = match &mut *found {
            Value::Null => continue,
            Value::String(text) => std::mem::take(text),
            other => other.to_string(),
        };
        captured.push((capture.into.clone(), Secret::new(text.into_bytes())));
        *found = Value::String(format!("[captured:{}]", capture.into.name()));
    }
    if captured.is_empty() {
        return Ok((body, captured));
    }
    let rewritten = serde_json::to_vec(&value).map_err(|_| NotJson)?;
    Ok((rewritten.into(), captured))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, pointers: &[&str], rest: &str, values: &[&str]) {
        let captures: Vec<_> = pointers
            .iter()
            .map(|pointer| Capture {
                pointer: (*pointer).into(),
                into: CaptureInto::Secret("t".into()),
            })
            .collect();
        let (left, captured) = take(Bytes::copy_from_slice(body.as_bytes()), &captures).unwrap();
        assert_eq!(left, rest);
        let found: Vec<_> = captured.iter().map(|(_, secret)| secret.expose()).collect();
        assert_eq!(
            found,
            values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn takes_what_is_there() {
        check(
            r#"{"a":{"b":"x"}}"#,
            &["/a/b", "/c"],
            r#"{"a":{"b":"[captured:t]"}}"#,
            &["x"],
        );
        check(
            r#"{"a":[1,12345678901234567890]}"#,
            &["/a/1"],
            r#"{"a":[1,"[captured:t]"]}"#,
            &["12345678901234567890"],
        );
        check(r#"{"a":null}"#, &["/a"], r#"{"a":null}"#, &[]);
        for text in ["<html>", "", "a=b", &"[".repeat(100_000)] {
            assert!(take(Bytes::copy_from_slice(text.as_bytes()), &[]).is_err());
        }
    }
}
