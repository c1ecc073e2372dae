//! Everything a person does with this checkout besides editing it: `cargo xtask …`. The justfile and `.ci/run` call the same.
//!
//! It must work on a fresh machine that has rustup: it needs nothing but the standard library and `anyhow`, adds the wasm target
//! and the pinned tools itself, and names the package to install when something else (node, python) is missing.
//! It is absent from the product: nothing here is shipped.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal is what xtask is for"
)]

mod bench;
mod build;
mod demo;
mod embed;
mod openapi;
mod place;
mod sdks;
mod stand_in;
mod step;
mod test;
mod tool;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask COMMAND [FLAGS]

  demo     build, start a stand-in for GitHub and a server, and do the main job   [--exit] [--release] [--issues N]
  test     everything CI runs                                                     [--fast: without deny and docs]
  build    the connectors of plugins/ and fixtures/connectors/ into target/connectors/
  sdks     the SDKs for JavaScript, Python and C: their tests, and their examples into target/connectors-sdk/
  guests   the hostile guests of fixtures/guests/
  tools    what the tests need of others' software (Chromium, wkg, npm, pip), installed; `test` does this by itself
  bench    measure what bench/README.md says                                      [--peers]
  simulate the engine with faults and power cuts, 10,000 times over               [--seeds N]
  openapi  write the API's OpenAPI document again
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() || words.iter().any(|w| w == "--help" || w == "-h" || w == "help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let command = words.remove(0);
    match dispatch(&command, Flags { words }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, mut flags: Flags) -> Result<()> {
    match command {
        "demo" => {
            let options = demo::Options {
                exit: flags.take("--exit"),
                release: flags.take("--release"),
                issues: flags.take_number("--issues")?.unwrap_or(demo::ISSUES),
            };
            flags.end()?;
            demo::run(&options)
        }
        "test" => {
            let fast = flags.take("--fast");
            flags.end()?;
            test::run(fast)
        }
        "build" => {
            flags.end()?;
            build::connectors()?;
            build::fixtures().map(drop)
        }
        "sdks" => {
            flags.end()?;
            sdks::run()
        }
        "guests" => {
            flags.end()?;
            build::guests()
        }
        "tools" => {
            flags.end()?;
            test::counterparts()
        }
        "bench" => {
            let peers = flags.take("--peers");
            flags.end()?;
            bench::run(peers)
        }
        "simulate" => {
            let seeds = flags.take_number("--seeds")?.unwrap_or(10_000);
            flags.end()?;
            test::simulate(seeds)
        }
        "openapi" => {
            flags.end()?;
            openapi::write()
        }
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

/// The words after the command, taken one by one; what is left over is a mistake of the person who typed it.
struct Flags {
    words: Vec<String>,
}

impl Flags {
    fn take(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|w| w != name);
        self.words.len() < before
    }

    fn take_number(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(at) = self.words.iter().position(|w| w == name) else {
            return Ok(None);
        };
        let mut taken = self.words.drain(at..self.words.len().min(at + 2)).skip(1);
        match taken.next().map(|w| w.replace('_', "").parse()) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => bail!("`{name}` wants a number after it"),
        }
    }

    fn end(&self) -> Result<()> {
        match self.words.first() {
            Some(word) => bail!("`{word}` is not known here\n\n{HELP}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flags;

    fn flags(text: &str) -> Flags {
        Flags {
            words: text.split_whitespace().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn flags_are_taken_once_and_the_rest_is_refused() {
        let mut given = flags("--exit --issues 10_000");
        assert!(given.take("--exit"));
        assert!(!given.take("--release"));
        assert_eq!(given.take_number("--issues").unwrap(), Some(10_000));
        assert!(given.end().is_ok());
        assert!(flags("--exti").end().is_err());
        assert!(flags("--issues").take_number("--issues").is_err());
        assert!(flags("--issues many").take_number("--issues").is_err());
    }
}
