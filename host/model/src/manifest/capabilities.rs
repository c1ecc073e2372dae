//! `[capabilities]`: what a connector asks for.

use serde_json::Value;

use super::schema;
use super::source::{Node, Table};
use super::{ManifestError, OriginPattern};
use crate::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use crate::grant::Grant;
use crate::limits::Limits;

/// The most rules after one has been made for each path.
const MAX_RULES: usize = 500;
/// The most bytes of storage for one connection, and of scratch files for one call.
const MAX_STORAGE_BYTES: u64 = 1 << 30;
/// The most bytes of kept files for one connection, and of one of them: what is sent in the longest time of a request.
const MAX_FILES_BYTES: u64 = 1 << 40;
const MAX_FILE_BYTES: u64 = 4 << 30;

pub(super) fn read(root: &Table<'_>, config: &Value) -> Result<Grant, ManifestError> {
    let Some(node) = root.get("capabilities") else {
        return Ok(Grant::default());
    };
    let table = node.table(&[
        "egress",
        "storage_bytes",
        "scratch_bytes",
        "files_bytes",
        "file_bytes",
        "limits",
    ])?;
    let mut egress = Vec::new();
    for entry in table.each("egress", MAX_RULES)? {
        rules(&entry, config, &mut egress)?;
    }
    let (files_bytes, file_bytes) = files(&table)?;
    Ok(Grant {
        egress,
        storage_bytes: table.whole_or("storage_bytes", 0, 0..MAX_STORAGE_BYTES)?,
        scratch_bytes: table.whole_or("scratch_bytes", 0, 0..MAX_STORAGE_BYTES)?,
        files_bytes,
        file_bytes,
        limits: table
            .get("limits")
            .map_or_else(|| Ok(Limits::default()), |node| limits(&node))?,
    })
}

/// How much of files is kept for one connection, and how large one may be: both or neither.
fn files(table: &Table<'_>) -> Result<(u64, u64), ManifestError> {
    let all = table.whole_or("files_bytes", 0, 0..MAX_FILES_BYTES)?;
    let one = table.whole_or("file_bytes", 0, 0..MAX_FILE_BYTES)?;
    if (all == 0) != (one == 0) {
        let name = if all == 0 { "files_bytes" } else { "file_bytes" };
        return Err(table.error(
            name,
            "is missing: whoever keeps files says how large one is and how much all of a connection are",
        ));
    }
    if one > all {
        return Err(table.error(
            "file_bytes",
            "is more than `files_bytes`, which is for all files of a connection",
        ));
    }
    Ok((all, one))
}

fn rules(node: &Node<'_>, config: &Value, rules: &mut Vec<EgressRule>) -> Result<(), ManifestError> {
    let table = node.table(&["scheme", "host", "port", "methods", "paths", "reason", "optional"])?;
    let schemes = [("https", Scheme::Https), ("http", Scheme::Http)];
    let scheme = table
        .get("scheme")
        .map_or(Ok(Scheme::Https), |node| node.choice(&schemes))?;
    let host = host(&table.need("host")?, config)?;
    let port = table
        .get("port")
        .map_or(Ok(scheme.default_port().into()), |node| node.whole(1..65_535))?;
    let mut methods = MethodSet::EMPTY;
    for method in table.need("methods")?.some(MethodSet::names().len())? {
        if !methods.insert(method.raw(64)?) {
            let names: Vec<_> = MethodSet::names()
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            return Err(method.error(format!("is not one of {}", names.join(", "))));
        }
    }
    let reason = table.get("reason").map(|node| node.line(500)).transpose()?;
    let optional = table.flag_or("optional", false)?;
    if optional && reason.is_none() {
        return Err(table.error(
            "reason",
            "is missing: an optional permission says what it is good for",
        ));
    }
    for path in table.need("paths")?.some(MAX_RULES)? {
        if rules.len() >= MAX_RULES {
            return Err(path.error(format!("is one rule too many: {MAX_RULES} are the most")));
        }
        rules.push(EgressRule {
            scheme,
            host: host.clone(),
            port: u16::try_from(port).unwrap_or(scheme.default_port()),
            methods,
            path: PathPattern::parse(path.raw(4096)?).map_err(|error| path.error(error.to_string()))?,
            optional,
            reason: reason.clone(),
        });
    }
    Ok(())
}

/// A host pattern whose placeholder, if it is one, names a text of the configuration.
pub(super) fn host(node: &Node<'_>, config: &Value) -> Result<HostPattern, ManifestError> {
    let pattern = HostPattern::parse(node.raw(1024)?).map_err(|error| node.error(error.to_string()))?;
    check_placeholder(node, &pattern, config)?;
    Ok(pattern)
}

fn check_placeholder(node: &Node<'_>, pattern: &HostPattern, config: &Value) -> Result<(), ManifestError> {
    let HostPattern::Config(key) = pattern else {
        return Ok(());
    };
    match schema::property(config, key) {
        None => Err(node.error(format!(
            "names `{key}`, which is no property of the config schema"
        ))),
        Some(property) if property.get("type").is_some_and(|kind| kind == "string") => Ok(()),
        Some(_) => Err(node.error(format!(
            "names `{key}`, whose type in the config schema is not \"string\""
        ))),
    }
}

/// `https://api.github.com`, which some egress rule has to reach.
pub(super) fn origin(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<OriginPattern, ManifestError> {
    let origin = OriginPattern::parse(node.raw(1024)?).map_err(|error| node.error(error.to_string()))?;
    check_placeholder(node, &origin.host, config)?;
    let reached = |rule: &EgressRule| {
        rule.scheme == origin.scheme && rule.port == origin.port && rule.host.covers(&origin.host)
    };
    if grant.egress.iter().any(reached) {
        return Ok(origin);
    }
    Err(node.error("is not within the hosts of capabilities.egress: a credential goes nowhere else"))
}

fn limits(node: &Node<'_>) -> Result<Limits, ManifestError> {
    let maxima = Limits::HARD_MAX.named();
    let table = node.table(&maxima.map(|(name, _)| name))?;
    let mut limits = Limits::default();
    for (name, most) in maxima {
        let Some(node) = table.get(name) else { continue };
        let least = match name {
            "memory_bytes" => 64 << 10,
            "call_time_ms" | "request_time_ms" | "http_concurrency" => 1,
            _ => 0,
        };
        let number = node.whole(least..most)?;
        if !limits.set(name, number) {
            return Err(node.error("is not a limit of this size"));
        }
    }
    Ok(limits)
}
