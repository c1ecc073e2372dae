use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_broker::{Broker, Config};
use sluice_destination::{Access, Destination, DestinationSettings};
use sluice_model::SystemClock;
use sluice_model::id::OrgId;
use tempfile::TempDir;

use crate::rows::{batch, delete, schema, table, upsert};
use crate::server::NoNames;

pub(crate) fn open(root: &Path, settings: Value) -> Destination {
    let broker = Broker::new(Config::default(), Arc::new(NoNames), Arc::new(SystemClock)).unwrap();
    let access = Access {
        broker,
        org: OrgId::from_bytes([1; 16]),
        password: None,
        root: Some(root.to_owned()),
        caller: None,
    };
    Destination::open(DestinationSettings::read(&settings).unwrap(), access).unwrap()
}

/// Every file below, with its text.
fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((
                    name,
                    String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
                ));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn lines_have_the_record_as_it_is() {
    let root = TempDir::new().unwrap();
    let destination = open(
        root.path(),
        json!({"kind": "directory", "format": "ndjson", "directory": "org/one"}),
    );
    assert_eq!(destination.check().await.unwrap().version, "directory");
    assert!(files(root.path()).is_empty(), "a check leaves nothing");
    let contacts = table("contacts", schema(&[]));
    let rows = vec![
        upsert(1, "a\0\"", "{\"n\": 1e400,\n \"s\":\"\\ud800\\n\"}"),
        delete(2, "b"),
        upsert(3, "c", " [1.10] "),
    ];
    let first = batch(&contacts, 0, 3, rows);
    assert_eq!(destination.load(&first).await.unwrap().rows, 3);
    let expected = concat!(
        r#"{"_sluice_id":"a\u0000\"","_sluice_seq":1,"_sluice_op":"upsert","_sluice_at":"2023-11-14T22:13:20.124Z","record":{"n": 1e400,  "s":"\ud800\n"}}"#,
        "\n",
        r#"{"_sluice_id":"b","_sluice_seq":2,"_sluice_op":"delete","_sluice_at":"2023-11-14T22:13:20.125Z"}"#,
        "\n",
        r#"{"_sluice_id":"c","_sluice_seq":3,"_sluice_op":"upsert","_sluice_at":"2023-11-14T22:13:20.126Z","record":[1.10]}"#,
        "\n",
    );
    let name = format!("org/one/contacts/{}-{:020}.ndjson", contacts.connection, 0);
    assert_eq!(files(root.path()), [(name.clone(), expected.to_owned())]);

    // A repeat is the same file; a batch without rows is none; the next is the next.
    destination.load(&first).await.unwrap();
    destination.load(&batch(&contacts, 3, 9, vec![])).await.unwrap();
    destination
        .load(&batch(&contacts, 9, 10, vec![delete(10, "a")]))
        .await
        .unwrap();
    let all = files(root.path());
    assert_eq!(all.len(), 2);
    assert_eq!(all[0], (name, expected.to_owned()));
    let broken = batch(&contacts, 10, 11, vec![upsert(11, "x", "{")]);
    assert_eq!(
        destination.load(&broken).await.unwrap_err().code(),
        "destination.batch"
    );
}

