//! Files that connectors keep.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::HEXLOWER;
use ring::digest;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};
use super::resolve;
use super::run::pages;

/// Files that connectors keep: attachments, exports, recordings
#[derive(Debug, Subcommand)]
pub(super) enum File {
    /// Files of a connection
    List { connection: String },
    /// What is known of a file
    Show {
        /// Its id, fil_…
        file: String,
    },
    /// Download a file, and check that it is whole
    Get {
        /// Its id, fil_…
        file: String,
        /// Where to; the file's own name in this directory without it, - for standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Put it in the place of a file that is there
        #[arg(long)]
        force: bool,
    },
}

impl File {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => {
                let holder = resolve::holder(client, &connection).await?;
                let path = format!("/api/v1/connections/{}/files", segment(&text(&holder, "id")));
                let names = ["id", "name", "media_type", "bytes", "key", "kept"];
                pages(client, output, &path, names, |file: &Value| {
                    names.map(|name| text(file, name))
                })
                .await
            }
            Self::Show { file } => {
                let found = client.get(&format!("/api/v1/files/{}", segment(&file))).await?;
                output.show(&found, |output| {
                    let names = [
                        "id",
                        "name",
                        "media_type",
                        "bytes",
                        "sha256",
                        "connection",
                        "key",
                        "kept",
                    ];
                    let fields: Vec<_> = names.iter().map(|name| (*name, text(&found, name))).collect();
                    output.fields(&fields);
                });
                Ok(Exit::Ok)
            }
            Self::Get {
                file,
                output: to,
                force,
            } => {
                let found = client.get(&format!("/api/v1/files/{}", segment(&file))).await?;
                // The server has taken out what a path could be made of.
                let to = to.unwrap_or_else(|| PathBuf::from(text(&found, "name")));
                fetch(client, output, &found, &to, force).await
            }
        }
    }
}

async fn fetch(
    client: &Client,
    output: &Output,
    file: &Value,
    to: &Path,
    force: bool,
) -> Result<Exit, Failure> {
    let id = text(file, "id");
    let refused = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", to.display()),
        )
    };
    let (mut sink, part): (Box<dyn Write + Send>, _) = if to == Path::new("-") {
        (Box::new(std::io::stdout()), None)
    } else {
        if !force && to.exists() {
            let hint = "name another place with -o, or add --force";
            return Err(Failure::usage(format!("{} is there already", to.display())).hint(hint));
        }
        // What broke off never has the file's name.
        let part = to.with_file_name(format!(".{id}.part"));
        let sink = std::fs::File::create(&part).map_err(refused)?;
        (Box::new(sink), Some(part))
    };
    let mut following = client
        .follow(&format!("/api/v1/files/{}/content", segment(&id)), None)
        .await?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut written = Ok(());
    while let Some(piece) = following.next().await {
        hash.update(&piece);
        written = sink.write_all(&piece);
        if written.is_err() {
            break;
        }
    }
    let written = written.and_then(|()| sink.flush()).map_err(refused);
    drop(sink);
    let whole = HEXLOWER.encode(hash.finish().as_ref()) == text(file, "sha256");
    let ended = match (written, whole, &part) {
        (Err(failure), _, _) => Err(failure),
        (Ok(()), false, _) => Err(Failure::new(
            Exit::Failed,
            format!("the download of {id} broke off, or is not what was kept"),
        )
        .hint("try again; if it stays so, look at the server's log")),
        (Ok(()), true, Some(part)) => std::fs::rename(part, to).map_err(refused),
        (Ok(()), true, None) => Ok(()),
    };
    if let (Err(_), Some(part)) = (&ended, &part) {
        // It is not what was asked for, and has no other name.
        let _ = std::fs::remove_file(part);
    }
    ended?;
    if part.is_some() {
        let told = json!({ "id": id, "path": to.display().to_string(), "bytes": file.get("bytes") });
        output.show(&told, |output| {
            output.done(&format!("{} has {} bytes", to.display(), text(file, "bytes")));
        });
    }
    Ok(Exit::Ok)
}
