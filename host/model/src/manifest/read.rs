//! The manifest from its table.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::source::{Node, Source, Table};
use super::{
    Action, AuthScheme, CursorKind, Discovered, Links, Manifest, ManifestError, Migration, RateHint,
    RateScope, Stream, Webhook, WriteKind,
};
use super::{auth, capabilities, migration, schema, webhook, words};
use crate::auth::Apply;
use crate::capability::PathPattern;
use crate::grant::Grant;
use crate::run::Mode;

/// The longest manifest.
const MAX_BYTES: usize = 1 << 20;
const MAX_STREAMS: usize = 200;
const MAX_ACTIONS: usize = 200;
const MAX_WEBHOOKS: usize = 50;
const MAX_AUTH: usize = 20;
const MAX_RATES: usize = 50;
const MAX_MIGRATIONS: usize = 100;
/// The largest daily quota: what is above it bounds nobody.
const MAX_PER_DAY: u64 = 1_000_000_000;
/// The most parts of a record's key.
pub(super) const MAX_KEY_PARTS: usize = 8;
/// The longest look-back: a year.
const MAX_LOOKBACK_S: u64 = 366 * 86_400;

pub(super) fn manifest(text: &str) -> Result<Manifest, ManifestError> {
    let source = Source(text);
    if text.len() > MAX_BYTES {
        return Err(source.error(0, "", "the manifest is longer than 1 MiB"));
    }
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error(at, "", format!("is not TOML: {}", words::shown(error.message())))
    })?;
    let keys = [
        "manifest",
        "id",
        "version",
        "contract",
        "name",
        "description",
        "category",
        "licence",
        "links",
        "capabilities",
        "config",
        "state_version",
        "migrations",
        "auth",
        "streams",
        "discovered",
        "webhooks",
        "actions",
        "rate",
    ];
    let root = Table::root(text, table.get_ref(), &keys)?;
    let format = root.need("manifest")?;
    if format.whole(0..u64::from(u32::MAX))? != 1 {
        return Err(format.error("is a format that this version does not read; it reads `manifest = 1`"));
    }
    let config_schema = root
        .get("config")
        .map_or_else(|| Ok(schema::empty()), |node| schema::object(&node))?;
    let grant = capabilities::read(&root, &config_schema)?;
    let auth = all(
        &root,
        "auth",
        MAX_AUTH,
        |scheme: &AuthScheme| &scheme.name,
        |node| auth::read(node, &config_schema, &grant),
    )?;
    let state_version = small(root.whole_or("state_version", 1, 1..1_000_000)?);
    let signs = auth
        .iter()
        .any(|scheme| matches!(scheme.apply, Apply::SigV4 { .. }));
    let (discovered, discovered_actions) = root
        .get("discovered")
        .map_or(Ok((None, false)), |node| discovered(&node))?;
    Ok(Manifest {
        id: matching(
            &root,
            "id",
            words::is_id,
            "2 to 63 lower-case letters, digits and `-`, beginning with a letter",
        )?,
        version: matching(
            &root,
            "version",
            words::is_version,
            "a semantic version such as `1.0.0`",
        )?,
        contract: matching(
            &root,
            "contract",
            words::is_contract,
            "a version of the contract such as `0.1`",
        )?,
        name: root.need("name")?.line(100)?,
        description: root.need("description")?.prose(2000)?,
        category: root.need("category")?.name()?,
        licence: matching(
            &root,
            "licence",
            is_licence,
            "an SPDX expression such as `Apache-2.0`",
        )?,
        links: links(&root)?,
        migrations: migrations(&root, state_version)?,
        state_version,
        auth,
        streams: all(
            &root,
            "streams",
            MAX_STREAMS,
            |stream: &Stream| &stream.name,
            stream,
        )?,
        discovered,
        discovered_actions,
        webhooks: all(
            &root,
            "webhooks",
            MAX_WEBHOOKS,
            |webhook: &Webhook| &webhook.name,
            |node| webhook::read(node, &config_schema, &grant),
        )?,
        actions: all(
            &root,
            "actions",
            MAX_ACTIONS,
            |action: &Action| &action.name,
            |node| action(node, signs),
        )?,
        rate: root
            .each("rate", MAX_RATES)?
            .iter()
            .map(|node| rate(node, &config_schema, &grant))
            .collect::<Result<_, _>>()?,
        capabilities: grant,
        config_schema,
    })
}

