//! Server-sent events, read: parts of a stream become events, and a connection that broke is made anew behind the last one.

use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::client::Client;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Option<u64>,
    /// The event's own number, where it is one that was replayed.
    pub(super) replay: Option<u64>,
    pub(super) data: String,
}

/// Lines of events, gathered until an event is whole (WHATWG HTML §9.2.6, without what this server does not send).
#[derive(Debug, Default)]
pub(super) struct Reader {
    rest: Vec<u8>,
    event: Event,
    /// Where to go on: an id counts from the end of its lines on, also where no data came with it.
    last: Option<u64>,
}

/// Bytes of one event; no event of the store is larger.
const MAX_EVENT_BYTES: usize = 64 << 20;

impl Reader {
    /// Takes bytes in and hands out the events that they complete.
    pub(super) fn take(&mut self, bytes: &[u8], see: &mut impl FnMut(Event)) -> Result<(), Failure> {
        self.rest.extend_from_slice(bytes);
        if self.rest.len() + self.event.data.len() > MAX_EVENT_BYTES {
            return Err(Failure::bug("an event has no end"));
        }
        let rest = std::mem::take(&mut self.rest);
        let mut lines = rest.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() {
                self.rest = line.to_vec();
                break;
            }
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                self.last = event.id.or(self.last);
                if !event.data.is_empty() {
                    see(event);
                }
            } else if let Some(id) = line.strip_prefix("id:") {
                self.event.id = id.trim().parse().ok();
            } else if let Some(seq) = line.strip_prefix("replay:") {
                self.event.replay = seq.trim().parse().ok();
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
        }
        Ok(())
    }
}

/// Follows a stream until Ctrl-C and hands its events on; reconnects behind the last one.
pub(super) async fn follow(
    client: &Client,
    output: &Output,
    path: &str,
    after: Option<u64>,
    events: Sender<Event>,
) -> Result<Exit, Failure> {
    let (mut last, mut failures) = (after, 0_u32);
    let mut is_first = true;
    let following = async {
        loop {
            let mut stream = match client.follow(path, last).await {
                Ok(stream) => stream,
                // The first time it is the answer; later the server may be on its way back.
                Err(failure) if is_first || failures >= MAX_FAILURES => return Err(failure),
                Err(failure) if !matches!(failure.exit, Exit::Unreachable) => return Err(failure),
                Err(_) => {
                    failures += 1;
                    output.note("reconnecting");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            (is_first, failures) = (false, 0);
            let mut reader = Reader::default();
            while let Some(part) = stream.next().await {
                if last.is_none() {
                    last = begin(&part);
                }
                let mut whole = Vec::new();
                reader.take(&part, &mut |event| whole.push(event))?;
                for event in whole {
                    if events.send(event).await.is_err() {
                        return Ok(Exit::Ok);
                    }
                }
                last = reader.last.or(last);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        ended = following => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }
}

/// The number that the server says it begins after, in the comment at its beginning.
fn begin(part: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(part).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(": after "))?;
    line.trim().parse().ok()
}

/// Between two connections.
const PAUSE: Duration = Duration::from_secs(1);
/// A server that does not come back within a minute is gone.
const MAX_FAILURES: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_however_the_bytes_are_cut() {
        let text = b"retry: 1000\n: after 4\n\nid: 5\nevent: a.b\ndata: {\"a\":\ndata: 1}\n\n: still here\n\nid: 6\r\nreplay: 2\r\ndata:x\r\n\r\nid: 7\n\n";
        let expected = [
            Event {
                id: Some(5),
                replay: None,
                data: "{\"a\":\n1}".into(),
            },
            Event {
                id: Some(6),
                replay: Some(2),
                data: "x".into(),
            },
        ];
        for cut in 0..text.len() {
            let (mut reader, mut seen) = (Reader::default(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                reader.take(part, &mut |event| seen.push(event)).unwrap();
            }
            assert_eq!(seen, expected, "{cut}");
            assert_eq!(reader.last, Some(7), "{cut}");
        }
        assert_eq!(begin(text), Some(4));
    }
}
