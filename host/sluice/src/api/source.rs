//! Who sent a request: the peer of the connection, or whom a proxy that the operator trusts says it came from.

use std::net::IpAddr;

use http::Extensions;
use http::HeaderMap;
use sluice_model::signature::SourceRange;

use crate::listen::Peer;

/// More hops than any installation has; what lies before them is not read.
const MAX_HOPS: usize = 32;

/// The address that a request came from; none where there is no connection, as in tests of the router.
///
/// `X-Forwarded-For` is read from its end, where the nearest proxy wrote, as long as whoever wrote is trusted. What cannot
/// be read is nobody: nothing that a sender writes makes it somebody else.
pub(super) fn of(proxies: &[SourceRange], extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let Peer(peer) = extensions.get::<Peer>()?;
    let trusted = |address: IpAddr| proxies.iter().any(|range| range.contains(address));
    let mut from = peer.to_canonical();
    if !trusted(from) {
        return Some(from);
    }
    let fields: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|field| field.to_str().unwrap_or_default())
        .collect();
    let hops = fields.iter().rev().flat_map(|field| field.rsplit(','));
    for hop in hops.take(MAX_HOPS) {
        let address: IpAddr = hop.trim().parse().ok()?;
        from = address.to_canonical();
        if !trusted(from) {
            break;
        }
    }
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_peer(peer: &str, fields: &[&str]) -> Option<String> {
        let proxies = [SourceRange::parse("10.0.0.0/8").unwrap()];
        let mut extensions = Extensions::new();
        extensions.insert(Peer(peer.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", field.parse().unwrap());
        }
        of(&proxies, &extensions, &headers).map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let check = |peer: &str, fields: &[&str], expected: &str| {
            assert_eq!(
                of_peer(peer, fields).as_deref(),
                Some(expected),
                "{peer} {fields:?}"
            );
        };
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("::ffff:192.0.2.1", &[], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1");
        check(
            "10.0.0.1",
            &["203.0.113.9", "198.51.100.1, 10.0.0.2"],
            "198.51.100.1",
        );
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["10.0.0.3"], "10.0.0.3");
        assert_eq!(of_peer("10.0.0.1", &["somebody"]), None);
        assert_eq!(
            of_peer("10.0.0.1", &["somebody, 198.51.100.1"]).as_deref(),
            Some("198.51.100.1")
        );
    }
}
