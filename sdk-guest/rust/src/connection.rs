//! The connection that a call is made for, and JSON that came from outside read into types.

use serde::de::DeserializeOwned;

use crate::{Connection, Error, ReadRequest};

impl Connection {
    /// The user's configuration as a type of the connector's own.
    ///
    /// # Errors
    /// `config` with a pointer to the value that does not fit.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(&self.config).map_err(|(message, pointer)| Error::config(message, pointer))
    }
}

impl ReadRequest {
    /// The cursor as a type of the connector's own; none at the very start.
    ///
    /// # Errors
    /// `invalid-data` with a pointer, for a cursor that this connector did not make.
    pub fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.cursor.as_deref().map(input).transpose()
    }
}

/// JSON text from a caller, such as an action's input, as a type.
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// struct Input { number: u64 }
/// let error = sluice_sdk::record::input::<Input>(r#"{"number":"one"}"#).unwrap_err();
/// assert!(format!("{error:?}").contains("/number"));
/// ```
///
/// # Errors
/// `invalid-data` with a pointer to the value that does not fit.
pub fn input<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    read(json).map_err(|(message, pointer)| Error::invalid_data(message).at(pointer))
}

/// The value, or what is wrong and the pointer (RFC 6901) to where.
fn read<T: DeserializeOwned>(json: &str) -> Result<T, (String, String)> {
    let mut source = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut source)
        .map_err(|error| (error.inner().to_string(), pointer(error.path())))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        #[expect(dead_code, reason = "only its place in the text matters here")]
        repositories: Vec<String>,
    }

    fn check(config: &str, pointer: &str) {
        let connection = Connection {
            id: "cnn_1".into(),
            config: config.into(),
            account: None,
        };
        match connection.config::<Config>() {
            Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_config_error_points_at_the_value() {
        check(r#"{"repositories":["a/b",7]}"#, "/repositories/1");
        check(r#"{"repositories":"a/b"}"#, "/repositories");
        check("{}", "");
        check("nonsense", "");
    }
}
