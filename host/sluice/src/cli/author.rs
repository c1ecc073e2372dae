//! What an author does with a connector before anybody installs it: keys, packing, signing, publishing. No server is needed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use sluice_model::manifest::Manifest;
use sluice_model::{Clock, SystemClock};
use sluice_package::index::{self, Index};
use sluice_package::{FormatError, Pack, Package, Part, SigningKey, Terms};
use zeroize::Zeroizing;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::registry;

/// Keys, packing, signing and publishing
#[derive(Debug, Subcommand)]
pub(super) enum Author {
    /// Make a key that packages are signed with
    Keygen {
        /// File for the key; nobody else may read it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a package of a component and what belongs to it
    Pack {
        /// The component, as the compiler made it
        component: PathBuf,
        /// The manifest; what lies beside it is taken too: README.md, icon.svg or icon.png, LICENSE, Cargo.lock
        #[arg(long, value_name = "FILE", default_value = "connector.toml")]
        manifest: PathBuf,
        /// Another readme
        #[arg(long, value_name = "FILE")]
        readme: Option<PathBuf>,
        /// Another icon: a PNG or an SVG
        #[arg(long, value_name = "FILE")]
        icon: Option<PathBuf>,
        /// Another licence
        #[arg(long, value_name = "FILE")]
        licence: Option<PathBuf>,
        /// Another Cargo.lock to make the bill of materials of
        #[arg(long, value_name = "FILE", conflicts_with = "sbom")]
        lock: Option<PathBuf>,
        /// A bill of materials: CycloneDX, JSON
        #[arg(long, value_name = "FILE")]
        sbom: Option<PathBuf>,
        /// Take names of functions out too: smaller, and traps are told without words
        #[arg(long)]
        strip_names: bool,
        /// The package; ID-VERSION.wasm without it
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Sign a package, in its place
    Sign {
        package: PathBuf,
        /// Who publishes it
        #[arg(long, value_name = "NAME", required_unless_present = "bundle")]
        publisher: Option<String>,
        /// Attach a sigstore bundle over the package instead, as `cosign sign-blob --bundle FILE` made it
        #[arg(long, value_name = "FILE", conflicts_with_all = ["publisher", "key", "days", "detached"])]
        bundle: Option<PathBuf>,
        /// File with the key (or SLUICE_SIGNING_KEY with the key itself)
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// How long it may be installed
        #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=1095))]
        days: u32,
        /// Write the signature beside the package, PACKAGE.sig, and leave the package as it is
        #[arg(long)]
        detached: bool,
    },
    /// What a package is and whether its signature fits it
    Verify { package: PathBuf },
    /// Put a package into a directory with an index, or into an OCI registry
    Publish {
        package: PathBuf,
        /// A directory, or oci://HOST/REPOSITORY[:TAG]; the tag is the version without one
        to: String,
        /// Sign the directory's index with this key (or SLUICE_SIGNING_KEY)
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// How long the index is valid
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
}

impl Author {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Keygen { out } => keygen(output, &out),
            Self::Pack {
                component,
                manifest,
                readme,
                icon,
                licence,
                lock,
                sbom,
                strip_names,
                output: to,
            } => {
                let beside = Beside(&manifest);
                let text = |given: Option<PathBuf>, names: &[&str]| beside.text(given, names);
                let manifest_text = read_text(&manifest)?;
                let parsed =
                    Manifest::parse(&manifest_text).map_err(|error| of_format(&manifest, &error.into()))?;
                let sbom = match sbom {
                    Some(path) => Some(read_text(&path)?),
                    None => match text(lock, &["Cargo.lock"])? {
                        Some(lock) => Some(
                            sluice_package::of_cargo_lock(&lock, &parsed.id, &parsed.version)
                                .map_err(|error| of_format(&manifest, &error))?,
                        ),
                        None => None,
                    },
                };
                let bytes = read(&component)?;
                let (readme, licence) = (
                    text(readme, &["README.md"])?,
                    text(licence, &["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"])?,
                );
                let icon = beside.bytes(icon, &["icon.svg", "icon.png"])?;
                let pack = Pack {
                    component: &bytes,
                    manifest: &manifest_text,
                    readme: readme.as_deref(),
                    icon: icon.as_deref(),
                    licence: licence.as_deref(),
                    sbom: sbom.as_deref(),
                    strip_names,
                };
                let name = format!("{}-{}", parsed.id, parsed.version);
                let to = to.unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
                packed(output, &pack, &component, &to)
            }
            Self::Sign {
                package,
                bundle: Some(bundle),
                ..
            } => attach(output, &package, &bundle),
            Self::Sign {
                package,
                publisher,
                bundle: None,
                key,
                days,
                detached,
            } => {
                let publisher = publisher.unwrap_or_default();
                let key = signing_key(key.as_deref())?;
                sign(output, &package, &publisher, &key, (days, detached))
            }
            Self::Verify { package } => verify(output, &package),
            Self::Publish {
                package,
                to,
                key,
                days,
            } => {
                let bytes = read(&package)?;
                if to.starts_with("oci://") {
                    let read = Package::read(&bytes).map_err(|error| of_format(&package, &error))?;
                    return registry::push(output, &read, &bytes, &to).await;
                }
                let signed = key.is_some() || std::env::var_os(KEY_VARIABLE).is_some();
                let key = signed.then(|| signing_key(key.as_deref())).transpose()?;
                let listed = list(
                    Path::new(&to),
                    &package,
                    &bytes,
                    key.as_ref().map(|key| (key, days)),
                )?;
                let value = json!({ "name": listed.name, "version": listed.version, "file": listed.file, "digest": listed.digest });
                output.show(&value, |output| {
                    output.done(&format!("{} {} is in {to}", listed.name, listed.version));
                });
                Ok(Exit::Ok)
            }
        }
    }
}

/// The environment's name for a signing key.
const KEY_VARIABLE: &str = "SLUICE_SIGNING_KEY";
/// No file that goes into a package is larger; each part has a limit of its own.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// No key file is larger.
const MAX_KEY_BYTES: u64 = 16 << 10;

/// The files beside a manifest.
struct Beside<'a>(&'a Path);

