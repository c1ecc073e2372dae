//! Rows on their way: COPY into a table of the transaction, then one merge.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::session::Session;
use super::table::{DELETED_AT, Ready, type_of};
use super::{fault, quote};
use crate::batch::Row;
use crate::cell::{Cell, Cells, Fitter, held_id};
use crate::document::Document;
use crate::error::Error;
use crate::instant;
use crate::settings::Deletes;

/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Sends rows and merges them; says how many bytes went out.
pub(super) async fn load(
    session: &Session,
    table: &Ready,
    rows: &[(usize, &Row)],
    documents: &[Option<Document<'_>>],
) -> Result<u64, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let columns: String = table
        .columns
        .iter()
        .map(|column| format!(", {} {}", quote::name(&column.name), type_of(column.kind)))
        .collect();
    let create = format!(
        "CREATE TEMP TABLE _sluice_load (_sluice_id text COLLATE \"C\", _sluice_seq bigint, _sluice_at timestamptz, \
         _sluice_gone boolean, _sluice_rest jsonb{columns}) ON COMMIT DROP"
    );
    session.run(&create).await?;
    let bytes = send(session, table, rows, documents).await?;
    session.run(&merge(table)).await?;
    Ok(bytes)
}

async fn send(
    session: &Session,
    table: &Ready,
    rows: &[(usize, &Row)],
    documents: &[Option<Document<'_>>],
) -> Result<u64, Error> {
    let failed = |error: tokio_postgres::Error| fault::of(&error);
    session.refill();
    let sink: CopyInSink<Bytes> = session
        .client
        .copy_in("COPY pg_temp._sluice_load FROM STDIN")
        .await
        .map_err(failed)?;
    let mut sink = std::pin::pin!(sink);
    let fitter = Fitter::new(&table.columns);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut bytes = 0;
    for (at, row) in rows {
        let document = documents.get(*at).and_then(Option::as_ref);
        write(&mut chunk, row, document, &fitter, table.columns.len());
        if chunk.len() >= CHUNK_BYTES {
            bytes += chunk.len() as u64;
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES));
            sink.send(full.into()).await.map_err(failed)?;
        }
    }
    bytes += chunk.len() as u64;
    sink.send(chunk.into()).await.map_err(failed)?;
    sink.finish().await.map_err(failed)?;
    Ok(bytes)
}

/// One line of COPY's text format.
fn write(
    line: &mut Vec<u8>,
    row: &Row,
    document: Option<&Document<'_>>,
    fitter: &Fitter<'_>,
    columns: usize,
) {
    let cells = document.map_or_else(|| Cells::empty(columns), |document| fitter.fit(&row.id, document));
    quote::copy_text(line, &held_id(&row.id));
    let micros = i64::try_from(row.at.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    let at = instant::write_micros(micros.min(instant::LAST_MICROS));
    let gone = if document.is_none() { "t" } else { "f" };
    line.extend_from_slice(format!("\t{}\t{at}\t{gone}\t", row.seq).as_bytes());
    match &cells.rest {
        Some(rest) => quote::copy_text(line, rest),
        None => line.extend_from_slice(b"\\N"),
    }
    for cell in &cells.cells {
        line.push(b'\t');
        match cell {
            Cell::Null => line.extend_from_slice(b"\\N"),
            Cell::Text(text) => quote::copy_text(line, text),
            Cell::Json(text) => quote::copy_text(line, text),
            Cell::Int(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Cell::Double(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Cell::Number(text) => line.extend_from_slice(text.as_bytes()),
            Cell::Bool(is) => line.push(if *is { b't' } else { b'f' }),
            Cell::Instant(micros) => line.extend_from_slice(instant::write_micros(*micros).as_bytes()),
            Cell::Date(days) => line.extend_from_slice(instant::write_date((*days).into()).as_bytes()),
        }
    }
    line.push(b'\n');
}

/// What is newer takes the place of what is older, whichever way round they come.
fn merge(table: &Ready) -> String {
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|column| quote::name(&column.name))
        .collect();
    let mut columns = vec![
        "_sluice_id".to_owned(),
        "_sluice_seq".into(),
        "_sluice_at".into(),
        "_sluice_rest".into(),
    ];
    columns.extend(names);
    let list = columns.join(", ");
    let mut sets: Vec<String> = columns
        .iter()
        .skip(1)
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    if table.has_deleted_at {
        sets.push(format!("{DELETED_AT} = NULL"));
    }
    let sets = sets.join(", ");
    let name = &table.name;
    let upsert = format!(
        "INSERT INTO {name} AS held ({list}) SELECT {list} FROM pg_temp._sluice_load WHERE NOT _sluice_gone ON CONFLICT \
         (_sluice_id) DO UPDATE SET {sets} WHERE excluded._sluice_seq > held._sluice_seq"
    );
    let of_gone = "WHERE come._sluice_gone AND held._sluice_id = come._sluice_id AND held._sluice_seq < come._sluice_seq";
    let delete = match table.deletes {
        Deletes::Remove => format!("DELETE FROM {name} AS held USING pg_temp._sluice_load AS come {of_gone}"),
        Deletes::Mark => format!(
            "UPDATE {name} AS held SET _sluice_seq = come._sluice_seq, _sluice_at = come._sluice_at, {DELETED_AT} = \
             come._sluice_at FROM pg_temp._sluice_load AS come {of_gone}"
        ),
    };
    format!("{upsert}; {delete}")
}
