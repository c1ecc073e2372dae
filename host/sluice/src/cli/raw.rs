//! `sluice api`: any route, for what has no command yet.

use std::io::Read;

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{Body, Client};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::Output;

/// Call any route of the API
#[derive(Debug, Args)]
pub(super) struct Api {
    /// GET, POST, PUT or DELETE
    method: String,
    /// Path with its query, e.g. /api/v1/connections
    path: String,
    /// A field of the JSON body; several are allowed
    #[arg(short = 'f', long = "field", value_name = "KEY=VALUE")]
    fields: Vec<String>,
    /// Send standard input as the body
    #[arg(long, conflicts_with = "fields")]
    from_stdin: bool,
}

impl Api {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes())
            .map_err(|_| Failure::usage(format!("`{}` is not a method", self.method)))?;
        if !self.path.starts_with('/') {
            return Err(Failure::usage(format!(
                "`{}` does not begin with a slash",
                self.path
            )));
        }
        let answer = client
            .answer(method.clone(), &self.path, self.body(&method)?)
            .await?;
        let text = String::from_utf8_lossy(&answer.body);
        output.data(&text);
        if !text.is_empty() && !text.ends_with('\n') {
            output.data("\n");
        }
        Ok(Exit::Ok)
    }

    fn body(&self, method: &Method) -> Result<Body, Failure> {
        if self.from_stdin {
            let mut body = Vec::new();
            std::io::stdin()
                .read_to_end(&mut body)
                .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
            // What is JSON is said to be.
            return Ok(match serde_json::from_slice(&body) {
                Ok(value) => Body::Json(value),
                Err(_) => Body::Bytes(Bytes::from(body)),
            });
        }
        let object = input::fields(&self.fields)?;
        let writes = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        Ok(if object.is_empty() && !writes {
            Body::None
        } else {
            Body::Json(Value::Object(object))
        })
    }
}
