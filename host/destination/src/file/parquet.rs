//! Parquet: one row group, a column for each property, compressed with Snappy.
//!
//! The types follow from the schema alone, so that all files of a stream have the same: text is a string, an integer
//! INT64, a number DOUBLE where the double is written as that number again (others stand in `_sluice_rest`), a time
//! TIMESTAMP in microseconds and UTC, a date DATE, everything else JSON.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::ndjson::TURN;
use crate::batch::{Op, Row};
use crate::cell::{Cell, Cells, Fitter, held_id};
use crate::column::{Column, Kind};
use crate::document::Document;
use crate::error::Error;

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Writes rows.
pub(super) async fn write(rows: &[(usize, &Row)], columns: &[Column]) -> Result<Vec<u8>, Error> {
    let mut documents = Vec::with_capacity(rows.len());
    for (number, (_, row)) in rows.iter().enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        documents.push(match &row.op {
            Op::Upsert(text) => Some(Document::read(text)?),
            Op::Delete => None,
        });
    }
    let fitter = Fitter::new(columns);
    let mut cells = Vec::with_capacity(rows.len());
    for (number, ((_, row), document)) in rows.iter().zip(&documents).enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        cells.push(match document {
            Some(document) => fitter.fit(&row.id, document),
            None => Cells::empty(columns.len()),
        });
    }
    file(rows, columns, &cells).map_err(|error| Error::Unfit(format!("a Parquet file: {error}")))
}

fn file(rows: &[(usize, &Row)], columns: &[Column], cells: &[Cells<'_>]) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("sluice".into())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema(columns)?, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let rows = || rows.iter().map(|(_, row)| row);
    put::<ByteArrayType>(
        &mut group,
        rows().map(|row| Some(bytes(&held_id(&row.id)))),
        false,
    )?;
    put::<Int64Type>(&mut group, rows().map(|row| Some(whole(row.seq))), false)?;
    let op = |op: &Op| match op {
        Op::Upsert(_) => "upsert",
        Op::Delete => "delete",
    };
    put::<ByteArrayType>(&mut group, rows().map(|row| Some(bytes(op(&row.op)))), false)?;
    put::<Int64Type>(
        &mut group,
        rows().map(|row| Some(whole(row.at.as_millis()))),
        false,
    )?;
    put::<ByteArrayType>(
        &mut group,
        cells.iter().map(|cells| cells.rest.as_deref().map(bytes)),
        true,
    )?;
    for (at, column) in columns.iter().enumerate() {
        let cells = cells
            .iter()
            .map(|cells| cells.cells.get(at).unwrap_or(&Cell::Null));
        match column.kind {
            Kind::Text | Kind::Json | Kind::Number => {
                put::<ByteArrayType>(&mut group, cells.map(text), true)?
            }
            Kind::Int | Kind::Instant => put::<Int64Type>(&mut group, cells.map(long), true)?,
            Kind::Date => put::<Int32Type>(&mut group, cells.map(date), true)?,
            Kind::Double => put::<DoubleType>(&mut group, cells.map(double), true)?,
            Kind::Bool => put::<BoolType>(&mut group, cells.map(boolean), true)?,
        }
    }
    group.close()?;
    writer.into_inner()
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let at = LogicalType::timestamp(true, TimeUnit::MILLIS);
    let mut fields = vec![
        field(
            "_sluice_id",
            Physical::BYTE_ARRAY,
            Some(LogicalType::String),
            Repetition::REQUIRED,
        )?,
        field("_sluice_seq", Physical::INT64, None, Repetition::REQUIRED)?,
        field(
            "_sluice_op",
            Physical::BYTE_ARRAY,
            Some(LogicalType::String),
            Repetition::REQUIRED,
        )?,
        field("_sluice_at", Physical::INT64, Some(at), Repetition::REQUIRED)?,
        field(
            "_sluice_rest",
            Physical::BYTE_ARRAY,
            Some(LogicalType::Json),
            Repetition::OPTIONAL,
        )?,
    ];
    for column in columns {
        let (physical, logical) = match column.kind {
            Kind::Text | Kind::Number => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Int => (Physical::INT64, None),
            Kind::Double => (Physical::DOUBLE, None),
            Kind::Bool => (Physical::BOOLEAN, None),
            Kind::Instant => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
        };
        fields.push(field(&column.name, physical, logical, Repetition::OPTIONAL)?);
    }
    Type::group_type_builder("record")
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

fn field(
    name: &str,
    physical: Physical,
    logical: Option<LogicalType>,
    repetition: Repetition,
) -> Result<TypePtr, ParquetError> {
    let field = Type::primitive_type_builder(name, physical);
    field
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
        .map(Arc::new)
}

/// Writes the next column: those that are there, and which are.
fn put<T: DataType>(
    group: &mut Group<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
    is_optional: bool,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("fewer columns than the schema has".into()));
    };
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let levels = is_optional.then_some(levels.as_slice());
    column.typed::<T>().write_batch(&values, levels, None)?;
    column.close()
}

fn bytes(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn text(cell: &Cell<'_>) -> Option<ByteArray> {
    match cell {
        Cell::Text(text) => Some(bytes(text)),
        Cell::Json(text) | Cell::Number(text) => Some(bytes(text)),
        _ => None,
    }
}

const fn long(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(number) | Cell::Instant(number) => Some(*number),
        _ => None,
    }
}

const fn date(cell: &Cell<'_>) -> Option<i32> {
    match cell {
        Cell::Date(days) => Some(*days),
        _ => None,
    }
}

const fn double(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Double(number) => Some(*number),
        _ => None,
    }
}

const fn boolean(cell: &Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(is) => Some(*is),
        _ => None,
    }
}
