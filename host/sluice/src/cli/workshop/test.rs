//! `sluice connector test`: every case of a connector, played from its cassette without a network, or recorded at the vendor.

pub(super) mod setting;
pub(super) mod told;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sluice_harness::{Golden, Place, play, record};

use self::setting::{At, Compiled, failed};
use super::project::{self, Project};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The connector's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Only this case of tests/; may be given again
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// What comes of it is what is expected from now on
    #[arg(long, conflicts_with = "record")]
    bless: bool,
    /// Ask the vendor itself, and keep what it says
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    at: At,
    /// A value of a new case's configuration; several are allowed
    #[arg(long = "config", value_name = "KEY=VALUE", requires = "record")]
    values: Vec<String>,
    /// The component; dist/ID.wasm without it
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// The case that is made where there is none.
const FIRST: &str = "basic";

impl Test {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let project = Project::open(&self.dir)?;
        let compiled = Compiled::read(&project, self.component.as_deref())?;
        if self.record {
            return self.record(&project, &compiled, output).await;
        }
        let golden = if self.bless {
            Golden::Bless
        } else {
            Golden::Compare
        };
        let mut reports = Vec::new();
        for place in self.places(&project)? {
            let subject = compiled.subject(sluice_broker::Config::default());
            reports.push(
                play(subject, &place, golden)
                    .await
                    .map_err(|error| failed(&error))?,
            );
        }
        let is_good = reports.iter().all(sluice_harness::Report::is_good);
        let value = json!({
            "ok": is_good, "connector": project.manifest.id, "version": project.manifest.version,
            "cases": reports.iter().map(told::value).collect::<Vec<_>>(),
        });
        output.show(&value, |output| {
            for report in &reports {
                told::show(output, report);
            }
            let good = reports.iter().filter(|report| report.is_good()).count();
            let line = format!("{good} of {} cases", reports.len());
            if is_good {
                output.done(&line);
            } else {
                output.note(&line);
            }
        });
        Ok(if is_good { Exit::Ok } else { Exit::Failed })
    }

    /// The cases that are meant.
    fn places(&self, project: &Project) -> Result<Vec<Place>, Failure> {
        let all = Place::all(&project.dir);
        if all.is_empty() {
            let place = project.dir.join(sluice_harness::TESTS);
            return Err(
                Failure::new(Exit::NotFound, format!("{} has no case", place.display()))
                    .hint("record one: sluice connector test --record --config KEY=VALUE"),
            );
        }
        if self.case.is_empty() {
            return Ok(all);
        }
        let named = |name: &String| {
            let found = all.iter().find(|place| place.name() == *name).cloned();
            found.ok_or_else(|| {
                let names: Vec<_> = all.iter().map(Place::name).collect();
                Failure::new(Exit::NotFound, format!("there is no case `{name}`"))
                    .hint(format!("there are {}", names.join(", ")))
            })
        };
        self.case.iter().map(named).collect()
    }

    async fn record(&self, project: &Project, compiled: &Compiled, output: &Output) -> Result<Exit, Failure> {
        let all = Place::all(&project.dir);
        let tests = project.dir.join(sluice_harness::TESTS);
        let place = match (self.case.as_slice(), all.as_slice()) {
            ([name], _) if project::is_plain(name) => Place::new(tests.join(name)),
            ([], []) => Place::new(tests.join(FIRST)),
            ([], [only]) => only.clone(),
            _ => {
                return Err(Failure::usage("one case is recorded at a time").hint("name it with --case NAME"));
            }
        };
        setting::begin(&place, &self.values)?;
        let case = place.read().map_err(|error| failed(&error))?;
        let given = self.at.credential(&project.manifest, &case, output)?;
        let (broker, stage) = self.at.road()?;
        let done = record(compiled.subject(broker), &place, stage, &given).await;
        let done = done.map_err(|error| failed(&error))?;
        let value = json!({
            "ok": done.failed.is_empty(), "case": place.name(), "cassette": place.cassette(),
            "exchanges": done.exchanges, "records": done.records, "failed": done.failed,
        });
        output.show(&value, |output| {
            for failed in &done.failed {
                output.warn(failed);
            }
            output.done(&format!(
                "{} has {} exchanges and {} records",
                place.cassette().display(),
                done.exchanges,
                done.records
            ));
            output
                .note("it has what the vendor said, without the credential: read it before it is committed");
        });
        Ok(if done.failed.is_empty() {
            Exit::Ok
        } else {
            Exit::Failed
        })
    }
}
