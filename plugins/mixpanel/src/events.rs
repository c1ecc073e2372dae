//! Raw events (Mixpanel docs, "Download Data"), some days at a time and as a stream: a line is an event. A page is a bounded
//! number of lines, and the place after it is the days, the bytes that were read of them and their hash. The next page asks
//! for the same days again and passes over those bytes, since Mixpanel offers no other way; where they are no longer the same
//! (a late event may stand anywhere), the days are read from their beginning. Reading an event twice is harmless, losing one
//! is not.
//!
//! Days that are over are read once, today up to now. What arrives later than its day is for the host's look-back.

use serde::{Deserialize, Serialize};
use sluice_sdk::http;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, Window, log, time};

use crate::api;
use crate::config::{self, Config};
use crate::day::Day;
use crate::lines::{self, Lines};

/// The most events of a page: what the host takes at once.
const MAX_LINES: usize = 10_000;

/// The most bytes of a page's events.
const MAX_BYTES: usize = 8 << 20;

/// Who would like fewer events than this to begin with is looking, not reading.
const FEW: u32 = 20;

/// How often the same days may begin again because they were no longer the same.
const MAX_RESTARTS: u32 = 5;

/// What Mixpanel writes as a last line when an export broke off.
const BROKEN_OFF: &str = "terminated early";

/// Where reading stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Of the passes that go on in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Place>,
    /// Of the window under way; none between windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Place>,
}

/// Days, and what was read of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    from: Day,
    /// The last day; the first one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Day>,
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    hash: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u32>,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

impl Place {
    const fn start(from: Day, to: Option<Day>) -> Self {
        Self {
            from,
            to,
            bytes: 0,
            hash: 0,
            restarts: None,
        }
    }

    fn to(&self) -> Day {
        self.to.unwrap_or(self.from)
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow)]
    properties: Properties<'a>,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(borrow, default)]
    time: Id<'a>,
    #[serde(rename = "$insert_id", borrow, default)]
    insert_id: Id<'a>,
    #[serde(borrow, default)]
    distinct_id: Id<'a>,
    #[serde(rename = "mp_processing_time_ms", borrow, default)]
    processed: Id<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let config = config::read(connection)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let place = match &request.window {
        Some(window) => {
            let first = Day::of(window.start, config.offset_ms);
            let last = Day::of(window.end.saturating_sub(1), config.offset_ms);
            if window.end <= window.start {
                return Page::at(Vec::new(), &cursor, false);
            }
            let day = cursor.window.take();
            day.unwrap_or_else(|| Place::start(first, span(&config, first, last)))
        }
        None => {
            let place = cursor.next.take();
            place.unwrap_or_else(|| Place::start(config.start, None))
        }
    };
    let most = match request.page_hint {
        hint @ 1..FEW if request.cursor.is_none() => hint as usize,
        _ => MAX_LINES,
    };
    let read = days(&config, &place, request.window.as_ref(), most)?;
    let (next, more) = match &request.window {
        Some(window) => within(&config, place, &read, window),
        None => onward(&config, place, &read)?,
    };
    match &request.window {
        Some(_) => cursor.window = next,
        None => cursor.next = next,
    }
    Page::at(read.changes, &cursor, more)
}

/// What one request gave.
struct Read {
    changes: Vec<Change>,
    end: End,
    /// Mixpanel's clock, in milliseconds.
    now: Option<u64>,
}

enum End {
    /// There are more lines.
    Page(lines::Place),
    /// There are none.
    Days(lines::Place),
    /// The bytes that were read before are others now.
    Changed,
}

fn days(config: &Config, place: &Place, window: Option<&Window>, most: usize) -> Result<Read, Error> {
    let asked = api::export(config)
        .query("from_date", &place.from.to_string())
        .query("to_date", &place.to().to_string())
        .header("accept", "text/plain");
    let incoming = api::streamed(http::open(asked)?)?;
    let headers = incoming.headers();
    let date = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("date"));
    let mut read = Read {
        changes: Vec::new(),
        end: End::Changed,
        now: date.and_then(|(_, value)| time::parse_http_date(value)),
    };
    let mut lines = Lines::new(incoming);
    if place.bytes > 0
        && !lines.skip(lines::Place {
            bytes: place.bytes,
            hash: place.hash,
        })?
    {
        return Ok(read);
    }
    let (mut taken, mut bytes) = (0, 0);
    while taken < most && bytes < MAX_BYTES {
        let Some(line) = lines.next()? else {
            read.end = End::Days(lines.place());
            return Ok(read);
        };
        if line.is_empty() {
            continue;
        }
        if line == BROKEN_OFF {
            return Err(Error::transient("Mixpanel broke the export off"));
        }
        taken += 1;
        bytes += line.len();
        read.changes.extend(change(config, &line, window)?);
    }
    read.end = End::Page(lines.place());
    Ok(read)
}

