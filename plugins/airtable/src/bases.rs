//! Bases and their tables ("List bases", "Get base schema"): streams of their own, and where the other streams come from.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

/// More pages of bases than this are not read: a page has 1,000.
const MAX_PAGES: usize = 10;

/// Bases whose tables are asked for at once.
const AT_ONCE: usize = 10;

/// A base's id and its text.
struct Base {
    id: String,
    text: String,
}

/// The bases of the connection: those of the configuration, or all that the token reaches.
fn list(connection: &Connection) -> Result<Vec<Base>, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        bases: &'a RawValue,
        #[serde(borrow, default)]
        offset: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
    }
    let wanted = config::read(connection)?.bases()?;
    let all = paging::all(MAX_PAGES, |offset| {
        let mut asked = api::get("meta/bases");
        if let Some(offset) = offset {
            asked = asked.query("offset", offset);
        }
        let response = api::ok(asked.send()?)?;
        let answer: Answer<'_> = response.json()?;
        let mut bases = Vec::new();
        for element in record::each::<Head<'_>>(answer.bases.get()) {
            let (head, text) = element?;
            bases.push(Base {
                id: head.id.as_str().to_owned(),
                text: text.to_owned(),
            });
        }
        Ok((bases, answer.offset.as_str().to_owned()))
    })?;
    if wanted.is_empty() {
        return Ok(all
            .into_iter()
            .filter(|base| api::is_id(&base.id, "app"))
            .collect());
    }
    if let Some(at) = wanted
        .iter()
        .position(|id| !all.iter().any(|base| base.id == *id))
    {
        return Err(Error::config(
            "the token does not reach this base",
            format!("/bases/{at}"),
        ));
    }
    Ok(all.into_iter().filter(|base| wanted.contains(&base.id)).collect())
}

pub(crate) fn ids(connection: &Connection) -> Result<Vec<String>, Error> {
    Ok(list(connection)?.into_iter().map(|base| base.id).collect())
}

/// The stream of bases, in one page.
pub(crate) fn read_bases(connection: &Connection) -> Result<Page, Error> {
    let bases = list(connection)?;
    let upsert = |base: &Base| Change::Upsert(record::item(base.id.as_str(), &base.text, None));
    Ok(Page::last(bases.iter().map(upsert).collect()))
}

/// The tables of a base, each with its id and text.
pub(crate) fn tables(base: &str) -> Result<Vec<(String, String)>, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        tables: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
    }
    let response = api::ok(api::get(&format!("meta/bases/{base}/tables")).send()?)?;
    let answer: Answer<'_> = response.json()?;
    let mut tables = Vec::new();
    for element in record::each::<Head<'_>>(answer.tables.get()) {
        let (head, text) = element?;
        tables.push((head.id.as_str().to_owned(), text.to_owned()));
    }
    Ok(tables)
}

/// The bases whose tables are still to be read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    #[serde(default)]
    rest: Option<Vec<String>>,
}

/// The stream of tables, some bases at a time.
pub(crate) fn read_tables(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Rest = request.cursor()?.unwrap_or_default();
    let mut rest = match cursor.rest {
        Some(rest) => rest,
        None => ids(connection)?,
    };
    if rest.iter().any(|base| !api::is_id(base, "app")) {
        return Err(Error::invalid_data("the cursor names something that is no base").at("/rest"));
    }
    let later = rest.split_off(rest.len().min(AT_ONCE));
    let mut changes = Vec::new();
    for base in &rest {
        for (id, text) in tables(base)? {
            let data = record::with_member(&text, "base", base)?;
            changes.push(Change::Upsert(record::item(id, &data, None)));
        }
    }
    let more = !later.is_empty();
    Page::at(
        changes,
        &Rest {
            rest: more.then_some(later),
        },
        more,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn serve() {
        testing::serve(|request| match request.url() {
            "https://api.airtable.com/v0/meta/bases" => {
                testing::answer(200, &[], include_str!("../fixtures/bases.json"))
            }
            "https://api.airtable.com/v0/meta/bases?offset=itr2" => testing::answer(
                200,
                &[],
                r#"{"bases":[{"id":"appDoorsDoors0002","name":"Locks"}]}"#,
            ),
            "https://api.airtable.com/v0/meta/bases/appDoorsDoors0001/tables" => {
                testing::answer(200, &[], include_str!("../fixtures/tables.json"))
            }
            "https://api.airtable.com/v0/meta/bases/appDoorsDoors0002/tables" => {
                testing::answer(200, &[], r#"{"tables":[]}"#)
            }
            other => panic!("{other}"),
        });
    }

    #[test]
    fn bases_are_those_the_token_reaches_or_those_that_are_named() {
        serve();
        let page = read_bases(&testing::connection("{}")).unwrap();
        assert_eq!(
            page.changes.iter().map(Change::id).collect::<Vec<_>>(),
            ["appDoorsDoors0001", "appDoorsDoors0002"]
        );
        let named = testing::connection(r#"{"bases":["appDoorsDoors0002"]}"#);
        assert_eq!(ids(&named).unwrap(), ["appDoorsDoors0002"]);
        let unknown = testing::connection(r#"{"bases":["appDoorsDoors0002","appDoorsDoors0009"]}"#);
        assert!(matches!(
            ids(&unknown),
            Err(Error::Config(detail)) if detail.pointer.as_deref() == Some("/bases/1")
        ));
    }

    #[test]
    fn tables_say_which_base_they_are_of() {
        serve();
        let page = read_tables(&testing::connection("{}"), &testing::read_request("tables", None)).unwrap();
        let [Change::Upsert(item)] = &page.changes[..] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(item.id, "tblDoorsDoors0001");
        assert!(item.data.ends_with(r#","base":"appDoorsDoors0001"}"#) && !page.more);
        let foreign = Some(r#"{"rest":["../x"]}"#.to_owned());
        let refused = read_tables(
            &testing::connection("{}"),
            &testing::read_request("tables", foreign),
        );
        assert!(matches!(refused, Err(Error::InvalidData(_))));
    }
}
