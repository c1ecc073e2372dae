//! The main job, before a person's eyes: install → approve → connect → sync → receive webhooks → read the data back. Everything is
//! done by the `sluice` command line, as a person would, and each command is shown before it runs. Only the vendors are played: by
//! `fixtures/vendor` over TLS, by the demo itself where GitHub would send webhooks, and by a real OpenID provider for OAuth.

mod consent;
mod http;
mod stage;
mod webhooks;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::stand_in::{REPOSITORY, TOKEN};
use crate::{build, place, step, test, tool};
use stage::Stage;
use webhooks::{COUNT, Hook};

/// How many issues the demo syncs when nobody says.
pub(crate) const ISSUES: u64 = 10_000;

/// The connection's name.
const NAME: &str = "acme";

#[derive(Debug)]
pub(crate) struct Options {
    /// End when the job is done, without waiting for a person.
    pub(crate) exit: bool,
    /// Build as it would be shipped: the first build takes minutes more.
    pub(crate) release: bool,
    pub(crate) issues: u64,
}

/// Builds what the demo needs, and plays it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    say("Build the server, the stand-in for GitHub and the connector");
    let mut cargo = step::cargo();
    cargo.args(["build", "--locked", "-p", "sluice", "-p", "vendor"]);
    if options.release {
        cargo.arg("--release");
    }
    step::run(&mut cargo)?;
    if tool::has_node() {
        test::provider()?;
    }
    let mut connectors = build::connectors()?;
    connectors.extend(build::fixtures()?);
    play(options, &connectors)?;
    println!("\n   ended well after {}", step::seconds(started.elapsed()));
    Ok(())
}

/// The demo with binaries that are built.
pub(crate) fn play(options: &Options, connectors: &[PathBuf]) -> Result<()> {
    if options.issues < COUNT {
        bail!("the demo needs at least {COUNT} issues");
    }
    let connector = connectors
        .iter()
        .find(|path| path.ends_with("github.wasm"))
        .context("plugins/github was not built")?;
    let acme = connectors
        .iter()
        .find(|path| path.ends_with("acme.wasm"))
        .context("fixtures/connectors/acme was not built")?;

    say("Start both on loopback, with a throw-away data directory");
    let stage = Stage::build(options.release, options.issues)?;
    println!("   server   http://{}", stage.server_address);
    println!(
        "   vendor   http://{} ({} issues; the connector reaches it as https://api.github.com)",
        stage.vendor.http, options.issues
    );
    println!("   files    {}", stage.dir.display());

    say("Install the connector: this is what it asks for");
    let connector = place::shown(connector);
    let digest = show_permissions(&stage, &connector)?;
    say("Approve exactly that, by the digest of its manifest");
    sluice(
        &stage,
        &["connector", "install", &connector, "--accept", &digest],
        None,
    )?;

    say("Connect an account; the token goes in by standard input and never comes out");
    let repositories = format!("repositories=[\"{REPOSITORY}\"]");
    let create = [
        "connection",
        "create",
        NAME,
        "--connector",
        "github",
        "--config",
        &repositories,
        "--secret-from-stdin",
    ];
    sluice(&stage, &create, Some(TOKEN))?;

    say(&format!("Sync {} issues", options.issues));
    sluice(
        &stage,
        &["connection", "sync", NAME, "--stream", "issues", "--wait"],
        None,
    )?;

    say(&format!(
        "Receive webhooks: somebody closes {COUNT} of the issues"
    ));
    let created = sluice_json(&stage, &["hook", "create", NAME])?;
    let hook = Hook::of(&stage, &created)?;
    let told = hook.send_all(&stage)?;
    println!(
        "   {} signed webhooks: verified, on disk, then acknowledged with 200",
        told.accepted
    );
    println!(
        "   {} sent once more: known by their delivery id, no second effect",
        told.known
    );
    println!("   {} with one byte changed: refused with 401", told.refused);
    if (told.accepted, told.known, told.refused) != (COUNT, COUNT, COUNT) {
        bail!("each of these should be {COUNT}");
    }
    hook.wait_until_handled()?;

    say("Read the data back");
    sluice(
        &stage,
        &["event", "list", "--kind", "github.issues.", "--limit", "5"],
        None,
    )?;
    sluice(&stage, &["connection", "show", NAME], None)?;
    show_changes(&stage, options.issues)?;
    hook.check(&stage)?;
    consent::play(&stage, acme, options.exit)?;
    if !options.exit {
        wait_for_a_person(&stage, &hook)?;
    }
    stage.end()
}

