//! The operator's settings of the road out.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

/// A range of addresses that is not public and that the operator opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub net: IpNet,
    /// Only this port; all ports without.
    pub port: Option<u16>,
}

/// A fixed address for a host and port: DNS is not asked. The address must still be public or open, and the name still
/// stands in the request line, the Host field and the TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    /// Canonical ASCII in lower case, without a trailing dot.
    pub host: String,
    pub port: u16,
    pub address: SocketAddr,
}

/// A pace: so many per second, so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub per_second: f64,
    pub burst: u32,
}

/// Everything that the operator decides about outbound requests.
#[derive(Debug, Clone)]
pub struct Config {
    /// Opened private ranges.
    pub open: Vec<Open>,
    /// Fixed addresses.
    pub connect: Vec<ConnectTo>,
    /// Certificate authorities beside the public ones, each a PEM text with one or more certificates.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Our own listeners: refused even where their range is open.
    pub own: Vec<SocketAddr>,
    /// Time for one resolution of a name.
    pub dns_timeout: Duration,
    /// Time for one TCP connection to one address; the next address is tried after it.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The age at which a connection is no longer reused, so that names are resolved and vetted anew.
    pub max_age: Duration,
    /// Unused connections kept in all.
    pub idle_connections: usize,
    /// Exchanges under way at once, over all organizations.
    pub concurrency: usize,
    /// Exchanges under way at once for one organization: at most half by default, so that no tenant takes all.
    pub org_concurrency: usize,
    /// The pace of one connection, whatever its manifest hints at, and of what has neither connection nor hint. Far above
    /// what vendors allow: it bounds floods.
    pub connection_pace: Pace,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            connect: Vec::new(),
            extra_ca_pem: Vec::new(),
            own: Vec::new(),
            dns_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(300),
            idle_connections: 256,
            concurrency: 512,
            org_concurrency: 256,
            connection_pace: Pace {
                per_second: 2_000.0,
                burst: 2_000,
            },
        }
    }
}
