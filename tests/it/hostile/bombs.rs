//! Components that attack whoever reads or compiles them (G12): too large, too many, too deep, damaged. Each ends with a
//! typed refusal or is taken; either way soon, in a child that has limits, and without harm to this process.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_broker::Broker;
use sluice_model::SystemClock;
use sluice_model::limits::Limits;
use sluice_runtime::{CallError, CompileLimits, Compiler, Config, LoadError, Runtime};
use wasm_encoder::{
    CodeSection, Component, ComponentSection, ComponentTypeSection, ComponentValType, Function,
    FunctionSection, Module, ModuleSection, NestedComponentSection, TypeSection, ValType,
};

use super::yard::{self, Names, Seed, Yard};
use crate::guests;

/// The child's time on the clock, and what the machine may need to notice.
const WALL: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(20);

/// A runtime whose compiler has little.
fn meagre() -> Runtime {
    let compile = CompileLimits {
        memory_bytes: 1 << 30,
        cpu_seconds: 8,
        wall: WALL,
        artifact_bytes: 64 << 20,
        at_once: 2,
    };
    let compiler = Compiler::Program {
        program: env!("CARGO_BIN_EXE_sluice-tests-compile").into(),
        args: Vec::new(),
    };
    let names = Arc::new(Names::default());
    let broker = Broker::new(sluice_broker::Config::default(), names, Arc::new(SystemClock)).unwrap();
    let config = Config {
        slots: 2,
        compiler,
        compile,
        ..Config::default()
    };
    Runtime::new(config, broker).unwrap()
}

