//! Results of a Bulk query: CSV (RFC 4180) as it comes, row by row, and rows as the records that the REST API gives. No more
//! is held than a piece and a row.
//!
//! CSV has no types: they come from the object's description ([`Kind`]). An empty cell is null, as Salesforce writes it.

use csv_core::{ReadRecordResult, Reader};
use sluice_sdk::Error;
use sluice_sdk::http::Incoming;
use sluice_sdk::record;

/// How many bytes are asked for at once.
const PIECE: u32 = 131_072;

/// The longest row, in bytes: a record has at most 128 KB of text in each of its long fields.
const MAX_ROW_BYTES: usize = 16 << 20;

/// The most columns: an object has at most 800 fields of its own.
const MAX_COLUMNS: usize = 2_048;

/// What a field's cells become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Boolean,
    Number,
    /// `2024-05-01T10:00:00.000Z`, which the REST API writes with `+0000`.
    DateTime,
}

impl Kind {
    /// By the `type` of a field's description ("sObject Describe").
    pub(crate) fn of(described: &str) -> Self {
        match described {
            "boolean" => Self::Boolean,
            "int" | "long" | "double" | "currency" | "percent" => Self::Number,
            "datetime" => Self::DateTime,
            _ => Self::Text,
        }
    }

    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Text => 't',
            Self::Boolean => 'b',
            Self::Number => 'n',
            Self::DateTime => 'd',
        }
    }

    pub(crate) const fn from_letter(letter: char) -> Self {
        match letter {
            'b' => Self::Boolean,
            'n' => Self::Number,
            'd' => Self::DateTime,
            _ => Self::Text,
        }
    }

    /// The cell as JSON; a text where it is not what the field was described as.
    fn json(self, cell: &str) -> Result<String, Error> {
        if cell.is_empty() {
            return Ok("null".to_owned());
        }
        match self {
            Self::Boolean if matches!(cell, "true" | "false") => Ok(cell.to_owned()),
            Self::Number if is_number(cell) => Ok(cell.to_owned()),
            Self::DateTime => record::text(&match cell.strip_suffix('Z') {
                Some(rest) => format!("{rest}+0000"),
                None => cell.to_owned(),
            }),
            _ => record::text(cell),
        }
    }
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && serde_json::from_str::<&serde_json::value::RawValue>(cell).is_ok_and(|raw| raw.get() == cell)
}

/// The rows of a streamed body.
pub(crate) struct Rows {
    incoming: Incoming,
    reader: Reader,
    piece: Vec<u8>,
    at: usize,
    is_ended: bool,
}

