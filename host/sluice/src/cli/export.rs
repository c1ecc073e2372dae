//! Records and their changes, printed as they are.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};
use super::resolve;

#[derive(Debug, Args)]
pub(super) struct Export {
    connection: String,
    #[arg(long)]
    stream: Option<String>,
    /// Only changes after this number of the feed
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// The records as they are now instead of the feed
    #[arg(long, requires = "stream", conflicts_with = "after")]
    latest: bool,
}

impl Export {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::holder(client, &self.connection).await?;
        let base = format!(
            "/api/v1/connections/{}/records?limit=1000",
            segment(&text(&found, "id"))
        );
        let stream = self
            .stream
            .as_deref()
            .map(|stream| format!("&stream={}", segment(stream)))
            .unwrap_or_default();
        let latest = if self.latest { "&latest=true" } else { "" };
        let mut after = if self.latest {
            String::new()
        } else {
            format!("&after={}", self.after)
        };
        loop {
            let answer = client
                .answer(Method::GET, &format!("{base}{stream}{latest}{after}"), Body::None)
                .await?;
            let page: Page =
                serde_json::from_slice(&answer.body).map_err(|error| Failure::bug(error.to_string()))?;
            let lines: String = page.items.iter().flat_map(|item| [item.get(), "\n"]).collect();
            output.data(&lines);
            let next = match page.next {
                Some(Value::String(token)) => token,
                Some(Value::Number(number)) if !page.items.is_empty() => number.to_string(),
                _ => return Ok(Exit::Ok),
            };
            after = format!("&after={next}");
        }
    }
}

/// A page whose items are passed on to the byte: a number must not lose its digits here either.
#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Box<serde_json::value::RawValue>>,
    next: Option<Value>,
}
