//! What a connector is.

use crate::{
    Account, ActionInfo, Change, Connection, Error, Handled, Page, PendingWrite, ReadRequest, Receipt,
    Redirect, Registration, StreamInfo, WriteOutcome,
};

/// A connector: `check`, and whatever else its manifest declares. Every other function has a default that says
/// `unsupported`, or nothing where nothing is a right answer.
///
/// The functions take no `self`: the host makes a fresh instance for every call, so there is no state to keep. All of
/// them may be called again with the same arguments after a crash and must then do the same.
pub trait Connector {
    /// Who does this connection belong to? It is the connection test, so it should cost one cheap request.
    ///
    /// # Errors
    /// `auth` if the vendor refuses the credential.
    fn check(connection: &Connection) -> Result<Account, Error>;

    /// Starts a custom auth flow: where to send the user's browser, and what to keep until they come back.
    ///
    /// # Errors
    /// `unsupported` by default: the manifest's recipes cover the standard flows.
    fn begin_auth(_connection: &Connection, _callback_url: &str) -> Result<Redirect, Error> {
        Err(Error::unsupported("this connector has no auth flow of its own"))
    }

    /// Ends a custom auth flow with what the vendor's redirect carried. Secrets are caught by
    /// [`http::Request::capture`](crate::http::Request::capture) and never seen.
    ///
    /// # Errors
    /// `unsupported` by default.
    fn complete_auth(
        _connection: &Connection,
        _state: &str,
        _query: &[(String, String)],
    ) -> Result<(), Error> {
        Err(Error::unsupported("this connector has no auth flow of its own"))
    }

    /// Renews the credential of a custom flow.
    ///
    /// # Errors
    /// `unsupported` by default; `auth` if the vendor says that it is gone for good.
    fn refresh_auth(_connection: &Connection) -> Result<(), Error> {
        Err(Error::unsupported("this connector has no auth flow of its own"))
    }

    /// Tells the vendor to forget the credential of a custom flow.
    ///
    /// # Errors
    /// `unsupported` by default.
    fn revoke_auth(_connection: &Connection) -> Result<(), Error> {
        Err(Error::unsupported("this connector has no auth flow of its own"))
    }

    /// Streams beyond the manifest's, for vendors whose streams are the user's own. None by default.
    ///
    /// # Errors
    /// Those of the requests it makes.
    fn discover(_connection: &Connection) -> Result<Vec<StreamInfo>, Error> {
        Ok(Vec::new())
    }

    /// The partitions of a stream, each read with a cursor of its own. None by default: not partitioned.
    ///
    /// # Errors
    /// Those of the requests it makes.
    fn partitions(_connection: &Connection, _stream: &str) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// One page of a stream: a bounded step of which the host commits changes and cursor together. A page with `more`
    /// must move the cursor.
    ///
    /// # Errors
    /// `unsupported` by default and for an unknown stream.
    fn read(_connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        Err(Error::unsupported(format!(
            "there is no stream `{}` to read",
            request.stream_name
        )))
    }

    /// Writes to the vendor; one outcome per write, in order.
    ///
    /// # Errors
    /// `unsupported` by default: the stream is read-only.
    fn write(
        _connection: &Connection,
        stream: &str,
        _writes: &[PendingWrite],
    ) -> Result<Vec<WriteOutcome>, Error> {
        Err(Error::unsupported(format!("the stream `{stream}` is read-only")))
    }

    /// Turns a cursor of an older format into the current one. By default it can't be carried over: start again.
    ///
    /// # Errors
    /// `invalid-data` for a cursor that no version ever made.
    fn migrate_cursor(_stream: &str, _from_version: u32, _cursor: &str) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Subscribes `url` to `events` of this webhook of the manifest at the vendor; idempotent for the same `url`.
    ///
    /// # Errors
    /// `unsupported` by default: to be set up by hand.
    fn register_webhook(
        _connection: &Connection,
        _webhook: &str,
        _url: &str,
        _events: &[String],
    ) -> Result<Registration, Error> {
        Err(Error::unsupported("the webhook is set up by hand at this vendor"))
    }

    /// Extends a registration before it expires.
    ///
    /// # Errors
    /// `unsupported` by default.
    fn renew_webhook(_connection: &Connection, _registration: &Registration) -> Result<Registration, Error> {
        Err(Error::unsupported("the webhook is set up by hand at this vendor"))
    }

    /// Ends a registration; succeeds when it is already gone.
    ///
    /// # Errors
    /// `unsupported` by default.
    fn unregister_webhook(_connection: &Connection, _registration: &Registration) -> Result<(), Error> {
        Err(Error::unsupported("the webhook is set up by hand at this vendor"))
    }

    /// For an address that an app has for all accounts, where the manifest says `account = "code"`: the ids of the
    /// accounts that a receipt concerns. There is no connection yet, and nothing can be asked of the vendor.
    ///
    /// # Errors
    /// `unsupported` by default; `invalid-data` for a body that is not the vendor's: it is refused.
    fn route_webhook(_receipt: &Receipt) -> Result<Vec<String>, Error> {
        Err(Error::unsupported(
            "this connector's webhooks name their accounts themselves",
        ))
    }

    /// What a receipt means. Called at least once per receipt; the same receipt must give the same result.
    ///
    /// # Errors
    /// `unsupported` by default.
    fn handle_webhook(_connection: &Connection, _receipt: &Receipt) -> Result<Handled, Error> {
        Err(Error::unsupported("this connector declares no webhooks"))
    }

    /// Actions beyond the manifest's, where it says `actions = true` in `[discovered]`. None by default.
    ///
    /// # Errors
    /// Those of the requests it makes.
    fn list_actions(_connection: &Connection) -> Result<Vec<ActionInfo>, Error> {
        Ok(Vec::new())
    }

    /// Performs an action; `input` has passed its schema, and so must the answer. The same `idempotency_key` must not
    /// act twice at a vendor that can tell.
    ///
    /// # Errors
    /// `unsupported` by default and for an unknown name.
    fn run_action(
        _connection: &Connection,
        name: &str,
        _input: &str,
        _idempotency_key: &str,
    ) -> Result<String, Error> {
        Err(Error::unsupported(format!("there is no action `{name}`")))
    }
}

impl Page {
    /// The last page: these changes, and the cursor stays as it was.
    #[must_use]
    pub fn last(changes: Vec<Change>) -> Self {
        Self {
            changes,
            cursor: None,
            more: false,
            total_hint: None,
        }
    }
}

impl Handled {
    /// A receipt that means nothing: acknowledged and done.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            events: Vec::new(),
            changes: Vec::new(),
            resync: Vec::new(),
            reply: None,
        }
    }
}
