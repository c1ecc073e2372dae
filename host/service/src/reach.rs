//! The rule that permits one request of the host's own, and no other.

use sluice_broker::{Origin, Place};
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};

/// The rule for exactly this request, and its origin. It is `https`; what listens on a loopback address may be plain, for
/// development. `None` for an address that no rule can mean.
pub(crate) fn exactly(method: &str, url: &str) -> Option<(EgressRule, Origin)> {
    let place = Place::parse(url).ok()?;
    let local = place
        .host()
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    if place.scheme() == Scheme::Http && !local {
        return None;
    }
    let mut methods = MethodSet::EMPTY;
    methods.insert(method);
    let host = HostPattern::parse(place.host()).ok()?;
    // An asterisk would be a wildcard of the pattern.
    let path = Some(place.path()).filter(|path| !path.contains('*'))?;
    let rule = EgressRule {
        scheme: place.scheme(),
        host: host.clone(),
        port: place.port(),
        methods,
        path: PathPattern::parse(path).ok()?,
        optional: false,
        reason: None,
    };
    let origin = Origin {
        scheme: place.scheme(),
        host,
        port: place.port(),
    };
    Some((rule, origin))
}
