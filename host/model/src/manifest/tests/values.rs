//! One changed value at a time.

use super::{Manifest, refused};

#[test]
fn bad_values_are_refused_where_they_stand() {
    let wide = "host = \"api.acme.example\"";
    for (from, to, path, words) in [
        ("manifest = 1", "manifest = 2", "manifest", "manifest = 1"),
        ("manifest = 1\n", "", "manifest", "missing"),
        ("id = \"acme\"", "id = \"Acme\"", "id", "lower-case"),
        ("id = \"acme\"", "id = \"аcme\"", "id", "lower-case"),
        ("id = \"acme\"", "id = 5", "id", "is a whole number, not a text"),
        ("version = \"1.2.0\"", "version = \"1.2\"", "version", "semantic"),
        ("contract = \"0.1\"", "contract = \"1\"", "contract", "contract"),
        ("name = \"Acme\"", "name = \"Ac\\u202Eme\"", "name", "U+202E"),
        ("name = \"Acme\"", "name = \"Ac\\u001B[31mme\"", "name", "U+001B"),
        ("name = \"Acme\"", "name = \"Ac\\u200Bme\"", "name", "U+200B"),
        ("name = \"Acme\"", "name = \"Ac\\nme\"", "name", "U+000A"),
        ("name = \"Acme\"", "name = \" \"", "name", "empty"),
        (
            "https://acme.example\"",
            "javascript:alert(1)\"",
            "links.website",
            "https",
        ),
        (
            "https://acme.example\"",
            "https://acme.example/\\\"><b>\"",
            "links.website",
            "https",
        ),
        ("licence = \"Apache-2.0\"", "licence = \"<b>\"", "licence", "SPDX"),
        (
            "storage_bytes = 1_048_576",
            "files_bytes = 1_048_576",
            "capabilities.file_bytes",
            "is missing",
        ),
        (
            "storage_bytes = 1_048_576",
            "file_bytes = 1_048_576",
            "capabilities.files_bytes",
            "is missing",
        ),
        (
            "storage_bytes = 1_048_576",
            "files_bytes = 1_048_576\nfile_bytes = 2_000_000",
            "capabilities.file_bytes",
            "is more than",
        ),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = -1",
            "capabilities.storage_bytes",
            "between",
        ),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = 9_999_999_999_999",
            "capabilities.storage_bytes",
            "between",
        ),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = 1.5",
            "capabilities.storage_bytes",
            "whole number",
        ),
        (
            "memory_bytes = 33_554_432",
            "memory_bytes = 99_999_999_999",
            "capabilities.limits.memory_bytes",
            "between",
        ),
        (
            "memory_bytes = 33_554_432",
            "memory_bytes = 0",
            "capabilities.limits.memory_bytes",
            "between",
        ),
        (
            "call_time_ms = 20_000",
            "call_time_ms = 3_600_000",
            "capabilities.limits.call_time_ms",
            "between",
        ),
        (
            wide,
            "host = \"*.com\"",
            "capabilities.egress[0].host",
            "top-level",
        ),
        (
            wide,
            "host = \"*acme.example\"",
            "capabilities.egress[0].host",
            "`*`",
        ),
        (
            wide,
            "host = \"acme.example:443\"",
            "capabilities.egress[0].host",
            "port",
        ),
        (
            wide,
            "host = \"${config.hots}\"",
            "capabilities.egress[0].host",
            "no property",
        ),
        (
            wide,
            "host = \"${config.depth}\"",
            "capabilities.egress[0].host",
            "not \"string\"",
        ),
        (
            wide,
            "host = \"api.acme.example\"\nport = 0",
            "capabilities.egress[0].port",
            "between 1",
        ),
        (
            wide,
            "host = \"api.acme.example\"\nscheme = \"ftp\"",
            "capabilities.egress[0].scheme",
            "can only be",
        ),
        (
            "methods = [\"GET\"]",
            "methods = []",
            "capabilities.egress[0].methods",
            "empty",
        ),
        (
            "methods = [\"GET\"]",
            "methods = [\"GET\", \"get\"]",
            "capabilities.egress[0].methods[1]",
            "not one of",
        ),
        (
            "methods = [\"GET\"]",
            "methods = [\"CONNECT\"]",
            "capabilities.egress[0].methods[0]",
            "not one of",
        ),
        (
            "\"/repos/**\"]",
            "\"/a/../b\"]",
            "capabilities.egress[0].paths[1]",
            "segment",
        ),
        (
            "\"/repos/**\"]",
            "\"repos\"]",
            "capabilities.egress[0].paths[1]",
            "begin",
        ),
        (
            "reason = \"deletes what you delete\"",
            "",
            "capabilities.egress[1].reason",
            "optional",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://evil.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"http://api.acme.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://*.acme.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://api.acme.example/x\"]",
            "auth[0].origins[0]",
            "path",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"api.acme.example\"]",
            "auth[0].origins[0]",
            "https://",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = []",
            "auth[0].origins",
            "empty",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"saml\"",
            "auth[0].scheme",
            "unsupported scheme `saml`",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"bearer\"\nheader = \"x\"",
            "auth[0].header",
            "does not belong",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"Host\"",
            "auth[0].header",
            "lower case",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"host\"",
            "auth[0].header",
            "itself",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"x\"\nprefix = \"a\\r\\nb\"",
            "auth[0].prefix",
            "character",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"basic\"\nusername = \"a:b\"",
            "auth[0].username",
            "colon",
        ),
        ("name = \"basic\"", "name = \"token\"", "auth[1]", "second"),
        (
            "primary_key = [\"id\"]",
            "primary_key = [\"ident\"]",
            "streams[0].primary_key[0]",
            "no property",
        ),
        (
            "cursor = \"timestamp\"",
            "cursor = \"none\"",
            "streams[0].modes[1]",
            "cursor",
        ),
        (
            "windows = true",
            "windows = false",
            "streams[0].lookback_s",
            "windows = true",
        ),
        (
            "write = [\"create\", \"update\"]",
            "write = [\"create\", \"create\"]",
            "streams[0].write[1]",
            "twice",
        ),
        (
            "cursor = \"timestamp\"",
            "cursor = \"date\"",
            "streams[0].cursor",
            "can only be",
        ),
        (
            "name = \"issues\"",
            "name = \"Issues\"",
            "streams[0].name",
            "not a name",
        ),
        (
            "kind = \"issues.*\"",
            "kind = \"iss*es\"",
            "webhooks[0].events[0].kind",
            "kind of event",
        ),
        (
            "dedupe = { header",
            "dedupe = { pointer",
            "webhooks[0].dedupe.pointer",
            "pointer",
        ),
        (
            "dedupe = { pointer = \"/id\" }",
            "dedupe = { pointer = \"/~2\" }",
            "webhooks[1].dedupe.pointer",
            "pointer",
        ),
        (
            "dedupe = { pointer = \"/id\" }",
            "dedupe = { pointer = \"/id\", header = \"x\" }",
            "webhooks[1].dedupe",
            "either",
        ),
        (
            "dedupe = \"body\"",
            "dedupe = \"never\"",
            "webhooks[2].dedupe",
            "neither",
        ),
        ("signature = \"none\"\n", "", "webhooks[3].signature", "missing"),
        (
            "reason = \"the vendor signs nothing\"\n",
            "",
            "webhooks[3].reason",
            "why",
        ),
        (
            "signature = \"none\"",
            "signature = \"hmac\"",
            "webhooks[3].signature",
            "neither",
        ),
        (
            "scheme = \"hmac\"",
            "scheme = \"magic\"",
            "webhooks[0].signature.scheme",
            "there are `hmac`",
        ),
        (
            "algorithm = \"sha256\"",
            "algorithm = \"md5\"",
            "webhooks[0].signature.algorithm",
            "can only be",
        ),
        (
            "signed = \"{timestamp}.{body}\"",
            "signed = \"{body}\"",
            "webhooks[1].signature.signed",
            "proves nothing",
        ),
        (
            "signed = \"{timestamp}.{body}\"",
            "signed = \"{timestamp}\"",
            "webhooks[1].signature.signed",
            "nothing of the request",
        ),
        (
            "timestamp = { field = \"t\" }\n",
            "",
            "webhooks[1].signature.timestamp",
            "missing",
        ),
        (
            "tolerance_s = 300",
            "tolerance_s = 0",
            "webhooks[1].signature.tolerance_s",
            "between 1",
        ),
        (
            "tolerance_s = 300",
            "tolerance_s = 90_000",
            "webhooks[1].signature.tolerance_s",
            "between 1",
        ),
        (
            "signature_field = \"v1\"",
            "list_separator = \",\"",
            "webhooks[1].signature.signature_field",
            "missing",
        ),
        (
            "list_separator = \" \"",
            "list_separator = \"ab\"",
            "webhooks[2].signature.list_separator",
            "one character",
        ),
        (
            "host = \"api.acme.example\"\nper",
            "host = \"evil.example\"\nper",
            "rate[0].host",
            "within",
        ),
        (
            "per_second = 10.0",
            "per_second = 0",
            "rate[0].per_second",
            "above 0",
        ),
        ("scope = \"app\"", "scope = \"org\"", "rate[1].scope", "`app`"),
        (
            "path = \"/search/**\"",
            "path = \"search\"",
            "rate[1].path",
            "begin with",
        ),
        (
            "per_day = 5_000",
            "per_day = 0",
            "rate[1].per_day",
            "between 1 and",
        ),
        (
            "\"x-acme-budget\"",
            "\"X-Acme-Budget\"",
            "rate[1].bucket_header",
            "lower case",
        ),
        (
            "per_second = 10.0",
            "per_second = nan",
            "rate[0].per_second",
            "above 0",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\n\"$ref\" = \"https://evil.example/s.json\"",
            "config.properties.host.\"$ref\"",
            "another document",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\ndefault = 2026-01-01",
            "config.properties.host.default",
            "date",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\nmaximum = inf",
            "config.properties.host.maximum",
            "JSON",
        ),
    ] {
        refused(from, to, path, words);
    }
}

#[test]
fn only_who_signs_addresses_presigns() {
    refused(
        "idempotent = false",
        "presigns = true",
        "actions[0].presigns",
        "aws-sigv4",
    );
    let text = include_str!("../../../tests/auth.toml");
    let manifest = Manifest::parse(text).unwrap();
    assert!(manifest.action("share").unwrap().presigns && !manifest.action("fetch").unwrap().presigns);
}
