//! The server and key that `sluice login` remembers: a file that only its owner may read.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::{Global, client::Client, input};

/// Remember a server and its API key.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// Read the API key from standard input
    #[arg(long)]
    from_stdin: bool,
    /// Read the API key from a file
    #[arg(long, value_name = "FILE", conflicts_with = "from_stdin")]
    from_file: Option<PathBuf>,
}

/// What is remembered.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    pub(super) server: Option<String>,
    pub(super) api_key: Option<String>,
}

impl Login {
    pub(super) async fn run(self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let server = global
            .server
            .clone()
            .or(load()?.server)
            .unwrap_or_else(|| "http://127.0.0.1:7420".to_owned());
        let source = input::Source {
            stdin: self.from_stdin,
            file: self.from_file,
            flags: "--from-stdin or --from-file FILE",
        };
        let key = input::secret(&source, "API key", output)?.ok_or_else(|| {
            Failure::usage("an API key is needed").hint("pass --from-stdin or --from-file FILE")
        })?;
        let client = Client::at(&server, Some(key.clone()))?;
        client.get("/api/v1/keys").await?;
        let path = save(&Context {
            server: Some(server.clone()),
            api_key: Some(key),
        })?;
        output.done(&format!("signed in to {server} ({})", path.display()));
        Ok(Exit::Ok)
    }
}

pub(super) fn logout(output: &Output) -> Result<Exit, Failure> {
    let path = path()?;
    match std::fs::remove_file(&path) {
        Ok(()) => output.done("signed out"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => output.note("nobody was signed in"),
        Err(error) => return Err(failed(&path, &error)),
    }
    Ok(Exit::Ok)
}

pub(super) fn load() -> Result<Context, Failure> {
    let Ok(path) = path() else {
        return Ok(Context::default());
    };
    let mut text = String::new();
    match std::fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Context::default()),
        Err(error) => return Err(failed(&path, &error)),
    }
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!(
            "{} is not understood: {}",
            path.display(),
            error.message()
        ))
        .hint("sluice login")
    })
}

fn save(context: &Context) -> Result<PathBuf, Failure> {
    let path = path()?;
    let text = toml::to_string(context).map_err(|error| Failure::bug(error.to_string()))?;
    let written = (|| {
        if let Some(dir) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)?;
        }
        let new = path.with_extension("new");
        if new.exists() {
            std::fs::remove_file(&new)?;
        }
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&new, &path)
    })();
    written.map_err(|error| failed(&path, &error))?;
    Ok(path)
}

fn path() -> Result<PathBuf, Failure> {
    let dir = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let dir =
        dir.ok_or_else(|| Failure::usage("there is no home directory to remember it in: HOME is not set"))?;
    Ok(dir.join("sluice").join("context.toml"))
}

fn failed(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
}
