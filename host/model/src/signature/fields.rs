//! The fields of a query or of a form's body (WHATWG URL §5.1, RFC 7578), as the signing vendors read them.
//!
//! What must always hold: reading is linear and bounded; what cannot be read as text is no field rather than another one.

/// Most fields that are looked at.
const MAX_FIELDS: usize = 1000;
/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;

/// Names and values in their order.
pub(super) type Fields = Vec<(String, String)>;

/// The pairs of a query or of an `application/x-www-form-urlencoded` body; nothing if there are too many or one is not
/// text.
pub(super) fn pairs(text: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if fields.len() >= MAX_FIELDS {
            return None;
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default())?;
        fields.push((name, decoded(halves.next().unwrap_or_default())?));
    }
    Some(fields)
}

/// The fields of a body whose content type says that it is a form; nothing if it does not, or the form is broken.
pub(super) fn form(content_type: &str, body: &[u8]) -> Option<Fields> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => pairs(body),
        "multipart/form-data" => multipart(parameter(parameters, "boundary")?, body),
        _ => None,
    }
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high << 4 | low);
                        rest = ahead;
                    }
                    // A stray `%` stands for itself, as browsers and vendors read it.
                    _ => bytes.push(b'%'),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A parameter of a header's value, quoted or not.
fn parameter<'h>(parameters: &'h str, name: &str) -> Option<&'h str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

fn multipart(boundary: &str, body: &[u8]) -> Option<Fields> {
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY_BYTES {
        return None;
    }
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let mut rest = body.strip_prefix(delimiter.get(2..)?)?;
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, &delimiter)?;
        let (part, tail) = rest.split_at_checked(end)?;
        rest = tail.get(delimiter.len()..)?;
        if fields.len() >= MAX_FIELDS {
            return None;
        }
        let head = find(part, b"\r\n\r\n")?;
        let (head, value) = part.split_at_checked(head)?;
        let head = std::str::from_utf8(head).ok()?;
        let name = head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let disposition = key.eq_ignore_ascii_case("content-disposition");
            disposition.then(|| parameter(value, "name")).flatten()
        })?;
        // A file is not a text, but its name must not stand for one either: it counts as a field without a value.
        let text = std::str::from_utf8(value.get(4..)?).unwrap_or_default();
        fields.push((name.to_owned(), text.to_owned()));
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_are_read() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(n, v)| field(n, v)).collect();
            assert_eq!(pairs(text.as_bytes()), Some(expected), "{text}");
        };
        check("", &[]);
        check("a=1&b=%2B2+3", &[("a", "1"), ("b", "+2 3")]);
        check("a&=b&&c==", &[("a", ""), ("", "b"), ("c", "=")]);
        check("a=%zz%4", &[("a", "%zz%4")]);
        assert_eq!(pairs(b"a=%ff"), None, "not text");
        assert_eq!(pairs("a&".repeat(1001).as_bytes()), None, "too many");
    }

    #[test]
    fn multipart_is_read() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n--b\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\n\r\nx\r\n\r\n--b--\r\n";
        let read = form("multipart/form-data; boundary=\"b\"", body.as_bytes());
        assert_eq!(read, Some(vec![field("token", "abc"), field("f", "\r\nx\r\n")]));
        for (kind, body) in [
            ("multipart/form-data", body),
            ("multipart/form-data; boundary=", body),
            ("multipart/form-data; boundary=c", body),
            ("text/plain", body),
            ("multipart/form-data; boundary=b", "--b\r\n\r\n"),
            ("multipart/form-data; boundary=b", "--b\r\nx: y\r\n\r\n\r\n--b--"),
        ] {
            assert_eq!(form(kind, body.as_bytes()), None, "{kind} {body}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..100), text in "[-\r\nb:; =\"namecontdispsi]{0,100}") {
            let _ = pairs(&body);
            let _ = form("multipart/form-data; boundary=b", &[b"--b\r\n", text.as_bytes()].concat());
        }
    }
}
