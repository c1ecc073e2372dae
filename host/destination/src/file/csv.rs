//! CSV as RFC 4180 has it: a header, CRLF, fields in quotation marks where they need them. Null is nothing between the
//! commas, an empty text is two quotation marks.
//!
//! A spreadsheet runs a text that begins with `=`, `+`, `-`, `@`, a tab or a line end (OWASP, "CSV Injection"). With
//! `formulas: escape` an apostrophe stands before such texts, which keeps them texts and is one character too many for
//! every other reader; with `keep` the file has what the record has.

use super::ndjson::TURN;
use crate::batch::{Op, Row};
use crate::cell::{Cell, Cells, Fitter, held_id};
use crate::column::Column;
use crate::document::Document;
use crate::error::Error;
use crate::instant;
use crate::settings::Formulas;

const OURS: [&str; 5] = [
    "_sluice_id",
    "_sluice_seq",
    "_sluice_op",
    "_sluice_at",
    "_sluice_rest",
];

/// Writes rows.
pub(super) async fn write(
    rows: &[(usize, &Row)],
    columns: &[Column],
    formulas: Formulas,
) -> Result<Vec<u8>, Error> {
    let mut line = Line {
        out: Vec::new(),
        formulas,
        is_first: true,
    };
    for name in OURS
        .into_iter()
        .chain(columns.iter().map(|column| column.name.as_str()))
    {
        line.text(name);
    }
    line.end();
    let fitter = Fitter::new(columns);
    for (number, (_, row)) in rows.iter().enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let (op, cells) = match &row.op {
            Op::Upsert(text) => ("upsert", fitter.fit(&row.id, &Document::read(text)?)),
            Op::Delete => ("delete", Cells::empty(columns.len())),
        };
        line.text(&held_id(&row.id));
        line.plain(&row.seq.to_string());
        line.plain(op);
        line.plain(&row.at.to_string());
        match &cells.rest {
            Some(rest) => line.quoted(rest),
            None => line.plain(""),
        }
        for cell in &cells.cells {
            match cell {
                Cell::Null => line.plain(""),
                Cell::Text(text) => line.text(text),
                Cell::Json(text) => line.quoted(text),
                Cell::Int(number) => line.plain(&number.to_string()),
                Cell::Double(number) => line.plain(&number.to_string()),
                Cell::Number(text) => line.plain(text),
                Cell::Bool(is) => line.plain(if *is { "true" } else { "false" }),
                Cell::Instant(micros) => line.plain(&instant::write_micros(*micros)),
                Cell::Date(days) => line.plain(&instant::write_date((*days).into())),
            }
        }
        line.end();
    }
    Ok(line.out)
}

struct Line {
    out: Vec<u8>,
    formulas: Formulas,
    is_first: bool,
}

impl Line {
    /// A field that needs no quotation marks.
    fn plain(&mut self, field: &str) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out.extend_from_slice(field.as_bytes());
    }

    /// A text from outside.
    fn text(&mut self, text: &str) {
        let starts = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
        if self.formulas == Formulas::Escape && text.starts_with(starts) {
            self.quoted(&format!("'{text}"));
        } else if text.is_empty()
            || text.contains([',', '"', '\r', '\n'])
            || text.starts_with(' ')
            || text.ends_with(' ')
        {
            self.quoted(text);
        } else {
            self.plain(text);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.plain(&format!("\"{}\"", text.replace('"', "\"\"")));
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.is_first = true;
    }
}
