//! Addresses that the host itself asks while it obtains a credential: `https://${config.domain}/oauth/token`.
//!
//! What must always hold: what a configuration fills in can change the host only where the manifest says so (all of it,
//! or labels before a fixed domain of two labels or more) and the path only by whole segments. A value can end neither
//! the host nor its segment, so that no configuration makes another address of it. No secret is ever part of one.

use std::fmt;

use serde_json::Value;

use super::{Piece, Template, TemplateError};
use crate::capability::{
    EgressRule, HostPattern, MethodSet, PathPattern, PatternError, Scheme, split_port, write_authority,
};

/// The longest address.
const MAX_BYTES: usize = 1024;
/// The longest value of a path segment.
const MAX_SEGMENT_BYTES: usize = 200;

/// An address with places for values of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: Template,
    /// Without places.
    query: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// All of it fixed, or all of it from the configuration (which may then give a port).
    Whole(HostPattern),
    /// Labels from the configuration before a fixed domain.
    Labels(Template),
}

/// An address that was filled in: where it leads, as policy sees it.
struct Filled {
    host: HostPattern,
    port: u16,
    path: String,
}

impl Address {
    /// Reads `https://` with a host, a path and a query without places. `http` is there for address literals of this
    /// machine alone. `${config.key}` may stand for the host, for whole labels before a fixed domain of at least two, and
    /// for whole segments of the path.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |reason: &str| PatternError::new(text, reason);
        if text.len() > MAX_BYTES {
            return Err(error("is longer than 1024 bytes"));
        }
        only_config(text).map_err(|reason| error(&reason))?;
        if text.contains(['#', '@', '\\']) {
            return Err(error(
                "has `#`, `@` or a backslash in it, which no address here has",
            ));
        }
        let split = text.split_once("://");
        let (scheme, rest) = split
            .and_then(|(scheme, rest)| Some((Scheme::parse(scheme)?, rest)))
            .ok_or_else(|| error("does not begin with `https://`"))?;
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest
            .find('/')
            .and_then(|at| rest.split_at_checked(at))
            .unwrap_or((rest, ""));
        let (host, port) = if authority.starts_with("${") && authority.ends_with('}') {
            (authority, None)
        } else {
            split_port(authority)?
        };
        let host = Host::parse(host).map_err(|reason| error(&reason))?;
        if scheme == Scheme::Http && !host.is_loopback() {
            return Err(error(
                "is not `https`: only `http://127.0.0.1` and `http://[::1]` go without",
            ));
        }
        let path = parse_path(path).map_err(|reason| error(&reason))?;
        let graphic = |byte: u8| byte.is_ascii_graphic() && !b"\"<>`{}$".contains(&byte);
        if query.is_some_and(|query| query.is_empty() || !query.bytes().all(graphic)) {
            return Err(error(
                "has a query that is empty or has places or characters that no query has; parameters have a key of their own",
            ));
        }
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            path,
            query: query.map(str::to_owned),
        })
    }

    /// The properties of the configuration that it takes.
    pub fn config_keys(&self) -> impl Iterator<Item = &str> {
        let host = match &self.host {
            Host::Whole(HostPattern::Config(key)) => (Some(key.as_str()), [].as_slice()),
            Host::Whole(_) => (None, [].as_slice()),
            Host::Labels(labels) => (None, labels.pieces()),
        };
        let pieces = host.1.iter().chain(self.path.pieces());
        host.0.into_iter().chain(pieces.filter_map(|piece| match piece {
            Piece::Config(key) => Some(key.as_str()),
            _ => None,
        }))
    }

    /// The address with the configuration's values in it.
    ///
    /// # Errors
    ///
    /// When a value is missing, is not a text, or is not a host, labels or a segment: the configuration is wrong.
    pub fn fill_config(&self, config: &Value) -> Result<String, TemplateError> {
        let unfit = |error: PatternError| TemplateError::Unfit(error.to_string());
        let filled = self.filled(config).map_err(unfit)?;
        Ok(Shown {
            scheme: self.scheme,
            host: &filled.host,
            port: filled.port,
            path: &filled.path,
            query: self.query.as_deref(),
        }
        .to_string())
    }

    /// The one rule that permits asking it, by these methods.
    ///
    /// # Errors
    ///
    /// As [`fill_config`](Self::fill_config).
    pub fn rule(&self, config: &Value, methods: MethodSet) -> Result<EgressRule, PatternError> {
        let Filled { host, port, path } = self.filled(config)?;
        Ok(EgressRule {
            scheme: self.scheme,
            host,
            port,
            methods,
            path: PathPattern::parse(on_the_wire(&path))?,
            optional: false,
            reason: None,
        })
    }

    fn filled(&self, config: &Value) -> Result<Filled, PatternError> {
        let (host, port) = match &self.host {
            Host::Whole(pattern) => pattern.expand(config)?,
            Host::Labels(labels) => {
                check_values(labels, config, is_labels, "is not a name's labels in lower case")?;
                let name = fill(labels, config)?;
                match HostPattern::parse(&name)? {
                    exact @ HostPattern::Exact(_) => (exact, None),
                    _ => return Err(PatternError::new(&name, "is not a host name")),
                }
            }
        };
        let reason = "is not one segment of a path: letters, digits and `-._~`";
        check_values(&self.path, config, is_segment, reason)?;
        let path = fill(&self.path, config)?;
        // The same rules as for every pattern; what a star would mean was refused when it was parsed.
        PathPattern::parse(on_the_wire(&path))?;
        Ok(Filled {
            host,
            port: port.unwrap_or(self.port),
            path,
        })
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, String> {
        let whole = HostPattern::parse(text);
        if let Ok(pattern @ (HostPattern::Exact(_) | HostPattern::Config(_))) = whole {
            return Ok(Self::Whole(pattern));
        }
        if !text.contains("${") {
            let reason = |error: PatternError| error.reason().to_owned();
            return Err(whole
                .err()
                .map_or_else(|| "has a `*` in its host".to_owned(), reason));
        }
        let template = only_config(text)?;
        let standing = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            _ => "x".to_owned(),
        };
        let name: String = template.pieces().iter().map(standing).collect();
        if !matches!(HostPattern::parse(&name), Ok(HostPattern::Exact(_))) {
            return Err("has a host that is no name, whatever stands in its places".to_owned());
        }
        let mut before = ".".to_owned();
        let mut pieces = template.pieces().iter().peekable();
        while let Some(piece) = pieces.next() {
            if let Piece::Text(text) = piece {
                before.clone_from(text);
                continue;
            }
            let after = matches!(pieces.peek(), Some(Piece::Text(text)) if text.starts_with('.'));
            if !before.ends_with('.') || !after {
                return Err("has a `${config.key}` that is only a part of a label".to_owned());
            }
            before.clear();
        }
        let fixed = before
            .strip_prefix('.')
            .unwrap_or_default()
            .split('.')
            .filter(|label| !label.is_empty());
        if fixed.count() < 2 {
            return Err(
                "does not end its host in a fixed domain such as `.example.com`; `${config.key}` may also be all of it"
                    .to_owned(),
            );
        }
        Ok(Self::Labels(template))
    }

    fn is_loopback(&self) -> bool {
        let Self::Whole(HostPattern::Exact(name)) = self else {
            return false;
        };
        name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

fn parse_path(path: &str) -> Result<Template, String> {
    if path.contains('*') {
        return Err("has a `*` in its path".to_owned());
    }
    let template = only_config(path)?;
    for segment in path.split('/').filter(|segment| segment.contains("${")) {
        if !(segment.starts_with("${") && segment.ends_with('}') && segment.matches('}').count() == 1) {
            return Err("has a `${config.key}` that is only a part of a segment".to_owned());
        }
    }
    let standing = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        _ => "x".to_owned(),
    };
    let plain: String = template.pieces().iter().map(standing).collect();
    let unwise = |byte: u8| b"\"<>`{}|^".contains(&byte);
    if plain.bytes().any(unwise) {
        return Err("has a character in its path that no path has: write it percent-encoded".to_owned());
    }
    PathPattern::parse(on_the_wire(&plain)).map_err(|error| error.reason().to_owned())?;
    Ok(template)
}

