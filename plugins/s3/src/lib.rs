//! The S3 connector: one bucket of Amazon S3, Cloudflare R2 or another service that speaks the same API. `connector.toml`
//! says what it may do; here is what it does: the stream of the bucket's objects ([`objects`]), actions on single
//! objects ([`actions`]), links to them ([`presign`]) and uploads in parts ([`upload`]).
//!
//! The key, the signature and `x-amz-content-sha256` are the host's. Addresses are path-style (`endpoint/bucket/key`)
//! everywhere: it is what every compatible service takes, and one host to approve.

use sluice_sdk::{Account, Connection, Connector, Error, Page, ReadRequest};

mod actions;
mod bucket;
mod listing;
mod objects;
mod presign;
mod refusal;
mod upload;

struct S3;

sluice_sdk::export!(S3);

impl Connector for S3 {
    /// S3 knows no "who am I": the account is the bucket, and a key that may list it is a key that works.
    fn check(connection: &Connection) -> Result<Account, Error> {
        let bucket = bucket::of(connection)?;
        let response = bucket.list(None, None, 1).send()?;
        if response.status != 200 {
            return Err(refusal::of(&response));
        }
        listing::parse(response.text()?)?;
        Ok(Account {
            id: bucket.account(),
            name: bucket.name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "objects" => objects::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(connection, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::auth::Apply;
    use sluice_model::manifest::Manifest;
    use sluice_sdk::testing;

    const CONFIG: &str =
        r#"{"endpoint":"s3.eu-central-1.amazonaws.com","region":"eu-central-1","bucket":"acme"}"#;

    #[test]
    fn the_manifest_signs_for_the_configured_region() {
        let manifest = Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Apply::SigV4 { service, region } = &manifest.auth[0].apply else {
            panic!("{:?}", manifest.auth[0].apply)
        };
        assert_eq!(
            (service.as_str(), region.to_string().as_str()),
            ("s3", "${config.region}")
        );
        let names: Vec<&str> = manifest.auth[0]
            .parts
            .iter()
            .map(|part| part.name.as_str())
            .collect();
        assert_eq!(names, ["access_key_id", "secret_access_key", "session_token"]);
    }

    #[test]
    fn the_account_is_the_bucket() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/list-empty.xml")));
        let account = S3::check(&testing::connection(CONFIG)).unwrap();
        assert_eq!(account.id, "s3.eu-central-1.amazonaws.com/acme");
        assert_eq!(account.name, "acme");
        assert_eq!(
            testing::requests()[0].url(),
            "https://s3.eu-central-1.amazonaws.com/acme?list-type=2&max-keys=1&encoding-type=url"
        );
    }

    #[test]
    fn a_page_that_is_no_listing_is_no_proof_of_a_key() {
        for body in ["", "<html></html>", "<Error><Code>SlowDown</Code></Error>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(
                S3::check(&testing::connection(CONFIG)),
                Err(Error::InvalidData(_))
            ));
        }
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("versions", None);
        assert!(matches!(
            S3::read(&testing::connection(CONFIG), &request),
            Err(Error::Unsupported(_))
        ));
    }
}
