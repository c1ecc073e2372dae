//! From the contract's four interfaces to the one trait.

use std::marker::PhantomData;

use crate::wit::exports::sluice::connector::{actions, auth, sync, webhook};
use crate::{
    Account, ActionInfo, Connection, Connector, Error, Handled, Page, PendingWrite, ReadRequest, Receipt,
    Redirect, Registration, StreamInfo, WriteOutcome,
};

/// Makes the type the component's connector. Once per crate, beside the `impl Connector`; it does nothing on targets
/// that are not wasm.
#[macro_export]
macro_rules! export {
    ($connector:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::__export::Exported<$connector>;
    $crate::__export::export_connector!(Exported with_types_in $crate::__export::bindings);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn is_a_connector<C: $crate::Connector>() {}
            is_a_connector::<$connector>();
        };
    };
}

/// A connector seen as the four interfaces.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<C>(PhantomData<C>);

impl<C: Connector> auth::Guest for Exported<C> {
    fn check(connection: Connection) -> Result<Account, Error> {
        C::check(&connection)
    }

    fn begin(connection: Connection, callback_url: String) -> Result<Redirect, Error> {
        C::begin_auth(&connection, &callback_url)
    }

    fn complete(connection: Connection, state: String, query: Vec<(String, String)>) -> Result<(), Error> {
        C::complete_auth(&connection, &state, &query)
    }

    fn refresh(connection: Connection) -> Result<(), Error> {
        C::refresh_auth(&connection)
    }

    fn revoke(connection: Connection) -> Result<(), Error> {
        C::revoke_auth(&connection)
    }
}

impl<C: Connector> sync::Guest for Exported<C> {
    fn discover(connection: Connection) -> Result<Vec<StreamInfo>, Error> {
        C::discover(&connection)
    }

    fn partitions(connection: Connection, stream: String) -> Result<Vec<String>, Error> {
        C::partitions(&connection, &stream)
    }

    fn read(connection: Connection, request: ReadRequest) -> Result<Page, Error> {
        C::read(&connection, &request)
    }

    fn write(
        connection: Connection,
        stream: String,
        writes: Vec<PendingWrite>,
    ) -> Result<Vec<WriteOutcome>, Error> {
        C::write(&connection, &stream, &writes)
    }

    fn migrate_cursor(stream: String, from_version: u32, cursor: String) -> Result<Option<String>, Error> {
        C::migrate_cursor(&stream, from_version, &cursor)
    }
}

impl<C: Connector> webhook::Guest for Exported<C> {
    fn register(
        connection: Connection,
        webhook: String,
        url: String,
        events: Vec<String>,
    ) -> Result<Registration, Error> {
        C::register_webhook(&connection, &webhook, &url, &events)
    }

    fn renew(connection: Connection, registration: Registration) -> Result<Registration, Error> {
        C::renew_webhook(&connection, &registration)
    }

    fn unregister(connection: Connection, registration: Registration) -> Result<(), Error> {
        C::unregister_webhook(&connection, &registration)
    }

    fn route(receipt: Receipt) -> Result<Vec<String>, Error> {
        C::route_webhook(&receipt)
    }

    fn handle(connection: Connection, receipt: Receipt) -> Result<Handled, Error> {
        C::handle_webhook(&connection, &receipt)
    }
}

impl<C: Connector> actions::Guest for Exported<C> {
    fn list(connection: Connection) -> Result<Vec<ActionInfo>, Error> {
        C::list_actions(&connection)
    }

    fn run(connection: Connection, name: String, input: String, key: String) -> Result<String, Error> {
        C::run_action(&connection, &name, &input, &key)
    }
}
