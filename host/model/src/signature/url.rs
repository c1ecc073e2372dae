//! The URL and the parameters as vendors write them before they sign.

use super::fields::Fields;
use super::place::View;

/// Characters that HubSpot has decoded when it signs (its page "Validating requests", version 3).
const HUBSPOT: [(&str, char); 12] = [
    ("%3A", ':'),
    ("%2F", '/'),
    ("%3F", '?'),
    ("%40", '@'),
    ("%21", '!'),
    ("%24", '$'),
    ("%27", '\''),
    ("%28", '('),
    ("%29", ')'),
    ("%2A", '*'),
    ("%2C", ','),
    ("%3B", ';'),
];

/// The URL without its query.
pub(super) fn base(url: &str) -> &str {
    url.split_once('?').map_or(url, |(base, _)| base)
}

/// `https://host` of a URL.
pub(super) fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(authority..).and_then(|rest| rest.find(['/', '?']));
    end.and_then(|end| url.get(..authority + end)).unwrap_or(url)
}

/// The path of a URL, at least `/`.
pub(super) fn path(url: &str) -> &str {
    let path = base(url).get(origin(url).len()..).unwrap_or_default();
    if path.is_empty() { "/" } else { path }
}

/// Whether every character may stand in a URL (RFC 3986 §2) other than the brackets of an IPv6 address, with which JSON
/// begins and ends.
pub(super) fn is_plain(url: &str) -> bool {
    !url.is_empty() && url.bytes().all(is_plain_byte)
}

pub(super) fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte)
}

/// The URL as HubSpot signs it.
pub(super) fn hubspot(url: &str) -> String {
    let mut decoded = url.to_owned();
    for (from, to) in HUBSPOT {
        decoded = decoded.replace(from, to.encode_utf8(&mut [0; 4]));
        decoded = decoded.replace(&from.to_ascii_lowercase(), to.encode_utf8(&mut [0; 4]));
    }
    decoded
}

/// Names and values one after another, sorted by name (Twilio); a pair that is there twice counts once.
pub(super) fn twilio(fields: &Fields) -> String {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort();
    sorted.dedup();
    concatenated(&sorted)
}

fn concatenated(sorted: &[&(String, String)]) -> String {
    sorted
        .iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()])
        .collect()
}

/// Plivo's version 3: the URL with its parameters sorted, and behind a dot those of the form.
pub(super) fn plivo(view: &View<'_>) -> Option<String> {
    let url = view.request.url;
    let mut query = view.query()?.clone();
    query.sort();
    let joined: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut signed = base(url).to_owned();
    let posted = match view.request.method {
        _ if view.request.body.is_empty() => String::new(),
        // Its body would not be signed.
        "GET" => return None,
        _ => {
            let mut sorted: Vec<_> = view.form()?.iter().collect();
            sorted.sort();
            concatenated(&sorted)
        }
    };
    if !joined.is_empty() || !posted.is_empty() {
        signed.push('?');
        signed.push_str(&joined.join("&"));
    }
    if !joined.is_empty() && !posted.is_empty() {
        signed.push('.');
    }
    signed.push_str(&posted);
    Some(signed)
}

/// The body's parameters sorted and URL-encoded (Authy): a form's, or a JSON object's with `a[b]` for what is inside.
pub(super) fn encoded(view: &View<'_>) -> Option<String> {
    let mut fields = match view.form() {
        Some(form) => form.clone(),
        None if view.request.body.is_empty() => Vec::new(),
        None => {
            let mut flat = Vec::new();
            flatten(view.json()?, &mut String::new(), &mut flat)?;
            flat
        }
    };
    let write = |text: &str| percent(text).replace("%20", "+");
    let mut pairs: Vec<_> = fields
        .drain(..)
        .map(|(name, value)| (write(&name), write(&value)))
        .collect();
    // By name alone, as the vendor's code does: items of one list keep their order.
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(pairs.join("&"))
}

