//! The command line: a client of the API. One noun a file; data on standard output, everything else on standard error.

mod action;
mod app;
mod author;
mod authorize;
mod client;
mod connection;
mod connector;
mod context;
mod destination;
mod doctor;
mod endpoint;
mod event;
mod exit;
mod explain;
mod export;
mod failure;
mod file;
mod hook;
mod input;
mod key;
mod link;
mod listen;
mod new;
mod output;
mod raw;
mod registry;
mod replay;
mod resolve;
mod run;
mod secret;
mod serve;
mod sse;
mod status;
mod stream;
mod sync;
mod trigger;
mod trust;
mod upgrade;
mod version;
mod watch;
mod workshop;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use exit::Exit;
use failure::Failure;
use output::Output;

/// Sluice runs connectors in WebAssembly sandboxes and brokers everything they touch.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 80, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sluice serve --data ./data
  sluice connector install github.wasm
  sluice connection create work --connector github --config owner=acme
  sluice connection sync work --wait
  sluice connection export work --stream issues
  sluice help exit-codes";

/// Flags that every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Address of the server
    #[arg(long, global = true, env = "SLUICE_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File with the API key (or SLUICE_API_KEY)
    #[arg(long, global = true, env = "SLUICE_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Print JSON: one object, or one a line for streams
    #[arg(long, global = true)]
    json: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
    /// Never ask; what is missing is an error
    #[arg(long, global = true)]
    no_input: bool,
    /// Say less: -q only errors, -qq nothing
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    quiet: u8,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Seconds after which a command gives up
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// What the server has and does
    Status,
    /// Check the server, the key and this machine
    Doctor,
    /// What an error code means and what to do
    Explain(explain::Explain),
    /// Print the version
    Version,
    /// Remember a server and its API key
    Login(context::Login),
    /// Forget them
    Logout,
    /// Pack, sign, publish, inspect, install and remove connectors
    #[command(subcommand)]
    Connector(connector::Connector),
    /// What the vendor gave for a connector: client id, client secret, private key
    #[command(subcommand)]
    App(app::App),
    /// Connect accounts, test, sync and export them
    #[command(subcommand)]
    Connection(connection::Connection),
    /// What connections can do at their vendors: list and run actions
    #[command(subcommand)]
    Action(action::Action),
    /// Databases, directories and buckets that records are loaded into
    #[command(subcommand)]
    Destination(destination::Destination),
    /// Streams that are kept saying the same, one way or both
    #[command(subcommand)]
    Link(link::Link),
    /// Runs of syncs: watch, trace, cancel
    #[command(subcommand)]
    Run(run::Run),
    /// Inbound webhooks: addresses and receipts
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Outbound webhooks: where events are delivered
    #[command(subcommand)]
    Endpoint(endpoint::Endpoint),
    /// The event store
    #[command(subcommand)]
    Event(event::Event),
    /// Files that connectors keep
    #[command(subcommand)]
    File(file::File),
    /// API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Secrets: what there is, and the key they are sealed under
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Call any route of the API
    Api(raw::Api),
    /// Print a completion script
    Completion { shell: clap_complete::Shell },
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// Help on a command, or on exit-codes
    Help { topic: Vec<String> },
}

/// Runs the process's command line.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

/// Runs a command line and says how it ended. Prints.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // There is nobody to tell if the terminal is gone.
            drop(error.print());
            return exit;
        }
    };
    match cli.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let output = Output::new(&cli.global);
    match execute(cli, &output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

fn execute(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(serve) => return serve.run(output),
        Command::Explain(explain) => return explain.run(output),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sluice", &mut script);
            output.data(&String::from_utf8_lossy(&script));
            return Ok(Exit::Ok);
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            let value =
                serde_json::json!({ "version": version, "contract": sluice_service::install::CONTRACT });
            output.show(&value, |output| output.line(&format!("sluice {version}")));
            return Ok(Exit::Ok);
        }
        Command::Openapi => {
            output.data(&api_document()?);
            return Ok(Exit::Ok);
        }
        Command::Help { topic } => return help(&topic, output),
        Command::Logout => return context::logout(output),
        Command::Connector(connector::Connector::New(new)) => return new.run(output),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::bug(format!("no runtime: {error}")))?;
    let limit = global.timeout.map(std::time::Duration::from_secs);
    let work = async {
        let client = || client::Client::new(&global);
        match command {
            Command::Login(login) => login.run(&global, output).await,
            Command::Status => status::run(&client()?, output).await,
            Command::Doctor => doctor::run(&global, output).await,
            Command::Connector(connector::Connector::Author(author)) => author.run(output).await,
            Command::Connector(connector::Connector::Workshop(workshop)) => {
                workshop.run(&global, output).await
            }
            Command::Connector(connector) => connector.run(&client()?, output).await,
            Command::App(app) => app.run(&client()?, output).await,
            Command::Connection(connection) => connection.run(&client()?, output).await,
            Command::Destination(destination) => destination.run(&client()?, output).await,
            Command::Link(link) => link.run(&client()?, output).await,
            Command::Run(run) => run.run(&client()?, output).await,
            Command::Hook(hook) => hook.run(&client()?, output).await,
            Command::Action(action) => action.run(&client()?, output).await,
            Command::Endpoint(endpoint) => endpoint.run(&client()?, output).await,
            Command::Event(event) => event.run(&client()?, output).await,
            Command::File(file) => file.run(&client()?, output).await,
            Command::Key(key) => key.run(&client()?, output).await,
            Command::Secret(secret) => secret.run(&client()?, output).await,
            Command::Api(api) => api.run(&client()?, output).await,
            _ => Ok(Exit::Ok),
        }
    };
    runtime.block_on(async {
        match limit {
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Failure::timed_out(limit))),
            None => work.await,
        }
    })
}

/// The OpenAPI document as it is checked in.
pub(crate) fn api_document() -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&crate::api::document());
    text.map(|text| text + "\n")
        .map_err(|error| Failure::bug(error.to_string()))
}

fn help(topic: &[String], output: &Output) -> Result<Exit, Failure> {
    if topic.iter().map(String::as_str).eq(["exit-codes"]) {
        output.data(&exit::page());
        return Ok(Exit::Ok);
    }
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for word in topic {
        found = found
            .find_subcommand_mut(word)
            .ok_or_else(|| Failure::usage(format!("there is no command `{word}`")).hint("sluice help"))?;
    }
    output.data(&found.render_long_help().ansi().to_string());
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
