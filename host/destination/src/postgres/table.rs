//! The table of a stream: made from the schema, and widened as the schema and the values widen, where no value is lost
//! by it. A comment on each column says which property it has, so that columns of others are told from ours.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tokio_postgres::types::Type;

use super::quote;
use super::session::Session;
use crate::batch::{Batch, Op};
use crate::cell::{Fitter, quoted};
use crate::column::{self, Column, Kind, MAX_COLUMNS, OURS};
use crate::document::Document;
use crate::error::Error;
use crate::settings::Deletes;

/// What the comment of a column of ours begins with; the property follows as a JSON string.
const MARK: &str = "sluice ";

/// When the record was gone; only where deletes are marked.
pub(super) const DELETED_AT: &str = "_sluice_deleted_at";

/// The table that is wanted.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) schema: &'a str,
    pub(super) name: &'a str,
    pub(super) deletes: Deletes,
}

/// The table that there is.
#[derive(Debug)]
pub(super) struct Ready {
    /// Quoted.
    pub(super) name: String,
    /// Those that take values of records.
    pub(super) columns: Vec<Column>,
    pub(super) columns_added: u64,
    pub(super) has_deleted_at: bool,
    pub(super) deletes: Deletes,
}

/// The records of a batch, row by row; `None` for a delete.
pub(super) fn documents(batch: &Batch) -> Result<Vec<Option<Document<'_>>>, Error> {
    let read = |op| match op {
        &Op::Delete => Ok(None),
        Op::Upsert(text) => Document::read(text).map(Some),
    };
    batch.rows.iter().map(|row| read(&row.op)).collect()
}

/// Makes the namespace where it is missing.
pub(super) async fn ensure_namespace(session: &Session, schema: &str) -> Result<(), Error> {
    // Looked for first: making what exists needs a right that writing does not.
    let question = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    if session.ask(question, &[(&schema, Type::TEXT)]).await?.is_empty() {
        return session
            .run(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote::name(schema)))
            .await;
    }
    Ok(())
}

/// Whether there is a relation of this name.
pub(super) async fn exists(session: &Session, schema: &str, name: &str) -> Result<bool, Error> {
    let question = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND \
                    c.relname = $2";
    let found = session
        .ask(question, &[(&schema, Type::TEXT), (&name, Type::TEXT)])
        .await?;
    Ok(!found.is_empty())
}

/// A column that the table has.
struct Held {
    /// `None` for a type or a column that is not as we make them.
    kind: Option<Kind>,
    /// The property, where the column is ours.
    field: Option<String>,
}

impl Target<'_> {
    /// Makes the table what the schema and these records need.
    pub(super) async fn evolve(
        &self,
        session: &Session,
        schema: &Value,
        is_there: bool,
        documents: &[Option<Document<'_>>],
    ) -> Result<Ready, Error> {
        let name = quote::qualified(self.schema, self.name);
        let mut wanted = column::columns(schema);
        let wide: BTreeSet<usize> = {
            let fitter = Fitter::new(&wanted);
            let documents = documents.iter().flatten();
            documents
                .flat_map(|document| fitter.narrow(document).collect::<Vec<_>>())
                .collect()
        };
        for column in wide {
            if let Some(column) = wanted.get_mut(column) {
                column.kind = Kind::Number;
            }
        }
        let mut ready = Ready {
            name,
            columns: Vec::new(),
            columns_added: 0,
            has_deleted_at: self.deletes == Deletes::Mark,
            deletes: self.deletes,
        };
        if is_there {
            self.widen(session, wanted, &mut ready).await?;
        } else {
            ready.create(session, wanted).await?;
        }
        Ok(ready)
    }

    async fn widen(&self, session: &Session, wanted: Vec<Column>, ready: &mut Ready) -> Result<(), Error> {
        let mut held = self.held(session).await?;
        let has_deleted_at = held.remove(DELETED_AT).is_some();
        if ready.has_deleted_at && !has_deleted_at {
            let statement = format!("ALTER TABLE {} ADD COLUMN {DELETED_AT} timestamptz", ready.name);
            session.run(&statement).await?;
        }
        ready.has_deleted_at |= has_deleted_at;
        let ours = held.values().filter(|column| column.field.is_some()).count();
        let mut free = MAX_COLUMNS.saturating_sub(ours);
        for mut column in wanted {
            match held.remove(&column.name) {
                None if free == 0 => {}
                None => {
                    free -= 1;
                    ready.columns_added += 1;
                    session.run(&ready.add(&column)).await?;
                    ready.columns.push(column);
                }
                // Somebody changed it to what we do not know: its values stand in the rest.
                Some(Held { kind: None, .. }) => {}
                Some(Held { kind: Some(is), .. }) => {
                    let joined = is.join(column.kind);
                    // Refused by a view that uses it, say: then what does not fit stands in the rest.
                    let widened =
                        joined == is || session.try_run(&ready.alter(&column.name, joined)).await?.is_ok();
                    column.kind = if widened { joined } else { is };
                    ready.columns.push(column);
                }
            }
        }
        // A property that is no more: its column gets nothing, or what still comes of it.
        let rest = held.into_iter().filter_map(|(name, column)| {
            Some(Column {
                field: column.field?,
                name,
                kind: column.kind?,
            })
        });
        ready.columns.extend(rest);
        Ok(())
    }

    async fn held(&self, session: &Session) -> Result<HashMap<String, Held>, Error> {
        let question = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum), \
                        a.attgenerated = '' AND a.attidentity = '' FROM pg_attribute a JOIN pg_class c ON c.oid = \
                        a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND \
                        a.attnum > 0 AND NOT a.attisdropped";
        let rows = session
            .ask(question, &[(&self.schema, Type::TEXT), (&self.name, Type::TEXT)])
            .await?;
        let unfit = |_| Error::Unfit("its catalogue is not PostgreSQL's".into());
        let mut held = HashMap::with_capacity(rows.len());
        for row in rows {
            let name: String = row.try_get(0).map_err(unfit)?;
            let of_type: String = row.try_get(1).map_err(unfit)?;
            let comment: Option<String> = row.try_get(2).map_err(unfit)?;
            let is_plain: bool = row.try_get(3).map_err(unfit)?;
            if name.starts_with(OURS) && name != DELETED_AT {
                continue;
            }
            let field = comment.as_deref().and_then(|comment| comment.strip_prefix(MARK));
            let column = Held {
                kind: kind(&of_type).filter(|_| is_plain),
                field: field.and_then(|field| serde_json::from_str(field).ok()),
            };
            held.insert(name, column);
        }
        Ok(held)
    }
}

