//! Which addresses may be dialled. Everything that IANA lists as special is refused unless the operator opened it, and our
//! own listeners are refused even then.
//!
//! The table is written out from the IANA IPv4 and IPv6 Special-Purpose Address Registries rather than taken from the
//! standard library, whose `is_global` is unstable and follows the registries' "globally reachable" column. That column is
//! too kind for us: blocks that carry another address inside (mapped, NAT64, 6to4, Teredo) are refused whole. Where an
//! operator opens one of them, the address inside has to pass as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::Open;

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is in a special block that is not open.
    Block(&'static str),
    /// It is a listener of ours.
    Own,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

const fn v6(a: u16, b: u16, c: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), len)
}

/// IPv4: what is not listed is public.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "this network (RFC 791)"),
    (v4(10, 0, 0, 0, 8), "private (RFC 1918)"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT (RFC 6598)"),
    (v4(127, 0, 0, 0, 8), "loopback (RFC 1122)"),
    (
        v4(169, 254, 0, 0, 16),
        "link-local, where cloud metadata is served (RFC 3927)",
    ),
    (v4(172, 16, 0, 0, 12), "private (RFC 1918)"),
    (v4(192, 0, 0, 0, 24), "protocol assignments (RFC 6890)"),
    (v4(192, 0, 2, 0, 24), "documentation (RFC 5737)"),
    (v4(192, 31, 196, 0, 24), "AS112 (RFC 7535)"),
    (v4(192, 52, 193, 0, 24), "multicast relays (RFC 7450)"),
    (v4(192, 88, 99, 0, 24), "6to4 relays (RFC 7526)"),
    (v4(192, 168, 0, 0, 16), "private (RFC 1918)"),
    (v4(192, 175, 48, 0, 24), "AS112 (RFC 7534)"),
    (v4(198, 18, 0, 0, 15), "benchmarking (RFC 2544)"),
    (v4(198, 51, 100, 0, 24), "documentation (RFC 5737)"),
    (v4(203, 0, 113, 0, 24), "documentation (RFC 5737)"),
    (v4(224, 0, 0, 0, 4), "multicast (RFC 1112)"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast (RFC 1112)"),
];

/// IPv6, most particular first. What is not listed is public within 2000::/3 and unassigned outside of it.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "unspecified (RFC 4291)",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "loopback (RFC 4291)",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
        "IPv4-mapped (RFC 4291)",
    ),
    (v6(0, 0, 0, 96), "IPv4-compatible (RFC 4291)"),
    (v6(0x64, 0xff9b, 0, 96), "IPv4 behind NAT64 (RFC 6052)"),
    (v6(0x64, 0xff9b, 1, 48), "local NAT64 (RFC 8215)"),
    (v6(0x100, 0, 0, 64), "discard-only (RFC 6666)"),
    (v6(0x2001, 0, 0, 23), "protocol assignments (RFC 2928)"),
    (v6(0x2001, 0xdb8, 0, 32), "documentation (RFC 3849)"),
    (v6(0x2002, 0, 0, 16), "6to4 (RFC 3056)"),
    (v6(0x2620, 0x4f, 0x8000, 48), "AS112 (RFC 7534)"),
    (v6(0x3fff, 0, 0, 20), "documentation (RFC 9637)"),
    (v6(0x5f00, 0, 0, 16), "segment routing (RFC 9602)"),
    (v6(0xfc00, 0, 0, 7), "unique-local (RFC 4193)"),
    (v6(0xfe80, 0, 0, 10), "link-local (RFC 4291)"),
    (v6(0xfec0, 0, 0, 10), "site-local (RFC 3879)"),
    (v6(0xff00, 0, 0, 8), "multicast (RFC 4291)"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Judges one address.
///
/// # Errors
/// Why it may not be dialled.
pub fn vet(address: SocketAddr, open: &[Open], own: &[SocketAddr]) -> Result<(), Refusal> {
    if is_own(address, own) {
        return Err(Refusal::Own);
    }
    let ip = address.ip();
    let opened = |ip: IpAddr| {
        open.iter()
            .any(|open| open.net.contains(&ip) && open.port.is_none_or(|port| port == address.port()))
    };
    if let Some(block) = special(ip)
        && !opened(ip)
    {
        return Err(Refusal::Block(block));
    }
    match embedded(ip) {
        Some(inner) => vet(SocketAddr::new(inner.into(), address.port()), open, own),
        None => Ok(()),
    }
}

/// The special block that `ip` is in.
#[must_use]
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => SPECIAL_V4
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, name)| *name),
        IpAddr::V6(ip) => {
            let listed = SPECIAL_V6
                .iter()
                .find(|(net, _)| net.contains(&ip))
                .map(|(_, name)| *name);
            listed.or_else(|| (!GLOBAL_UNICAST.contains(&ip)).then_some("not global unicast (RFC 4291)"))
        }
    }
}

