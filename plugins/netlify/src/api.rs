//! Netlify's API: where it is, how its lists go on (Netlify docs, "Pagination") and how it says no.

use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::{Connection, Error};

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.netlify.com/api/v1";

pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}"))
}

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

/// The response if it is one of success. 404 of something that the configuration names is the configuration's.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    response.ok()
}

/// Whether another page follows.
pub(crate) fn has_more(response: &Response) -> bool {
    response.link("next").is_some()
}

/// The sites that the configuration names; none for all.
pub(crate) fn sites(connection: &Connection) -> Result<Vec<String>, Error> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        sites: Vec<String>,
    }
    let config: Config = connection.config()?;
    match config.sites.iter().position(|id| !is_id(id)) {
        Some(at) => Err(Error::config("not a site's id", format!("/sites/{at}"))),
        None => Ok(config.sites),
    }
}

/// Whether it may stand in a path.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::answer;

    #[test]
    fn refusals_are_told_apart() {
        let of = |status: u16| {
            ok(answer(status, &[], r#"{"code":1,"message":"Said by Netlify"}"#).unwrap()).unwrap_err()
        };
        assert!(matches!(of(401), Error::Auth(_)));
        assert!(matches!(of(404), Error::InvalidData(detail) if detail.message.contains("Said by Netlify")));
        assert!(matches!(of(429), Error::RateLimited(_)));
        assert!(matches!(of(503), Error::Transient(_)));
    }

    #[test]
    fn ids() {
        assert!(is_id("3970e0fe-8564-4903-9a55-c5f8de49fb8b"));
        for bad in ["", "..", "a/b", "a?b"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
