//! The configured bucket: where it is, and the addresses of its objects.
//!
//! What must always hold: no configured value and no key becomes another host, another bucket or a query of its own. What
//! goes into a path is percent-encoded as Signature Version 4 has it ("Create a canonical request": everything but the
//! unreserved characters and the slashes of a key), so that what is signed is what is sent.

use std::fmt::Write as _;

use serde::Deserialize;
use sluice_sdk::http::{self, Request};
use sluice_sdk::{Connection, Error};

/// The longest key, in bytes (S3 user guide, "Naming Amazon S3 objects").
const MAX_KEY_BYTES: usize = 1_024;

#[derive(Debug, Deserialize)]
struct Config {
    endpoint: String,
    bucket: String,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    append_only: bool,
}

/// The bucket that a connection is about.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Host, and port where it is not 443.
    endpoint: String,
    pub(crate) name: String,
    /// Only keys that begin so are listed.
    prefix: Option<String>,
    /// Whether later objects always sort after earlier ones.
    pub(crate) append_only: bool,
}

/// The bucket of the configuration.
pub(crate) fn of(connection: &Connection) -> Result<Bucket, Error> {
    let config: Config = connection.config()?;
    if !is_endpoint(&config.endpoint) {
        return Err(Error::config(
            "not an endpoint: write its host name, e.g. `s3.eu-central-1.amazonaws.com`",
            "/endpoint",
        ));
    }
    if !is_bucket(&config.bucket) {
        return Err(Error::config("not a bucket's name", "/bucket"));
    }
    Ok(Bucket {
        endpoint: config.endpoint,
        name: config.bucket,
        prefix: config.prefix.filter(|prefix| !prefix.is_empty()),
        append_only: config.append_only,
    })
}

impl Bucket {
    /// `endpoint/name`: the same name is another bucket elsewhere.
    pub(crate) fn account(&self) -> String {
        format!("{}/{}", self.endpoint, self.name)
    }

    /// The request for a page of the list (S3 API, "ListObjectsV2"). Keys come back percent-encoded, because XML cannot
    /// carry all of them.
    pub(crate) fn list(&self, token: Option<&str>, after: Option<&str>, most: u32) -> Request {
        let mut request = http::get(self.url())
            .query("list-type", "2")
            .query("max-keys", &most.to_string())
            .query("encoding-type", "url");
        let more = [
            ("prefix", self.prefix.as_deref()),
            ("continuation-token", token),
            ("start-after", after.filter(|_| token.is_none())),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        request
    }

    /// The address of an object.
    ///
    /// # Errors
    /// `invalid-data` at `/key` for a key that is none, or that servers between here and there would read as another:
    /// the host lets no such path out.
    pub(crate) fn object(&self, key: &str) -> Result<String, Error> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Error::invalid_data("a key has 1 to 1024 bytes").at("/key"));
        }
        if !is_plain(key) {
            let message = "a key with an empty, `.` or `..` part between its slashes, a backslash, a control \
                           character or an encoded one of these cannot be addressed";
            return Err(Error::invalid_data(message).at("/key"));
        }
        let mut url = self.url();
        url.push('/');
        encode(&mut url, key);
        Ok(url)
    }

    fn url(&self) -> String {
        format!("https://{}/{}", self.endpoint, self.name)
    }
}