/// All blocks of the table, for tests that walk it.
pub fn blocks() -> impl Iterator<Item = (IpNet, &'static str)> {
    let v4 = SPECIAL_V4.iter().map(|(net, name)| (IpNet::V4(*net), *name));
    v4.chain(SPECIAL_V6.iter().map(|(net, name)| (IpNet::V6(*net), *name)))
}

/// The IPv4 address that an IPv6 address carries.
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(join(g, h)),
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => Some(join(g, h)),
        // RFC 6052 §2.2 puts it elsewhere for other prefix lengths; local NAT64 is /96 in practice.
        [0x64, 0xff9b, 1, ..] => Some(join(g, h)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

fn is_own(address: SocketAddr, own: &[SocketAddr]) -> bool {
    let target = address.ip().to_canonical();
    own.iter()
        .filter(|listener| listener.port() == address.port())
        .any(|listener| {
            let ours = listener.ip().to_canonical();
            // The unspecified address reaches the loopback interface; a listener on it is reached by every local address.
            ours == target || target.is_unspecified() || (ours.is_unspecified() && is_local(target))
        })
}

/// Whether this machine has the address: then a socket can be bound to it.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 443)
    }

    fn check(text: &str, passes: bool) {
        assert_eq!(
            vet(ip(text), &[], &[]).is_ok(),
            passes,
            "{text}: {:?}",
            special(ip(text).ip())
        );
    }

    #[test]
    fn first_middle_last_of_every_block() {
        let mut checked = 0;
        for (net, name) in blocks() {
            let (first, last) = (net.network(), net.broadcast());
            let middle: IpAddr = match (first, last) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    Ipv4Addr::from(a.to_bits() + (b.to_bits() - a.to_bits()) / 2).into()
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    Ipv6Addr::from(a.to_bits() + (b.to_bits() - a.to_bits()) / 2).into()
                }
                _ => unreachable!(),
            };
            for ip in [first, middle, last] {
                assert!(vet(SocketAddr::new(ip, 443), &[], &[]).is_err(), "{ip} of {name}");
                checked += 1;
            }
        }
        assert!(checked > 100);
    }

    #[test]
    fn known_addresses() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "140.82.121.6",
            "2606:4700::1111",
            "2a00:1450:4001:800::200e",
            "2001:4860:4860::8888",
            "2001:200::",
            "2003::",
        ] {
            check(text, true);
        }
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.255.255",
            "10.0.0.5",
            "169.254.169.254",
            "192.168.1.1",
            "172.31.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.0.192",
            "198.19.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a00:5::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
            "8000::",
            "fe00::1",
            "1::",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn opening() {
        let open = |net: &str, port| {
            [Open {
                net: net.parse().unwrap(),
                port,
            }]
        };
        assert!(vet(ip("10.1.2.3"), &open("10.0.0.0/8", None), &[]).is_ok());
        assert!(vet(ip("10.1.2.3"), &open("10.0.0.0/8", Some(443)), &[]).is_ok());
        assert!(vet(ip("10.1.2.3"), &open("10.0.0.0/8", Some(80)), &[]).is_err());
        assert!(vet(ip("11.1.2.3"), &open("10.0.0.0/8", None), &[]).is_ok());
        assert!(vet(ip("64:ff9b::808:808"), &open("64:ff9b::/96", None), &[]).is_ok());
        assert!(vet(ip("64:ff9b::a00:1"), &open("64:ff9b::/96", None), &[]).is_err());
        assert!(vet(ip("::ffff:127.0.0.1"), &open("::/0", None), &[]).is_err());
        assert!(vet(ip("fd00:ec2::254"), &open("0.0.0.0/0", None), &[]).is_err());
    }

    #[test]
    fn ourselves() {
        let everything = [
            Open {
                net: "0.0.0.0/0".parse().unwrap(),
                port: None,
            },
            Open {
                net: "::/0".parse().unwrap(),
                port: None,
            },
        ];
        let own = |own: &str, target: &str| {
            vet(target.parse().unwrap(), &everything, &[own.parse().unwrap()]) == Err(Refusal::Own)
        };
        assert!(own("127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(own("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"));
        assert!(own("127.0.0.1:8080", "[64:ff9b::7f00:1]:8080"));
        assert!(own("127.0.0.1:8080", "0.0.0.0:8080"));
        assert!(own("127.0.0.1:8080", "[::]:8080"));
        assert!(own("0.0.0.0:8080", "127.0.0.9:8080"));
        assert!(own("[::]:8080", "127.0.0.1:8080"));
        assert!(own("[::]:8080", "[::1]:8080"));
        assert!(!own("127.0.0.1:8080", "127.0.0.1:8081"));
        assert!(!own("127.0.0.1:8080", "127.0.0.2:8080"));
        assert!(!own("0.0.0.0:8080", "1.1.1.1:8080"));
    }
}