/// Every entry of a list of named tables; no name twice.
fn all<T>(
    root: &Table<'_>,
    key: &str,
    max: usize,
    name: impl Fn(&T) -> &String,
    read: impl Fn(&Node<'_>) -> Result<T, ManifestError>,
) -> Result<Vec<T>, ManifestError> {
    let mut names = HashSet::new();
    let mut entries = Vec::new();
    for node in root.each(key, max)? {
        let entry = read(&node)?;
        if !names.insert(name(&entry).clone()) {
            return Err(node.error(format!("is the second with the name `{}`", name(&entry))));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn matching(
    table: &Table<'_>,
    key: &str,
    rule: impl Fn(&str) -> bool,
    what: &str,
) -> Result<String, ManifestError> {
    let node = table.need(key)?;
    let text = node.raw(1024)?;
    if rule(text) {
        Ok(text.to_owned())
    } else {
        Err(node.error(format!("is `{}`, not {what}", words::shown(text))))
    }
}

fn is_licence(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b".-+() ".contains(&byte);
    (1..=100).contains(&text.trim().len()) && text.bytes().all(word)
}

fn links(root: &Table<'_>) -> Result<Links, ManifestError> {
    let Some(node) = root.get("links") else {
        return Ok(Links::default());
    };
    let table = node.table(&["website", "documentation", "source"])?;
    let link = |key: &str| {
        table.get(key).map(|node| {
            let text = node.raw(500)?;
            let rest = text.strip_prefix("https://");
            let plain =
                rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()));
            if plain && !text.contains(['"', '<', '>', '\\', '`', '@']) {
                Ok(text.to_owned())
            } else {
                Err(node.error("is not an `https://` address"))
            }
        })
    };
    Ok(Links {
        website: link("website").transpose()?,
        documentation: link("documentation").transpose()?,
        source: link("source").transpose()?,
    })
}

fn stream(node: &Node<'_>) -> Result<Stream, ManifestError> {
    let table = node.table(&[
        "name",
        "title",
        "description",
        "primary_key",
        "cursor",
        "cursor_version",
        "modes",
        "partitioned",
        "windows",
        "lookback_s",
        "write",
        "schema",
    ])?;
    let schema = schema::object(&table.need("schema")?)?;
    let kinds = [
        ("none", CursorKind::None),
        ("timestamp", CursorKind::Timestamp),
        ("opaque", CursorKind::Opaque),
    ];
    let cursor = table
        .get("cursor")
        .map_or(Ok(CursorKind::None), |node| node.choice(&kinds))?;
    let modes = modes(&table, cursor)?;
    let mut primary_key = Vec::new();
    for node in table.need("primary_key")?.some(MAX_KEY_PARTS)? {
        let part = node.line(128)?;
        if schema.get("properties").is_some() && schema::property(&schema, &part).is_none() {
            return Err(node.error(format!(
                "is `{part}`, which is no property of the stream's schema"
            )));
        }
        primary_key.push(part);
    }
    let windows = table.flag_or("windows", false)?;
    let lookback = Duration::from_secs(table.whole_or("lookback_s", 0, 0..MAX_LOOKBACK_S)?);
    if let Some(node) = table
        .get("lookback_s")
        .filter(|_| !windows || !modes.contains(&Mode::Incremental))
    {
        return Err(node.error("needs `windows = true` and the mode \"incremental\": it is read as a window after each of its runs"));
    }
    Ok(Stream {
        name: table.need("name")?.name()?,
        title: table.need("title")?.line(200)?,
        description: table
            .get("description")
            .map(|node| node.prose(2000))
            .transpose()?,
        primary_key,
        cursor,
        cursor_version: small(table.whole_or("cursor_version", 1, 1..1_000_000)?),
        modes,
        partitioned: table.flag_or("partitioned", false)?,
        windows,
        lookback,
        writes: writes(&table)?,
        schema,
    })
}

fn modes(table: &Table<'_>, cursor: CursorKind) -> Result<Vec<Mode>, ManifestError> {
    let mut modes = Vec::new();
    for node in table.need("modes")?.some(2)? {
        let mode = node.choice(&[("full", Mode::Full), ("incremental", Mode::Incremental)])?;
        if mode == Mode::Incremental && cursor == CursorKind::None {
            return Err(node.error("needs a `cursor`: without one there is nothing to go on from"));
        }
        if modes.contains(&mode) {
            return Err(node.error("is there twice"));
        }
        modes.push(mode);
    }
    Ok(modes)
}

fn writes(table: &Table<'_>) -> Result<Vec<WriteKind>, ManifestError> {
    let kinds = [
        ("create", WriteKind::Create),
        ("update", WriteKind::Update),
        ("delete", WriteKind::Delete),
    ];
    let mut writes = Vec::new();
    for node in table
        .get("write")
        .map_or(Ok(Vec::new()), |node| node.some(kinds.len()))?
    {
        let kind = node.choice(&kinds)?;
        if writes.contains(&kind) {
            return Err(node.error("is there twice"));
        }
        writes.push(kind);
    }
    Ok(writes)
}

fn migrations(root: &Table<'_>, newest: u32) -> Result<Vec<Migration>, ManifestError> {
    let mut all: Vec<Migration> = Vec::new();
    for node in root.each("migrations", MAX_MIGRATIONS)? {
        let read = migration::read(&node, newest)?;
        if all.iter().any(|other| other.from == read.from) {
            return Err(node.error(format!("is the second from format {}", read.from)));
        }
        all.push(read);
    }
    all.sort_by_key(|migration| migration.from);
    Ok(all)
}

/// What streams are like that only the account has, if there are such, and whether it has actions of its own.
fn discovered(node: &Node<'_>) -> Result<(Option<Discovered>, bool), ManifestError> {
    let table = node.table(&["modes", "write", "actions"])?;
    let actions = table.flag_or("actions", false)?;
    if actions && table.get("modes").is_none() && table.get("write").is_none() {
        return Ok((None, true));
    }
    let streams = Discovered {
        modes: modes(&table, CursorKind::Opaque)?,
        writes: writes(&table)?,
    };
    Ok((Some(streams), actions))
}

fn action(node: &Node<'_>, signs: bool) -> Result<Action, ManifestError> {
    let table = node.table(&[
        "name",
        "title",
        "description",
        "input",
        "output",
        "idempotent",
        "presigns",
    ])?;
    let schema = |key: &str| {
        table
            .get(key)
            .map_or_else(|| Ok(schema::empty()), |node| schema::object(&node))
    };
    let presigns = table.flag_or("presigns", false)?;
    if let Some(node) = table.get("presigns").filter(|_| presigns && !signs) {
        return Err(node.error("needs an `aws-sigv4` auth scheme: no other signs addresses"));
    }
    Ok(Action {
        name: table.need("name")?.name()?,
        title: table.need("title")?.line(200)?,
        description: table
            .get("description")
            .map_or(Ok(String::new()), |node| node.prose(2000))?,
        input: schema("input")?,
        output: schema("output")?,
        idempotent: table.flag_or("idempotent", false)?,
        presigns,
    })
}

fn rate(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<RateHint, ManifestError> {
    let table = node.table(&[
        "host",
        "path",
        "scope",
        "per_second",
        "burst",
        "concurrency",
        "per_day",
        "bucket_header",
    ])?;
    let at = table.need("host")?;
    let host = capabilities::host(&at, config)?;
    if !grant.egress.iter().any(|rule| rule.host.covers(&host)) {
        return Err(at.error("is not within the hosts of capabilities.egress"));
    }
    Ok(RateHint {
        host,
        path: table
            .get("path")
            .map(|node| PathPattern::parse(node.raw(4096)?).map_err(|error| node.error(error.to_string())))
            .transpose()?,
        scope: table.get("scope").map_or(Ok(RateScope::default()), |node| {
            node.choice(&[("connection", RateScope::Connection), ("app", RateScope::App)])
        })?,
        per_second: table.need("per_second")?.positive(10_000.0)?,
        burst: small(table.whole_or("burst", 1, 1..10_000)?),
        concurrency: small(table.whole_or("concurrency", 8, 1..64)?),
        per_day: table
            .get("per_day")
            .map(|node| node.whole(1..MAX_PER_DAY))
            .transpose()?,
        bucket_header: table
            .get("bucket_header")
            .map(|node| webhook::header(&node))
            .transpose()?,
    })
}

/// A number that was read within bounds far below `u32`'s.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
