//! `sluice connector new`: a connector to start from, in the language of its author. The SDK and the contract stand beside it, so that it
//! builds with the language's own tools and nothing of this repository; which of these tools are missing is told with what installs them.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use files::File;

/// The longest name, as manifests have it.
const NAME_BYTES: usize = 40;

#[derive(Debug, Args)]
pub(super) struct New {
    /// The connector's id: small letters, digits and hyphens
    name: String,
    /// The language it is written in
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// Where it goes; a directory of the connector's name without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    #[value(alias = "ts", alias = "javascript", alias = "typescript")]
    Js,
    Python,
    C,
}

/// A program that the language needs, and what installs it.
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) install: &'static str,
}

const CARGO: Tool = Tool {
    program: "cargo",
    install: "install Rust from https://rustup.rs, then `rustup target add wasm32-wasip2`",
};
const NODE: Tool = Tool {
    program: "node",
    install: "`apt-get install nodejs` where that is version 20 or newer, else https://nodejs.org",
};
const NPM: Tool = Tool {
    program: "npm",
    install: "`apt-get install npm`",
};
const PYTHON: Tool = Tool {
    program: "python3",
    install: "`apt-get install python3 python3-venv`",
};
const RUSTC: Tool = Tool {
    program: "rustc",
    install: "install Rust from https://rustup.rs, then `rustup target add wasm32-wasip2`, which brings wasm-component-ld",
};

impl New {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        if !is_name(&self.name) {
            return Err(Failure::usage(format!(
                "`{}` is no name of a connector: small letters, digits and hyphens, a letter first",
                self.name
            )));
        }
        let dir = self.dir.unwrap_or_else(|| PathBuf::from(&self.name));
        if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::new(
                Exit::Failed,
                format!("{} is there already and not empty", dir.display()),
            )
            .hint("name another directory with --dir DIR"));
        }
        for (path, text) in self.lang.files() {
            write(&dir.join(path), &self.lang.filled(path, text, &self.name))?;
        }
        let tools = self.lang.tools();
        let missing = missing(&tools);
        let next = self.lang.next(&dir, &self.name);
        let value = json!({
            "directory": dir.display().to_string(),
            "next": next,
            "missing": missing.iter().map(|tool| json!({"program": tool.program, "install": tool.install})).collect::<Vec<_>>(),
        });
        output.show(&value, |output| {
            output.done(&format!("{} is a connector that builds", dir.display()));
            for tool in &missing {
                output.note(&format!(
                    "{} is missing and needed to build it: {}",
                    tool.program, tool.install
                ));
            }
            output.note("next:");
            for line in &next {
                output.line(line);
            }
        });
        Ok(Exit::Ok)
    }
}

impl Language {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    fn files(self) -> impl Iterator<Item = File> {
        let own = match self {
            Self::Rust => files::RUST,
            Self::Js => files::JS,
            Self::Python => files::PYTHON,
            Self::C => files::C,
        };
        own.iter().chain(files::CONTRACT).copied()
    }

    /// The template's words for what has another name and place here.
    fn filled(self, path: &str, text: &str, name: &str) -> String {
        if let Some(inner) = path.strip_prefix("sluice-sdk/") {
            return match (self, inner) {
                (Self::Rust, "src/wit.rs") => text.replace("../../wit/", "wit/"),
                _ => text.to_owned(),
            };
        }
        text.replace("\"My connector\"", &format!("\"{name}\""))
            .replace("my-connector", name)
            .replace("path = \"..\"", "path = \"sluice-sdk\"")
            .replace("node ../", "node sluice-sdk/")
            .replace("[\"../", "[\"./sluice-sdk/")
    }

    pub(super) const fn tools(self) -> [Tool; 2] {
        match self {
            Self::Rust => [CARGO, RUSTC],
            Self::Js => [NODE, NPM],
            Self::Python => [PYTHON, PYTHON],
            Self::C => [PYTHON, RUSTC],
        }
    }

