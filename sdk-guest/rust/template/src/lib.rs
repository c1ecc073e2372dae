//! A connector to start from: one stream that is read page by page and from then on by what changed, written to, and told of by a
//! webhook. What you do not need, leave out here and in `connector.toml`.
//!
//! `cargo test` runs it here, `cargo build --release --target wasm32-wasip2` makes the component.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{
    Account, Change, Connection, Connector, Error, Event, Handled, Item, Page, PendingWrite, ReadRequest,
    Receipt, WriteOutcome, http, write,
};

const API: &str = "https://api.todo.example";

struct MyConnector;

sluice_sdk::export!(MyConnector);

/// The user's configuration; it has passed the schema in `connector.toml`.
#[derive(Deserialize)]
struct Config {
    list: String,
}

impl Config {
    fn tasks(&self) -> String {
        format!("{API}/lists/{}/tasks", http::encode(&self.list))
    }
}

/// The members of a task that matter here; the rest is handed on as it came.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

/// The newest change that was seen; and while there are more pages, the address of the next one.
#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Connector for MyConnector {
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Me {
            id: u64,
            name: String,
        }
        let me: Me = http::get(format!("{API}/me")).send()?.ok()?.json()?;
        Ok(Account {
            id: me.id.to_string(),
            name: me.name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        if request.stream_name != "tasks" {
            return Err(Error::unsupported(format!(
                "there is no stream `{}`",
                request.stream_name
            )));
        }
        let config: Config = connection.config()?;
        let Cursor { mut since, next } = request.cursor()?.unwrap_or_default();
        let request = match (next, &since) {
            (Some(next), _) => http::get(next),
            (None, None) => http::get(config.tasks()).query("per_page", "100"),
            (None, Some(since)) => http::get(config.tasks())
                .query("per_page", "100")
                .query("updated_since", since),
        };
        let response = request
            .send()?
            .ok()
            .map_err(|error| error.blame_config("/list"))?;

        let mut changes = Vec::new();
        for element in record::each::<Head<'_>>(response.text()?) {
            let (head, text) = element?;
            let changed = head.updated_at.as_str();
            // The times of one vendor sort as texts.
            if changed > since.as_deref().unwrap_or_default() {
                since = Some(changed.to_owned());
            }
            let item = record::item(head.id.to_string(), text, head.updated_at.timestamp());
            changes.push(Change::Upsert(item));
        }
        let next = response.link("next");
        Ok(Page {
            changes,
            more: next.is_some(),
            cursor: Some(record::text(&Cursor { since, next })?),
            total_hint: None,
        })
    }

    fn write(
        connection: &Connection,
        stream: &str,
        writes: &[PendingWrite],
    ) -> Result<Vec<WriteOutcome>, Error> {
        if stream != "tasks" {
            return Err(Error::unsupported(format!(
                "the stream `{stream}` is not written to"
            )));
        }
        let config: Config = connection.config()?;
        // One by one: a task that the vendor refuses does not take the others with it.
        Ok(write::in_batches(writes, 1, |kind, batch| {
            let sent = batch.iter().map(|write| sent(&config.tasks(), kind, write));
            sent.map(|item| item.map(WriteOutcome::Done)).collect()
        }))
    }

    /// The host has verified, kept and answered it before this is called.
    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(borrow)]
            task: &'a RawValue,
        }
        let header = |name: &str| {
            let found = receipt.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let kind = header("x-todo-event").unwrap_or_default();
        if !["task.created", "task.updated", "task.removed"].contains(&kind.as_str()) {
            // What nobody declared is passed over.
            return Ok(Handled::nothing());
        }
        let nameless = || Error::invalid_data("the webhook does not say which task it is about");
        let told: Told<'_> = serde_json::from_slice(&receipt.body).map_err(|_| nameless())?;
        let head: Head<'_> = serde_json::from_str(told.task.get()).map_err(|_| nameless())?;
        let (id, changed) = (head.id.to_string(), head.updated_at.timestamp());
        if id.is_empty() {
            return Err(nameless());
        }
        let change = if kind == "task.removed" {
            Change::Delete(id)
        } else {
            Change::Upsert(record::item(id, told.task.get(), changed))
        };
        let event = Event {
            kind,
            id: header("x-todo-delivery").unwrap_or_else(|| receipt.id.clone()),
            occurred: changed,
            data: told.task.get().to_owned(),
        };
        Ok(Handled {
            events: vec![event],
            changes: vec![("tasks".to_owned(), change)],
            ..Handled::nothing()
        })
    }
}

/// Writes one task; gives it as the vendor has it now.
fn sent(tasks: &str, kind: write::Kind, write: &PendingWrite) -> Result<Item, Error> {
    let own = format!("{tasks}/{}", http::encode(write.id()));
    let request = match kind {
        write::Kind::Create => http::post(tasks).body("application/json", write.data()),
        write::Kind::Update => http::patch(own).body("application/json", write.data()),
        write::Kind::Delete => http::delete(own),
    };
    let response = request.idempotency_key(&write.idempotency_key).send()?;
    if kind == write::Kind::Delete {
        // Gone already is gone, as it was to be.
        if response.status != 404 {
            response.ok()?;
        }
        return Ok(record::item(write.id(), "{}", None));
    }
    let response = response.ok()?;
    let text = response.text()?;
    let head: Head<'_> = serde_json::from_str(text)
        .map_err(|_| Error::invalid_data("the vendor does not say which task it wrote"))?;
    Ok(record::item(
        head.id.to_string(),
        text,
        head.updated_at.timestamp(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn read(cursor: Option<&str>) -> Page {
        let connection = testing::connection(r#"{"list":"home"}"#);
        let request = testing::read_request("tasks", cursor.map(str::to_owned));
        MyConnector::read(&connection, &request).unwrap()
    }

    #[test]
    fn a_page_leads_to_the_next() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.todo.example/lists/home/tasks?per_page=100"
            );
            let next = r#"<https://api.todo.example/lists/home/tasks?page=2>; rel="next""#;
            testing::answer(
                200,
                &[("link", next)],
                r#"[{"id":1,"title":"Water the plants","updated_at":"2026-01-01T08:00:00Z"}]"#,
            )
        });
        let page = read(None);
        assert_eq!(page.changes.len(), 1);
        assert!(page.more);
        assert_eq!(
            page.cursor.as_deref(),
            Some(
                r#"{"since":"2026-01-01T08:00:00Z","next":"https://api.todo.example/lists/home/tasks?page=2"}"#
            )
        );
    }

    #[test]
    fn another_run_asks_for_what_changed() {
        testing::serve(|request| {
            assert!(request.url().ends_with("&updated_since=2026-01-01T08%3A00%3A00Z"));
            testing::answer(200, &[], "[]")
        });
        let since = r#"{"since":"2026-01-01T08:00:00Z"}"#;
        let page = read(Some(since));
        assert_eq!((page.cursor.as_deref(), page.more), (Some(since), false));
    }
}
