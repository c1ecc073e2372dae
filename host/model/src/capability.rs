//! Egress capabilities: what a connector may reach, as patterns over scheme, host, port, method and path.
//!
//! Two questions are decided here and nowhere else: whether a rule *permits* a request, and whether one rule *covers*
//! another (everything the other permits, it permits too). Grants, ceilings and upgrade diffs rest on the second.

/// A scheme that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    Http,
    Https,
}

/// One request as policy sees it: borrowed from the parsed URL that also goes on the wire, so that nothing is parsed
/// twice. `host` is the canonical ASCII form in lower case without a trailing dot, or an address literal without brackets;
/// `path` is percent-normalised by the URL parser, begins with `/` and has no query.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub scheme: Scheme,
    pub host: &'a str,
    pub port: u16,
    pub method: &'a str,
    pub path: &'a str,
}