/// A host name or an IPv4 address, and a port where it is not 443. The host parses it once more before anything is sent.
fn is_endpoint(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(label) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// S3 user guide, "General purpose bucket naming rules", and the wider ones of buckets made before 2018.
fn is_bucket(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !text.starts_with('.')
        && !text.ends_with('.')
}

/// Whether the host's paths can say this key. The last part may be empty: `folder/` is a key.
fn is_plain(key: &str) -> bool {
    let parts = key.strip_suffix('/').unwrap_or(key);
    let dots = |part: &str| matches!(part.split(';').next(), Some("" | "." | ".."));
    // A server that decodes twice reads `%2e` as a dot.
    let escape = |part: &str| {
        let digits = part.trim_start_matches("25").as_bytes();
        let hex = |at: usize| digits.get(at).map(u8::to_ascii_lowercase);
        matches!(
            (hex(0), hex(1)),
            (Some(b'0' | b'1'), Some(_))
                | (Some(b'2'), Some(b'e' | b'f'))
                | (Some(b'5'), Some(b'c'))
                | (Some(b'7'), Some(b'f'))
        )
    };
    !parts.split('/').any(dots)
        && !key.contains(|c: char| c == '\\' || c.is_ascii_control())
        && !key.split('%').skip(1).any(escape)
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3) and `/`.
fn encode(into: &mut String, key: &str) {
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a string can't fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::capability::PathPattern;
    use sluice_sdk::testing::connection;

    fn bucket() -> Bucket {
        of(&connection(
            r#"{"endpoint":"minio.acme.example:9000","bucket":"logs","prefix":"a b/"}"#,
        ))
        .unwrap()
    }

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let check = |endpoint: &str, name: &str, pointer: &str| {
            let config = format!(r#"{{"endpoint":"{endpoint}","bucket":"{name}"}}"#);
            match of(&connection(&config)) {
                Err(Error::Config(detail)) => {
                    assert_eq!(detail.pointer.as_deref(), Some(pointer), "{config}")
                }
                other => panic!("{config}: {other:?}"),
            }
        };
        for endpoint in [
            "",
            "https://s3.example",
            "s3.example/x",
            "user@s3.example",
            "s3.example?x",
            "s3.example:0",
            "s3.example:x",
            "S3.example",
            "s3..example",
            "s3.example:1:2",
        ] {
            check(endpoint, "acme", "/endpoint");
        }
        for name in ["", "a", "a/b", "..", "a b", "a?b", "%2e%2e"] {
            check("s3.example", name, "/bucket");
        }
    }

    #[test]
    fn a_list_says_what_it_wants() {
        let start = "https://minio.acme.example:9000/logs?list-type=2&max-keys=1000&encoding-type=url&prefix=a%20b%2F";
        assert_eq!(bucket().list(None, None, 1_000).url(), start);
        assert_eq!(
            bucket().list(None, Some("a b/ä"), 1_000).url(),
            format!("{start}&start-after=a%20b%2F%C3%A4")
        );
        assert_eq!(
            bucket().list(Some("t+/="), Some("x"), 1_000).url(),
            format!("{start}&continuation-token=t%2B%2F%3D")
        );
    }

    #[test]
    fn a_key_becomes_a_path_that_the_host_lets_out_or_an_error() {
        let pattern = PathPattern::parse("/*/*/**").unwrap();
        let path = |key: &str| {
            let url = bucket().object(key)?;
            Ok::<String, Error>(
                url.strip_prefix("https://minio.acme.example:9000")
                    .unwrap()
                    .to_owned(),
            )
        };
        for (key, expected) in [
            ("a", "/logs/a"),
            ("a/b.txt", "/logs/a/b.txt"),
            ("folder/", "/logs/folder/"),
            ("ä +&=?#%", "/logs/%C3%A4%20%2B%26%3D%3F%23%25"),
            ("100%25", "/logs/100%2525"),
            ("...", "/logs/..."),
            ("a;b", "/logs/a%3Bb"),
        ] {
            assert_eq!(path(key).unwrap(), expected);
            assert!(pattern.matches(expected), "{expected}");
        }
        for key in [
            "", "/", "/a", "a//b", "a//", ".", "..", "a/../b", "./a", "a\\b", "a\nb", "a%2e", "a%2Fb",
            "a%252e", "%00", "a/..;x/b", "a\u{7f}",
        ] {
            match path(key) {
                Err(Error::InvalidData(detail)) => assert_eq!(detail.pointer.as_deref(), Some("/key")),
                other => panic!("{key}: {other:?}"),
            }
        }
        assert!(path(&"k".repeat(1_025)).is_err());
    }
}
