//! `sluice status`: what the server has and does, on one screen.

use serde_json::{Value, json};

use super::client::Client;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::watch::summary;

pub(super) async fn run(client: &Client, output: &Output) -> Result<Exit, Failure> {
    client.get("/health/ready").await?;
    let connectors = client.get("/api/v1/connectors").await?;
    let connections = client.get("/api/v1/connections?limit=1000").await?;
    let runs = client.get("/api/v1/runs?limit=10").await?;
    let whole = json!({
        "server": client.server,
        "ready": true,
        "connectors": items(&connectors).len(),
        "connections": items(&connections),
        "runs": items(&runs),
    });
    output.show(&whole, |output| {
        output.fields(&[
            ("server", client.server.clone()),
            ("connectors", items(&connectors).len().to_string()),
        ]);
        for connection in items(&connections) {
            let [name, connector, state, error] =
                ["name", "connector", "state", "error.message"].map(|f| text(connection, f));
            output.line(&format!("connection  {name} ({connector}): {state} {error}"));
        }
        for run in items(&runs) {
            let [id, stream] = ["id", "stream"].map(|field| text(run, field));
            output.line(&format!("run         {id} {stream}: {}", summary(run)));
        }
    });
    let ill =
        |connection: &&Value| !matches!(text(connection, "state").as_str(), "active" | "paused" | "draft");
    Ok(if items(&connections).iter().any(|connection| ill(&connection)) {
        Exit::Findings
    } else {
        Exit::Ok
    })
}
