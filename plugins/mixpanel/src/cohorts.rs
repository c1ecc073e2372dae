//! Saved cohorts (Mixpanel docs, "List Saved Cohorts"): a short list, read whole.

use serde::Deserialize;
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Connection, Error, Page};

use crate::config::Config;
use crate::{api, config};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

/// The list's answer; also what tells whether the credential is one.
pub(crate) fn list(config: &Config) -> Result<Response, Error> {
    api::ok(api::query(config, "/cohorts/list", String::new()).send()?)
}

pub(crate) fn read(connection: &Connection) -> Result<Page, Error> {
    let response = list(&config::read(connection)?)?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.to_string(), text, None)));
    }
    Ok(Page::last(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_list_is_read() {
        testing::serve(|request| {
            assert_eq!(
                (request.method(), request.url()),
                (
                    "POST",
                    "https://in.mixpanel.com/api/query/cohorts/list?project_id=7"
                )
            );
            testing::answer(200, &[], include_str!("../fixtures/cohorts.json"))
        });
        let config = r#"{"project_id":7,"start_date":"2024-05-01","region":"in"}"#;
        let page = read(&testing::connection(config)).unwrap();
        let ids: Vec<&str> = page.changes.iter().map(Change::id).collect();
        assert_eq!((ids, page.more), (vec!["1000", "1001"], false));
    }
}
