//! From a place to a connected socket: resolve, vet every address, dial exactly a vetted one.
//!
//! If a single address of a name is forbidden, the whole name is refused. Dialling the permitted rest would be sound too,
//! but a name that points inside is an attack or a mistake, and either should be seen. A name is resolved and vetted
//! anew for each connection, so an answer that flips later is judged later.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::{Refusal, vet};
use crate::config::Config;
use crate::error::{Error, ResolveError};
use crate::place::Place;
use crate::resolve::{MAX_ADDRESSES, Resolve};

/// Addresses of one name that are tried.
const MAX_TRIED: usize = 4;

pub(crate) struct Dialer {
    pub(crate) config: Config,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) own: RwLock<Arc<[SocketAddr]>>,
}

impl Dialer {
    pub(crate) fn set_own(&self, own: Vec<SocketAddr>) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own.into();
    }

    /// A connected socket and the vetted address it is connected to.
    pub(crate) async fn dial(&self, place: &Place) -> Result<(TcpStream, SocketAddr), Error> {
        let addresses = self.addresses(place).await?;
        self.vet(place, &addresses)?;
        let mut last = None;
        for address in addresses.into_iter().take(MAX_TRIED) {
            match timeout(self.config.connect_timeout, connect(address)).await {
                Ok(Ok(socket)) => return Ok((socket, address)),
                Ok(Err(error)) => last = Some(error.to_string()),
                Err(_) => last = Some("no answer to the connection attempt".to_owned()),
            }
        }
        let reason = last.unwrap_or_else(|| "no address".to_owned());
        Err(Error::Unreachable {
            host: place.host().to_owned(),
            reason,
        })
    }

    /// A socket to this address, whoever it is that the place names.
    pub(crate) async fn dial_at(&self, place: &Place, address: SocketAddr) -> Result<TcpStream, Error> {
        let unreachable = |reason: String| Error::Unreachable {
            host: place.host().to_owned(),
            reason,
        };
        match timeout(self.config.connect_timeout, connect(address)).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("no answer to the connection attempt".to_owned())),
        }
    }

    /// Resolves and vets, and dials nothing.
    pub(crate) async fn look(&self, place: &Place) -> Result<(), Error> {
        let addresses = self.addresses(place).await?;
        self.vet(place, &addresses)
    }

    async fn addresses(&self, place: &Place) -> Result<Vec<SocketAddr>, Error> {
        let (host, port) = (place.host(), place.port());
        if let Some(fixed) = self
            .config
            .connect
            .iter()
            .find(|to| to.port == port && to.host == host)
        {
            return Ok(vec![fixed.address]);
        }
        if let Some(ip) = place.literal() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let failed = |cause| Error::Resolve {
            host: host.to_owned(),
            cause,
        };
        let found: Vec<IpAddr> = timeout(self.config.dns_timeout, self.resolver.resolve(host))
            .await
            .unwrap_or(Err(ResolveError::Timeout))
            .map_err(failed)?;
        if found.is_empty() {
            return Err(failed(ResolveError::NoAddress));
        }
        if found.len() > MAX_ADDRESSES {
            return Err(failed(ResolveError::TooMany(MAX_ADDRESSES)));
        }
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    fn vet(&self, place: &Place, addresses: &[SocketAddr]) -> Result<(), Error> {
        let own = Arc::clone(&self.own.read().unwrap_or_else(PoisonError::into_inner));
        let host = || place.host().to_owned();
        for address in addresses {
            vet(*address, &self.config.open, &own).map_err(|refusal| match refusal {
                Refusal::Own => Error::DeniedSelf { host: host() },
                Refusal::Block(block) => Error::DeniedAddress {
                    host: host(),
                    address: address.ip().to_string(),
                    block,
                },
            })?;
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the end of the one road: the address has been vetted"
)]
async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
