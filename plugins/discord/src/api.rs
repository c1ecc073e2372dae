//! Discord's API, version 10: where it is, and how it says no ("API Reference", "Opcodes and Status Codes").

use serde::Deserialize;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::time;

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://discord.com/api/v10";

/// Where Discord's ids begin to count: the first second of 2015, in milliseconds ("Snowflakes").
const EPOCH_MS: u64 = 1_420_070_400_000;

/// The bot is not in the channel, or may not read it.
const MISSING_ACCESS: u64 = 50_001;

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

/// Discord turns requests away that do not say who asks ("User Agent").
pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}")).header("user-agent", "DiscordBot (Sluice, 0.1.0)")
}

/// Whether the bot may not see what was asked for.
pub(crate) fn is_out_of_sight(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        code: u64,
    }
    let code = || response.json::<Refusal>().map(|refusal| refusal.code);
    response.status == 403 && code().is_ok_and(|code| code == MISSING_ACCESS)
}

/// Whether it is one of Discord's ids; nothing else becomes part of a path.
pub(crate) fn is_id(text: &str) -> bool {
    (15..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// When the id was made, in milliseconds.
pub(crate) fn made(id: u64) -> u64 {
    (id >> 22).saturating_add(EPOCH_MS)
}

/// The first id of this time.
pub(crate) fn first_id(at: u64) -> u64 {
    at.saturating_sub(EPOCH_MS) << 22
}

/// A time of Discord's; those of webhook events have no offset and are UTC.
pub(crate) fn timestamp(text: &str) -> Option<u64> {
    time::parse(text).or_else(|| time::parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn ids_tell_their_time() {
        // "Snowflakes": 175928847299117063 was made at 2016-04-30T11:18:25.796Z.
        assert_eq!(
            made(175_928_847_299_117_063),
            time::parse("2016-04-30T11:18:25.796Z").unwrap()
        );
        assert_eq!(made(first_id(1_714_557_600_000)), 1_714_557_600_000);
        assert!(is_id("175928847299117063"));
        for bad in ["", "@me", "1/2", "17592884729911706x"] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_sight_is_told_from_what_is_forbidden() {
        let refused = |body: &str| testing::answer(403, &[], body).unwrap();
        assert!(is_out_of_sight(&refused(
            r#"{"message":"Missing Access","code":50001}"#
        )));
        assert!(!is_out_of_sight(&refused(
            r#"{"message":"Missing Permissions","code":50013}"#
        )));
        assert!(!is_out_of_sight(&refused("<html>")));
    }
}