#[tokio::test]
async fn csv_is_what_rfc_4180_says() {
    let root = TempDir::new().unwrap();
    let text = || json!({"type": "string"});
    let of = schema(&[
        ("a,b", text()),
        ("n", json!({"type": "number"})),
        ("j", json!({"type": "array"})),
        ("=x", text()),
    ]);
    let sheet = table("sheet", of);
    let rows = || {
        vec![
            upsert(
                1,
                "1",
                r#"{"a,b":"x\"y\r\nz, ü","n":1.50,"j":[1, "a"],"=x":"=1+1"}"#,
            ),
            upsert(
                2,
                "-2",
                r#"{"a,b":"","n":-5,"j":null,"=x":" padded ","more":1e400}"#,
            ),
            upsert(3, "3", r#"{"a,b":"\u0000"}"#),
            delete(4, "4"),
        ]
    };
    let keep = concat!(
        "_sluice_id,_sluice_seq,_sluice_op,_sluice_at,_sluice_rest,=x,\"a,b\",j,n\r\n",
        "1,1,upsert,2023-11-14T22:13:20.124Z,,=1+1,\"x\"\"y\r\nz, ü\",\"[1, \"\"a\"\"]\",1.50\r\n",
        "-2,2,upsert,2023-11-14T22:13:20.125Z,\"{\"\"more\"\":1e400}\",\" padded \",\"\",,-5\r\n",
        "3,3,upsert,2023-11-14T22:13:20.126Z,\"{\"\"a,b\"\":{\"\"_sluice_text\"\":\"\"\\\"\"\\\\u0000\\\"\"\"\"}}\",,,,\r\n",
        "4,4,delete,2023-11-14T22:13:20.127Z,,,,,\r\n",
    );
    let destination = open(root.path(), json!({"kind": "directory", "format": "csv"}));
    destination.load(&batch(&sheet, 0, 4, rows())).await.unwrap();
    let written = files(root.path()).remove(0).1;
    assert_eq!(written, keep);

    let escaping = open(
        root.path(),
        json!({"kind": "directory", "format": "csv", "formulas": "escape"}),
    );
    escaping.load(&batch(&sheet, 0, 4, rows())).await.unwrap();
    let escaped = keep
        .replace(",=x,", ",\"'=x\",")
        .replace(",=1+1,", ",\"'=1+1\",")
        .replace("\r\n-2,2", "\r\n\"'-2\",2");
    assert_eq!(files(root.path()).remove(0).1, escaped);
}

#[tokio::test]
async fn nothing_leads_out_of_the_root() {
    let (root, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let load = |directory: &str, name: &str| {
        let destination = open(
            root.path(),
            json!({"kind": "directory", "format": "ndjson", "directory": directory}),
        );
        let batch = batch(&table(name, json!(true)), 0, 1, vec![delete(1, "a")]);
        async move { destination.load(&batch).await.map_err(|error| error.code()) }
    };
    // A link in the path, at its end, and in place of the file that is written.
    symlink(outside.path(), root.path().join("link")).unwrap();
    assert_eq!(load("link", "t").await, Err("destination.conflict"));
    assert_eq!(load("link/inner", "t").await, Err("destination.conflict"));
    assert_eq!(load("", "link").await, Err("destination.conflict"));
    for name in ["..", "../../etc", "/etc", ".hidden", "a/../b"] {
        load("in", name).await.unwrap();
    }
    let connection = table("t", json!(true)).connection;
    let target = outside.path().join("file");
    std::fs::write(&target, "theirs").unwrap();
    std::fs::create_dir(root.path().join("t")).unwrap();
    for name in [
        format!("{connection}-{:020}.ndjson", 0),
        format!(".{connection}-{:020}.ndjson.part", 0),
    ] {
        symlink(&target, root.path().join("t").join(name)).unwrap();
    }
    load("", "t").await.unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
    assert_eq!(files(outside.path()).len(), 1);
    assert!(
        !root
            .path()
            .join("t")
            .join(format!("{connection}-{:020}.ndjson", 0))
            .is_symlink()
    );

    // A file where a directory has to be, and no root at all.
    std::fs::write(root.path().join("file"), "").unwrap();
    assert_eq!(load("file", "t").await, Err("destination.conflict"));
    let nowhere = open(
        &root.path().join("none"),
        json!({"kind": "directory", "format": "ndjson"}),
    );
    assert_eq!(nowhere.check().await.unwrap_err().code(), "destination.missing");
}

/// A disk without space: the device that has none.
#[tokio::test]
async fn a_full_disk_says_so() {
    let full = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    assert_eq!(sluice_destination::Error::from(full).code(), "destination.full");
}
