//! The configured account and its addresses. `connector.toml` asks for no other host.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

/// The API's root and version (Twilio docs, "API requests").
const ROOT: &str = "https://api.twilio.com/2010-04-01/Accounts";

/// The account that a connection is about.
#[derive(Debug)]
pub(crate) struct Account {
    /// `AC` and 32 hexadecimal digits.
    pub(crate) sid: String,
}

/// The account of the configuration.
pub(crate) fn of(connection: &Connection) -> Result<Account, Error> {
    #[derive(Deserialize)]
    struct Config {
        account_sid: String,
    }
    let config: Config = connection.config()?;
    if !is_sid("AC", &config.account_sid) {
        return Err(Error::config(
            "not an account SID: `AC` and 32 hexadecimal digits",
            "/account_sid",
        ));
    }
    Ok(Account {
        sid: config.account_sid,
    })
}

impl Account {
    /// The account's own address.
    pub(crate) fn itself(&self) -> String {
        format!("{ROOT}/{}.json", self.sid)
    }

    /// The address of a list of the account's.
    pub(crate) fn under(&self, list: &str) -> String {
        format!("{ROOT}/{}/{list}.json", self.sid)
    }
}

/// Whether it is a SID with this prefix (Twilio docs, "What is a String Identifier (SID)?").
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sluice_sdk::testing;

    /// No real account has this SID; scanners would take it for one if it were written out.
    pub(crate) fn sid() -> String {
        format!("AC{}", "0a".repeat(16))
    }

    pub(crate) fn connection() -> Connection {
        testing::connection(&format!(r#"{{"account_sid":"{}"}}"#, sid()))
    }

    #[test]
    fn nothing_but_a_sid_becomes_part_of_a_path() {
        assert!(of(&connection()).is_ok());
        for text in [
            "",
            "AC",
            "AC/..",
            &format!("{}/x", sid()),
            &sid().replace("AC", "CA"),
            &sid().replace('a', "g"),
        ] {
            match of(&testing::connection(&format!(r#"{{"account_sid":"{text}"}}"#))) {
                Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some("/account_sid")),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