/// An issuer is compared letter by letter (RFC 8414 §3.3), so a path that is not there stays so; what is asked is `/`.
const fn on_the_wire(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn only_config(text: &str) -> Result<Template, String> {
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    let other = |piece: &&Piece| !matches!(piece, Piece::Text(_) | Piece::Config(_));
    match template.pieces().iter().find(other) {
        Some(piece) => Err(format!(
            "takes `{piece}`, but an address takes nothing but `${{config.key}}`"
        )),
        None => Ok(template),
    }
}

fn check_values(
    template: &Template,
    config: &Value,
    rule: impl Fn(&str) -> bool,
    reason: &str,
) -> Result<(), PatternError> {
    for piece in template.pieces() {
        let Piece::Config(key) = piece else { continue };
        let error = |reason: &str| PatternError::new(&piece.to_string(), reason);
        let value = config
            .get(key)
            .ok_or_else(|| error("is missing from the configuration"))?;
        let text = value
            .as_str()
            .ok_or_else(|| error("is not a text in the configuration"))?;
        if !rule(text) {
            return Err(PatternError::new(text, reason));
        }
    }
    Ok(())
}

fn fill(template: &Template, config: &Value) -> Result<String, PatternError> {
    template.fill_config(config).map_err(|error| match error {
        TemplateError::Missing(piece) => PatternError::new(&piece, "is missing from the configuration"),
        TemplateError::Form(text) | TemplateError::Unfit(text) => {
            PatternError::new(&text, "is not of the form `${config.key}`")
        }
    })
}

/// One label or more, without a dot at either end: `HostPattern` then reads the whole name.
fn is_labels(text: &str) -> bool {
    let byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=200).contains(&text.len())
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(byte))
}

