//! GitHub's REST API: where it is and what every request to it says.

use sluice_sdk::http::{self, Request, Response};

/// The only address this connector knows; `connector.toml` asks for nothing else.
pub(crate) const ROOT: &str = "https://api.github.com";

/// The most records that a list gives at once (GitHub REST docs, "Using pagination").
pub(crate) const PER_PAGE: u64 = 100;

/// A GET with the headers that the API asks for.
pub(crate) fn get(url: String) -> Request {
    dressed(http::get(url))
}

/// A POST with the headers that the API asks for.
pub(crate) fn post(url: String) -> Request {
    dressed(http::post(url))
}

/// A PATCH or a DELETE with the headers that the API asks for.
pub(crate) fn request(method: &str, url: String) -> Request {
    dressed(http::request(method, url))
}

/// Media type and version are sent so that the shapes stay what `connector.toml` declares ("API Versions").
fn dressed(request: Request) -> Request {
    request
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
}

/// Whether GitHub says that this kind of token may not do this; a rate limit comes with the same status.
pub(crate) fn is_refused(response: &Response) -> bool {
    response.status == 403 && !response.is_throttled()
}

/// The URL after `url` by its `Link: rel="next"`: the same path with the link's query. GitHub writes the path of a
/// repository by its number there, and a link must not lead anywhere else.
pub(crate) fn follow(url: &str, next: &str) -> Option<String> {
    let (path, _) = url.split_once('?')?;
    let (_, query) = next.split_once('?')?;
    Some(format!("{path}?{query}"))
}

/// How many records a list has, by its `Link: rel="last"`: whole pages, so a little too many.
pub(crate) fn total(last: &str) -> Option<u64> {
    let (_, query) = last.split_once('?')?;
    let page = query.split('&').find_map(|pair| pair.strip_prefix("page="))?;
    page.parse::<u64>().ok()?.checked_mul(PER_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_its_query_and_not_its_place() {
        let next = "https://elsewhere.example/repositories/7/issues?per_page=100&page=2";
        let url = "https://api.github.com/repos/acme/web/issues?per_page=100";
        assert_eq!(
            follow(url, next).as_deref(),
            Some("https://api.github.com/repos/acme/web/issues?per_page=100&page=2")
        );
        assert_eq!(follow(url, "https://elsewhere.example/"), None);
        assert_eq!(total("https://a/x?per_page=100&page=12"), Some(1_200));
        assert_eq!(total("https://a/x?after=abc"), None);
    }
}