    /// The commands that make the component, and how it is installed.
    fn next(self, dir: &Path, name: &str) -> Vec<String> {
        let build = match self {
            Self::Rust => "sluice connector build",
            // The SDK's packages come from npm or pip, which nobody asks without being told to.
            Self::Js | Self::Python | Self::C => "sluice connector build --install",
        };
        let install = format!("sluice connector install dist/{name}.wasm");
        let steps = [build, "sluice connector check", "sluice connector test", &install];
        let mut lines = vec![format!("cd {}", dir.display())];
        lines.extend(steps.map(str::to_owned));
        lines
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", path.display()),
        )
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Those that no directory of PATH has.
pub(super) fn missing(tools: &[Tool]) -> Vec<&Tool> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&Tool| {
        std::env::split_paths(&path).any(|dir| {
            dir.join(format!("{}{}", tool.program, std::env::consts::EXE_SUFFIX))
                .is_file()
        })
    };
    let mut found: Vec<&Tool> = tools.iter().filter(|tool| !is_there(tool)).collect();
    found.dedup_by_key(|tool| tool.program);
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sluice_model::manifest::Manifest;

    use super::*;

    const LANGUAGES: [(Language, &str); 4] = [
        (Language::Rust, "rust"),
        (Language::Js, "js"),
        (Language::Python, "python"),
        (Language::C, "c"),
    ];

    #[test]
    fn names() {
        for name in ["a", "github-issues", "s3"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "A",
            "-a",
            "a-",
            "a--b",
            "1a",
            "a b",
            "a/b",
            "..",
            "ä",
            &"a".repeat(41),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    /// No template forgets its place or its name, and each manifest is one.
    #[test]
    fn a_new_connector_is_whole() {
        for (language, name) in LANGUAGES {
            let mut manifests = 0;
            for (path, text) in language.files() {
                let filled = language.filled(path, text, "todo");
                assert!(!Path::new(path).is_absolute() && !path.contains(".."), "{path}");
                if !path.starts_with("sluice-sdk/") {
                    assert!(!filled.contains("my-connector"), "{name}: {path}");
                    assert!(
                        !filled.contains("\"..") && !filled.contains(" ../"),
                        "{name}: {path}"
                    );
                }
                if path == "connector.toml" {
                    assert_eq!(Manifest::parse(&filled).unwrap().id.as_str(), "todo");
                    manifests += 1;
                }
            }
            assert_eq!(manifests, 1, "{name}");
        }
    }

    /// What stands in the checkout is in the list: an SDK's file that is forgotten here would be missing at the author's.
    #[test]
    fn the_list_has_every_file_of_the_sdks() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (language, name) in LANGUAGES {
            let sdk = root.join("sdk-guest").join(name);
            let mut expected = BTreeSet::new();
            below(&sdk, &sdk, &mut expected);
            let listed: BTreeSet<String> = language.files().map(|(path, _)| path.to_owned()).collect();
            for file in &expected {
                assert!(listed.contains(file), "{name}: {file} is not in cli/new/files.rs");
            }
            assert_eq!(listed.len() - files::CONTRACT.len(), expected.len(), "{name}");
        }
        let mut contract = BTreeSet::new();
        let wit = root.join("wit/0.1");
        below(&wit, &wit, &mut contract);
        assert_eq!(contract.len(), files::CONTRACT.len());
    }

    /// The files below `dir`, as they are named in a new connector's directory. What only this repository needs is left out.
    fn below(sdk: &Path, dir: &Path, found: &mut BTreeSet<String>) {
        let left_out = [
            "node_modules",
            "target",
            "examples",
            "test",
            "dist",
            "__pycache__",
        ];
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let inner = path.strip_prefix(sdk).unwrap().to_str().unwrap().to_owned();
            if left_out.contains(&path.file_name().unwrap().to_str().unwrap()) || inner == "tsconfig.json" {
                continue;
            }
            if path.is_dir() {
                below(sdk, &path, found);
            } else {
                found.insert(match inner.strip_prefix("template/") {
                    Some(own) => own.to_owned(),
                    None => format!("sluice-sdk/{inner}"),
                });
            }
        }
    }
}
