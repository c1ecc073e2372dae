//! `sluice serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::config::{self, DEFAULT_TEXT, Flags};
use crate::serve::{Notice, ServeError};
use crate::{panics, serve};

/// Run the server
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Serve other machines without TLS (a proxy in front speaks it)
    #[arg(long)]
    open: bool,
    /// Write the first API key to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Print every key of the configuration with its default
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        if self.print_config {
            output.data(DEFAULT_TEXT);
            return Ok(Exit::Ok);
        }
        let flags = Flags {
            config: self.config,
            data: self.data,
            listen: self.listen,
            open: self.open,
        };
        // Variables that are not text are none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let config = config::load(&flags, environment).map_err(|error| failed(&error.into()))?;
        config.start_log();
        panics::watch();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::bug(format!("no runtime: {error}")))?;
        let tell = |notice| tell(output, notice);
        let served = runtime.block_on(serve::serve(config, self.key_file.as_deref(), &tell));
        // What still runs was given its time.
        runtime.shutdown_background();
        match served {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn tell(output: &Output, notice: Notice) {
    match notice {
        Notice::Listening { url } => {
            let value = serde_json::json!({ "listening": url });
            output.show(&value, |output| output.line(&format!("listening on {url}")));
        }
        Notice::FirstKey { key } => {
            let key = String::from_utf8_lossy(key.expose());
            output.important(&format!(
                "the first API key, shown this once:\n\n    {key}\n\n  sign in with it: sluice login --from-stdin\n"
            ));
        }
        Notice::FirstKeyFile { path } => output.note(&format!("the first API key is in {}", path.display())),
        Notice::MasterKeyMade { path } => output.warn(&format!(
            "the master key was made in {}, on the same volume as the database that it protects: whoever copies the \
             directory has both. Keep a copy elsewhere, or set data.master_key.",
            path.display()
        )),
    }
}

fn failed(error: &ServeError) -> Failure {
    let code = error.code();
    let exit = match error {
        ServeError::Config(_) => Exit::Usage,
        ServeError::Aborted => Exit::Interrupted,
        ServeError::Panicked => Exit::Bug,
        _ => Exit::Failed,
    };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    let mut failure = Failure::new(exit, message);
    failure.code = Some(code.to_owned());
    failure.hint = error.hint();
    failure
}
