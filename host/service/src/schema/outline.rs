//! The part of a JSON Schema that one walk over the text decides, without building the value.
//!
//! Nearly every record is well-formed and keeps its schema, and nearly every stream's schema says no more than which
//! members there are and of which type. For those a yes is found here, at a fraction of the cost. A yes is final; anything
//! else (a violation, a keyword or a notation that is not known here) is no answer, and the whole validator is asked.

use serde_json::Value;

/// Nested deeper than this is left to the parser, which has its own limit above it.
const DEPTH: usize = 100;

/// Whole numbers of up to this many digits are certain to be read without loss.
const DIGITS: usize = 18;

/// What of a schema is decided here; of which each value's type is one bit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    types: u8,
    members: Vec<Member>,
    /// One bit for each member that must be there.
    required: u64,
    /// Whether other members may be there.
    closed: bool,
    items: Option<Box<Outline>>,
    /// The values that it may have, as they are written most plainly; any without.
    choices: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Member {
    name: String,
    value: Outline,
}

const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const OBJECT: u8 = 4;
const ARRAY: u8 = 8;
const NUMBER: u8 = 16;
const INTEGER: u8 = 32;
const STRING: u8 = 64;
const ANY: u8 = 127;

/// A value of which nothing is asked.
static ANYTHING: Outline = Outline {
    types: ANY,
    members: Vec::new(),
    required: 0,
    closed: false,
    items: None,
    choices: Vec::new(),
};

impl Outline {
    /// The outline of a schema (JSON Schema 2020-12), if there is nothing more to it.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let mut outline = Self {
            types: ANY,
            ..Self::default()
        };
        let keywords = match schema {
            Value::Bool(true) => return Some(outline),
            Value::Object(keywords) => keywords,
            _ => return None,
        };
        if let Some(properties) = keywords.get("properties") {
            for (name, schema) in properties.as_object()? {
                outline.members.push(Member {
                    name: name.clone(),
                    value: Self::of(schema)?,
                });
            }
        }
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "properties" => {}
                "type" => outline.types = types(value)?,
                "required" => outline.require(value)?,
                "additionalProperties" => outline.closed = !value.as_bool()?,
                "items" => outline.items = Some(Box::new(Self::of(value)?)),
                "enum" => {
                    let choices = value.as_array()?.iter().map(ToString::to_string);
                    outline.choices = choices.collect();
                    if outline.choices.is_empty() {
                        return None;
                    }
                }
                // They say something to people; so does a format in this version of JSON Schema.
                "title" | "description" | "default" | "examples" | "deprecated" | "readOnly"
                | "writeOnly" | "$comment" | "format" => {}
                _ => return None,
            }
        }
        Some(outline)
    }

    fn require(&mut self, names: &Value) -> Option<()> {
        for name in names.as_array()? {
            let name = name.as_str()?;
            let known = self.members.iter().position(|member| member.name == name);
            let at = match known {
                Some(at) => at,
                // What is not described must only be there, if it may.
                None if self.closed => return None,
                None => {
                    self.members.push(Member {
                        name: name.to_owned(),
                        value: Self {
                            types: ANY,
                            ..Self::default()
                        },
                    });
                    self.members.len() - 1
                }
            };
            self.required |= 1_u64.checked_shl(u32::try_from(at).ok()?)?;
        }
        Some(())
    }

    /// Whether `text` is certain to be JSON (RFC 8259) that keeps the schema.
    pub(super) fn accepts(&self, text: &str) -> bool {
        let mut walk = Walk {
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
        };
        walk.value(self).is_some() && walk.peek().is_none()
    }

    fn member(&self, name: &[u8]) -> Option<(usize, &Member)> {
        let mut members = self.members.iter().enumerate();
        members.find(|(_, member)| member.name.as_bytes() == name)
    }
}

fn types(names: &Value) -> Option<u8> {
    let one = |name: &Value| {
        Some(match name.as_str()? {
            "null" => NULL,
            "boolean" => BOOLEAN,
            "object" => OBJECT,
            "array" => ARRAY,
            "number" => NUMBER | INTEGER,
            "integer" => INTEGER,
            "string" => STRING,
            _ => return None,
        })
    };
    match names {
        Value::Array(names) => names.iter().try_fold(0, |all, name| Some(all | one(name)?)),
        name => one(name),
    }
}