impl Ready {
    async fn create(&mut self, session: &Session, wanted: Vec<Column>) -> Result<(), Error> {
        let mut columns = String::from(
            "_sluice_id text COLLATE \"C\" PRIMARY KEY, _sluice_seq bigint NOT NULL, _sluice_at timestamptz NOT NULL, \
             _sluice_rest jsonb",
        );
        if self.has_deleted_at {
            columns.push_str(&format!(", {DELETED_AT} timestamptz"));
        }
        let mut comments = String::new();
        for column in &wanted {
            columns.push_str(&format!(
                ", {} {}",
                quote::name(&column.name),
                type_of(column.kind)
            ));
            comments.push_str(&self.comment(column));
        }
        session
            .run(&format!("CREATE TABLE {} ({columns}){comments}", self.name))
            .await?;
        self.columns_added = wanted.len() as u64;
        self.columns = wanted;
        Ok(())
    }

    fn add(&self, column: &Column) -> String {
        let (name, of_type) = (quote::name(&column.name), type_of(column.kind));
        format!(
            "ALTER TABLE {} ADD COLUMN {name} {of_type}{}",
            self.name,
            self.comment(column)
        )
    }

    fn comment(&self, column: &Column) -> String {
        let says = quote::constant(&format!("{MARK}{}", quoted(&column.field)));
        format!(
            "; COMMENT ON COLUMN {}.{} IS {says}",
            self.name,
            quote::name(&column.name)
        )
    }

    fn alter(&self, column: &str, kind: Kind) -> String {
        let column = quote::name(column);
        let using = match kind {
            Kind::Json => format!("to_jsonb({column})"),
            Kind::Text => format!("to_jsonb({column}) #>> '{{}}'"),
            _ => format!("{column}::{}", type_of(kind)),
        };
        format!(
            "ALTER TABLE {} ALTER COLUMN {column} TYPE {} USING {using}",
            self.name,
            type_of(kind)
        )
    }
}

pub(super) const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Int => "bigint",
        Kind::Number | Kind::Double => "numeric",
        Kind::Bool => "boolean",
        Kind::Instant => "timestamptz",
        Kind::Date => "date",
        Kind::Json => "jsonb",
    }
}

fn kind(of_type: &str) -> Option<Kind> {
    Some(match of_type {
        "text" => Kind::Text,
        "bigint" => Kind::Int,
        "numeric" => Kind::Number,
        "boolean" => Kind::Bool,
        "timestamp with time zone" => Kind::Instant,
        "date" => Kind::Date,
        "jsonb" => Kind::Json,
        _ => return None,
    })
}
