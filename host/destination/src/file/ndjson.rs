//! Newline-delimited JSON: an object a line, the record in `record` as it is, number for number.

use crate::batch::{Op, Row};
use crate::cell::quoted;
use crate::document::Document;
use crate::error::Error;

/// Rows after which others get a turn.
pub(super) const TURN: usize = 512;

/// Writes rows.
pub(super) async fn write(rows: &[(usize, &Row)]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for (number, (_, row)) in rows.iter().enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let (op, record) = match &row.op {
            Op::Upsert(text) => {
                // Only what is a record becomes a line.
                Document::read(text)?;
                ("upsert", Some(text))
            }
            Op::Delete => ("delete", None),
        };
        let head = format!(
            "{{\"_sluice_id\":{},\"_sluice_seq\":{},\"_sluice_op\":\"{op}\",\"_sluice_at\":\"{}\"",
            quoted(&row.id),
            row.seq,
            row.at
        );
        out.extend_from_slice(head.as_bytes());
        if let Some(record) = record {
            out.extend_from_slice(b",\"record\":");
            // A line end in a JSON text stands between its values alone (RFC 8259 §7), where a space is as good.
            out.extend(
                record
                    .trim()
                    .bytes()
                    .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }),
            );
        }
        out.extend_from_slice(b"}\n");
    }
    Ok(out)
}
