//! What Plaid gives whole: accounts with their balances (`/accounts/get`), holdings and the securities they are of
//! (`/investments/holdings/get`).

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page};

use crate::api;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    account_id: Text<'a>,
    #[serde(borrow, default)]
    security_id: Text<'a>,
}

pub(crate) fn read(connection: &Connection, stream: &str) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        accounts: Option<&'a RawValue>,
        #[serde(borrow, default)]
        holdings: Option<&'a RawValue>,
        #[serde(borrow, default)]
        securities: Option<&'a RawValue>,
    }
    let path = match stream {
        "accounts" => "/accounts/get",
        _ => "/investments/holdings/get",
    };
    let response = api::ok(api::of_item(connection, path, json!({}))?)?;
    let answer: Answer<'_> = response.json()?;
    let list = match stream {
        "accounts" => answer.accounts,
        "holdings" => answer.holdings,
        _ => answer.securities,
    };
    let list = list.ok_or_else(|| Error::invalid_data(format!("Plaid's answer has no `{stream}`")))?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(list.get()) {
        let (head, text) = element?;
        let id = match stream {
            "accounts" => head.account_id.as_str().to_owned(),
            "holdings" => record::key(&[head.account_id.as_str(), head.security_id.as_str()]),
            _ => head.security_id.as_str().to_owned(),
        };
        changes.push(Change::Upsert(record::item(id, text, None)));
    }
    Ok(Page::last(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    #[test]
    fn each_is_one_list() {
        testing::serve(|request| match request.url() {
            "https://sandbox.plaid.com/accounts/get" => {
                answer(200, &[], include_str!("../fixtures/accounts.json"))
            }
            _ => answer(200, &[], include_str!("../fixtures/holdings.json")),
        });
        let ids = |stream: &str| {
            let page = read(&connection(), stream).unwrap();
            page.changes
                .iter()
                .map(|change| change.id().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ids("accounts"),
            [
                "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp",
                "dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK"
            ]
        );
        assert_eq!(
            ids("holdings"),
            ["dVzbVMLjrxTnLjX4G66XUp5GLklm4oiZy88yK/8E4L9XLl6MudjEpwPAAgivmdZRdBPJuvMPlPb"]
        );
        assert_eq!(ids("securities"), ["8E4L9XLl6MudjEpwPAAgivmdZRdBPJuvMPlPb"]);
        testing::serve(|_| answer(200, &[], "{}"));
        assert!(matches!(
            read(&connection(), "holdings"),
            Err(Error::InvalidData(_))
        ));
    }
}