/// A walk over a text. `None` from any step: not certain.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Walk<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, outline: &Outline) -> Option<()> {
        let first = self.peek()?;
        let start = self.at;
        let found = match first {
            b'{' => {
                self.object(outline)?;
                OBJECT
            }
            b'[' => {
                self.array(outline.items.as_deref().unwrap_or(&ANYTHING))?;
                ARRAY
            }
            b'"' => {
                self.string()?;
                STRING
            }
            b'n' => self.word(b"null", NULL)?,
            b't' => self.word(b"true", BOOLEAN)?,
            b'f' => self.word(b"false", BOOLEAN)?,
            _ => self.number()?,
        };
        let chosen = outline.choices.is_empty() || {
            let text = self.bytes.get(start..self.at)?;
            outline.choices.iter().any(|choice| choice.as_bytes() == text)
        };
        (outline.types & found != 0 && chosen).then_some(())
    }

    fn word(&mut self, word: &[u8], found: u8) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        rest.starts_with(word).then(|| {
            self.at += word.len();
            found
        })
    }

    fn object(&mut self, outline: &Outline) -> Option<()> {
        self.enter()?;
        let mut missing = outline.required;
        if self.peek()? != b'}' {
            loop {
                self.peek()?;
                let (name, plain) = self.string()?;
                self.expect(b':')?;
                let asks = !outline.members.is_empty() || outline.closed;
                let value = match outline.member(name) {
                    // A name may be written with escapes; whose it is then is not looked at here.
                    _ if asks && !plain => return None,
                    Some((at, member)) => {
                        missing &=
                            !(u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at))).unwrap_or(0);
                        &member.value
                    }
                    None if outline.closed => return None,
                    None => &ANYTHING,
                };
                self.value(value)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    _ => break,
                }
            }
        }
        self.expect(b'}')?;
        self.depth -= 1;
        (missing == 0).then_some(())
    }

    fn array(&mut self, items: &Outline) -> Option<()> {
        self.enter()?;
        if self.peek()? != b']' {
            loop {
                self.value(items)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    _ => break,
                }
            }
        }
        self.expect(b']')?;
        self.depth -= 1;
        Some(())
    }

    fn enter(&mut self) -> Option<()> {
        self.at += 1;
        self.depth += 1;
        (self.depth <= DEPTH).then_some(())
    }

    /// What stands between the quotes, and whether it has no escapes.
    fn string(&mut self) -> Option<(&'a [u8], bool)> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            self.at += special(self.bytes.get(self.at..)?)?;
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    plain = false;
                    self.escape()?;
                }
                // A control character.
                _ => return None,
            }
        }
        let text = self.bytes.get(start..self.at)?;
        self.at += 1;
        Some((text, plain))
    }

    fn escape(&mut self) -> Option<()> {
        match self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                let hex = digits.iter().all(u8::is_ascii_hexdigit);
                // D800 to DFFF come in pairs, or are wrong.
                let surrogate = matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                if !hex || surrogate {
                    return None;
                }
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Without exponents, and without anything that a double could not hold.
    fn number(&mut self) -> Option<u8> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let first = *self.bytes.get(self.at)?;
        let digits = self.digits()?;
        if digits > DIGITS || (first == b'0' && digits > 1) {
            return None;
        }
        let found = match self.bytes.get(self.at) {
            Some(b'.') => {
                self.at += 1;
                if self.digits()? > DIGITS {
                    return None;
                }
                NUMBER
            }
            // A double, although it has no fraction.
            _ if negative && first == b'0' => return None,
            _ => INTEGER,
        };
        (!matches!(self.bytes.get(self.at), Some(b'e' | b'E'))).then_some(found)
    }

    fn digits(&mut self) -> Option<usize> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(digits)
    }
}

