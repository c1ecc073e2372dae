//! Other versions and other grants of connectors: offered, approved, published to channels, narrowed.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, segment};
use super::connector::{What, differences, page_text};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve};

/// Offer a version: it is installed where the policy needs no approval, or waits for one
#[derive(Debug, Args)]
pub(super) struct Offer {
    /// A file, https://…, oci://HOST/REPOSITORY:TAG, or with --from a name, also NAME@VERSION
    connector: String,
    /// Where the name is: a directory with an index, its address, or oci://HOST/REPOSITORY
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// The channel that it is for
    #[arg(long)]
    channel: Option<String>,
    /// Why, for whoever decides
    #[arg(long, default_value = "")]
    reason: String,
}

/// What waits for an approval
#[derive(Debug, Subcommand)]
pub(super) enum Approval {
    /// What waits, and what was decided
    List,
    /// What it would permit and change
    Show { approval: String },
    /// Approve it: it is installed, and who follows its channel goes over
    Approve {
        approval: String,
        /// The digest of the manifest whose permissions were read
        #[arg(long, value_name = "sha256:…")]
        accept: Option<String>,
    },
    /// Decline it: nothing changes
    Decline {
        approval: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// Names under which connections are offered versions
#[derive(Debug, Subcommand)]
pub(super) enum Channel {
    /// The channels and what they offer
    List,
    /// Publish an install to a channel: who follows it goes over
    Publish {
        connector: String,
        channel: String,
        /// Id of an install, or of the connector for its newest
        install: String,
    },
}

/// What of other versions needs nobody's approval; without a flag it is shown
#[derive(Debug, Args)]
pub(super) struct Upgrades {
    #[arg(long)]
    auto: Option<Auto>,
    /// Days after which an approval that nobody decided on ends
    #[arg(long, value_name = "DAYS")]
    approval_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Auto {
    Never,
    Narrower,
}

/// Change what an install may do; its connections go over to the other grant
#[derive(Debug, Args)]
pub(super) struct Change {
    /// Id of a connector or an install
    connector: String,
    /// A line of the permission page, such as 'DELETE https://api.acme.example/repos/*'; or storage, or files
    #[arg(long, value_name = "RIGHT")]
    withdraw: Vec<String>,
    /// Switch on what the manifest asks for
    #[arg(long, value_name = "RIGHT")]
    allow: Vec<String>,
    /// Withdraw what was not used in so many days
    #[arg(long, value_name = "DAYS")]
    unused_days: Option<u32>,
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
}

impl Offer {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let what = What::of(&self.connector, self.from.as_deref())?;
        let mut path = format!("/api/v1/approvals?reason={}&", segment(&self.reason));
        if let Some(channel) = &self.channel {
            path.push_str(&format!("channel={}&", segment(channel)));
        }
        let offered = what.send(client, &path).await?;
        if text(&offered, "outcome") == "installed" {
            output.show(&offered, |output| {
                let field = |name: &str| text(&offered, &format!("install.{name}"));
                output.done(&format!(
                    "{} {} is installed",
                    field("connector"),
                    field("version")
                ));
                moved(output, &offered);
                output.line(&field("id"));
            });
            return Ok(Exit::Ok);
        }
        output.show(&offered, |output| {
            differences(output, offered.get("approval").unwrap_or(&Value::Null));
            output.done("it waits for an approval; what is installed serves on");
            output.line(&text(&offered, "approval.id"));
        });
        Ok(Exit::Ok)
    }
}

/// Where they are listed.
const APPROVALS: &str = "/api/v1/approvals?limit=1000";

async fn path(client: &Client, given: &str) -> Result<String, Failure> {
    let id = resolve::id(client, APPROVALS, "apr_", given).await?;
    Ok(format!("/api/v1/approvals/{}", segment(&id)))
}

impl Approval {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let list = client.get(APPROVALS).await?;
                let names = [
                    "id",
                    "connector",
                    "version",
                    "channel",
                    "state",
                    "asked_by",
                    "expires",
                ];
                let row = |item: &Value| names.map(|name| text(item, name));
                let header = [
                    "id",
                    "connector",
                    "version",
                    "channel",
                    "state",
                    "asked by",
                    "expires",
                ];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
            }
            Self::Show { approval } => {
                let found = client.get(&path(client, &approval).await?).await?;
                output.show(&found, |output| show(output, &found));
            }
            Self::Approve { approval, accept } => {
                let path = path(client, &approval).await?;
                let accept = match accept {
                    Some(accept) => accept,
                    None => {
                        let found = client.get(&path).await?;
                        show(output, &found);
                        let digest = text(&found, "approval.digest");
                        let needed = Failure::new(Exit::Approval, "its permissions need an approval");
                        if !output.may_ask {
                            let next =
                                format!("sluice connector approval approve {approval} --accept {digest}");
                            return Err(needed.hint(next));
                        }
                        if !input::agrees("Approve it with these permissions?")? {
                            return Err(needed.hint("nothing was approved"));
                        }
                        digest
                    }
                };
                let done = client
                    .post(&format!("{path}/approve"), json!({ "accept": accept }))
                    .await?;
                output.show(&done, |output| {
                    let field = |name: &str| text(&done, &format!("approval.{name}"));
                    output.done(&format!(
                        "{} {} is installed",
                        field("connector"),
                        field("version")
                    ));
                    moved(output, &done);
                    output.line(&field("install"));
                });
            }
            Self::Decline { approval, reason } => {
                let path = path(client, &approval).await?;
                let body = json!({ "reason": reason });
                let declined = client.post(&format!("{path}/decline"), body).await?;
                output.show(&declined, |output| {
                    output.done("it is declined; nothing was changed")
                });
            }
        }
        Ok(Exit::Ok)
    }
}

