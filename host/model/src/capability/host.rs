//! Host patterns: an exact name or address, every name below a domain, or a place for a name from the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Scheme;

/// The longest name that DNS can carry (RFC 1035 §2.3.4), without the trailing dot.
const MAX_NAME_BYTES: usize = 253;
/// The longest label (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Why a text is not a pattern, or a configured value not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {reason}")]
pub struct PatternError {
    text: String,
    reason: String,
}

impl PatternError {
    /// Every code that [`PatternError::code`] can give.
    pub const CODES: &[&str] = &["capability.pattern"];

    pub(crate) fn new(text: &str, reason: impl Into<String>) -> Self {
        let text = text.chars().take(80).flat_map(char::escape_default).collect();
        Self {
            text,
            reason: reason.into(),
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "capability.pattern"
    }

    /// What is wrong, without the text.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The hosts of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name, or this address (IPv6 without brackets, in its canonical form).
    Exact(String),
    /// `*.x.com`, kept as `x.com`: names with one or more labels before it, not `x.com` itself.
    Subdomains(String),
    /// `${config.key}`, kept as `key`: permits nothing until a connection's configuration has filled it in.
    Config(String),
}

impl HostPattern {
    /// Reads a pattern: an exact name in canonical ASCII lower case, an address, `*.` and a name of at least two labels,
    /// or `${config.key}`.
    ///
    /// # Errors
    ///
    /// When it is anything else; the error says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |reason: &str| PatternError::new(text, reason);
        if let Some(rest) = text.strip_prefix("${") {
            let key = rest
                .strip_suffix('}')
                .and_then(|inner| inner.strip_prefix("config."));
            let key = key.ok_or_else(|| error("is not of the form `${config.key}`"))?;
            if !is_config_key(key) {
                return Err(error(
                    "names no property: a key is 1 to 64 letters, digits, `_` or `-`",
                ));
            }
            return Ok(Self::Config(key.to_owned()));
        }
        if let Some(domain) = text.strip_prefix("*.") {
            if address(domain).is_some() {
                return Err(error("puts a wildcard on an address"));
            }
            check_name(domain).map_err(|reason| error(&reason))?;
            if !domain.contains('.') {
                return Err(error(
                    "would cover a whole top-level domain; name at least `*.example.com`",
                ));
            }
            return Ok(Self::Subdomains(domain.to_owned()));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bare.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
            return Ok(Self::Exact(address.to_string()));
        }
        if let Some(address) = address(text) {
            return Ok(Self::Exact(address.to_string()));
        }
        check_name(text).map_err(|reason| error(&reason))?;
        Ok(Self::Exact(text.to_owned()))
    }

    /// Whether it means many hosts.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        matches!(self, Self::Subdomains(_))
    }

    /// Whether the canonical host is one of those meant. A pattern with a placeholder means none.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Subdomains(domain) => below(host, domain),
            Self::Config(_) => false,
        }
    }

    /// Whether every host of `other` is one of this pattern's. A placeholder covers itself and nothing else.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(name), Self::Exact(theirs)) => name == theirs,
            (Self::Subdomains(domain), Self::Exact(theirs)) => below(theirs, domain),
            (Self::Subdomains(domain), Self::Subdomains(theirs)) => domain == theirs || below(theirs, domain),
            (Self::Config(key), Self::Config(theirs)) => key == theirs,
            _ => false,
        }
    }

    /// The pattern with its placeholder filled in from a configuration, and the port that stands there with it. Other
    /// patterns stay as they are.
    ///
    /// # Errors
    ///
    /// When the configuration does not have the key, or it is not a plain host name, an address, or one with a port.
    pub fn expand(&self, config: &serde_json::Value) -> Result<(Self, Option<u16>), PatternError> {
        let Self::Config(key) = self else {
            return Ok((self.clone(), None));
        };
        let error = |reason: &str| PatternError::new(&self.to_string(), reason);
        let value = config
            .get(key)
            .ok_or_else(|| error("is missing from the configuration"))?;
        let text = value
            .as_str()
            .ok_or_else(|| error("is not a text in the configuration"))?;
        let (host, port) = split_port(text)?;
        match Self::parse(host)? {
            Self::Exact(name) => Ok((Self::Exact(name), port)),
            _ => Err(PatternError::new(text, "is not a plain host name")),
        }
    }
}

/// Whether `host` is a name with labels before `domain`.
fn below(host: &str, domain: &str) -> bool {
    let labels = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    labels.is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
}

fn is_config_key(key: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&key.len()) && key.bytes().all(word)
}

/// An address in exactly the form in which the URL parser writes it.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (address.to_string() == text).then_some(address)
}

fn check_name(name: &str) -> Result<(), String> {
    let reason = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "is longer than 253 bytes"
    } else if !name.is_ascii() {
        "is not ASCII: write the name in its `xn--` form"
    } else if name.contains('*') {
        "has a `*` elsewhere than in a leading `*.`"
    } else if name.contains('@') {
        "has user information in it"
    } else if name.contains('/') {
        "has a scheme or a path in it: only the host belongs here"
    } else if name.contains(':') || name.contains('[') {
        "has a port in it, or is not an address in canonical form; a port goes into `port`"
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "is not in lower case"
    } else if name.ends_with('.') {
        "ends with a dot"
    } else if name.split('.').any(str::is_empty) {
        "has an empty label"
    } else if name.split('.').any(|label| !is_label(label)) {
        "has a label that is not 1 to 63 letters, digits, `-` or `_`, with no `-` at either end"
    } else if name.rsplit('.').next().is_some_and(looks_numeric) {
        "ends in a number without being an address in canonical form"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}

fn is_label(label: &str) -> bool {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(letter)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// What URL parsers take for the last part of an IPv4 address (WHATWG URL, "ends in a number"): digits, or hexadecimal
/// after `0x`. Such a name would be one host here and another on the wire.
fn looks_numeric(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes `host:port` apart; an IPv6 address has a port only after brackets.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), PatternError> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    if text.parse::<Ipv6Addr>().is_ok() || text.ends_with(']') {
        return Ok((text, None));
    }
    let digits =
        (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    match port.parse::<u16>() {
        Ok(port) if digits => Ok((host, Some(port))),
        _ => Err(PatternError::new(text, "does not end in a port of 1 to 65535")),
    }
}

/// Writes host and port as a URL has them: brackets around IPv6, no port where it is the scheme's own.
pub(crate) fn write_authority(
    f: &mut fmt::Formatter<'_>,
    host: impl fmt::Display + AsHost,
    port: u16,
    scheme: Scheme,
) -> fmt::Result {
    if host.is_v6() {
        write!(f, "[{host}]")
    } else {
        write!(f, "{host}")
    }?;
    if port == scheme.default_port() {
        Ok(())
    } else {
        write!(f, ":{port}")
    }
}

/// What may stand before a port.
pub(crate) trait AsHost {
    fn is_v6(&self) -> bool;
}
impl AsHost for &str {
    fn is_v6(&self) -> bool {
        self.contains(':')
    }
}
impl AsHost for &HostPattern {
    fn is_v6(&self) -> bool {
        matches!(self, HostPattern::Exact(name) if name.contains(':'))
    }
}

/// As it is written in a manifest; an IPv6 address without brackets.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Subdomains(domain) => write!(f, "*.{domain}"),
            Self::Config(key) => write!(f, "${{config.{key}}}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
