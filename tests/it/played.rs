//! What the vendors that tests play have in common: a place at which they are found, and a gate at which their answers wait.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Condvar, Mutex};

use crate::server::{Place, Setup};

/// Serves every connection in a thread of its own until the test ends; what becomes of one is its own matter.
pub(crate) fn serve<V: Clone + Send + 'static>(
    listener: TcpListener,
    vendor: V,
    answer: fn(&V, &TcpStream) -> std::io::Result<()>,
) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let vendor = vendor.clone();
            std::thread::spawn(move || drop(answer(&vendor, &stream)));
        }
    });
}

/// A server's setup that finds the vendor under its name, without TLS.
pub(crate) fn setup(host: &str, address: SocketAddr) -> Setup {
    Setup {
        places: vec![Place {
            host: host.to_owned(),
            address,
            ca: String::new(),
        }],
        ..Setup::default()
    }
}

/// Where answers wait.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    shut: bool,
    waiting: u64,
}

impl Gate {
    /// Who comes waits until this is called with `false`.
    pub(crate) fn hold(&self, shut: bool) {
        self.state.lock().unwrap().shut = shut;
        self.opened.notify_all();
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.state.lock().unwrap().waiting
    }

    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        while state.shut {
            state = self.opened.wait(state).unwrap();
        }
        state.waiting -= 1;
    }
}