fn show(output: &Output, found: &Value) {
    let approval = found.get("approval").unwrap_or(&Value::Null);
    output.fields(&[
        (
            "connector",
            format!("{} {}", text(approval, "connector"), text(approval, "version")),
        ),
        ("channel", text(approval, "channel")),
        ("state", text(approval, "state")),
        ("asked by", text(approval, "asked_by")),
        ("reason", text(approval, "reason")),
        ("expires", text(approval, "expires")),
        ("manifest", text(approval, "digest")),
    ]);
    output.note(&page_text(found.get("permissions").unwrap_or(&Value::Null)));
    differences(output, approval);
}

/// Who went over, and who did not.
fn moved(output: &Output, found: &Value) {
    let of = |name: &str| found.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    if of("moved") > 0 {
        output.note(&format!("{} connections use it now", of("moved")));
    }
    for stayed in found
        .get("stayed")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let (connection, message) = (text(stayed, "connection"), text(stayed, "message"));
        output.warn(&format!("{connection} stays with what it uses: {message}"));
    }
}

impl Channel {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let list = client.get("/api/v1/channels").await?;
                let row = |item: &Value| ["connector", "name", "install"].map(|name| text(item, name));
                let header = ["connector", "channel", "install"];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
            }
            Self::Publish {
                connector,
                channel,
                install,
            } => {
                let list = "/api/v1/installs?limit=1000";
                let install = resolve::id(client, list, "ins_", &install).await?;
                let place = format!(
                    "/api/v1/connectors/{}/channels/{}",
                    segment(&connector),
                    segment(&channel)
                );
                let done = client
                    .send(Method::PUT, &place, Body::Json(json!({ "install": install })))
                    .await?;
                output.show(&done, |output| {
                    output.done(&format!("{channel} of {connector} offers {install}"));
                    moved(output, &done);
                });
            }
        }
        Ok(Exit::Ok)
    }
}

impl Upgrades {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let place = "/api/v1/upgrades";
        let mut policy = client.get(place).await?;
        if let Some(fields) = policy.as_object_mut()
            && (self.auto.is_some() || self.approval_days.is_some())
        {
            if let Some(auto) = self.auto {
                let word = match auto {
                    Auto::Never => "never",
                    Auto::Narrower => "narrower",
                };
                fields.insert("auto".to_owned(), json!(word));
            }
            if let Some(days) = self.approval_days {
                fields.insert("approval_days".to_owned(), json!(days));
            }
            policy = client.send(Method::PUT, place, Body::Json(policy)).await?;
        }
        output.show(&policy, |output| {
            output.fields(&[
                ("without approval", text(&policy, "auto")),
                (
                    "approvals wait",
                    format!("{} days", text(&policy, "approval_days")),
                ),
            ]);
        });
        Ok(Exit::Ok)
    }
}

async fn install_path(client: &Client, which: &str) -> Result<String, Failure> {
    let id = resolve::id(client, "/api/v1/installs?limit=1000", "ins_", which).await?;
    Ok(format!("/api/v1/installs/{}", segment(&id)))
}