impl Rows {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            reader: Reader::new(),
            piece: Vec::new(),
            at: 0,
            is_ended: false,
        }
    }

    /// The next row; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        let mut output = vec![0; 4_096];
        let mut ends = vec![0; 64];
        let (mut written, mut columns) = (0, 0);
        loop {
            // For the parser, an empty input is the end.
            if self.at >= self.piece.len() && !self.is_ended {
                self.at = 0;
                self.piece = self.incoming.read(PIECE)?.unwrap_or_default();
                self.is_ended = self.piece.is_empty();
            }
            let (result, taken, wrote, ended) = self.reader.read_record(
                self.piece.get(self.at..).unwrap_or_default(),
                output.get_mut(written..).unwrap_or_default(),
                ends.get_mut(columns..).unwrap_or_default(),
            );
            self.at += taken;
            written += wrote;
            columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if output.len() < MAX_ROW_BYTES => {
                    output.resize(output.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if ends.len() < MAX_COLUMNS => {
                    ends.resize(ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Error::invalid_data("a row of the results is too long"));
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let mut cells = Vec::with_capacity(columns);
        let mut start = 0;
        for end in ends.iter().take(columns) {
            let bytes = output.get(start..*end).unwrap_or_default();
            cells.push(String::from_utf8_lossy(bytes).into_owned());
            start = *end;
        }
        Ok(Some(cells))
    }
}

/// A row as the record that the REST API gives of it; `path` is where it lies there.
pub(crate) fn record(
    object: &str,
    path: &str,
    columns: &[String],
    kinds: &[Kind],
    row: &[String],
) -> Result<String, Error> {
    if row.len() != columns.len() {
        return Err(Error::invalid_data(format!(
            "a row of the results has {} cells for {} columns",
            row.len(),
            columns.len()
        )));
    }
    let mut members = Members::default();
    for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
        let kind = kinds.get(at).copied().unwrap_or(Kind::Text);
        members.put(column, cell, kind.json(cell)?);
    }
    let attributes = format!(
        r#"{{"type":{},"url":{}}}"#,
        record::text(object)?,
        record::text(path)?
    );
    members.text(Some(&attributes))
}

/// Members of an object, those of a related record as an object of their own: `Owner.Name`.
#[derive(Default)]
struct Members(Vec<(String, Member)>);

enum Member {
    Value(String),
    Related { members: Members, is_there: bool },
}

impl Members {
    fn put(&mut self, column: &str, cell: &str, value: String) {
        let Some((name, rest)) = column.split_once('.') else {
            self.0.push((column.to_owned(), Member::Value(value)));
            return;
        };
        let known = self
            .0
            .iter()
            .position(|(other, member)| other == name && matches!(member, Member::Related { .. }));
        let at = known.unwrap_or_else(|| {
            let related = Member::Related {
                members: Self::default(),
                is_there: false,
            };
            self.0.push((name.to_owned(), related));
            self.0.len() - 1
        });
        if let Some((_, Member::Related { members, is_there })) = self.0.get_mut(at) {
            *is_there |= !cell.is_empty();
            members.put(rest, cell, value);
        }
    }

    fn text(&self, attributes: Option<&str>) -> Result<String, Error> {
        let mut parts: Vec<String> = attributes
            .map(|text| format!(r#""attributes":{text}"#))
            .into_iter()
            .collect();
        for (name, member) in &self.0 {
            let value = match member {
                Member::Value(value) => value.clone(),
                // A relation with nothing in it is one to nobody.
                Member::Related { is_there: false, .. } => "null".to_owned(),
                Member::Related { members, .. } => members.text(None)?,
            };
            parts.push(format!("{}:{value}", record::text(name)?));
        }
        Ok(format!("{{{}}}", parts.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_sdk::{http, testing};

    fn rows(body: &str) -> Vec<Vec<String>> {
        let body = body.to_owned();
        testing::serve(move |_| testing::answer(200, &[], &body));
        let mut rows = Rows::new(http::open(http::get("https://doors.my.salesforce.com/")).unwrap());
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    #[test]
    fn cells_have_quotes_commas_and_lines() {
        assert_eq!(
            rows("\"Id\",\"Name\"\n\"1\",\"a, \"\"b\"\"\nc\"\n\"2\",\"\"\n"),
            [vec!["Id", "Name"], vec!["1", "a, \"b\"\nc"], vec!["2", ""]]
        );
        assert!(rows("").is_empty());
        let long = "x".repeat(PIECE as usize * 2);
        assert_eq!(rows(&format!("a,\"{long}\"\nb,c"))[0][1].len(), long.len());
        let wide = vec!["c"; 500].join(",");
        assert_eq!(rows(&wide)[0].len(), 500);
    }

    #[test]
    fn a_row_becomes_what_the_rest_api_gives() {
        let columns = [
            "Id",
            "IsDeleted",
            "SystemModstamp",
            "AnnualRevenue",
            "Owner.Name",
            "Owner.Manager.Name",
            "Note__c",
        ]
        .map(str::to_owned);
        let kinds = [
            Kind::Text,
            Kind::Boolean,
            Kind::DateTime,
            Kind::Number,
            Kind::Text,
            Kind::Text,
            Kind::Number,
        ];
        let row = [
            "001",
            "false",
            "2024-05-01T10:00:00.000Z",
            "1.90E5",
            "Mona",
            "",
            "12 a",
        ]
        .map(str::to_owned);
        assert_eq!(
            record("Account", "/services/x/001", &columns, &kinds, &row).unwrap(),
            r#"{"attributes":{"type":"Account","url":"/services/x/001"},"Id":"001","IsDeleted":false,"SystemModstamp":"2024-05-01T10:00:00.000+0000","AnnualRevenue":1.90E5,"Owner":{"Name":"Mona","Manager":null},"Note__c":"12 a"}"#
        );
        assert!(record("Account", "/", &columns, &kinds, &row[1..]).is_err());
    }

    #[test]
    fn a_relation_to_nobody_is_null() {
        let columns = ["Id", "Owner.Name"].map(str::to_owned);
        let row = ["001", ""].map(str::to_owned);
        let text = record("Account", "/", &columns, &[], &row).unwrap();
        assert!(text.ends_with(r#""Id":"001","Owner":null}"#), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(table in proptest::collection::vec(proptest::collection::vec("[ -~\\näé]{0,12}", 3), 1..6)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let body: String = table
                .iter()
                .map(|row| format!("{}\n", row.iter().map(quoted).collect::<Vec<_>>().join(",")))
                .collect();
            prop_assert_eq!(rows(&body), table);
        }

        #[test]
        fn any_record_is_json(cells in proptest::collection::vec("\\PC{0,10}", 4), kinds in proptest::collection::vec("[tbnd]", 4)) {
            let columns = ["a", "b.c", "b.d.e", "f"].map(str::to_owned);
            let kinds: Vec<Kind> = kinds.iter().map(|kind| Kind::from_letter(kind.chars().next().unwrap())).collect();
            let text = record("X", "/", &columns, &kinds, &cells).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