/// Where the first quote, backslash or control character is; eight bytes at a time.
fn special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Each term has the high bit of a byte that is less than another one (or equal to it, xor-ed away); a borrow
        // can only spoil the bytes above the first hit.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let hits = below(word, 0x20) | equal(b'"') | equal(b'\\');
        if hits != 0 {
            return Some(at * 8 + (hits.trailing_zeros() / 8) as usize);
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    Some(words.len() * 8 + rest.iter().position(special)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "title": "An issue",
            "required": ["id", "state"],
            "properties": {
                "id": {"type": "integer"},
                "title": {"type": ["string", "null"]},
                "score": {"type": "number"},
                "labels": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
                "user": {"type": ["object", "null"], "properties": {"admin": {"type": "boolean"}}},
                "kind": {"enum": ["a\"b", 1, null]},
                "at": {"type": "string", "format": "date-time"},
            }
        })
    }

    fn check(text: &str, expected: bool) {
        let outline = Outline::of(&schema()).unwrap();
        assert_eq!(outline.accepts(text), expected, "{text}");
    }

    #[test]
    fn what_is_certain() {
        check(r#"{"id":1,"state":"open"}"#, true);
        check(
            " { \"id\" : -12 , \"state\" : null , \"other\" : [ 1.5 , { } , [ ] , \"\\u00e9\\n\" ] } ",
            true,
        );
        check(
            r#"{"state":0,"id":1,"title":null,"score":2,"labels":[{"name":"bug"},{"x":1,"name":""}],"user":{"admin":true}}"#,
            true,
        );
        check(r#"{"id":1,"state":1,"user":null,"score":2.25}"#, true);
        check(
            r#"{"id":1,"state":1,"kind":"a\"b","at":"no time, which is not asked for"}"#,
            true,
        );
    }

    #[test]
    fn what_is_left_to_the_validator() {
        for text in [
            "",
            "[]",
            r#"{"id":1}"#,
            r#"{"id":1.0,"state":1}"#,
            r#"{"id":"1","state":1}"#,
            r#"{"id":1,"state":1,"labels":[{"name":1}]}"#,
            r#"{"id":1,"state":1,"labels":[{}]}"#,
            r#"{"id":1,"state":1,"user":{"admin":0}}"#,
            r#"{"id":1,"state":1} x"#,
            r#"{"id":1,"state":1,}"#,
            r#"{"id":1 "state":1}"#,
            r#"{"id":01,"state":1}"#,
            r#"{"id":1,"state":-0}"#,
            r#"{"id":1,"state":1e400}"#,
            r#"{"id":1,"state":1.}"#,
            r#"{"id":1,"state":"\ud800"}"#,
            r#"{"id":1,"state":"\x"}"#,
            "{\"id\":1,\"state\":\"\n\"}",
            r#"{"id":1,"state":"open}"#,
            r#"{"i\u0064":1,"state":1}"#,
            r#"{"id":1,"state":1,"kind":1.0}"#,
            r#"{"id":1,"state":1,"kind":"b"}"#,
            r#"{"id":1,"state":tru}"#,
            r#"{"id":1,"state":12345678901234567890}"#,
        ] {
            check(text, false);
        }
        let deep = format!(
            r#"{{"id":1,"state":{}{}}}"#,
            "[".repeat(DEPTH + 1),
            "]".repeat(DEPTH + 1)
        );
        check(&deep, false);
    }

    #[test]
    fn a_schema_that_says_more_has_no_outline() {
        for schema in [
            json!(false),
            json!({"minimum": 1}),
            json!({"properties": {"a": {"pattern": "a"}}}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "date"}),
            json!({"items": [{}]}),
            json!({"type": "any"}),
            json!({"additionalProperties": {"type": "string"}}),
            json!({"$ref": "#/x"}),
        ] {
            assert_eq!(Outline::of(&schema), None, "{schema}");
        }
        let closed = Outline::of(&json!({"additionalProperties": false, "properties": {"a": true}})).unwrap();
        assert!(closed.accepts(r#"{"a":[]}"#));
        assert!(!closed.accepts(r#"{"b":[]}"#));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1000..1000_i32).prop_map(|n| Value::from(f64::from(n) / 4.0)),
            "[\\PC\"\\\\\n\u{1}]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "id", "state", "title", "labels", "name", "user", "admin", "score", "kind", "at"
            ])
            .prop_map(str::to_owned),
            "[a-c\"]{0,3}",
        ]
    }

    fn record() -> impl Strategy<Value = String> {
        (any::<u16>(), value(), value()).prop_map(|(id, state, more)| {
            let mut record = json!({"id": id, "state": state});
            if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
                record.extend(more);
            }
            record.to_string()
        })
    }

    proptest! {
        #[test]
        fn a_yes_is_what_the_validator_says(text in record(), cut in any::<prop::sample::Index>(), put: Option<char>) {
            let schema = schema();
            let outline = Outline::of(&schema).unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let valid = |text: &str| serde_json::from_str(text).is_ok_and(|value| validator.is_valid(&value));
            if outline.accepts(&text) {
                prop_assert!(valid(&text), "{}", text);
            }
            let letters: Vec<char> = text.chars().collect();
            let at = cut.index(letters.len());
            let broken: String = letters[..at].iter().copied().chain(put).chain(letters[at + 1..].iter().copied()).collect();
            if outline.accepts(&broken) {
                prop_assert!(valid(&broken), "{}", broken);
            }
        }

        #[test]
        fn ordinary_records_need_no_validator(id: u32, title in "\\PC{0,30}", score in -10_000..10_000_i32) {
            let record = json!({"id": id, "state": {"a": [&title]}, "title": &title, "score": f64::from(score) / 8.0 });
            prop_assert!(Outline::of(&schema()).unwrap().accepts(&record.to_string()));
        }

        #[test]
        fn any_text_is_walked_without_a_panic(text: String) {
            let _ = Outline::of(&schema()).unwrap().accepts(&text);
        }

        #[test]
        fn the_first_special_byte_is_found(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), 0..=255_u8, Just(b'a')], 0..40)) {
            let plain = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(special(&bytes), plain);
        }
    }
}