impl Beside<'_> {
    fn find(&self, given: Option<PathBuf>, names: &[&str]) -> Option<PathBuf> {
        let dir = self.0.parent().unwrap_or(Path::new(""));
        given.or_else(|| {
            names
                .iter()
                .map(|name| dir.join(name))
                .find(|path| path.is_file())
        })
    }

    fn text(&self, given: Option<PathBuf>, names: &[&str]) -> Result<Option<String>, Failure> {
        self.find(given, names).as_deref().map(read_text).transpose()
    }

    fn bytes(&self, given: Option<PathBuf>, names: &[&str]) -> Result<Option<Vec<u8>>, Failure> {
        self.find(given, names).as_deref().map(read).transpose()
    }
}

fn keygen(output: &Output, out: &Path) -> Result<Exit, Failure> {
    let pem = SigningKey::generate().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let key = SigningKey::read(&pem).map_err(|error| Failure::bug(error.to_string()))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(out)
        .and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::usage(format!("{} cannot be written: {error}", out.display())))?;
    let public = key.public();
    let value = json!({ "file": out, "key": public, "fingerprint": public.fingerprint() });
    output.show(&value, |output| {
        output.done(&format!(
            "{} has the key; keep it where only you read it",
            out.display()
        ));
        output.fields(&[("key", public.to_string()), ("fingerprint", public.fingerprint())]);
    });
    Ok(Exit::Ok)
}

/// The key of a file, or of the environment.
fn signing_key(file: Option<&Path>) -> Result<SigningKey, Failure> {
    let (pem, from) = match file {
        Some(path) => {
            only_ours(path)?;
            let bytes = Zeroizing::new(bounded(path, MAX_KEY_BYTES)?);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            (Zeroizing::new(text), path.display().to_string())
        }
        None => {
            let pem = std::env::var(KEY_VARIABLE).map_err(|_| {
                Failure::usage("there is no key to sign with").hint(format!(
                    "pass --key FILE, or set {KEY_VARIABLE}; `sluice connector keygen` makes one"
                ))
            })?;
            (Zeroizing::new(pem), KEY_VARIABLE.to_owned())
        }
    };
    SigningKey::read(&pem).map_err(|error| Failure::usage(format!("{from}: {error}")))
}

/// A key that others can read is not a secret.
fn only_ours(path: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map(|found| found.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(
                Failure::usage(format!("{} can be read by others", path.display()))
                    .hint(format!("chmod 600 {}", path.display())),
            );
        }
    }
    Ok(())
}