/// Shows the permission page, and gives the digest that approves it. Without approval the command ends with status 5.
fn show_permissions(stage: &Stage, connector: &str) -> Result<String> {
    let words = ["connector", "install", connector];
    show(&words);
    let status = stage.sluice().args(words).stdin(Stdio::null()).status()?;
    if status.code() != Some(5) {
        bail!("installing without approval should end with status 5, and ended with {status}");
    }
    let output = stage
        .sluice()
        .args(["connector", "info", connector, "--json"])
        .stdin(Stdio::null())
        .output()?;
    let proposal: Value = serde_json::from_slice(&output.stdout).context("the proposal is not JSON")?;
    let digest = proposal
        .get("digest")
        .and_then(Value::as_str)
        .context("the proposal has no digest")?;
    Ok(digest.to_owned())
}

/// Counts the records, and shows some that the webhooks changed.
fn show_changes(stage: &Stage, issues: u64) -> Result<()> {
    let counts = sluice_json(
        stage,
        &["api", "GET", &format!("/api/v1/connections/{NAME}/streams")],
    )?;
    let held = list(&counts)
        .filter(|count| count.get("stream").and_then(Value::as_str) == Some("issues"))
        .find_map(|count| count.get("records").and_then(Value::as_u64));
    if held != Some(issues) {
        bail!("{issues} issues should be there, and the server says {counts}");
    }
    println!("   {issues} issues at the vendor, {issues} records here");
    // Each record took one number of the feed when it came, so what follows is what came after.
    let path = format!("/api/v1/connections/{NAME}/records?stream=issues&after={issues}&limit=3");
    for change in list(&sluice_json(stage, &["api", "GET", &path])?) {
        let text = |pointer: &str| change.pointer(pointer).map(Value::to_string).unwrap_or_default();
        println!(
            "   {}  {}  {}  {}  {}",
            text("/seq"),
            text("/op"),
            text("/id"),
            text("/data/state"),
            text("/data/title")
        );
    }
    Ok(())
}

fn list(answer: &Value) -> impl Iterator<Item = &Value> {
    answer
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn wait_for_a_person(stage: &Stage, hook: &Hook) -> Result<()> {
    say("Go on by hand, in another terminal");
    for (name, value) in stage.environment() {
        println!("   export {name}={value}");
    }
    println!("   alias sluice={}", stage.program().display());
    println!("   sluice status");
    println!("   sluice connection export {NAME} --stream issues | head -n 3");
    println!("   sluice connection sync {NAME} --wait");
    println!("   sluice hook receipts {}", hook.id);
    println!("   sluice run list");
    println!("   sluice explain webhook.signature");
    if std::io::stdin().is_terminal() {
        print!("\nEnter ends the demo. ");
        std::io::stdout().flush()?;
    }
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Runs a command as a person would, showing it. What `input` says goes to its standard input.
fn sluice(stage: &Stage, words: &[&str], input: Option<&str>) -> Result<()> {
    show(words);
    let mut command = stage.sluice();
    command.args(words);
    let status = match input {
        None => command.stdin(Stdio::null()).status()?,
        Some(text) => fed(&mut command, text)?,
    };
    if !status.success() {
        bail!("`sluice {}` ended with {status}", words.join(" "));
    }
    Ok(())
}

fn fed(command: &mut Command, text: &str) -> Result<std::process::ExitStatus> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    Ok(child.wait()?)
}

/// The same for an answer that the demo goes on with.
fn sluice_json(stage: &Stage, words: &[&str]) -> Result<Value> {
    show(words);
    let output = stage
        .sluice()
        .args(words)
        .arg("--json")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("`sluice {}` ended with {}", words.join(" "), output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`sluice {}` did not print JSON", words.join(" ")))
}

fn show(words: &[&str]) {
    let quoted = words.iter().map(|word| {
        if word.contains(['"', '[', ' ', '*', '&']) {
            format!("'{word}'")
        } else {
            (*word).to_owned()
        }
    });
    println!("\n   $ sluice {}", quoted.collect::<Vec<_>>().join(" "));
}

fn say(heading: &str) {
    println!("\n── {heading}");
}
