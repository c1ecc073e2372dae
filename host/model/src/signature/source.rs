//! Addresses that a vendor sends from: a range in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).

use std::fmt;
use std::net::IpAddr;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRange {
    address: IpAddr,
    bits: u8,
}

impl SourceRange {
    /// Reads `192.0.2.0/24`; an address alone is a range of one.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| "is not a range of addresses such as `192.0.2.0/24`")?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(text) => text
                .parse()
                .ok()
                .filter(|bits| (8..=most).contains(bits))
                .ok_or("has a prefix that is no number between 8 and the address's bits")?,
        };
        let range = Self { address, bits };
        if range.prefix(address) != Some(bits_of(address)) {
            return Err("has bits behind its prefix");
        }
        Ok(range)
    }

    /// Whether an address is within. An IPv4 address in IPv6's clothes is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.prefix(address) == Some(bits_of(self.address))
    }

    /// Whether every address of `other` is within.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.bits <= other.bits
            && self.prefix(other.address) == Some(bits_of(self.address))
    }

    fn prefix(&self, address: IpAddr) -> Option<u128> {
        let most: u32 = if address.is_ipv4() { 32 } else { 128 };
        let rest = most.checked_sub(u32::from(self.bits))?;
        let mask = u128::MAX.checked_shl(rest).unwrap_or_default();
        Some(bits_of(address) & mask)
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for SourceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |range: &str, address: &str, expected: bool| {
            let range = SourceRange::parse(range).unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                expected,
                "{range} {address}"
            );
        };
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.0/24", "::ffff:192.0.2.9", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "192.0.2.1", false);
        for text in [
            "",
            "192.0.2.1/24",
            "0.0.0.0/0",
            "192.0.2.0/33",
            "a/8",
            "192.0.2.0/-1",
            "fe80::1%eth0",
        ] {
            assert!(SourceRange::parse(text).is_err(), "{text}");
        }
    }
}
