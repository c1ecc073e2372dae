//! `sluice connector build`: the language's own tools, called as its SDK says, and the manifest in what they make. A tool that is
//! missing is named with what installs it; nothing is installed that was not asked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};
use sluice_runtime::Runtime;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::project::Project;
use crate::cli::author;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::new::{Language, Tool, missing};
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The connector's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Install the SDK's packages first where they are missing: npm ci, or pip into .venv
    #[arg(long)]
    install: bool,
}

/// The target that Rust connectors are built for.
const TARGET: &str = "wasm32-wasip2";

impl Build {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let project = Project::open(&self.dir)?;
        let began = Instant::now();
        let (path, bytes) = make(&project, self.install, output).await?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let digest = Runtime::digest(&bytes);
        let value = json!({
            "component": path, "bytes": bytes.len(), "digest": digest,
            "language": project.language.word(), "took_ms": took_ms,
        });
        output.show(&value, |output| {
            output.done(&format!("{} is built, {} bytes", path.display(), bytes.len()));
            output.fields(&[("digest", digest.clone())]);
            output.note("next: sluice connector check, sluice connector test");
        });
        Ok(Exit::Ok)
    }
}

/// Makes the component of a project and says where it is.
pub(super) async fn make(
    project: &Project,
    install: bool,
    output: &Output,
) -> Result<(PathBuf, Vec<u8>), Failure> {
    let path = project.component();
    match project.language {
        Language::Rust => {
            let built = cargo(project, output).await?;
            let component = author::read(&built)?;
            let made = sluice_package::embed(&component, &project.manifest_text)
                .map_err(|error| author::of_format(&built, &error))?;
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)
                    .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", dir.display())))?;
            }
            author::write(&path, &made)?;
        }
        Language::Js => {
            let sdk = project.sdk("build.mjs")?;
            needs("node", project.language)?;
            if !sdk.join("node_modules").exists() {
                let command = format!("npm ci --prefix {}", sdk.display());
                if !install {
                    return Err(packages_missing(&command));
                }
                needs("npm", project.language)?;
                let mut npm = Command::new("npm");
                npm.arg("ci")
                    .args(["--no-progress", "--loglevel=error"])
                    .current_dir(&sdk);
                run(npm, output).await?;
            }
            let mut node = Command::new("node");
            node.arg(absolute(&sdk.join("build.mjs"))?)
                .arg("--out")
                .arg(absolute(&path)?);
            run(node.current_dir(&project.dir), output).await?;
        }
        Language::Python | Language::C => {
            let sdk = project.sdk("build.py")?;
            let python = python(project, &sdk, install, output).await?;
            let mut build = Command::new(python);
            build
                .arg(absolute(&sdk.join("build.py"))?)
                .arg("--out")
                .arg(absolute(&path)?);
            build.env("PYTHONDONTWRITEBYTECODE", "1");
            run(build.current_dir(&project.dir), output).await?;
        }
    }
    let bytes = author::read(&path)?;
    Ok((path, bytes))
}

/// Runs cargo and finds what it made.
async fn cargo(project: &Project, output: &Output) -> Result<PathBuf, Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if program == OsStr::new("cargo") {
        needs("cargo", project.language)?;
    }
    let mut command = Command::new(program);
    command
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(&project.dir)
        // Flags that are meant for this machine's programs do not fit a component.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("cargo cannot be run: {error}"));
    output.note(&format!("cargo build --release --target {TARGET}"));
    let mut child = command.spawn().map_err(failed)?;
    let mut made = None;
    if let Some(said) = child.stdout.take() {
        let mut lines = BufReader::new(said).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            made = component_of(&line, &project.dir).or(made);
        }
    }
    if !child.wait().await.map_err(failed)?.success() {
        let failure = Failure::new(Exit::Failed, "cargo build failed");
        return Err(if has_target().await {
            failure.hint("correct what the compiler says above")
        } else {
            failure.hint(format!("install the target: rustup target add {TARGET}"))
        });
    }
    made.ok_or_else(|| {
        Failure::new(Exit::Failed, "cargo made no component")
            .hint("the library's crate type is to be `cdylib`: [lib] crate-type = [\"cdylib\"]")
    })
}

/// The component that a line of cargo's tells of, if it tells of one of this directory's.
fn component_of(line: &str, dir: &Path) -> Option<PathBuf> {
    let said: Value = serde_json::from_str(line).ok()?;
    let manifest = said.get("manifest_path")?.as_str()?;
    if said.get("reason")? != "compiler-artifact"
        || Path::new(manifest).canonicalize().ok()? != dir.join("Cargo.toml").canonicalize().ok()?
    {
        return None;
    }
    let files = said
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str);
    files
        .map(PathBuf::from)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

/// Whether the compiler has the target's library.
async fn has_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    match rustc.output().await {
        Ok(said) => Path::new(String::from_utf8_lossy(&said.stdout).trim()).is_dir(),
        Err(_) => false,
    }
}

/// The Python that has the SDK's packages: the directory's own where there is one.
async fn python(project: &Project, sdk: &Path, install: bool, output: &Output) -> Result<PathBuf, Failure> {
    let own = project.dir.join(".venv/bin/python");
    if own.is_file() {
        return absolute(&own);
    }
    needs("python3", project.language)?;
    let module = match project.language {
        Language::C => "ziglang",
        _ => "componentize_py",
    };
    let finds = format!("import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)");
    let mut look = Command::new("python3");
    look.args(["-c", &finds]);
    let has_compiler = project.language == Language::C && std::env::var_os("CC").is_some();
    if has_compiler || look.status().await.is_ok_and(|status| status.success()) {
        return Ok(PathBuf::from("python3"));
    }
    let list = sdk.join("requirements.txt");
    if !install {
        return Err(packages_missing(&format!(
            "python3 -m venv .venv && .venv/bin/python -m pip install -r {}",
            list.strip_prefix(&project.dir).unwrap_or(&list).display()
        )));
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(project.dir.join(".venv"));
    run(&mut venv, output).await?;
    let mut pip = Command::new(&own);
    pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(list);
    run(&mut pip, output).await?;
    absolute(&own)
}

/// Runs a tool; what it says goes where everything but data goes.
async fn run(mut command: impl std::borrow::BorrowMut<Command>, output: &Output) -> Result<(), Failure> {
    let command = command.borrow_mut();
    let words = command.as_std();
    let name = Path::new(words.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let arguments: Vec<_> = words
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    output.note(&format!("{name} {}", arguments.join(" ")));
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| Failure::new(Exit::Failed, format!("{name} cannot be run: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{name} failed")).hint("correct what it says above"))
}

/// Refuses where a program that is needed is not there.
fn needs(program: &str, language: Language) -> Result<(), Failure> {
    let tools = language.tools();
    let absent: Option<&Tool> = missing(&tools).into_iter().find(|tool| tool.program == program);
    match absent {
        None => Ok(()),
        Some(tool) => Err(Failure::new(
            Exit::Failed,
            format!("{program} is missing and needed to build it"),
        )
        .hint(tool.install)),
    }
}

fn packages_missing(command: &str) -> Failure {
    Failure::new(Exit::Failed, "the SDK's packages are not installed").hint(format!(
        "{command}; or let `sluice connector build --install` do it"
    ))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", path.display())))
}
