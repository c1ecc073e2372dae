//! The reference of `connector.toml`: every key of every table, beside the code that judges manifests. A test asks the parser itself
//! which keys each table has, and another holds `docs/author/manifest.md` against what is written here.

use sluice_model::limits::Limits;

/// A table and what stands in it.
struct Table {
    /// As it is written: `[links]`, `[[streams]]`; empty for what stands before the first table.
    name: &'static str,
    about: &'static str,
    keys: &'static [Key],
}

/// Name, kind and default (or that it is needed), and what it says.
type Key = (&'static str, &'static str, &'static str, &'static str);

const NEEDED: &str = "needed";

const TABLES: &[Table] = &[
    Table {
        name: "",
        about: "What stands before the first table.",
        keys: &[
            ("manifest", "1", NEEDED, "the format of this file"),
            (
                "id",
                "text",
                NEEDED,
                "the connector's id: a small letter, then small letters, digits and hyphens, 2 to 63 in all",
            ),
            (
                "version",
                "text",
                NEEDED,
                "a semantic version; a version that was published is never changed",
            ),
            (
                "contract",
                "text",
                NEEDED,
                "the version of the contract that it is built for: `0.1`",
            ),
            ("name", "text", NEEDED, "for people"),
            (
                "description",
                "text",
                NEEDED,
                "for people: what it does, in a sentence or two",
            ),
            ("category", "text", NEEDED, "one word to file it under"),
            ("licence", "text", NEEDED, "an SPDX expression"),
            ("links", "table", "none", "where to read more"),
            (
                "capabilities",
                "table",
                "nothing",
                "what it asks for; it may do nothing else",
            ),
            (
                "config",
                "JSON Schema",
                "no settings",
                "the configuration of a connection: an object; `properties` with `title` and `description` make the form",
            ),
            (
                "state_version",
                "number",
                "1",
                "the format of what a connection keeps, its configuration and its storage; raised when an older one has to be migrated",
            ),
            (
                "migrations",
                "tables",
                "none",
                "how older formats of that become this one",
            ),
            (
                "auth",
                "tables",
                "none",
                "how its credentials are come by and applied; the first one is what connections use unless they say otherwise",
            ),
            ("streams", "tables", "none", "what can be synced"),
            (
                "discovered",
                "table",
                "none",
                "what holds of streams that only an account has, and that its code finds",
            ),
            ("webhooks", "tables", "none", "what it can receive"),
            ("actions", "tables", "none", "what it can do"),
            ("rate", "tables", "none", "how fast its vendor may be asked"),
        ],
    },
    Table {
        name: "[links]",
        about: "Each is an `https` address.",
        keys: &[
            ("website", "text", "none", "the vendor"),
            ("documentation", "text", "none", "how to use the connector"),
            ("source", "text", "none", "its code"),
        ],
    },
    Table {
        name: "[capabilities]",
        about: "",
        keys: &[
            ("egress", "tables", "none", "the requests that it may make"),
            (
                "storage_bytes",
                "number",
                "0",
                "bytes of key-value storage of one connection, keys included",
            ),
            (
                "scratch_bytes",
                "number",
                "0",
                "bytes of scratch files of one call",
            ),
            (
                "files_bytes",
                "number",
                "0",
                "bytes of kept files of one connection, each in whole blocks of 4 KiB; with `file_bytes`",
            ),
            (
                "file_bytes",
                "number",
                "0",
                "bytes of one kept file; with `files_bytes`",
            ),
            ("limits", "table", "defaults", "what one call may use"),
        ],
    },
    Table {
        name: "[[capabilities.egress]]",
        about: "One kind of request; a request goes out if one of these permits it.",
        keys: &[
            ("scheme", "`https`, `http`", "`https`", "exactly this"),
            (
                "host",
                "text",
                NEEDED,
                "a name, an address, `*.example.com` for what is below a name, or `${config.KEY}` for what a connection names",
            ),
            ("port", "number", "443 or 80", "exactly this"),
            (
                "methods",
                "list",
                NEEDED,
                "among GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS",
            ),
            (
                "paths",
                "list",
                NEEDED,
                "patterns: `*` is one segment or a part of one, `**` any number of segments",
            ),
            (
                "reason",
                "text",
                "none",
                "why, for whoever installs it: a claim; needed where it is optional",
            ),
            (
                "optional",
                "true or false",
                "false",
                "off until somebody switches it on",
            ),
        ],
    },
    Table {
        name: "[[auth]]",
        about: "The keys that belong to each `scheme`, and recipes for OAuth, are in [docs/auth](../auth/README.md).",
        keys: &[
            ("name", "name", NEEDED, "what its code calls the credential"),
            ("title", "text", NEEDED, "for whoever gives it"),
            (
                "scheme",
                "word",
                NEEDED,
                "`bearer`, `basic`, `header`, `query` and others, `oauth2`, `oauth1`, `custom`",
            ),
            (
                "origins",
                "list",
                NEEDED,
                "the only places it is sent to, each within capabilities.egress: `https://api.example.com`",
            ),
            ("help", "text", "none", "where to get one"),
            (
                "apply",
                "word or table",
                "by the scheme",
                "how a flow's token goes on a request",
            ),
            (
                "parts",
                "tables",
                "by the scheme",
                "what the person who connects gives",
            ),
            (
                "app",
                "tables",
                "none",
                "what whoever registered at the vendor keeps",
            ),
            ("oauth2", "table", "none", "the recipe of `oauth2`"),
            ("oauth1", "table", "none", "the recipe of `oauth1`"),
            ("sign", "table", "none", "the recipe of signed requests"),
            ("header", "text", "by the scheme", "the header that it goes into"),
            ("prefix", "text", "none", "what stands before it in the header"),
            (
                "parameter",
                "text",
                "none",
                "the parameter of the query that it goes into",
            ),
            (
                "username",
                "text",
                "none",
                "the user of `basic`, where it is always the same",
            ),
            ("field", "text", "none", "the field of the body that it goes into"),
            ("service", "text", "none", "the service that AWS signatures name"),
            ("region", "text", "none", "the region that AWS signatures name"),
        ],
    },
    Table {
        name: "[[streams]]",
        about: "",
        keys: &[
            ("name", "name", NEEDED, "its name in code"),
            ("title", "text", NEEDED, "for people"),
            ("description", "text", "none", "for people"),
            (
                "primary_key",
                "list",
                NEEDED,
                "the properties that make a record's id",
            ),
            (
                "cursor",
                "`none`, `timestamp`, `opaque`",
                NEEDED,
                "how it resumes",
            ),
            (
                "cursor_version",
                "number",
                "1",
                "raised when cursors of before cannot be read any more",
            ),
            (
                "modes",
                "list",
                NEEDED,
                "how it can be read: `full`, `incremental`",
            ),
            (
                "partitioned",
                "true or false",
                "false",
                "whether it comes in partitions, each with a cursor of its own",
            ),
            (
                "windows",
                "true or false",
                "false",
                "whether a window of time can be read by itself",
            ),
            (
                "lookback_s",
                "number",
                "0",
                "seconds that the vendor still restates: read again after each incremental run",
            ),
            (
                "write",
                "list",
                "none",
                "what can be written to the vendor: `create`, `update`, `delete`",
            ),
            (
                "schema",
                "JSON Schema",
                NEEDED,
                "a record: an object; what does not fit is set aside",
            ),
        ],
    },
    Table {
        name: "[[migrations]]",
        about: "From one format of what a connection keeps to the next. It is tried before an upgrade and done within it; a rollback brings back what was.",
        keys: &[
            ("from", "number", NEEDED, "the format that it begins with"),
            ("reason", "text", NEEDED, "for whoever upgrades"),
            (
                "config",
                "list",
                "none",
                "steps of the [mapping language](../operator/mapping.md) over the configuration, which then has to fit `[config]`",
            ),
            (
                "storage",
                "tables",
                "none",
                "what becomes of the storage's keys by how they begin, one after the other: `{ rename = \"a/\", to = \"b/\" }`, `{ remove = \"a/\" }`; values stay as they are",
            ),
        ],
    },
    Table {
        name: "[discovered]",
        about: "Streams that only the account has: the code names them, with their schemas, when it is asked to discover.",
        keys: &[
            (
                "modes",
                "list",
                "none",
                "how streams that are found can be read; needed unless only actions are",
            ),
            ("write", "list", "none", "what can be written to them"),
            (
                "actions",
                "flag",
                "false",
                "whether the code names actions that only the account has (`list_actions`)",
            ),
        ],
    },
    Table {
        name: "[[webhooks]]",
        about: "How vendors sign, with a recipe for each, is in [docs/webhooks](../webhooks/README.md).",
        keys: &[
            ("name", "name", NEEDED, "its name in code"),
            ("signature", "table or `none`", NEEDED, "how the host verifies it"),
            (
                "reason",
                "text",
                "none",
                "why there is no signature; needed with `none`",
            ),
            (
                "events",
                "tables",
                NEEDED,
                "the kinds that come in: `kind`, `description`, and `schema` where its data have one of their own",
            ),
            (
                "event_schema",
                "JSON Schema",
                "none",
                "what the data of its events are; one that does not fit is not kept, and the receipt is set aside. Its first `examples` is what tests send",
            ),
            (
                "dedupe",
                "table, `body`, `none`",
                NEEDED,
                "what makes two deliveries the same: `{ header = … }`, `{ pointer = … }`, the body's digest, or nothing",
            ),
            ("event_header", "text", "none", "the header that says the kind"),
            (
                "account",
                "table or `code`",
                "none",
                "where a delivery says which accounts it is about; `code`: the connector says it (`route`)",
            ),
            (
                "order",
                "table",
                "none",
                "where a delivery says what it is about: those about the same are handled one after another",
            ),
            (
                "reply",
                "true or false",
                "false",
                "whether its code answers the vendor itself",
            ),
            (
                "challenges",
                "tables",
                "none",
                "what the vendor asks before it sends any, and what the host answers",
            ),
            (
                "sources",
                "list",
                "anywhere",
                "the addresses that it may come from",
            ),
            (
                "registration",
                "table",
                "none",
                "its code registers the address at the vendor: `secret` is `sent`, `given` or `apart`, `origins` the places that a sent one goes to",
            ),
            (
                "steps",
                "list",
                "none",
                "what a person does at the vendor where nothing registers it",
            ),
        ],
    },
    Table {
        name: "[[actions]]",
        about: "",
        keys: &[
            ("name", "name", NEEDED, "its name in code"),
            ("title", "text", NEEDED, "for people"),
            ("description", "text", "none", "for people"),
            (
                "input",
                "JSON Schema",
                "an object",
                "what it takes; what does not fit is refused before the code is asked",
            ),
            ("output", "JSON Schema", "an object", "what it gives"),
            (
                "idempotent",
                "true or false",
                "false",
                "whether doing it twice is doing it once",
            ),
            (
                "presigns",
                "true or false",
                "false",
                "whether its answer may have links in it that whoever has them can use",
            ),
        ],
    },
    Table {
        name: "[[rate]]",
        about: "The first one that a request fits is the one that counts for it.",
        keys: &[
            ("host", "text", NEEDED, "within capabilities.egress"),
            (
                "path",
                "text",
                "every path",
                "a pattern; what is counted here is counted nowhere else",
            ),
            (
                "scope",
                "`connection`, `app`",
                "`connection`",
                "whom the vendor counts for",
            ),
            ("per_second", "number", NEEDED, "requests a second, on average"),
            ("burst", "number", NEEDED, "requests at once after a pause"),
            ("concurrency", "number", NEEDED, "requests under way at once"),
            ("per_day", "number", "none", "requests in a day"),
            (
                "bucket_header",
                "text",
                "none",
                "the header of an answer that names the budget it was counted in",
            ),
        ],
    },
];

