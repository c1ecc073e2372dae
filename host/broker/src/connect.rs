//! A connection to a server that does not speak HTTP: a database that records are delivered to.
//!
//! Somebody of the organization named the server; no guest did, and none sees the connection. What holds for every
//! address holds here: the name is resolved after it was read as a host, every address is vetted, `[[broker.connect]]` is
//! honoured, one of the organization's permits is held until the connection is dropped, and TLS is the broker's own.
//! Deliberately absent: grants (the speaker is the host), credentials (the protocol's own, spoken by whoever asked).

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use sluice_model::id::OrgId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::broker::Broker;
use crate::error::Error;
use crate::permit::Permit;
use crate::place::Place;

/// Where to, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Whose permits are used.
    pub org: OrgId,
    /// A host name or an address, without brackets.
    pub host: &'a str,
    pub port: u16,
    pub security: Security,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// TLS, its certificate checked for the host, begun in the middle of another protocol: `ask` is sent, `agreed` is the
    /// one byte that says yes.
    Negotiated { ask: &'static [u8], agreed: u8 },
}

/// An open connection. Holds one of the organization's permits.
pub struct Stream {
    link: Link,
    _permit: Permit,
}

enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.link {
            Link::Plain(_) => "Stream(plain)",
            Link::Tls(_) => "Stream(tls)",
        };
        f.write_str(name)
    }
}

impl Broker {
    /// Opens a connection. Ends within the times for DNS and connections of the [`Config`](crate::Config). Dropping the
    /// future gives it up.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a host that is none, [`Error::DeniedAddress`] and [`Error::DeniedSelf`] by the policy for
    /// addresses, [`Error::Resolve`], [`Error::Unreachable`], [`Error::Timeout`] while all permits are taken, and
    /// [`Error::Tls`] where the server has no TLS or its certificate is not acceptable.
    pub async fn connect(&self, peer: &Peer<'_>) -> Result<Stream, Error> {
        let place = place(peer)?;
        let limit = self.shared.exchanger.dialer.config.connect_timeout;
        let permit = timeout(limit, self.shared.permits.acquire(peer.org))
            .await
            .map_err(|_| Error::Timeout { limit })?;
        let (socket, _) = self.shared.exchanger.dialer.dial(&place).await?;
        let link = match peer.security {
            Security::Plain => Link::Plain(socket),
            Security::Negotiated { ask, agreed } => {
                let secured = timeout(limit, self.negotiate(&place, socket, ask, agreed)).await;
                Link::Tls(secured.unwrap_or(Err(Error::Timeout { limit }))?)
            }
        };
        Ok(Stream {
            link,
            _permit: permit,
        })
    }

    async fn negotiate(
        &self,
        place: &Place,
        mut socket: TcpStream,
        ask: &[u8],
        agreed: u8,
    ) -> Result<Box<TlsStream<TcpStream>>, Error> {
        let host = || place.host().to_owned();
        let broken = |error: io::Error| Error::Unreachable {
            host: host(),
            reason: error.to_string(),
        };
        socket.write_all(ask).await.map_err(broken)?;
        // One byte and no more: what came behind it in the clear must not be taken for what TLS protects.
        let answer = socket.read_u8().await.map_err(broken)?;
        if answer != agreed {
            return Err(Error::Tls {
                host: host(),
                reason: "the server does not offer TLS".into(),
            });
        }
        self.shared
            .exchanger
            .tls
            .secure(place, socket)
            .await
            .map(Box::new)
    }
}

/// The host read as that of a URL, so that it is canonical and is nothing but a host.
fn place(peer: &Peer<'_>) -> Result<Place, Error> {
    let bad = |reason: &str| Error::BadRequest {
        reason: reason.to_owned(),
    };
    let is_v6 = peer.host.parse::<Ipv6Addr>().is_ok();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let host = if is_v6 {
        format!("[{}]", peer.host)
    } else if peer.host.bytes().all(|byte| is_plain(byte) || !byte.is_ascii()) {
        peer.host.to_owned()
    } else {
        return Err(bad("it has no host name and no address"));
    };
    Place::parse(&format!("https://{host}:{}/", peer.port)).map_err(|error| bad(&error.to_string()))
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Link::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.link {
            Link::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Link::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Link::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Link::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: Option<&str>) {
        let peer = Peer {
            org: OrgId::from_bytes([1; 16]),
            host,
            port: 5432,
            security: Security::Plain,
        };
        let read = place(&peer).ok();
        let read = read.as_ref().map(|place| (place.host(), place.port()));
        assert_eq!(read, expected.map(|host| (host, 5432)), "{host}");
    }

    #[test]
    fn a_host_is_a_host_and_nothing_else() {
        check("db.example.com", Some("db.example.com"));
        check("DB.example.com.", Some("db.example.com"));
        check("10.0.0.7", Some("10.0.0.7"));
        check("0x7f.1", Some("127.0.0.1"));
        check("::1", Some("::1"));
        check("bücher.example", Some("xn--bcher-kva.example"));
        for bad in [
            "",
            "[::1]",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a:1",
            "a b",
            "a%41",
            "/tmp/.s.PGSQL",
            "a\\b",
            "a\nb",
        ] {
            check(bad, None);
        }
    }
}