/// An event's change; none for one outside the window.
fn change(config: &Config, line: &str, window: Option<&Window>) -> Result<Option<Change>, Error> {
    let Ok(parsed) = serde_json::from_str::<Line<'_>>(line) else {
        // The host sets it aside: it has no id.
        return Ok(Some(Change::Upsert(record::item("", line, None))));
    };
    let properties = &parsed.properties;
    let moment = match properties.time {
        Id::Number(seconds) => moment(config, seconds),
        _ => None,
    };
    if let (Some(window), Some(moment)) = (window, moment)
        && !(window.start..window.end).contains(&moment)
    {
        return Ok(None);
    }
    // Mixpanel tells events apart by these four ("Event Deduplication").
    let (event, who) = (parsed.event.as_str(), properties.distinct_id.to_string());
    let insert_id = properties.insert_id.to_string();
    let rest = lines::hash(&[event, &who]);
    let id = match (&properties.time, insert_id.len()) {
        (Id::Number(time), 1..=200) => format!("{time}-{rest:016x}-{insert_id}"),
        (Id::Number(time), _) => format!("{time}-{rest:016x}-{:016x}", lines::hash(&["line", line])),
        _ => String::new(),
    };
    let processed = match properties.processed {
        Id::Number(millis) => Some(millis),
        _ => moment,
    };
    let data = record::with_member(line, "id", &id)?;
    Ok(Some(Change::Upsert(record::item(id, &data, processed))))
}

/// The moment of an event's `time`, in milliseconds: of a project with a zone of its own it is that zone's clock. Seconds,
/// or milliseconds where it can be nothing else.
fn moment(config: &Config, time: u64) -> Option<u64> {
    let millis = match time {
        0..100_000_000_000 => time.checked_mul(1_000)?,
        millis => millis,
    };
    millis.checked_add_signed(-config.offset_ms)
}

/// Where to go on after a page of a pass, and whether there is more now.
fn onward(config: &Config, place: Place, read: &Read) -> Result<(Option<Place>, bool), Error> {
    let end = match &read.end {
        End::Changed => return again(place).map(|place| (Some(place), true)),
        End::Page(end) => return Ok((Some(at(place, *end)), true)),
        End::Days(end) => *end,
    };
    let Some(now) = read.now else {
        return Err(Error::transient(
            "Mixpanel's answer does not say when it was given",
        ));
    };
    let today = Day::of(now, config.offset_ms);
    if place.to() >= today {
        let place = Place {
            restarts: None,
            ..place
        };
        return Ok((Some(at(place, end)), false));
    }
    let from = place.to().plus(1);
    let yesterday = Day::of(now.saturating_sub(86_400_000), config.offset_ms);
    Ok((Some(Place::start(from, span(config, from, yesterday))), true))
}

/// The same for a window.
fn within(config: &Config, place: Place, read: &Read, window: &Window) -> (Option<Place>, bool) {
    let last = Day::of(window.end.saturating_sub(1), config.offset_ms);
    match &read.end {
        End::Changed => match again(place) {
            Ok(place) => (Some(place), true),
            // What the window still misses, the next look-back has.
            Err(_) => (None, false),
        },
        End::Page(end) => (Some(at(place, *end)), true),
        End::Days(_) => {
            let from = place.to().plus(1);
            let is_over = from > last || read.now.is_some_and(|now| from > Day::of(now, config.offset_ms));
            if is_over {
                return (None, false);
            }
            (Some(Place::start(from, span(config, from, last))), true)
        }
    }
}

fn at(place: Place, end: lines::Place) -> Place {
    Place {
        bytes: end.bytes,
        hash: if end.bytes == 0 { 0 } else { end.hash },
        ..place
    }
}

/// The same days from their beginning.
fn again(place: Place) -> Result<Place, Error> {
    let restarts = place.restarts.unwrap_or_default() + 1;
    if restarts > MAX_RESTARTS {
        return Err(Error::transient(
            "the days' events come in another order each time they are asked for",
        ));
    }
    log::info("what was read of these days is no longer the same: they are read again");
    Ok(Place {
        restarts: Some(restarts),
        ..Place::start(place.from, place.to)
    })
}

/// The last day of a request that begins with this one, where it is another.
fn span(config: &Config, from: Day, last: Day) -> Option<Day> {
    Some(from.plus(config.days_per_request - 1).min(last)).filter(|to| *to > from)
}

#[cfg(test)]
mod tests;
