//! The user's configuration: a region, where its services are, and the topic that hooks subscribe to.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) region: String,
    ses: String,
    sns: String,
    #[serde(default)]
    topic: Option<String>,
}

/// The configuration, whose endpoints have to be those of its region: what is signed for one is refused by the other.
pub(crate) fn of(connection: &Connection) -> Result<Config, Error> {
    let config: Config = connection.config()?;
    let of = |host: &str, service: &str| {
        let rest = host.strip_prefix(service).and_then(|rest| rest.strip_prefix('.'));
        rest.and_then(|rest| rest.strip_prefix(&config.region))
            .is_some_and(|rest| rest == ".amazonaws.com" || rest == ".amazonaws.com.cn")
    };
    if !of(&config.ses, "email") {
        return Err(Error::config("not the endpoint of SES in the region", "/ses"));
    }
    if !of(&config.sns, "sns") {
        return Err(Error::config("not the endpoint of SNS in the region", "/sns"));
    }
    Ok(config)
}

impl Config {
    /// Where SES is.
    pub(crate) fn ses(&self) -> String {
        format!("https://{}/v2/email", self.ses)
    }

    /// Where SNS is.
    pub(crate) fn sns(&self) -> String {
        format!("https://{}/", self.sns)
    }

    /// The topic of the connection.
    pub(crate) fn topic(&self) -> Result<&str, Error> {
        match &self.topic {
            Some(arn) => Ok(arn),
            None => Err(Error::config("name the topic", "/topic")),
        }
    }

    /// The account's number, which the topic's ARN says; SES itself does not tell it.
    pub(crate) fn account(&self) -> Option<&str> {
        self.topic.as_deref()?.split(':').nth(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn endpoints_are_of_the_region() {
        let check = |ses: &str, sns: &str, pointer: Option<&str>| {
            let config = format!(r#"{{"region":"eu-west-1","ses":"{ses}","sns":"{sns}"}}"#);
            let found = of(&testing::connection(&config)).err().map(|error| match error {
                Error::Config(detail) => detail.pointer.unwrap(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found.as_deref(), pointer, "{config}");
        };
        let (ses, sns) = ("email.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com");
        check(ses, sns, None);
        check("email.us-east-1.amazonaws.com", sns, Some("/ses"));
        check("email.eu-west-1.amazonaws.com.evil.example", sns, Some("/ses"));
        check(ses, "sns.eu-west-2.amazonaws.com", Some("/sns"));
        check(ses, "email.eu-west-1.amazonaws.com", Some("/sns"));
    }
}
