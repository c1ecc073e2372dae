use serde_json::{Value, json};
use sluice_destination::Loaded;

use crate::rows::{batch, delete, schema, table, upsert};
use crate::server::Server;

fn every_kind() -> Value {
    schema(&[
        ("t", json!({"type": "string"})),
        ("i", json!({"type": "integer"})),
        ("n", json!({"type": "number"})),
        ("b", json!({"type": "boolean"})),
        ("at", json!({"type": "string", "format": "date-time"})),
        ("on", json!({"type": "string", "format": "date"})),
        ("j", json!({"type": "object"})),
    ])
}

#[tokio::test]
async fn every_type_arrives_as_it_is() {
    let server = Server::start();
    let destination = server.open();
    assert!(
        destination
            .check()
            .await
            .unwrap()
            .version
            .starts_with("PostgreSQL 1")
    );
    let left = server
        .texts("SELECT relname::text FROM pg_class WHERE relname LIKE '\\_sluice%'")
        .await;
    assert_eq!(left, [""; 0], "a check leaves nothing");

    let all = table("all", every_kind());
    let first = batch(
        &all,
        0,
        9,
        vec![
            upsert(
                3,
                "a",
                r#"{"t":"x\ty\n\\z\\N","i":9007199254740993,"n":1e400,"b":true,"at":"2024-02-29T10:11:12.123456+02:00","on":"0001-01-01","j":{"n":0.10000000000000000000000001,"s":"\u00e9\ud83d\ude00"}}"#,
            ),
            upsert(5, "b", r#"{"t":null,"other":[1, 2.50]}"#),
            upsert(9, "c", "{}"),
        ],
    );
    let loaded = destination.load(&first).await.unwrap();
    assert_eq!((loaded.rows, loaded.columns_added), (3, 7));
    let columns = "SELECT attname || ' ' || format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = \
                   'public.\"all\"'::regclass AND attnum > 0 ORDER BY attnum";
    let columns = server.texts(columns).await;
    let kinds = [
        "at timestamp with time zone",
        "b boolean",
        "i bigint",
        "j jsonb",
        "n numeric",
        "on date",
        "t text",
    ];
    assert_eq!(columns[4..], kinds);
    let a = |column: &str| format!("SELECT ({column})::text FROM \"all\" WHERE _sluice_id = 'a'");
    for (column, expected) in [
        ("t", "x\ty\n\\z\\N"),
        ("i", "9007199254740993"),
        ("n = 10::numeric ^ 400", "true"),
        ("b", "true"),
        ("extract(epoch from at)", "1709194272.123456"),
        ("\"on\"", "0001-01-01"),
        ("j->>'n'", "0.10000000000000000000000001"),
        ("j->>'s'", "é😀"),
        ("_sluice_rest", "NULL"),
        ("_sluice_seq", "3"),
        ("extract(epoch from _sluice_at)", "1700000000.126000"),
    ] {
        assert_eq!(server.texts(&a(column)).await, [expected], "{column}");
    }
    let b = "SELECT _sluice_rest::text FROM \"all\" WHERE _sluice_id = 'b'";
    assert_eq!(server.texts(b).await, [r#"{"other": [1, 2.50]}"#]);

    // The same again, a shorter one, an overlapping one: nothing is done twice.
    assert_eq!(destination.load(&first).await.unwrap(), Loaded::default());
    assert_eq!(
        destination
            .load(&batch(&all, 0, 4, vec![upsert(3, "a", r#"{"t":"older"}"#)]))
            .await
            .unwrap(),
        Loaded::default()
    );
    let overlapping = batch(
        &all,
        5,
        12,
        vec![
            upsert(9, "c", r#"{"t":"not again"}"#),
            upsert(10, "d", r#"{"t":"new"}"#),
            delete(11, "b"),
            upsert(12, "a", r#"{"t":"newer"}"#),
        ],
    );
    assert_eq!(destination.load(&overlapping).await.unwrap().rows, 3);
    let now = "SELECT _sluice_id || ':' || coalesce(t, '-') || ':' || coalesce(i::text, '-') FROM \"all\" ORDER BY 1";
    assert_eq!(server.texts(now).await, ["a:newer:-", "c:-:-", "d:new:-"]);
    let position =
        "SELECT connection || ' ' || stream || ' ' || seq || ' ' || table_name FROM _sluice_positions";
    assert_eq!(
        server.texts(position).await,
        [format!("{} all 12 all", all.connection)]
    );
}

#[tokio::test]
async fn a_table_follows_its_schema() {
    let server = Server::start();
    let destination = server.open();
    let with = |of: &[(&str, Value)]| table("grows", schema(of));
    let int = || json!({"type": "integer"});
    let text = || json!({"type": "string"});
    let one = with(&[
        ("a", int()),
        ("b", int()),
        ("c", text()),
        ("e", json!({"type": "string", "format": "date"})),
        ("big", int()),
    ]);
    let rows = vec![upsert(
        1,
        "1",
        r#"{"a":1,"b":2,"c":"x","e":"2024-01-02","big":18446744073709551615}"#,
    )];
    destination.load(&batch(&one, 0, 1, rows)).await.unwrap();

    // Wider, mixed, another, and one that is gone; somebody's own column stays.
    server
        .run("ALTER TABLE grows ADD COLUMN mine text DEFAULT 'kept'")
        .await;
    let two = with(&[
        ("a", json!({"type": "number"})),
        ("b", text()),
        ("d", int()),
        ("e", text()),
        ("big", int()),
    ]);
    let rows = vec![
        upsert(
            2,
            "2",
            r#"{"a":1.5,"b":"two","d":4,"e":"soon","c":"was dropped","big":1}"#,
        ),
        upsert(3, "1", r#"{"a":2,"b":3,"d":5,"mine":"no"}"#),
    ];
    let loaded = destination.load(&batch(&two, 1, 3, rows)).await.unwrap();
    assert_eq!(loaded.columns_added, 1);
    let rows = server.texts("SELECT row_to_json(t)::text FROM (SELECT _sluice_id, a, b, c, d, e, big, mine, _sluice_rest FROM \
        grows ORDER BY 1) t").await;
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(
        rows[0],
        json!({"_sluice_id": "1", "a": 2, "b": 3, "c": null, "d": 5, "e": null, "big": null, "mine": "kept",
        "_sluice_rest": {"mine": "no"}})
    );
    assert_eq!(
        rows[1],
        json!({"_sluice_id": "2", "a": 1.5, "b": "two", "c": "was dropped", "d": 4, "e": "soon", "big": 1,
        "mine": "kept", "_sluice_rest": null})
    );

    // A value that grows beyond 64 bits widens its column, unless something holds on to it.
    let three = table("wide", schema(&[("a", int()), ("b", int())]));
    destination
        .load(&batch(&three, 0, 1, vec![upsert(1, "1", r#"{"a":1,"b":1}"#)]))
        .await
        .unwrap();
    server.run("CREATE VIEW holds AS SELECT b FROM wide").await;
    let rows = vec![upsert(
        2,
        "2",
        r#"{"a":9223372036854775808,"b":9223372036854775808}"#,
    )];
    destination.load(&batch(&three, 1, 2, rows)).await.unwrap();
    let rows = server
        .texts("SELECT concat_ws(' ', a, b, _sluice_rest) FROM wide ORDER BY _sluice_id")
        .await;
    assert_eq!(rows, ["1 1", r#"9223372036854775808 {"b": 9223372036854775808}"#]);

    // Somebody made a column something else.
    server
        .run("ALTER TABLE wide ALTER COLUMN a TYPE varchar(3) USING 'abc'")
        .await;
    destination
        .load(&batch(&three, 2, 3, vec![upsert(3, "3", r#"{"a":12345}"#)]))
        .await
        .unwrap();
    let rest = server
        .texts("SELECT _sluice_rest::text FROM wide WHERE _sluice_id = '3'")
        .await;
    assert_eq!(rest, [r#"{"a": 12345}"#]);
}

#[tokio::test]
async fn deletes_are_marked_where_that_is_wanted() {
    let server = Server::start();
    let marking = {
        let mut settings = server.settings();
        settings["deletes"] = json!("mark");
        settings["schema"] = json!("odd \"name\"; DROP TABLE x");
        server.open_with(&settings, crate::server::PASSWORD)
    };
    let soft = table("soft", schema(&[("a", json!({"type": "integer"}))]));
    let rows = vec![upsert(1, "1", r#"{"a":1}"#), upsert(2, "2", r#"{"a":2}"#)];
    marking.load(&batch(&soft, 0, 2, rows)).await.unwrap();
    marking
        .load(&batch(&soft, 2, 4, vec![delete(3, "1"), delete(4, "never")]))
        .await
        .unwrap();
    let now = "SELECT concat_ws(' ', _sluice_id, a, _sluice_seq, _sluice_deleted_at IS NULL) FROM \
               \"odd \"\"name\"\"; DROP TABLE x\".soft ORDER BY 1";
    assert_eq!(server.texts(now).await, ["1 1 3 f", "2 2 2 t"]);
    marking
        .load(&batch(&soft, 4, 5, vec![upsert(5, "1", r#"{"a":9}"#)]))
        .await
        .unwrap();
    assert_eq!(server.texts(now).await, ["1 9 5 t", "2 2 2 t"]);
}

/// Whatever stands in a record, in whatever column it should stand: it arrives, in its column or in the rest.
#[tokio::test]
async fn nothing_that_a_record_can_hold_stops_a_load_or_is_lost() {
    let server = Server::start();
    let destination = server.open();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let values = [
        "true",
        "0",
        "-0",
        "1.0",
        "1e3",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "1e400",
        "-1E-400",
        "1e-20000",
        "1e200000",
        "0.1",
        "123456789012345678901234567890.123456789",
        r#""""#,
        r#""x""#,
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\\N""#,
        r#""\\.""#,
        r#""\t\r\n\b\f\\""#,
        r#""'; DROP TABLE _sluice_positions; --""#,
        r#""$1 $$ {} %s \\x41""#,
        r#""2024-01-01T00:00:00Z""#,
        r#""2024-01-01T00:00:00.123456789Z""#,
        r#""9999-12-31T23:59:59Z""#,
        r#""9999-13-01T00:00:00Z""#,
        r#""2016-12-31T23:59:60Z""#,
        r#""0000-01-01""#,
        r#""2024-02-30""#,
        r#""infinity""#,
        r#""now""#,
        r#""NaN""#,
        r#""0001-01-01T00:00:00+15:59""#,
        "[]",
        "{}",
        r#"{"\u0000":1}"#,
        r#"{"a":"\ud800"}"#,
        r#"[1e99999]"#,
        r#"{"_sluice_text":1}"#,
        &deep(400),
        &deep(100_000),
        "\"\u{fffe}\u{10ffff}\u{7f}\u{85}\"",
    ];
    let fields = ["t", "i", "n", "b", "at", "on", "j"];
    let mut all = table("'; DROP \0TABLE \"x\" --", every_kind());
    all.stream = "all".into();
    let mut rows: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let members: Vec<String> = fields
                .iter()
                .map(|field| format!("\"{field}\":{value}"))
                .collect();
            upsert(
                at as u64 + 1,
                &format!("{at}"),
                &format!("{{{}}}", members.join(",")),
            )
        })
        .collect();
    let next = rows.len() as u64;
    // Names of members, records that are no objects, and ids.
    let odd = [
        r#"{"\u0000":1,"\ud800":2,"":3,"a\"b":4,"'":5,"_sluice_id":6,"_sluice_text":7}"#,
        "[1,2]",
        "null",
        r#""x\u0000""#,
        r#"{"t":1,"t":"last"}"#,
    ];
    for (at, record) in odd.iter().enumerate() {
        rows.push(upsert(next + 1 + at as u64, &format!("odd{at}"), record));
    }
    let ids = ["id\0", "id\u{2400}", "\\N", "\t\n\\.", "'; --"];
    let next = rows.len() as u64;
    for (at, id) in ids.iter().enumerate() {
        rows.push(upsert(next + 1 + at as u64, id, r#"{"t":"x"}"#));
    }
    let count = rows.len();
    destination
        .load(&batch(&all, 0, count as u64, rows))
        .await
        .unwrap();

    let table = server.texts("SELECT table_name FROM _sluice_positions").await;
    let quoted = format!("\"{}\"", table[0].replace('"', "\"\""));
    let there = server
        .texts(&format!("SELECT count(*)::text FROM {quoted}"))
        .await;
    assert_eq!(there, [count.to_string()]);
    for field in fields {
        let lost = format!(
            "SELECT _sluice_id FROM {quoted} WHERE _sluice_id ~ '^[0-9]+$' AND \"{field}\" IS NULL AND NOT \
             coalesce(_sluice_rest ? '{field}', false)"
        );
        assert_eq!(server.texts(&lost).await, [""; 0], "{field}");
    }
    let rest = |id: &str| format!("SELECT _sluice_rest::text FROM {quoted} WHERE _sluice_id = '{id}'");
    let place = |value: &str| {
        values
            .iter()
            .position(|found| *found == value)
            .unwrap()
            .to_string()
    };
    let nul = server.texts(&rest(&place(r#""a\u0000b""#))).await;
    let nul: Value = serde_json::from_str(&nul[0]).unwrap();
    assert_eq!(nul["t"], json!({"_sluice_text": r#""a\u0000b""#}));
    let nanos = place(r#""2024-01-01T00:00:00.123456789Z""#);
    let exact: Value = serde_json::from_str(&server.texts(&rest(&nanos)).await[0]).unwrap();
    assert_eq!(exact["at"], "2024-01-01T00:00:00.123456789Z");
    let at = server
        .texts(&format!(
            "SELECT extract(epoch from at)::text FROM {quoted} WHERE _sluice_id = '{nanos}'"
        ))
        .await;
    assert_eq!(at, ["1704067200.123456"]);
    assert_eq!(
        server.texts(&rest("odd1")).await,
        [r#"{"_sluice_value": [1, 2]}"#]
    );
    assert_eq!(
        server.texts(&rest("odd3")).await,
        [r#"{"_sluice_value": {"_sluice_text": "\"x\\u0000\""}}"#]
    );
    let last = server
        .texts(&format!("SELECT t FROM {quoted} WHERE _sluice_id = 'odd4'"))
        .await;
    assert_eq!(last, ["last"]);
}

#[tokio::test]
async fn long_and_hostile_names_have_columns_of_their_own() {
    let server = Server::start();
    let destination = server.open();
    let long = |end: &str| format!("{}{end}", "ü".repeat(40));
    let (one, two) = (long("1"), long("2"));
    let names = [
        one.as_str(),
        &two,
        "ctid",
        "_sluice_seq",
        "Id",
        "id",
        "a\"; DROP TABLE names; --",
        "select",
        "%s$1",
        "\u{0}",
    ];
    let properties: Vec<(&str, Value)> = names
        .iter()
        .map(|name| (*name, json!({"type": "integer"})))
        .collect();
    let names_table = table(&"n".repeat(90), schema(&properties));
    let record: serde_json::Map<String, Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| ((*name).to_owned(), json!(at)))
        .collect();
    let rows = vec![upsert(1, "1", &Value::Object(record).to_string())];
    let loaded = destination
        .load(&batch(&names_table, 0, 1, rows.clone()))
        .await
        .unwrap();
    assert_eq!(loaded.columns_added, names.len() as u64);
    let named = server.texts("SELECT table_name FROM _sluice_positions").await[0].clone();
    assert_eq!(named.len(), 63);
    let row: Value = serde_json::from_str(
        &server
            .texts(&format!("SELECT row_to_json(t)::text FROM \"{named}\" t"))
            .await[0],
    )
    .unwrap();
    let mut found: Vec<u64> = row
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !name.starts_with("_sluice_"))
        .map(|(_, value)| value.as_u64().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, (0..names.len() as u64).collect::<Vec<_>>());
    assert_eq!(row["_sluice_rest"], Value::Null);
    // The same columns are found again.
    let rows = vec![upsert(2, "2", "{}")];
    assert_eq!(
        destination
            .load(&batch(&names_table, 1, 2, rows))
            .await
            .unwrap()
            .columns_added,
        0
    );
}
