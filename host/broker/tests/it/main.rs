//! The broker against real peers on loopback: what goes on the wire byte for byte, and what hostile peers get away with.
//!
//! - `rig`: a scripted peer, a scripted resolver, a vault, a caller
//! - `wire`: hygiene, and that what policy saw is what is sent
//! - `address`: vetting, rebinding, ourselves
//! - `secret`: origins, placeholders, redaction, captures
//! - `credential`: every scheme, verified by another path; renewal
//! - `identity`: client certificates
//! - `redirect`: hop by hop
//! - `peer`: slow, endless, truncated, lying
//! - `retry`: what is sent again
//! - `connect`: servers that do not speak HTTP
//! - `governor`: vendors' budgets, and who shares them
//! - `tls`: certificates and HTTP/2

#[cfg(test)]
mod address;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod credential;
#[cfg(test)]
mod governor;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod redirect;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod road;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod wire;