impl Change {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let place = install_path(client, &self.connector).await?;
        let body = json!({
            "withdraw": self.withdraw, "allow": self.allow, "unused_days": self.unused_days,
            "dry_run": self.dry_run,
        });
        let changed = client
            .send(Method::PUT, &format!("{place}/grant"), Body::Json(body))
            .await?;
        output.show(&changed, |output| {
            differences(output, &changed);
            let done = changed.get("done").and_then(Value::as_bool).unwrap_or(false);
            let connections = changed.get("moved").and_then(Value::as_array).map_or(0, Vec::len);
            output.done(&match done {
                true => format!("{connections} connections have this grant, also calls that are under way"),
                false => "nothing was changed".to_owned(),
            });
            output.line(&text(&changed, "install.id"));
        });
        Ok(Exit::Ok)
    }
}

/// What an install may do and did not do.
pub(super) async fn advice(
    client: &Client,
    output: &Output,
    connector: &str,
    days: u32,
) -> Result<Exit, Failure> {
    let place = install_path(client, connector).await?;
    let found = client.get(&format!("{place}/advice?days={days}")).await?;
    output.show(&found, |output| {
        let mut rows = Vec::new();
        for (key, what) in [
            ("unused", "never used"),
            ("enough", "enough instead"),
            ("used", "used"),
            ("unused_credentials", "credential that no request carried"),
        ] {
            let list = found.get(key).and_then(Value::as_array).into_iter().flatten();
            rows.extend(
                list.filter_map(Value::as_str)
                    .map(|line| [what.to_owned(), line.to_owned()]),
            );
        }
        output.table(["what", "which"], rows);
        output.note(&format!(
            "in {days} days, on {} of which its code was called, {} times",
            text(&found, "days_with_calls"),
            text(&found, "calls")
        ));
    });
    Ok(Exit::Ok)
}

/// What an install means for each connection that uses another.
pub(super) async fn trial(client: &Client, output: &Output, install: &str) -> Result<Exit, Failure> {
    let place = install_path(client, install).await?;
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.get(&format!("{place}/trial?limit=100{after}")).await?;
        all.extend(items(&page).iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let fails = all
        .iter()
        .filter(|trial| text(trial, "outcome") == "fails")
        .count();
    let value = json!({ "items": all });
    output.show(&value, |output| {
        let row = |trial: &Value| {
            [
                text(trial, "name"),
                text(trial, "upgrade.from.version"),
                text(trial, "outcome"),
                means(trial),
            ]
        };
        output.table(["connection", "from", "outcome", "what"], all.iter().map(row));
        output.note(&format!(
            "{} connections, {fails} of them would stay; nothing was changed",
            all.len()
        ));
    });
    Ok(if fails == 0 { Exit::Ok } else { Exit::Failed })
}

/// What becomes of a connection, in a line.
fn means(trial: &Value) -> String {
    let upgrade = trial.get("upgrade").unwrap_or(&Value::Null);
    let mut parts: Vec<String> = Vec::new();
    let problem = text(trial, "problem.message");
    if !problem.is_empty() {
        parts.push(format!("{} ({})", problem, text(trial, "problem.code")));
    }
    parts.extend(migration(upgrade));
    let list = |key: &str| upgrade.get(key).and_then(Value::as_array).into_iter().flatten();
    for cursor in list("cursors") {
        let stream = [text(cursor, "stream"), text(cursor, "partition")]
            .join(" ")
            .trim_end()
            .to_owned();
        let code = text(cursor, "problem.code");
        let carried = cursor.get("carried").and_then(Value::as_bool).unwrap_or(false);
        parts.push(match (carried, code.is_empty()) {
            (true, _) => format!("{stream}: its cursor is carried over"),
            (false, true) => format!("{stream}: read from its beginning"),
            (false, false) => format!("{stream}: its cursor is not carried over ({code})"),
        });
    }
    for (key, what) in [("read_anew", "to be read with --full"), ("gone_streams", "gone")] {
        parts.extend(
            list(key)
                .filter_map(Value::as_str)
                .map(|stream| format!("{stream}: {what}")),
        );
    }
    parts.join("; ")
}

/// What becomes of what the connection keeps.
pub(super) fn migration(upgrade: &Value) -> Vec<String> {
    let Some(migrated) = upgrade.get("migrated") else {
        return Vec::new();
    };
    let number = |key: &str| migrated.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut lines = Vec::new();
    let reasons = migrated
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    lines.extend(reasons.filter_map(Value::as_str).map(str::to_owned));
    if let Some(config) = migrated.get("config") {
        lines.push(format!("its configuration becomes {config}"));
    }
    let (renamed, removed) = (number("storage_renamed"), number("storage_removed"));
    if renamed + removed > 0 {
        lines.push(format!(
            "{renamed} keys of its storage are renamed, {removed} removed"
        ));
    }
    lines
}
