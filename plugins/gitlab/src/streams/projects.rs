//! Projects: those that the configuration numbers ("Get a single project"), or a group's with its subgroups' ("List a group's
//! projects"). The other streams have one partition for each.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, http, paging};

use crate::api::{self, Api};
use crate::config::{self, Scope};

/// Projects asked for in one step: one round of concurrent requests.
const AT_ONCE: usize = 6;

/// The most projects of a group, in pages: each is a partition with a cursor of its own.
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    last_activity_at: Text<'a>,
    #[serde(default)]
    issues_enabled: Option<bool>,
    #[serde(default)]
    merge_requests_enabled: Option<bool>,
    #[serde(default)]
    jobs_enabled: Option<bool>,
}

/// What a project may have switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    Issues,
    MergeRequests,
    Jobs,
}

impl Head<'_> {
    fn has(&self, switch: Switch) -> bool {
        let enabled = match switch {
            Switch::Issues => self.issues_enabled,
            Switch::MergeRequests => self.merge_requests_enabled,
            Switch::Jobs => self.jobs_enabled,
        };
        enabled.unwrap_or(true)
    }

    fn upsert(&self, text: &str) -> Change {
        Change::Upsert(record::item(
            self.id.to_string(),
            text,
            self.last_activity_at.timestamp(),
        ))
    }
}

/// Where reading stands: how many of the named ones are read, or the group's next page.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default)]
    done: usize,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let api = Api::of(connection)?;
    let mut changes = Vec::new();
    let (next, more) = match config::read(connection)?.scope()? {
        Scope::Projects(ids) => {
            named(&api, &ids, cursor.done, |head, text| {
                changes.push(head.upsert(text))
            })?;
            let next = cursor.done.saturating_add(AT_ONCE);
            (next, next < ids.len())
        }
        Scope::Group(group) => {
            let next = cursor.done.saturating_add(1);
            let more = page(&api, group, next, |head, text| changes.push(head.upsert(text)))?;
            (next, more)
        }
    };
    let done = if more { next } else { 0 };
    Page::at(changes, &Cursor { done }, more)
}

/// The numbers of the projects that have this switched on.
pub(crate) fn with(connection: &Connection, switch: Switch) -> Result<Vec<String>, Error> {
    let api = Api::of(connection)?;
    let mut found = Vec::new();
    match config::read(connection)?.scope()? {
        Scope::Projects(ids) => {
            for from in (0..ids.len()).step_by(AT_ONCE) {
                named(&api, &ids, from, |head, _| {
                    if head.has(switch) {
                        found.push(head.id.to_string());
                    }
                })?;
            }
        }
        Scope::Group(group) => {
            found = paging::all(MAX_PAGES, |token| {
                let number = token.map_or(Ok(1), str::parse).unwrap_or(1);
                let mut ids = Vec::new();
                let more = page(&api, group, number, |head, _| {
                    if head.has(switch) {
                        ids.push(head.id.to_string());
                    }
                })?;
                let next = if more {
                    (number + 1).to_string()
                } else {
                    String::new()
                };
                Ok((ids, next))
            })?;
        }
    }
    found.retain(|id| !id.is_empty());
    Ok(found)
}

/// The next few of the named ones.
fn named(api: &Api, ids: &[u64], from: usize, mut each: impl FnMut(&Head<'_>, &str)) -> Result<(), Error> {
    let some = ids.get(from..).unwrap_or_default().iter().take(AT_ONCE);
    let requests = some.map(|id| api.get(&format!("projects/{id}"))).collect();
    for (at, response) in (from..).zip(http::send_all(requests)) {
        let response = response?
            .ok()
            .map_err(|error| error.blame_config(format!("/projects/{at}")))?;
        each(&response.json::<Head<'_>>()?, response.text()?);
    }
    Ok(())
}

/// A page of a group's projects; gives whether there are more.
fn page(api: &Api, group: u64, number: usize, mut each: impl FnMut(&Head<'_>, &str)) -> Result<bool, Error> {
    let response = api
        .get(&format!("groups/{group}/projects"))
        .query("include_subgroups", "true")
        .query("order_by", "id")
        .query("sort", "asc")
        .query("per_page", &api::PER_PAGE.to_string())
        .query("page", &number.to_string())
        .send()?;
    let response = response.ok().map_err(|error| error.blame_config("/group"))?;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        each(&head, text);
    }
    Ok(api::goes_on(&response))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn step(config: &str, cursor: Option<String>) -> Page {
        read(
            &testing::connection(config),
            &testing::read_request("projects", cursor),
        )
        .unwrap()
    }

    #[test]
    fn named_ones_are_read_a_few_at_a_time() {
        testing::serve(|request| {
            let id = request.url().rsplit('/').next().unwrap().to_owned();
            testing::answer(
                200,
                &[],
                &format!(r#"{{"id":{id},"issues_enabled":{}}}"#, id != "3"),
            )
        });
        let config = r#"{"host":"gitlab.com","projects":[1,2,3,4,5,6,7]}"#;
        let first = step(config, None);
        assert_eq!((first.changes.len(), first.more), (6, true));
        let second = step(config, first.cursor);
        assert_eq!((second.changes[0].id(), second.more), ("7", false));
        let with_issues = with(&testing::connection(config), Switch::Issues).unwrap();
        assert_eq!(with_issues, ["1", "2", "4", "5", "6", "7"]);
        assert_eq!(with(&testing::connection(config), Switch::Jobs).unwrap().len(), 7);
    }

    #[test]
    fn a_groups_are_read_to_the_last_page() {
        testing::serve(|request| match request.url().ends_with("page=1") {
            true => testing::answer(
                200,
                &[("x-next-page", "2")],
                include_str!("../../fixtures/projects.json"),
            ),
            false => testing::answer(200, &[("x-next-page", "")], r#"[{"id":9}]"#),
        });
        let config = r#"{"host":"gitlab.com","group":5}"#;
        let first = step(config, None);
        assert_eq!((first.changes[0].id(), first.more), ("7", true));
        let second = step(config, first.cursor);
        assert_eq!((second.changes[0].id(), second.more), ("9", false));
        assert_eq!(
            with(&testing::connection(config), Switch::Issues).unwrap(),
            ["7", "9"]
        );
    }

    #[test]
    fn a_project_that_is_not_there_is_pointed_at() {
        testing::serve(|_| testing::answer(404, &[], r#"{"message":"404 Project Not Found"}"#));
        let config = testing::connection(r#"{"host":"gitlab.com","projects":[1]}"#);
        let refused = read(&config, &testing::read_request("projects", None));
        assert!(
            matches!(refused, Err(Error::Config(detail)) if detail.pointer.as_deref() == Some("/projects/0"))
        );
    }
}
