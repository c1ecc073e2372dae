//! The vendor: streams whose records are made, changed and deleted, told as a log of changes or as a list.
//!
//! A cursor `l:7` stands behind the seventh change. `f:7:x` stands within a list that was begun after the seventh change, behind the
//! record `x`; the list is read from what is there at each page, and goes on as the log from where it was begun.

use std::collections::BTreeMap;
use std::rc::Rc;

use sluice_model::record::{Change, Item};

use super::dice::Dice;

/// A record's content; none where it is deleted.
pub(crate) type Content = Option<Rc<str>>;

/// Streams, and their partitions.
pub(crate) const SHELVES: [(&str, &str); 4] = [("log", ""), ("items", ""), ("parts", "a"), ("parts", "b")];
pub(crate) const STREAMS: [&str; 3] = ["log", "items", "parts"];

/// What happened to the records of a stream or a partition, in order.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    log: Vec<(String, Content)>,
}

#[derive(Debug, Default)]
pub(crate) struct Vendor {
    shelves: BTreeMap<(&'static str, &'static str), Shelf>,
    versions: u64,
}

#[derive(Debug)]
pub(crate) struct VendorPage {
    /// After how many changes the vendor was asked.
    pub(crate) read_at: usize,
    pub(crate) changes: Vec<Change>,
    pub(crate) cursor: String,
    pub(crate) more: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// From the cursor on; deletions are told, in a list too.
    Changes,
    /// Everything that there is.
    All,
    /// Every other record: what a window of time comes to.
    Window,
}

/// What a cursor says about the records behind it.
pub(crate) enum Told<'c> {
    Nothing,
    /// The list up to this id, as of this change or later.
    List(usize, &'c str),
    Log(usize),
}

pub(crate) fn told(cursor: Option<&str>) -> Told<'_> {
    let Some(cursor) = cursor else {
        return Told::Nothing;
    };
    let parts: Vec<&str> = cursor.splitn(3, ':').collect();
    match parts[..] {
        ["f", at, after] => Told::List(at.parse().unwrap(), after),
        ["l", at] => Told::Log(at.parse().unwrap()),
        _ => panic!("a cursor `{cursor}` that the vendor never gave"),
    }
}

impl Shelf {
    pub(crate) fn now(&self) -> usize {
        self.log.len()
    }

    /// Every id there ever was, as of this many changes.
    pub(crate) fn at(&self, changes: usize) -> BTreeMap<&str, &Content> {
        let changes = self.log.iter().take(changes);
        changes.map(|(id, content)| (id.as_str(), content)).collect()
    }

    /// Whether the record was so after this many changes, or later.
    pub(crate) fn was(&self, id: &str, content: Option<&str>, since: usize) -> bool {
        let then = self.at(since).get(id).and_then(|content| content.as_deref());
        let mut later = self.log.iter().skip(since).filter(|(of, _)| of == id);
        then == content || later.any(|(_, later)| later.as_deref() == content)
    }

    fn read(&self, cursor: Option<&str>, ask: Ask, size: usize) -> VendorPage {
        let (begun, after) = match told(cursor) {
            Told::Log(at) => {
                let end = self.log.len().min(at + size);
                let changes = self.log[at..end].iter().map(|(id, content)| change(id, content));
                return VendorPage {
                    read_at: self.log.len(),
                    changes: changes.collect(),
                    cursor: format!("l:{end}"),
                    more: end < self.log.len(),
                };
            }
            Told::Nothing => (self.log.len(), ""),
            Told::List(begun, after) => (begun, after),
        };
        let there = self.at(self.log.len());
        let wanted = |(id, content): &(&str, &Content)| match ask {
            Ask::Changes => true,
            Ask::All => content.is_some(),
            Ask::Window => content.is_some() && id.len() % 2 == 0,
        };
        let mut left: Vec<_> = there
            .into_iter()
            .filter(|(id, _)| *id > after)
            .filter(wanted)
            .collect();
        let more = left.len() > size;
        left.truncate(size);
        let cursor = match left.last() {
            Some((last, _)) if more => format!("f:{begun}:{last}"),
            _ => format!("l:{begun}"),
        };
        let changes = left
            .into_iter()
            .map(|(id, content)| change(id, content))
            .collect();
        VendorPage {
            read_at: self.log.len(),
            changes,
            cursor,
            more,
        }
    }
}

pub(crate) fn change(id: &str, content: &Content) -> Change {
    match content {
        Some(data) => Change::Upsert(Item {
            id: id.to_owned(),
            data: data.to_string(),
            modified: None,
        }),
        None => Change::Delete(id.to_owned()),
    }
}

impl Vendor {
    pub(crate) fn shelf(&mut self, of: (&'static str, &'static str)) -> &mut Shelf {
        self.shelves.entry(of).or_default()
    }

    pub(crate) fn read(
        &mut self,
        of: (&'static str, &'static str),
        cursor: Option<&str>,
        ask: Ask,
        size: usize,
    ) -> VendorPage {
        self.shelf(of).read(cursor, ask, size)
    }

    /// One record of this shelf is made, changed, put back to what it was, or deleted. Which.
    pub(crate) fn live(&mut self, of: (&'static str, &'static str), dice: &Dice) -> String {
        self.versions += 1;
        let new: Rc<str> = format!("{{\"v\":{}}}", self.versions).into();
        let shelf = self.shelf(of);
        // Ids of one and of two more bytes, so that a window has some of them.
        let number = dice.below(14);
        let id = format!(
            "{}{}",
            of.1,
            if number < 7 {
                format!("{number}")
            } else {
                format!("{number:02}")
            }
        );
        let content = match dice.below(10) {
            0 | 1 => None,
            2 => shelf
                .log
                .iter()
                .find(|(of, _)| *of == id)
                .and_then(|(_, first)| first.clone()),
            _ => Some(new),
        };
        shelf.log.push((id.clone(), content));
        id
    }

    /// One record is changed for certain.
    pub(crate) fn touch(&mut self, of: (&'static str, &'static str)) {
        self.versions += 1;
        let new: Rc<str> = format!("{{\"v\":{}}}", self.versions).into();
        self.shelf(of).log.push((format!("{}0", of.1), Some(new)));
    }

    /// A record as it is, and after how many changes.
    pub(crate) fn look(&mut self, of: (&'static str, &'static str), id: &str) -> (Content, usize) {
        let shelf = self.shelf(of);
        let now = shelf.now();
        let content = shelf.at(now).get(id).and_then(|content| (*content).clone());
        (content, now)
    }
}
