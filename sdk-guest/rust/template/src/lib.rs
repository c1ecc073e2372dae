//! A connector to start from: one stream, read page by page along `Link` headers.
//!
//! `cargo test` runs it here, `cargo build --release --target wasm32-wasip2` makes the component.

use serde::Deserialize;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Account, Change, Connection, Connector, Error, Page, ReadRequest, http};

const API: &str = "https://api.todo.example";

struct MyConnector;

sluice_sdk::export!(MyConnector);

/// The user's configuration; it has passed the schema in `connector.toml`.
#[derive(Deserialize)]
struct Config {
    list: String,
}

/// The members of a task that matter here; the rest is handed on as it came.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
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
        let first = || format!("{API}/lists/{}/tasks?per_page=100", config.list);
        // The cursor is the address of the next page.
        let url = request.cursor()?.unwrap_or_else(first);
        let response = http::get(url)
            .send()?
            .ok()
            .map_err(|error| error.blame_config("/list"))?;

        let mut changes = Vec::new();
        for element in record::each::<Head<'_>>(response.text()?) {
            let (head, text) = element?;
            let item = record::item(head.id.to_string(), text, head.updated_at.timestamp());
            changes.push(Change::Upsert(item));
        }
        let next = response.link("next");
        Ok(Page {
            changes,
            more: next.is_some(),
            cursor: next.map(|next| record::text(&next)).transpose()?,
            total_hint: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_page_leads_to_the_next() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.todo.example/lists/home/tasks?per_page=100"
            );
            let next = r#"<https://api.todo.example/lists/home/tasks?page=2>; rel="next""#;
            testing::answer(200, &[("link", next)], r#"[{"id":1,"title":"Water the plants"}]"#)
        });
        let connection = testing::connection(r#"{"list":"home"}"#);
        let page = MyConnector::read(&connection, &testing::read_request("tasks", None)).unwrap();
        assert_eq!(page.changes.len(), 1);
        assert!(page.more);
        assert_eq!(
            page.cursor.as_deref(),
            Some(r#""https://api.todo.example/lists/home/tasks?page=2""#)
        );
    }
}
