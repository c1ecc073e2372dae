//! JSON of which no two programs read different things: an object with the same key twice is refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The longest body that is parsed before it is verified. SNS sends 256 KiB at most; form senders nothing like it.
pub(super) const MAX_PARSED_BYTES: usize = 1 << 20;

/// The value of a text of at most [`MAX_PARSED_BYTES`]; nothing if it is not JSON or has a key twice.
pub(super) fn read(text: &[u8]) -> Option<Value> {
    if text.len() > MAX_PARSED_BYTES {
        return None;
    }
    serde_json::from_slice(text).ok().map(|Strict(value)| value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((key, Strict(value))) = object.next_entry::<String, Strict>()? {
            if values.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_serde_reads() {
        for text in [
            "null",
            "[1,-2,3.5,true,\"ä\\n\"]",
            "{\"a\":{\"b\":[]},\"c\":18446744073709551615}",
        ] {
            assert_eq!(read(text.as_bytes()), serde_json::from_str(text).ok(), "{text}");
        }
        for text in ["", "{", "{\"a\":1,\"a\":1}", "[{\"a\":{\"b\":1,\"b\":2}}]", "1 2"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            read(&[b"\"".to_vec(), vec![b'a'; MAX_PARSED_BYTES], b"\"".to_vec()].concat()),
            None
        );
        assert_eq!(read("[".repeat(10_000).as_bytes()), None, "deep");
    }
}