fn flatten(value: &serde_json::Value, name: &mut String, into: &mut Fields) -> Option<()> {
    use serde_json::Value;
    if into.len() > 1000 {
        return None;
    }
    let mut inside = |key: &str, value: &Value, into: &mut Fields| {
        let length = name.len();
        match length {
            0 => name.push_str(key),
            _ => {
                name.push('[');
                name.push_str(key);
                name.push(']');
            }
        }
        let flat = flatten(value, name, into);
        name.truncate(length);
        flat
    };
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| inside(key, value, into)),
        Value::Array(list) => list.iter().try_for_each(|value| inside("", value, into)),
        Value::String(text) => {
            into.push((name.clone(), text.clone()));
            Some(())
        }
        Value::Null => {
            into.push((name.clone(), String::new()));
            Some(())
        }
        other => {
            into.push((name.clone(), other.to_string()));
            Some(())
        }
    }
}

/// Percent-encoded as RFC 3986 §2.3 says.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text of Atlassian's query string hash: method, path and query in their canonical form.
pub(super) fn qsh(view: &View<'_>) -> Option<String> {
    let mut names: Vec<(String, Vec<String>)> = Vec::new();
    let mut query: Vec<_> = view.query()?.iter().filter(|(name, _)| name != "jwt").collect();
    query.sort();
    for (name, value) in query {
        let (name, value) = (percent(name), percent(value));
        match names.last_mut() {
            Some((last, values)) if *last == name => values.push(value),
            _ => names.push((name, vec![value])),
        }
    }
    names.sort();
    let query: Vec<_> = names
        .iter()
        .map(|(name, values)| format!("{name}={}", values.join(",")))
        .collect();
    let path = path(view.request.url).replace('&', "%26");
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let method = view.request.method.to_ascii_uppercase();
    Some(format!("{method}&{path}&{}", query.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Request;

    #[test]
    fn pieces_of_a_url() {
        let url = "https://h.test:8443/a/b?x=1";
        assert_eq!(
            (base(url), origin(url), path(url)),
            ("https://h.test:8443/a/b", "https://h.test:8443", "/a/b")
        );
        assert_eq!(
            (origin("https://h.test?x"), path("https://h.test?x")),
            ("https://h.test", "/")
        );
        assert!(is_plain(url));
        assert!(!is_plain("https://h.test/{") && !is_plain("") && !is_plain("https://[::1]/"));
        assert_eq!(
            hubspot("https://h.test/a%3a%2Fb?c=%20"),
            "https://h.test/a:/b?c=%20"
        );
    }

    fn view_of<'r>(
        method: &'r str,
        url: &'r str,
        headers: &'r [(String, String)],
        body: &'r [u8],
    ) -> View<'r> {
        View::new(&Request {
            method,
            url,
            headers,
            body,
        })
    }

    #[test]
    fn vendors_forms() {
        let form = [(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        )];
        let plivo_of = |method, url, body: &'static str| plivo(&view_of(method, url, &form, body.as_bytes()));
        assert_eq!(
            plivo_of("GET", "https://h.test/a?b=2&a=1", ""),
            Some("https://h.test/a?a=1&b=2".into())
        );
        assert_eq!(
            plivo_of("POST", "https://h.test/a", "To=5&From=4"),
            Some("https://h.test/a?From4To5".into())
        );
        assert_eq!(
            plivo_of("POST", "https://h.test/a?x=1", "To=5"),
            Some("https://h.test/a?x=1.To5".into())
        );
        assert_eq!(
            plivo_of("POST", "https://h.test/a", ""),
            Some("https://h.test/a".into())
        );
        assert_eq!(plivo_of("GET", "https://h.test/a", "To=5"), None);
        assert_eq!(plivo(&view_of("POST", "https://h.test/a", &[], b"{}")), None);

        let json = br#"{"b":{"d":"x y","c":[1,2]},"a":null,"e":true}"#;
        let encoded = encoded(&view_of("POST", "", &[], json));
        assert_eq!(
            encoded.as_deref(),
            Some("a=&b%5Bc%5D%5B%5D=1&b%5Bc%5D%5B%5D=2&b%5Bd%5D=x+y&e=true")
        );

        // The example of Atlassian's page on query string hashes.
        let url = "https://h.test/path/to/service?zee_last=param&repeated=parameter%201&first=param&repeated=parameter%202&ignored%7Ejwt=1&jwt=ABC";
        assert_eq!(
            qsh(&view_of("get", url, &[], b"")).as_deref(),
            Some(
                "GET&/path/to/service&first=param&ignored~jwt=1&repeated=parameter%201,parameter%202&zee_last=param"
            )
        );
    }
}
