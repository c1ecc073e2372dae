//! The calls by name. Each is cancel-safe: when its future is dropped, the guest is gone with its instance, requests that
//! were under way are given up, and nothing of the call is kept; a request that had already left may have acted at the
//! vendor.

use super::{Answer, Ask, Call};
use crate::outcome::{CallError, Outcome};
use crate::runtime::Runtime;
use crate::values::{
    Account, ActionInfo, Handled, Page, PendingWrite, ReadRequest, Receipt, Redirect, Registration,
    StreamInfo, WriteOutcome,
};

impl Runtime {
    /// Who the connection belongs to; the connection test.
    pub async fn check(&self, call: Call) -> Outcome<Account> {
        self.ask(call, Ask::Check).await.narrow(|answer| match answer {
            Answer::Account(account) => Some(account),
            _ => None,
        })
    }

    /// Starts a custom auth flow.
    pub async fn begin(&self, call: Call, callback_url: String) -> Outcome<Redirect> {
        self.ask(call, Ask::Begin { callback_url })
            .await
            .narrow(|answer| match answer {
                Answer::Redirect(redirect) => Some(redirect),
                _ => None,
            })
    }

    /// Ends a custom auth flow; what it got is among the effects, captured.
    pub async fn complete(&self, call: Call, state: String, query: Vec<(String, String)>) -> Outcome<()> {
        self.ask(call, Ask::Complete { state, query }).await.narrow(done)
    }

    /// Renews a credential of a custom flow.
    pub async fn refresh(&self, call: Call) -> Outcome<()> {
        self.ask(call, Ask::Refresh).await.narrow(done)
    }

    /// Tells the vendor to forget a credential of a custom flow.
    pub async fn revoke(&self, call: Call) -> Outcome<()> {
        self.ask(call, Ask::Revoke).await.narrow(done)
    }

    /// Streams beyond the manifest's.
    pub async fn discover(&self, call: Call) -> Outcome<Vec<StreamInfo>> {
        self.ask(call, Ask::Discover).await.narrow(|answer| match answer {
            Answer::Streams(streams) => Some(streams),
            _ => None,
        })
    }

    /// The partitions of a stream; empty where it has none.
    pub async fn partitions(&self, call: Call, stream: String) -> Outcome<Vec<String>> {
        self.ask(call, Ask::Partitions { stream }).await.narrow(texts)
    }

    /// One page of a stream.
    pub async fn read(&self, call: Call, request: ReadRequest) -> Outcome<Page> {
        self.ask(call, Ask::Read(request))
            .await
            .narrow(|answer| match answer {
                Answer::Page(page) => Some(page),
                _ => None,
            })
    }

    /// Writes to the vendor; one outcome per write, in order.
    pub async fn write(
        &self,
        call: Call,
        stream: String,
        writes: Vec<PendingWrite>,
    ) -> Outcome<Vec<WriteOutcome>> {
        self.ask(call, Ask::Write { stream, writes })
            .await
            .narrow(|answer| match answer {
                Answer::Written(outcomes) => Some(outcomes),
                _ => None,
            })
    }

    /// A cursor of an older format as one of the current format; none: start again.
    pub async fn migrate_cursor(
        &self,
        call: Call,
        stream: String,
        from_version: u32,
        cursor: String,
    ) -> Outcome<Option<String>> {
        self.ask(
            call,
            Ask::MigrateCursor {
                stream,
                from_version,
                cursor,
            },
        )
        .await
        .narrow(|answer| match answer {
            Answer::Cursor(cursor) => Some(cursor),
            _ => None,
        })
    }

    /// Subscribes at the vendor.
    pub async fn register(
        &self,
        call: Call,
        webhook: String,
        url: String,
        events: Vec<String>,
    ) -> Outcome<Registration> {
        self.ask(call, Ask::Register { webhook, url, events })
            .await
            .narrow(registration)
    }

    /// Extends a subscription.
    pub async fn renew(&self, call: Call, current: Registration) -> Outcome<Registration> {
        self.ask(call, Ask::Renew(current)).await.narrow(registration)
    }

    /// Ends a subscription.
    pub async fn unregister(&self, call: Call, current: Registration) -> Outcome<()> {
        self.ask(call, Ask::Unregister(current)).await.narrow(done)
    }

    /// The accounts that a receipt concerns; the call's connection is none and is not shown.
    pub async fn route(&self, call: Call, receipt: Receipt) -> Outcome<Vec<String>> {
        self.ask(call, Ask::Route(receipt)).await.narrow(texts)
    }

    /// What a receipt means.
    pub async fn handle(&self, call: Call, receipt: Receipt) -> Outcome<Handled> {
        self.ask(call, Ask::Handle(receipt))
            .await
            .narrow(|answer| match answer {
                Answer::Handled(handled) => Some(handled),
                _ => None,
            })
    }

    /// Actions beyond the manifest's.
    pub async fn actions(&self, call: Call) -> Outcome<Vec<ActionInfo>> {
        self.ask(call, Ask::Actions).await.narrow(|answer| match answer {
            Answer::Actions(actions) => Some(actions),
            _ => None,
        })
    }

    /// Performs an action: JSON text in, JSON text out.
    pub async fn act(
        &self,
        call: Call,
        name: String,
        input: String,
        idempotency_key: String,
    ) -> Outcome<String> {
        self.ask(
            call,
            Ask::Act {
                name,
                input,
                idempotency_key,
            },
        )
        .await
        .narrow(|answer| match answer {
            Answer::Output(output) => Some(output),
            _ => None,
        })
    }
}

fn done(answer: Answer) -> Option<()> {
    matches!(answer, Answer::Done).then_some(())
}

fn texts(answer: Answer) -> Option<Vec<String>> {
    match answer {
        Answer::Texts(texts) => Some(texts),
        _ => None,
    }
}

fn registration(answer: Answer) -> Option<Registration> {
    match answer {
        Answer::Registration(registration) => Some(registration),
        _ => None,
    }
}

impl Outcome<Answer> {
    /// The answer as what was asked for. Each question has one kind of answer, so another kind is a bug of the host.
    fn narrow<T>(self, kind: impl FnOnce(Answer) -> Option<T>) -> Outcome<T> {
        let result = match self.result {
            Ok(Ok(answer)) => match kind(answer) {
                Some(value) => Ok(Ok(value)),
                None => Err(CallError::Host {
                    reason: "the answer is to another question".into(),
                }),
            },
            Ok(Err(fault)) => Ok(Err(fault)),
            Err(error) => Err(error),
        };
        Outcome {
            result,
            effects: self.effects,
        }
    }
}
