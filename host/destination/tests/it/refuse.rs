use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use sluice_destination::{Destination, Error};

use crate::rows::{batch, schema, table, upsert};
use crate::server::{HOST, PASSWORD, Server, broker, open};

fn simple(name: &str) -> sluice_destination::Batch {
    let table = table(name, schema(&[("a", json!({"type": "integer"}))]));
    batch(&table, 0, 1, vec![upsert(1, "1", r#"{"a":1}"#)])
}

async fn code(destination: &Destination, name: &str) -> &'static str {
    match destination.load(&simple(name)).await {
        Ok(_) => "ok",
        Err(error) => {
            let told = format!("{error:?} {error}");
            assert!(!told.contains("c4n4ry"), "{told}");
            error.code()
        }
    }
}

fn changed(settings: &Value, name: &str, value: Value) -> Value {
    let mut settings = settings.clone();
    settings[name] = value;
    settings
}

#[tokio::test]
async fn what_a_database_refuses_has_a_name() {
    let server = Server::start();
    let settings = server.settings();
    let with = |name: &str, value: Value| server.open_with(&changed(&settings, name, value), PASSWORD);

    assert_eq!(
        code(&server.open_with(&settings, "wrong"), "t").await,
        "destination.auth"
    );
    assert_eq!(
        code(&with("user", json!("nobody")), "t").await,
        "destination.auth"
    );
    assert_eq!(
        code(&with("database", json!("missing")), "t").await,
        "destination.missing"
    );
    assert_eq!(code(&with("tls", json!("require")), "t").await, "destination.tls");
    assert!(!format!("{:?}", server.open()).contains("c4n4ry"));

    server
        .run(&format!(
            "CREATE ROLE poor LOGIN PASSWORD '{}'",
            PASSWORD.replace('\'', "''")
        ))
        .await;
    let poor = with("user", json!("poor"));
    assert_eq!(code(&poor, "t").await, "destination.denied");
    assert_eq!(poor.check().await.unwrap_err().code(), "destination.denied");
    assert_eq!(code(&with("schema", json!("new")), "t").await, "ok");

    // A table of somebody else's, and one of another stream.
    server
        .run("CREATE TABLE theirs (a int); INSERT INTO theirs VALUES (5)")
        .await;
    let mine = server.open();
    assert_eq!(code(&mine, "theirs").await, "destination.conflict");
    assert_eq!(server.texts("SELECT a::text FROM theirs").await, ["5"]);
    assert_eq!(code(&mine, "mine").await, "ok");
    let mut other = simple("mine");
    other.table.stream = "other".into();
    assert_eq!(
        mine.load(&other).await.unwrap_err().code(),
        "destination.conflict"
    );

    // Put back to an earlier state: it says where it ends. A table that is gone begins anew.
    let table = simple("mine").table;
    let later = batch(&table, 7, 8, vec![upsert(8, "8", "{}")]);
    assert!(matches!(
        mine.load(&later).await,
        Err(Error::Behind { has: 1, after: 7 })
    ));
    server.run("DROP TABLE mine").await;
    let next = batch(&table, 1, 2, vec![upsert(2, "2", "{}")]);
    assert!(matches!(
        mine.load(&next).await,
        Err(Error::Behind { has: 0, after: 1 })
    ));
    assert_eq!(code(&mine, "mine").await, "ok");

    // The disk is full, a constraint refuses, somebody holds the table: nothing of the batch is there.
    server.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'c4n4ry' USING ERRCODE = TG_ARGV[0]; \
         END $$",
    ).await;
    for (state, expected) in [
        ("53100", "destination.full"),
        ("53200", "destination.busy"),
        ("23514", "destination.conflict"),
        ("40001", "destination.busy"),
        ("22012", "destination.unfit"),
        ("25006", "destination.denied"),
    ] {
        server
            .run(&format!(
                "CREATE TRIGGER refuses BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION refuse('{state}')"
            ))
            .await;
        let error = mine.load(&next).await.unwrap_err();
        assert_eq!(error.code(), expected, "{state}: {error:?}");
        server.run("DROP TRIGGER refuses ON mine").await;
    }
    assert_eq!(server.texts("SELECT _sluice_id FROM mine").await, ["1"]);
    assert_eq!(mine.load(&next).await.unwrap().rows, 1);
}

#[tokio::test]
async fn a_network_that_refuses_has_a_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = json!({"kind": "postgres", "host": HOST, "port": port, "database": "d", "user": "u", "tls": "disable"});
    let to = |settings: &Value| open(settings, "x", broker(port, Vec::new()));

    // Somebody who is no PostgreSQL.
    let answering = std::thread::spawn(move || {
        use std::io::Write;
        for mut socket in listener.incoming().take(3).map(Result::unwrap) {
            drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let odd = code(&to(&settings), "t").await;
    assert!(
        matches!(
            odd,
            "destination.unreachable" | "destination.auth" | "destination.unfit"
        ),
        "{odd}"
    );
    assert_eq!(
        code(&to(&changed(&settings, "tls", json!("require"))), "t").await,
        "destination.tls"
    );
    let _ = code(&to(&settings), "t").await;
    answering.join().unwrap();
    // Nobody.
    assert_eq!(code(&to(&settings), "t").await, "destination.unreachable");
    // Where we may not go.
    for host in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "::1",
        "[::1]",
        "a/b",
        "2130706433",
    ] {
        let settings = changed(&changed(&settings, "host", json!(host)), "port", json!(5432));
        let told = to(&settings).load(&simple("t")).await.unwrap_err();
        assert_eq!(told.code(), "destination.refused", "{host}: {told:?}");
        assert!(!told.passes());
    }
    assert_eq!(
        code(&to(&changed(&settings, "host", json!("unknown.test"))), "t").await,
        "destination.unreachable"
    );
}

#[tokio::test]
async fn tls_vouches_for_the_host() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let files = [("server.crt", leaf.pem()), ("server.key", key.serialize_pem())];
    let files = [
        (files[0].0, files[0].1.as_str()),
        (files[1].0, files[1].1.as_str()),
    ];
    let server = Server::with_files(&["ssl=on"], &files);

    let settings = changed(&server.settings(), "tls", json!("require"));
    let trusting = |ca: Vec<Vec<u8>>| open(&settings, PASSWORD, broker(server.port, ca));
    let destination = trusting(vec![authority.pem().into_bytes()]);
    assert_eq!(code(&destination, "t").await, "ok");
    let used = server
        .texts(
            "SELECT concat_ws(' ', ssl, version) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE \
        application_name = 'sluice'",
        )
        .await;
    assert_eq!(used, ["t TLSv1.3"]);
    assert_eq!(code(&trusting(Vec::new()), "t").await, "destination.tls");
}
