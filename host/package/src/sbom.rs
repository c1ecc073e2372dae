//! The bill of materials: what Cargo locked, as CycloneDX 1.5 (JSON). Without times and random numbers, so that the same lock
//! file gives the same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::FormatError;

/// A lock file of a very large workspace has less.
const MAX_LOCK_BYTES: usize = 4 << 20;

/// As `Cargo.lock` has it; what is not read here may come and go.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    component: Component<'a>,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
}

#[derive(Debug, Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct Dependency {
    r#ref: String,
    #[serde(rename = "dependsOn")]
    depends_on: Vec<String>,
}

/// The bill of a connector whose dependencies this `Cargo.lock` fixes: everything that is locked, whether or not it ends up in
/// the component.
///
/// # Errors
///
/// If the text is not a lock file.
pub fn of_cargo_lock(lock: &str, connector: &str, version: &str) -> Result<String, FormatError> {
    let wrong = |reason: String| FormatError::part("sbom", reason);
    if lock.len() > MAX_LOCK_BYTES {
        return Err(FormatError::PartTooLarge {
            part: "lock file",
            bytes: lock.len(),
            limit: MAX_LOCK_BYTES,
        });
    }
    let mut lock: Lock = toml::from_str(lock)
        .map_err(|error| wrong(format!("cannot be made: Cargo.lock: {}", error.message())))?;
    lock.packages
        .sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    // A dependency is named alone where there is one version of it, with its version where there are several.
    let mut by_name: BTreeMap<&str, &str> = BTreeMap::new();
    for package in &lock.packages {
        by_name.insert(&package.name, &package.version);
    }
    let reference = |name: &str, version: &str| format!("{name}@{version}");
    let dependencies = lock.packages.iter().map(|package| Dependency {
        r#ref: reference(&package.name, &package.version),
        depends_on: package
            .dependencies
            .iter()
            .map(|dependency| {
                let mut words = dependency.split(' ');
                let name = words.next().unwrap_or_default();
                let version = words.next().or_else(|| by_name.get(name).copied());
                reference(name, version.unwrap_or_default())
            })
            .collect(),
    });
    let components = lock.packages.iter().map(|package| {
        let published = package.source.is_some();
        Component {
            r#type: "library",
            bom_ref: reference(&package.name, &package.version),
            name: &package.name,
            version: &package.version,
            hashes: package
                .checksum
                .iter()
                .map(|content| Hash {
                    alg: "SHA-256",
                    content,
                })
                .collect(),
            purl: published.then(|| format!("pkg:cargo/{}@{}", package.name, package.version)),
        }
    });
    let bom = Bom {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            component: Component {
                r#type: "application",
                bom_ref: format!("connector:{connector}@{version}"),
                name: connector,
                version,
                hashes: Vec::new(),
                purl: None,
            },
        },
        dependencies: dependencies.collect(),
        components: components.collect(),
    };
    serde_json::to_string(&bom).map_err(|error| wrong(error.to_string()))
}

/// Whether a text is a bill of the kind that is read here.
pub(crate) fn check(text: &str) -> Result<(), FormatError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        bom_format: String,
    }
    match serde_json::from_str::<Head>(text) {
        Ok(head) if head.bom_format == "CycloneDX" => Ok(()),
        _ => Err(FormatError::part("sbom", "is not CycloneDX in JSON")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_locked_is_billed() {
        let lock = "version = 4\n\
            [[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"registry+https://example.com\"\nchecksum = \"ab\"\n\
            [[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\"b 1.0.0\", \"c\"]\n\
            [[package]]\nname = \"b\"\nversion = \"1.0.0\"\n\
            [[package]]\nname = \"c\"\nversion = \"0.1.0\"\n";
        let text = of_cargo_lock(lock, "acme", "1.2.3").unwrap();
        check(&text).unwrap();
        let bom: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bom["metadata"]["component"]["name"], "acme");
        assert_eq!(bom["components"].as_array().unwrap().len(), 4);
        assert_eq!(bom["components"][2]["purl"], "pkg:cargo/b@2.0.0");
        assert_eq!(bom["components"][2]["hashes"][0]["content"], "ab");
        assert_eq!(
            bom["dependencies"][0]["dependsOn"],
            serde_json::json!(["b@1.0.0", "c@0.1.0"])
        );
        assert_eq!(text, of_cargo_lock(lock, "acme", "1.2.3").unwrap());
        assert!(of_cargo_lock("[[package]]\nname = 1", "a", "1.0.0").is_err());
        assert!(check("{}").is_err() && check("[").is_err());
    }
}
