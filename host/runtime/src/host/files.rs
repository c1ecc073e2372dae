//! `files`: a request whose answer goes to the shelf. It is sent as every request is; here its body is passed on piece by piece,
//! counted and hashed on the way.

use data_encoding::HEXLOWER;
use ring::digest;
use sluice_broker::{Response, ResponseBody};
use sluice_model::file;
use sluice_model::record::MAX_ID_BYTES;

use super::http::{CHUNK, refuse, translate};
use crate::bindings::sluice::connector::files::{Error, Fetched, File, Host, Save};
use crate::bindings::sluice::connector::http as wit;
use crate::keeping::Kept;
use crate::shelf::{FileView, Unkept};
use crate::state::State;

/// A stream's name is no longer than this.
const MAX_STREAM_BYTES: usize = 256;

impl Host for State {
    async fn fetch(&mut self, request: wit::Request, into: Save) -> wasmtime::Result<Result<Fetched, Error>> {
        self.meter.call()?;
        Ok(self.fetch_file(request, into).await)
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<File>> {
        self.meter.call()?;
        Ok(self.keeping.get(&key).map(File::from))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        self.meter.call()?;
        if !file::is_key(&key) {
            return Ok(Err(Error::InvalidKey));
        }
        self.keeping.delete(&key);
        Ok(Ok(()))
    }
}

impl State {
    async fn fetch_file(&mut self, request: wit::Request, into: Save) -> Result<Fetched, Error> {
        let owner = into.owner.map(|owner| (owner.stream_name, owner.id));
        let owned_well = owner.as_ref().is_none_or(|(stream, id)| {
            (1..=MAX_STREAM_BYTES).contains(&stream.len()) && (1..=MAX_ID_BYTES).contains(&id.len())
        });
        if !file::is_key(&into.key) || !owned_well {
            return Err(Error::InvalidKey);
        }
        if !request.captures.is_empty() {
            let reason = "a file has no captures".to_owned();
            return Err(Error::Http(wit::Error::Protocol(reason)));
        }
        let most = self.left();
        if most == 0 {
            return Err(Error::TooLarge(0));
        }
        let room = Room {
            most,
            charge: self.keeping.room(&into.key),
            quota: self.keeping.quota(),
        };
        let mut request = translate(request).map_err(Error::Http)?;
        request.body_bytes = Some(most);
        let response = self.broker.send(&self.caller, request).await;
        let response = response.map_err(|error| refuse_file(error, most))?;
        if !(200..300).contains(&response.status) {
            let held = self
                .caller
                .rights
                .limits()
                .response_bytes
                .min(self.limits.memory_bytes);
            return plain(response, held).await.map(Fetched::Response);
        }
        let announced = response
            .header("content-length")
            .and_then(|length| length.parse().ok());
        room.check(announced.unwrap_or(0))?;
        let media_type = file::media_type(response.header("content-type").unwrap_or_default());
        let view = FileView {
            id: String::new(),
            name: file::name(&into.name),
            media_type,
            bytes: 0,
            sha256: String::new(),
        };
        let kept = self.write_down(&into.key, view, response.body, room).await?;
        let told = File::from(kept.file.clone());
        self.keeping.keep(&into.key, Kept { owner, ..kept });
        Ok(Fetched::File(told))
    }

    /// Passes the body on. Where it is what is kept already, the new copy is dropped.
    async fn write_down(
        &mut self,
        key: &str,
        mut view: FileView,
        mut body: ResponseBody,
        mut room: Room,
    ) -> Result<Kept, Error> {
        let (shelf, id) = (self.keeping.shelf(), self.keeping.id(key));
        let mut draft = shelf.draft(id.as_deref()).await.map_err(unavailable)?;
        let mut hash = digest::Context::new(&digest::SHA256);
        while let Some(chunk) = body
            .chunk(CHUNK)
            .await
            .map_err(|error| refuse_file(error, room.most))?
        {
            view.bytes += chunk.len() as u64;
            self.keeping.count(chunk.len() as u64);
            // It may be withdrawn while the file comes.
            room.most = room.most.min(self.left());
            room.check(view.bytes)?;
            hash.update(&chunk);
            draft.write(&chunk).await.map_err(unavailable)?;
        }
        view.sha256 = HEXLOWER.encode(hash.finish().as_ref());
        draft.id().clone_into(&mut view.id);
        let is_there = self
            .keeping
            .get(key)
            .is_some_and(|there| there.sha256 == view.sha256 && there.bytes == view.bytes);
        let held = if is_there {
            drop(draft);
            None
        } else {
            Some(draft.finish().await.map_err(unavailable)?)
        };
        Ok(Kept {
            file: view,
            owner: None,
            held,
        })
    }

    /// The bytes that one file may have now: none where nothing may be kept any more.
    fn left(&self) -> u64 {
        let rights = &self.caller.rights;
        if rights.files_bytes() == 0 {
            0
        } else {
            rights.file_bytes()
        }
    }
}

/// What one file may be: what it may charge is looked up once, and held against every piece.
struct Room {
    most: u64,
    /// What it may count of the quota.
    charge: u64,
    quota: u64,
}

impl Room {
    fn check(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.most {
            return Err(Error::TooLarge(self.most));
        }
        if file::charge(bytes) > self.charge {
            return Err(Error::Quota(self.quota));
        }
        Ok(())
    }
}

/// An answer that is no file, held as every answer is.
async fn plain(response: Response, most: u64) -> Result<wit::Response, Error> {
    let Response {
        status,
        headers,
        mut body,
        ..
    } = response;
    let mut bytes = Vec::new();
    while let Some(chunk) = body
        .chunk(CHUNK)
        .await
        .map_err(|error| Error::Http(refuse(error)))?
    {
        if (bytes.len() + chunk.len()) as u64 > most {
            return Err(Error::Http(wit::Error::TooLarge(most)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(wit::Response {
        status,
        headers,
        body: bytes,
    })
}

fn refuse_file(error: sluice_broker::Error, most: u64) -> Error {
    match error {
        sluice_broker::Error::TooLarge { .. } => Error::TooLarge(most),
        error => Error::Http(refuse(error)),
    }
}

fn unavailable(error: Unkept) -> Error {
    Error::Unavailable(error.0)
}

impl From<FileView> for File {
    fn from(view: FileView) -> Self {
        Self {
            id: view.id,
            size: view.bytes,
            sha256: view.sha256,
            media_type: view.media_type,
            name: view.name,
        }
    }
}