fn is_segment(text: &str) -> bool {
    (1..=MAX_SEGMENT_BYTES).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

struct Shown<'a> {
    scheme: Scheme,
    host: &'a HostPattern,
    port: u16,
    path: &'a str,
    query: Option<&'a str>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        write_authority(f, self.host, self.port, self.scheme)?;
        f.write_str(self.path)?;
        self.query.map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// As it is written in a manifest.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string();
        let query = self.query.as_deref();
        match &self.host {
            Host::Whole(host) => fmt::Display::fmt(
                &Shown {
                    scheme: self.scheme,
                    host,
                    port: self.port,
                    path: &path,
                    query,
                },
                f,
            ),
            Host::Labels(labels) => {
                write!(f, "{}://{labels}", self.scheme)?;
                if self.port != self.scheme.default_port() {
                    write!(f, ":{}", self.port)?;
                }
                f.write_str(&path)?;
                query.map_or(Ok(()), |query| write!(f, "?{query}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str, words: &str) {
        match Address::parse(text) {
            Ok(address) => panic!("{text} was accepted as {address}"),
            Err(error) => assert!(error.to_string().contains(words), "{text}: {error}"),
        }
    }

    #[test]
    fn addresses_are_filled() {
        let config = json!({"domain": "a.example.com:8443", "sub": "acme", "deep": "eu.acme", "tenant": "common", "n": 7});
        for (text, filled) in [
            ("https://x.example/token", Some("https://x.example/token")),
            ("https://x.example", Some("https://x.example")),
            ("https://x.example?a=1", Some("https://x.example?a=1")),
            (
                "https://x.example:8443/a?v=1",
                Some("https://x.example:8443/a?v=1"),
            ),
            ("http://127.0.0.1:9/t", Some("http://127.0.0.1:9/t")),
            ("http://[::1]:9/t", Some("http://[::1]:9/t")),
            ("https://${config.domain}/t", Some("https://a.example.com:8443/t")),
            (
                "https://${config.sub}.x.example/t",
                Some("https://acme.x.example/t"),
            ),
            (
                "https://${config.deep}.x.example/t",
                Some("https://eu.acme.x.example/t"),
            ),
            (
                "https://api.${config.sub}.x.example/t",
                Some("https://api.acme.x.example/t"),
            ),
            (
                "https://x.example/${config.tenant}/t",
                Some("https://x.example/common/t"),
            ),
            ("https://x.example/${config.n}/t", None),
            ("https://x.example/${config.none}/t", None),
            ("https://x.example/${config.domain}/t", None),
            ("https://${config.tenant}/t", Some("https://common/t")),
            ("https://${config.domain}.x.example/t", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.fill_config(&config).ok().as_deref(), filled, "{text}");
            let again = Address::parse(&address.to_string()).unwrap();
            assert_eq!(again, address, "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for (text, words) in [
            ("", "https"),
            ("x.example/t", "https"),
            ("ftp://x.example/t", "https"),
            ("http://x.example/t", "not `https`"),
            ("http://${config.a}/t", "not `https`"),
            ("http://10.0.0.1/t", "not `https`"),
            ("https:///t", "empty"),
            ("https://u@x.example/t", "`@`"),
            ("https://x.example/t#f", "`#`"),
            ("https://*.x.example/t", "`*`"),
            ("https://x.example/*", "`*`"),
            ("https://x.example/a/../b", "segment"),
            ("https://x.example/a b", "character"),
            ("https://x.example/a|b", "character"),
            ("https://X.example/", "lower case"),
            ("https://x.example:0/", "port"),
            ("https://${config.a}.com/t", "fixed domain"),
            ("https://x.${config.a}/t", "part of a label"),
            ("https://x${config.a}.y.example/t", "part of a label"),
            ("https://${config.a}y.x.example/t", "part of a label"),
            ("https://${config.a}${config.b}.y.example/t", "part of a label"),
            ("https://x.example/a${config.a}/t", "part of a segment"),
            ("https://x.example/${config.a}${config.b}/t", "part of a segment"),
            ("https://x.example/t?a=${config.a}", "query"),
            ("https://x.example/t?", "query"),
            ("https://${secret.a}/t", "takes"),
            ("https://x.example/${app.a}", "takes"),
            ("https://x.example/${token}", "takes"),
            ("https://x.example/${secret.a#/b}", "takes"),
        ] {
            refused(text, words);
        }
    }

    proptest! {
        /// Whatever a configuration says, the host stays below the fixed domain and the path keeps its segments.
        #[test]
        fn values_stay_in_their_place(value in ".{0,12}|[a-z./:@?#%*-]{0,12}") {
            let config = json!({ "a": value });
            let labels = Address::parse("https://${config.a}.x.example/t").unwrap();
            if let Ok(filled) = labels.fill_config(&config) {
                let host = filled.strip_prefix("https://").unwrap().strip_suffix("/t").unwrap();
                prop_assert!(host.ends_with(".x.example") && !host.contains(['/', '@', ':', '?', '#', '%']));
            }
            let path = Address::parse("https://x.example/a/${config.a}/t").unwrap();
            if let Ok(filled) = path.fill_config(&config) {
                prop_assert_eq!(filled.matches('/').count(), 5);
                prop_assert!(filled.starts_with("https://x.example/a/") && !filled.contains(['?', '#', '*']));
                let rule = path.rule(&config, MethodSet::ALL).unwrap();
                prop_assert_eq!(rule.path.to_string(), filled.strip_prefix("https://x.example").unwrap());
            }
        }

        #[test]
        fn nonsense_never_panics(text in "(https://)?[a-z${}./:?*]{0,40}") {
            if let Ok(address) = Address::parse(&text) {
                let _ = address.fill_config(&json!({"a": "b"}));
                prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
            }
        }
    }
}