/// Loads, and gives the code of the refusal; panics where the refusal is no documented one or comes late.
async fn code(runtime: &Runtime, what: &str, component: &[u8]) -> Option<&'static str> {
    let started = Instant::now();
    let loaded = runtime.load(component, &Runtime::digest(component)).await;
    assert!(
        started.elapsed() < WALL + GRACE,
        "{what}: took {:?}",
        started.elapsed()
    );
    let error = loaded.err()?;
    assert!(LoadError::CODES.contains(&error.code()), "{what}: {error}");
    assert!(
        error.to_string().len() < 4096,
        "{what}: {} bytes of words",
        error.to_string().len()
    );
    Some(error.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compile_bombs_go_off_elsewhere() {
    let _turn = yard::turn().await;
    let runtime = meagre();
    let refused = ["package.malformed", "package.compile_failed"];

    let large = [guests::connector(""), vec![0; 100 << 20]].concat();
    assert_eq!(code(&runtime, "100 MB", &large).await, Some("package.too_large"));
    drop(large);

    // As many functions as fit in what a component may have, and one more than an engine takes.
    let _ = code(
        &runtime,
        "400,000 functions",
        &with_module(&functions(400_000, &[])),
    )
    .await;
    let found = code(
        &runtime,
        "a million functions",
        &with_module(&functions(1_000_001, &[])),
    )
    .await;
    assert!(
        found.is_some_and(|code| refused.contains(&code)),
        "a million functions: {found:?}"
    );

    let locals = functions(1, &[(1_000_000, ValType::I64)]);
    let found = code(&runtime, "a million locals", &with_module(&locals)).await;
    assert!(
        found.is_some_and(|code| refused.contains(&code)),
        "a million locals: {found:?}"
    );

    let mut jump = Function::new([(1, ValType::I32)]);
    let mut body = jump.instructions();
    body.block(wasm_encoder::BlockType::Empty).local_get(0);
    body.br_table(std::iter::repeat_n(0, 2_000_000), 0).end().end();
    let _ = code(
        &runtime,
        "a jump with two million targets",
        &with_module(&module([jump])),
    )
    .await;

    let mut long = Function::new([(1, ValType::I64)]);
    let mut body = long.instructions();
    body.local_get(0);
    for _ in 0..600_000 {
        body.local_get(0).i64_mul().local_get(0).i64_rotl();
    }
    body.drop().end();
    let _ = code(&runtime, "a function of megabytes", &with_module(&module([long]))).await;

    let data = (0..100_001).fold(String::new(), |mut all, at| {
        writeln!(all, "(data (i32.const {}) \"x\")", at % 1000).unwrap();
        all
    });
    let data = wat::parse_str(format!("(component (core module (memory 1) {data}))")).unwrap();
    // The sections behind the preamble of eight bytes.
    let data = [&guests::connector("")[..], &data[8..]].concat();
    let _ = code(&runtime, "100,001 data segments", &data).await;
}

/// Functions that do nothing, each with these locals.
fn functions(count: usize, locals: &[(u32, ValType)]) -> Module {
    let mut empty = Function::new(locals.iter().copied());
    empty.instructions().end();
    module(std::iter::repeat_n(empty, count))
}

fn module(bodies: impl IntoIterator<Item = Function>) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for body in bodies {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

/// A connector that carries `module` besides: it is compiled with the rest, and nothing instantiates it.
fn with_module(module: &Module) -> Vec<u8> {
    let mut component = guests::connector("");
    ComponentSection::append_to_component(&ModuleSection(module), &mut component);
    component
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_does_not_end_a_stack() {
    let _turn = yard::turn().await;
    let runtime = meagre();

    // Blocks in blocks.
    let depth = 100_000;
    let mut nest = Function::new([]);
    let mut body = nest.instructions();
    for _ in 0..depth {
        body.block(wasm_encoder::BlockType::Empty);
    }
    for _ in 0..=depth {
        body.end();
    }
    let _ = code(&runtime, "blocks 100,000 deep", &with_module(&module([nest]))).await;

    // A list of a list of a list …, in a component that nothing instantiates.
    for depth in [101, 1_000, 100_000] {
        let mut types = ComponentTypeSection::new();
        types.defined_type().primitive(wasm_encoder::PrimitiveValType::U8);
        for inner in 0..depth {
            types.defined_type().list(ComponentValType::Type(inner));
        }
        let mut nested = Component::new();
        nested.section(&types);
        let _ = code(&runtime, "types that are deep", &with_nested(&nested)).await;
    }

    // Components in components.
    for depth in [33, 1_000, 20_000] {
        let mut inner = Component::new();
        for _ in 0..depth {
            let mut outer = Component::new();
            outer.section(&NestedComponentSection(&inner));
            inner = outer;
        }
        let found = code(&runtime, "components that are deep", &with_nested(&inner)).await;
        assert_eq!(found, Some("package.malformed"), "{depth} components deep");
    }
}

/// A connector that carries `nested` besides.
fn with_nested(nested: &Component) -> Vec<u8> {
    let mut component = guests::connector("");
    ComponentSection::append_to_component(&NestedComponentSection(nested), &mut component);
    component
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_components_are_refused_or_run_like_any_other() {
    let yard = Yard::open().await;
    let whole = guests::connector(
        "(func (export \"sluice:connector/actions@0.1.0#run\") (type $run) (call $answer))",
    );
    let mut random = Random(0x5105_1ce5);

    // Reading alone is quick: many flips of a large component, and every length of a small one.
    let large = guests::component("neighbour");
    for _ in 0..2_000 {
        let mut flipped = large.clone();
        flip(&mut flipped, &mut random);
        let _ = yard.runtime.inspect(&flipped);
    }
    for length in 0..whole.len() {
        let _ = yard.runtime.inspect(&whole[..length]);
    }

    // Whatever is changed, it is not what was approved.
    let digest = Runtime::digest(&whole);
    for _ in 0..100 {
        let mut flipped = whole.clone();
        flip(&mut flipped, &mut random);
        let error = yard.runtime.load(&flipped, &digest).await.unwrap_err();
        assert_eq!(error.code(), "package.digest_mismatch");
    }

    let limits = Limits {
        call_time: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut taken = 0;
    for round in 0..300 {
        let mut flipped = whole.clone();
        flip(&mut flipped, &mut random);
        match yard.load(&flipped).await {
            Err(error) => assert!(LoadError::CODES.contains(&error.code()), "flip {round}: {error}"),
            Ok(connector) => {
                taken += 1;
                let call = yard.call(
                    &connector,
                    limits.clone(),
                    Seed::snapshot(&std::collections::BTreeMap::new()),
                );
                let outcome = yard
                    .runtime
                    .act(call, "probe".into(), "{}".into(), "key".into())
                    .await;
                if let Err(error) = outcome.result {
                    assert!(CallError::CODES.contains(&error.code()), "flip {round}: {error}");
                }
            }
        }
    }
    assert!(taken < 300, "some flips matter");
    assert_eq!(yard.trespassers(), 0);
}

/// Flips one to eight bits.
fn flip(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
}

/// SplitMix64: the same flips in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}
