//! Questions and answers: every export of the contract as plain data.

use sluice_model::fault::Fault;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::sluice::connector::types;
use crate::load::Loaded;
use crate::state::State;
use crate::translate::{self, Bad};
use crate::values::{
    Account, ActionInfo, ConnectionView, Handled, Page, PendingWrite, ReadRequest, Receipt, Redirect,
    Registration, StreamInfo, WriteOutcome,
};

/// What a connector can be asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Check,
    Begin {
        callback_url: String,
    },
    Complete {
        state: String,
        query: Vec<(String, String)>,
    },
    Refresh,
    Revoke,
    Discover,
    Partitions {
        stream: String,
    },
    Read(ReadRequest),
    Write {
        stream: String,
        writes: Vec<PendingWrite>,
    },
    MigrateCursor {
        stream: String,
        from_version: u32,
        cursor: String,
    },
    Register {
        webhook: String,
        url: String,
        events: Vec<String>,
    },
    Renew(Registration),
    Unregister(Registration),
    Route(Receipt),
    Handle(Receipt),
    Actions,
    Act {
        name: String,
        input: String,
        idempotency_key: String,
    },
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Account(Account),
    Redirect(Redirect),
    Streams(Vec<StreamInfo>),
    Texts(Vec<String>),
    Page(Page),
    Written(Vec<WriteOutcome>),
    Cursor(Option<String>),
    Registration(Registration),
    Handled(Handled),
    Actions(Vec<ActionInfo>),
    Output(String),
}

/// A guest's word: an answer, which may be one that it must not give, or a fault.
pub(crate) type Said = Result<Result<Answer, Bad>, Fault>;

/// Puts the question to a fresh instance.
pub(crate) async fn put(
    loaded: &Loaded,
    instance: &Instance,
    store: &mut Store<State>,
    connection: ConnectionView,
    ask: Ask,
) -> wasmtime::Result<Said> {
    let connection = translate::connection(connection);
    match ask {
        Ask::Check | Ask::Begin { .. } | Ask::Complete { .. } | Ask::Refresh | Ask::Revoke => {
            put_auth(loaded, instance, store, &connection, ask).await
        }
        Ask::Discover => {
            let guest = loaded.sync.load(&mut *store, instance)?;
            said(guest.call_discover(store, &connection).await?, |found| {
                translate::streams(found).map(Answer::Streams)
            })
        }
        Ask::Partitions { stream } => {
            let guest = loaded.sync.load(&mut *store, instance)?;
            let found = guest.call_partitions(store, &connection, &stream).await?;
            said(found, |found| translate::partitions(found).map(Answer::Texts))
        }
        Ask::Read(request) => {
            let guest = loaded.sync.load(&mut *store, instance)?;
            let found = guest
                .call_read(store, &connection, &translate::read_request(request))
                .await?;
            said(found, |found| translate::page(found).map(Answer::Page))
        }
        Ask::Write { stream, writes } => {
            let guest = loaded.sync.load(&mut *store, instance)?;
            let writes: Vec<_> = writes.into_iter().map(translate::pending_write).collect();
            let found = guest.call_write(store, &connection, &stream, &writes).await?;
            said(found, |found| {
                translate::write_outcomes(found, writes.len()).map(Answer::Written)
            })
        }
        Ask::MigrateCursor {
            stream,
            from_version,
            cursor,
        } => {
            let guest = loaded.sync.load(&mut *store, instance)?;
            let found = guest
                .call_migrate_cursor(store, &stream, from_version, &cursor)
                .await?;
            said(found, |found| translate::cursor(found).map(Answer::Cursor))
        }
        Ask::Register { .. } | Ask::Renew(_) | Ask::Unregister(_) => {
            put_registration(loaded, instance, store, &connection, ask).await
        }
        Ask::Route(receipt) => {
            let guest = loaded.webhook.load(&mut *store, instance)?;
            let found = guest.call_route(store, &translate::receipt(receipt)).await?;
            said(found, |found| translate::routes(found).map(Answer::Texts))
        }
        Ask::Handle(receipt) => {
            let guest = loaded.webhook.load(&mut *store, instance)?;
            let found = guest
                .call_handle(store, &connection, &translate::receipt(receipt))
                .await?;
            said(found, |found| translate::handled(found).map(Answer::Handled))
        }
        Ask::Actions => {
            let guest = loaded.actions.load(&mut *store, instance)?;
            said(guest.call_list(store, &connection).await?, |found| {
                translate::actions(found).map(Answer::Actions)
            })
        }
        Ask::Act {
            name,
            input,
            idempotency_key,
        } => {
            let guest = loaded.actions.load(&mut *store, instance)?;
            let found = guest
                .call_run(store, &connection, &name, &input, &idempotency_key)
                .await?;
            said(found, |found| Ok(Answer::Output(found)))
        }
    }
}

async fn put_auth(
    loaded: &Loaded,
    instance: &Instance,
    store: &mut Store<State>,
    connection: &types::Connection,
    ask: Ask,
) -> wasmtime::Result<Said> {
    let guest = loaded.auth.load(&mut *store, instance)?;
    match ask {
        Ask::Begin { callback_url } => {
            let found = guest.call_begin(store, connection, &callback_url).await?;
            said(found, |found| translate::redirect(found).map(Answer::Redirect))
        }
        Ask::Complete { state, query } => said(
            guest.call_complete(store, connection, &state, &query).await?,
            |()| Ok(Answer::Done),
        ),
        Ask::Refresh => said(guest.call_refresh(store, connection).await?, |()| {
            Ok(Answer::Done)
        }),
        Ask::Revoke => said(guest.call_revoke(store, connection).await?, |()| Ok(Answer::Done)),
        _ => said(guest.call_check(store, connection).await?, |found| {
            translate::account(found).map(Answer::Account)
        }),
    }
}

async fn put_registration(
    loaded: &Loaded,
    instance: &Instance,
    store: &mut Store<State>,
    connection: &types::Connection,
    ask: Ask,
) -> wasmtime::Result<Said> {
    let guest = loaded.webhook.load(&mut *store, instance)?;
    let registered = |found| translate::registration(found).map(Answer::Registration);
    match ask {
        Ask::Register { webhook, url, events } => said(
            guest
                .call_register(store, connection, &webhook, &url, &events)
                .await?,
            registered,
        ),
        Ask::Unregister(registration) => {
            let registration = translate::given_registration(registration);
            said(
                guest.call_unregister(store, connection, &registration).await?,
                |()| Ok(Answer::Done),
            )
        }
        Ask::Renew(registration) => {
            let registration = translate::given_registration(registration);
            said(
                guest.call_renew(store, connection, &registration).await?,
                registered,
            )
        }
        other => Ok(Ok(Err(Bad(format!("{other:?} is not about a registration"))))),
    }
}

fn said<T>(
    found: Result<T, types::Error>,
    check: impl FnOnce(T) -> Result<Answer, Bad>,
) -> wasmtime::Result<Said> {
    Ok(found.map(check).map_err(translate::fault))
}