/// What each limit is about.
const LIMITS: [(&str, &str); 10] = [
    ("memory_bytes", "all linear memories of a call"),
    ("table_elements", "elements of all its tables"),
    ("call_time_ms", "wall clock of a call, waiting included"),
    ("host_calls", "calls of host functions"),
    ("log_bytes", "bytes of log; what is more is dropped and counted"),
    ("http_requests", "requests"),
    ("http_concurrency", "requests under way at once"),
    ("response_bytes", "bytes of one answer, inflated"),
    ("request_bytes", "bytes of one request's body"),
    ("request_time_ms", "one request with its retries and redirects"),
];

/// The reference, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = "# connector.toml\n\n\
        What may stand in a connector's manifest; `sluice connector manifest` prints this page. A key that is not here is refused\n\
        with its line and column, and `sluice connector check` says what whoever installs the connector will ask about.\n"
        .to_owned();
    for table in TABLES {
        let title = if table.name.is_empty() {
            "The beginning"
        } else {
            table.name
        };
        let title = if table.name.is_empty() {
            title.to_owned()
        } else {
            format!("`{title}`")
        };
        page.push_str(&format!("\n## {title}\n\n"));
        if !table.about.is_empty() {
            page.push_str(&format!("{}\n\n", table.about));
        }
        page.push_str("| key | what | without it | |\n|---|---|---|---|\n");
        for (name, kind, default, says) in table.keys {
            let default = if *default == NEEDED { "**needed**" } else { default };
            page.push_str(&format!("| `{name}` | {kind} | {default} | {says} |\n"));
        }
    }
    page.push_str("\n## `[capabilities.limits]`\n\nWhat one call may use. An operator may allow less.\n\n");
    page.push_str("| key | without it | at most | |\n|---|---|---|---|\n");
    let most = Limits::HARD_MAX.named();
    for ((name, least), (_, most)) in Limits::default().named().into_iter().zip(most) {
        let says = LIMITS
            .iter()
            .find(|(limit, _)| *limit == name)
            .map_or("", |(_, says)| says);
        page.push_str(&format!("| `{name}` | {least} | {most} | {says} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use sluice_model::manifest::Manifest;

    use super::*;

    const BEGINNING: &str = "manifest = 1\nid = \"acme\"\nversion = \"0.1.0\"\ncontract = \"0.1\"\nname = \"Acme\"\n\
        description = \"x\"\ncategory = \"x\"\nlicence = \"Apache-2.0\"\n";

    /// The keys that the parser names when it meets one that no table has.
    fn known(table: &str) -> BTreeSet<String> {
        let text = format!("{BEGINNING}{table}\nqqqqqqqqqqqqqqqqqqqqqqqq = 1\n");
        let error = Manifest::parse(&text).unwrap_err().message;
        assert!(error.contains("is not a key here"), "{table}: {error}");
        error.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_parser_and_the_reference_have_the_same_keys() {
        for table in TABLES {
            let listed: BTreeSet<String> = table.keys.iter().map(|key| key.0.to_owned()).collect();
            assert_eq!(known(table.name), listed, "{}", table.name);
        }
        let limits: BTreeSet<String> = LIMITS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(known("[capabilities.limits]"), limits);
    }

    #[test]
    fn the_page_is_as_it_is_checked_in() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/author/manifest.md");
        let page = std::fs::read_to_string(file).unwrap();
        assert!(
            page == reference(),
            "write it anew: sluice connector manifest > docs/author/manifest.md"
        );
    }
}
