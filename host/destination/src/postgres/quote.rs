//! Names and values as PostgreSQL reads them.

/// An identifier in quotation marks. It has no NUL: [`identifier`](crate::column::identifier) and the settings see to that.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table in its namespace.
pub(super) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", name(schema), name(table))
}

/// A text constant, under `standard_conforming_strings`.
pub(super) fn constant(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Adds a text to a row of COPY's text format.
pub(super) fn copy_text(row: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(at) = rest.iter().position(special) {
        let (plain, tail) = rest.split_at(at);
        row.extend_from_slice(plain);
        let Some((byte, tail)) = tail.split_first() else {
            return;
        };
        row.extend_from_slice(match byte {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        rest = tail;
    }
    row.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_early() {
        assert_eq!(name(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
        assert_eq!(constant(r"'; \ x"), r"'''; \ x'");
        let mut row = Vec::new();
        copy_text(&mut row, "a\tb\\N\r\n\\.");
        assert_eq!(row, br"a\tb\\N\r\n\\.");
    }
}