fn packed(output: &Output, pack: &Pack<'_>, component: &Path, to: &Path) -> Result<Exit, Failure> {
    let made = pack.make().map_err(|error| of_format(component, &error))?;
    write(to, &made.bytes)?;
    let symbols = made.symbols.as_ref().map(|bytes| {
        let path = to.with_extension(format!("{}.symbols.wasm", made.build_id));
        write(&path, bytes).map(|()| path)
    });
    let symbols = symbols.transpose()?;
    let value = json!({
        "file": to, "bytes": made.bytes.len(), "digest": made.digest, "build_id": made.build_id, "symbols": symbols,
    });
    output.show(&value, |output| {
        output.done(&format!("{} is packed, {} bytes", to.display(), made.bytes.len()));
        output.fields(&[
            ("digest", made.digest.to_string()),
            ("build", made.build_id.clone()),
            (
                "symbols",
                symbols
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            ),
        ]);
    });
    Ok(Exit::Ok)
}

fn sign(
    output: &Output,
    package: &Path,
    publisher: &str,
    key: &SigningKey,
    (days, detached): (u32, bool),
) -> Result<Exit, Failure> {
    let terms = Terms {
        publisher: publisher
            .parse()
            .map_err(|error| Failure::usage(format!("`{publisher}` is {error}")))?,
        signed: SystemClock.now(),
        lifetime: Duration::from_secs(u64::from(days) * 86_400),
    };
    let bytes = read(package)?;
    let failed = |error: FormatError| of_format(package, &error);
    // What was signed before is signed anew: the old signature is not covered by the new one, nor is a bundle, which stays.
    let text = sluice_package::sign(&bytes, key, &terms).map_err(failed)?;
    let to = if detached {
        let to = signature_file(package);
        write(&to, text.as_bytes())?;
        to
    } else {
        let signed = sluice_package::attach(&bytes, &text).map_err(failed)?;
        write(package, &signed)?;
        package.to_owned()
    };
    let value = json!({ "file": to, "publisher": publisher, "key": key.public(), "days": days });
    output.show(&value, |output| {
        output.done(&format!("{publisher} signed {} for {days} days", to.display()));
        output.fields(&[
            ("key", key.public().to_string()),
            ("fingerprint", key.public().fingerprint()),
        ]);
    });
    Ok(Exit::Ok)
}

/// Puts a bundle into a package. Only its form is looked at: what certificates and logs are believed is the servers' to say.
fn attach(output: &Output, package: &Path, bundle: &Path) -> Result<Exit, Failure> {
    let text = String::from_utf8(bounded(bundle, Part::Bundle.limit() as u64)?)
        .map_err(|_| Failure::usage(format!("{} is not text", bundle.display())))?;
    let file = read(package)?;
    Package::read(&file).map_err(|error| of_format(package, &error))?;
    let bytes = sluice_package::attach_bundle(&file, &text).map_err(|error| of_format(bundle, &error))?;
    let claims = Package::read(&bytes)
        .map_err(|error| of_format(package, &error))?
        .bundle()
        .map(|bundle| bundle.claims().clone());
    write(package, &bytes)?;
    let value = json!({ "file": package, "claims": claims });
    output.show(&value, |output| {
        output.done(&format!("{} has the bundle", package.display()));
        if let Some(claims) = &claims {
            output.fields(&[
                ("issuer", claims.issuer.clone()),
                ("subject", claims.subject.clone()),
            ]);
        }
        output.warn("that is whose it says it is; servers judge it, this command has not");
    });
    Ok(Exit::Ok)
}

