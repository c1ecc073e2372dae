//! Compiling, in a process that may die of it.
//!
//! The compiler is the largest piece of code that a stranger's bytes go through, and the easiest to keep busy. So it runs
//! as a child: wasm on its stdin, machine code on its stdout, limits that it sets on itself before it reads the first
//! byte, no environment, and a parent that stops waiting. The parent believes nothing but the bytes, and those only
//! because it started the child itself.

use std::io::{Read, Write};
use std::process::{ExitCode, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use wasmparser::{Parser, Payload, TypeRef};

use crate::config::{CompileLimits, Compiler};
use crate::engine;
use crate::error::LoadError;
use crate::journal::clean;

/// The exit status of a child whose compiler refused the component; everything else is an accident.
const REFUSED: u8 = 2;

/// Bytes of the compiler's words that are passed on.
const REASON_BYTES: usize = 512;

/// Compiles `bytes`.
pub(crate) async fn compile(
    compiler: &Compiler,
    limits: &CompileLimits,
    bytes: &[u8],
) -> Result<Vec<u8>, LoadError> {
    let (program, args) = match compiler {
        Compiler::InProcess => {
            let bytes = bytes.to_vec();
            let done = tokio::task::spawn_blocking(move || precompile(&bytes)).await;
            return done
                .unwrap_or_else(|error| Err(error.to_string()))
                .map_err(failed);
        }
        Compiler::Itself => {
            let program =
                std::env::current_exe().map_err(|error| failed(format!("find this executable: {error}")))?;
            (program, vec!["__compile".into()])
        }
        Compiler::Program { program, args } => (program.clone(), args.clone()),
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(limits.memory_bytes.to_string())
        .arg(limits.cpu_seconds.to_string())
        .env_clear()
        // Threads beyond these bring nothing but stacks to the child's address space.
        .env("RAYON_NUM_THREADS", "4")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|error| failed(format!("start the compiler: {error}")))?;
    match tokio::time::timeout(limits.wall, exchange(child, limits, bytes)).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(failed(format!("it took longer than {} s", limits.wall.as_secs()))),
    }
}

/// Feeds the child and hears it out. When this is dropped, the child is killed.
async fn exchange(mut child: Child, limits: &CompileLimits, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("the compiler has no pipes".into());
    };
    let feed = async {
        // A child that refuses early closes its end, which its exit status explains better than this.
        let _ = stdin.write_all(bytes).await;
        drop(stdin);
    };
    let mut artifact = Vec::new();
    let mut words = Vec::new();
    // Each end is closed as soon as enough was heard: a child that goes on writing then fails instead of waiting for us.
    let hear = async {
        let mut out = stdout.take(limits.artifact_bytes.saturating_add(1));
        out.read_to_end(&mut artifact).await
    };
    let listen = async {
        let mut err = stderr.take(REASON_BYTES as u64 * 4);
        err.read_to_end(&mut words).await
    };
    let (_, read, _) = tokio::join!(feed, hear, listen);
    if artifact.len() as u64 > limits.artifact_bytes {
        return Err(format!(
            "its machine code is larger than {} bytes",
            limits.artifact_bytes
        ));
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(artifact);
    }
    if status.code() == Some(i32::from(REFUSED)) {
        return Err(String::from_utf8_lossy(&words).into_owned());
    }
    Err(format!(
        "the compiler ran out of its limits or crashed ({status})"
    ))
}

fn failed(reason: String) -> LoadError {
    LoadError::CompileFailed {
        reason: clean(&reason, REASON_BYTES),
    }
}

fn precompile(bytes: &[u8]) -> Result<Vec<u8>, String> {
    one_memory_a_module(bytes)?;
    let engine = engine::compiling().map_err(|error| format!("{error:#}"))?;
    engine
        .precompile_component(bytes)
        .map_err(|error| format!("{error:#}"))
}

/// No module of the component has two memories. The pools count on it, and [`engine`] cannot say it: what it makes to join the
/// parts of a component needs two itself.
fn one_memory_a_module(bytes: &[u8]) -> Result<(), String> {
    // Of each module and component that is open: how many memories it has.
    let mut open: Vec<u64> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let more = match payload.map_err(|error| error.to_string())? {
            Payload::Version { .. } => {
                open.push(0);
                0
            }
            Payload::End(_) => {
                open.pop();
                0
            }
            Payload::MemorySection(section) => u64::from(section.count()),
            Payload::ImportSection(section) => {
                let mut imported = 0;
                for import in section.into_imports() {
                    let import = import.map_err(|error| error.to_string())?;
                    imported += u64::from(matches!(import.ty, TypeRef::Memory(_)));
                }
                imported
            }
            _ => 0,
        };
        if let Some(memories) = open.last_mut() {
            *memories += more;
            if *memories > 1 {
                return Err("a module of the component has more than one memory".into());
            }
        }
    }
    Ok(())
}

/// The child's main: reads wasm from stdin and writes machine code to stdout. The last two arguments of this process are
/// its limits: bytes of address space and seconds of processor time; without them it does nothing.
#[must_use]
pub fn compile_child() -> ExitCode {
    match child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nobody listens any more if this fails.
            let _ = std::io::stderr().write_all(reason.as_bytes());
            ExitCode::from(REFUSED)
        }
    }
}

fn child() -> Result<(), String> {
    let mut args = std::env::args().rev();
    let mut number = || args.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(cpu), Some(memory)) = (number(), number()) else {
        return Err("the compiler was started without its limits".into());
    };
    limit(Resource::As, memory)?;
    limit(Resource::Cpu, cpu)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let artifact = precompile(&bytes)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&artifact)
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}

fn limit(resource: Resource, value: u64) -> Result<(), String> {
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )
    .map_err(|error| format!("limit the compiler: {error}"))
}