fn verify(output: &Output, path: &Path) -> Result<Exit, Failure> {
    let bytes = with_signature(path)?;
    let failed = |error: FormatError| of_format(path, &error);
    let package = Package::read(&bytes).map_err(failed)?;
    let signature = package.signature();
    if let Some(signature) = signature {
        let checked = signature
            .covers(&package)
            .and_then(|()| signature.is_fresh(SystemClock.now()));
        checked.map_err(|error| failed(error.into()))?;
    }
    let parts: serde_json::Map<_, _> = package
        .parts()
        .map(|(part, bytes)| (part.name().to_owned(), bytes.into()))
        .collect();
    let manifest = package.manifest();
    let claims = package.bundle().map(sluice_package::Bundle::claims);
    let value = json!({
        "connector": manifest.id, "version": manifest.version, "content": package.content_digest(), "parts": parts,
        "manifest": Manifest::digest(package.manifest_text()), "build_id": package.build_id(),
        "publisher": signature.map(|found| &found.publisher), "key": signature.map(|found| found.key),
        "signed": signature.map(|found| found.signed.to_string()),
        "expires": signature.map(|found| found.expires.to_string()),
        "claims": claims,
    });
    output.show(&value, |output| {
        let of = |text: fn(&sluice_package::Signature) -> String| signature.map(text).unwrap_or_default();
        output.fields(&[
            ("connector", format!("{} {}", manifest.id, manifest.version)),
            ("content", package.content_digest().to_string()),
            ("publisher", of(|found| found.publisher.to_string())),
            ("key", of(|found| found.key.to_string())),
            ("fingerprint", of(|found| found.key.fingerprint())),
            ("signed", of(|found| found.signed.to_string())),
            ("expires", of(|found| found.expires.to_string())),
        ]);
        for (part, bytes) in package.parts() {
            output.line(&format!("part       {}  {bytes} bytes", part.name()));
        }
        match claims {
            Some(claims) => output.warn(&format!(
                "it has a bundle that says it is from {claims}; nobody has judged that here"
            )),
            None if signature.is_none() => output.warn("nobody signed it"),
            None => {}
        }
    });
    Ok(Exit::Ok)
}

/// Adds a package to a directory, and signs its index where a key is given. An index that was signed stays signed.
pub(super) fn list(
    dir: &Path,
    path: &Path,
    bytes: &[u8],
    key: Option<(&SigningKey, u32)>,
) -> Result<index::Listed, Failure> {
    let package = Package::read(bytes).map_err(|error| of_format(path, &error))?;
    let (list, signature) = (dir.join(index::FILE), dir.join(index::SIGNATURE_FILE));
    if key.is_none() && signature.exists() {
        return Err(
            Failure::usage(format!("the index in {} is signed", dir.display()))
                .hint("pass --key FILE, so that it stays so"),
        );
    }
    fs::create_dir_all(dir)
        .map_err(|error| Failure::usage(format!("{} cannot be made: {error}", dir.display())))?;
    let mut index = if list.exists() {
        Index::read(&bounded(&list, index::MAX_BYTES)?).map_err(|error| of_source(&list, &error))?
    } else {
        Index::default()
    };
    let listed = index
        .add(&package, bytes)
        .map_err(|error| of_source(path, &error))?;
    // The file first: an index never names what is not there.
    write(&dir.join(&listed.file), bytes)?;
    let text = index.to_text();
    write(&list, text.as_bytes())?;
    if let Some((key, days)) = key {
        let lifetime = Duration::from_secs(u64::from(days) * 86_400);
        let signed = index::sign(text.as_bytes(), key, SystemClock.now(), lifetime);
        write(&signature, signed.as_bytes())?;
    }
    Ok(listed)
}

/// A package file, with the signature that lies beside it where it has none itself.
pub(super) fn with_signature(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    let beside = signature_file(path);
    if !beside.is_file() {
        return Ok(bytes);
    }
    let unsigned = Package::read(&bytes).is_ok_and(|package| package.part(Part::Signature).is_none());
    if !unsigned {
        return Ok(bytes);
    }
    let text = read_text(&beside)?;
    sluice_package::attach(&bytes, &text).map_err(|error| of_format(&beside, &error))
}

fn signature_file(package: &Path) -> PathBuf {
    let mut name = package.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// The failure that a package's form is.
pub(super) fn of_format(path: &Path, error: &FormatError) -> Failure {
    coded(path, error, error.code(), error.hint())
}

/// The failure that an index is.
pub(super) fn of_source(path: &Path, error: &sluice_package::SourceError) -> Failure {
    coded(path, error, error.code(), error.hint())
}

fn coded(path: &Path, error: &dyn std::error::Error, code: &str, hint: Option<String>) -> Failure {
    Failure {
        code: Some(code.to_owned()),
        hint,
        ..Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    bounded(path, MAX_FILE_BYTES)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| Failure::usage(format!("{} is not text", path.display())))
}

pub(super) fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let failed =
        |error: std::io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::usage(format!(
            "{} is larger than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Whole or not at all: written beside it, and then put in its place.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        drop(fs::remove_file(&beside));
        Failure::usage(format!("{} cannot be written: {error}", path.display()))
    })
}
