//! Guests that no Rust can express. A text is one of three:
//!
//! - `(component …)`, `(module …)`: taken as it is, valid or not;
//! - otherwise the fields of the core module of a connector: memory, `cabi_realloc` and every export of the contract that
//!   the text does not mention are added, and the whole is made a component. `(type $run)`, `(type $read)` … are the core
//!   types of the exports, `$answer` is the address of an action's answer `{}`. Lines that begin with `;;!` are WIT with a
//!   world `hostile`, for imports that the contract does not have.

use std::fmt::Write as _;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldId, WorldItem};

pub(super) fn component(path: &Path, text: &str) -> Vec<u8> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(";;"))
        .collect();
    let start = code
        .iter()
        .find(|line| !line.trim().is_empty())
        .map_or("", |line| line.trim_start());
    if start.starts_with("(component") || start.starts_with("(module") {
        return wat::parse_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let (resolve, world) = world(text);
    let module = module(&resolve, world, &code.join("\n"));
    let mut wasm = wat::parse_str(&module).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8).expect("name the world");
    ComponentEncoder::default()
        .module(&wasm)
        .and_then(|encoder| encoder.validate(false).encode())
        .unwrap_or_else(|error| panic!("{}: {error:#}", path.display()))
}

/// The contract's world, or the guest's own that includes it.
fn world(text: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.1");
    let (package, _) = resolve.push_dir(contract).expect("read the contract");
    let own: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix(";;!"))
        .collect();
    if own.is_empty() {
        let world = resolve
            .select_world(&[package], Some("connector"))
            .expect("the contract's world");
        return (resolve, world);
    }
    let main = resolve
        .push_str("hostile.wit", &own.join("\n"))
        .expect("read the guest's WIT");
    let world = resolve
        .select_world(&[main], Some("hostile"))
        .expect("the guest's world");
    (resolve, world)
}

/// The text of the core module.
fn module(resolve: &Resolve, world: WorldId, own: &str) -> String {
    let (imports, rest): (Vec<&str>, Vec<&str>) = own.lines().partition(|line| line.starts_with("(import"));
    let own = rest.join("\n");
    let mut types = String::new();
    let mut exports = String::new();
    for (key, item) in &resolve.worlds[world].exports {
        let WorldItem::Interface { id, .. } = item else {
            panic!("the contract exports interfaces only")
        };
        let interface = resolve.name_world_key(key);
        for (name, function) in &resolve.interfaces[*id].functions {
            let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
            let list = |kinds: &[WasmType]| {
                kinds
                    .iter()
                    .map(|kind| format!(" {}", core(*kind)))
                    .collect::<String>()
            };
            writeln!(
                types,
                "(type ${name} (func (param{}) (result{})))",
                list(&signature.params),
                list(&signature.results)
            )
            .unwrap();
            let full = format!("\"{interface}#{name}\"");
            if !own.contains(&full) {
                writeln!(exports, "(func (export {full}) (type ${name}) unreachable)").unwrap();
            }
        }
    }
    let memory = if own.contains("(export \"memory\")") {
        ""
    } else {
        MEMORY
    };
    let realloc = if own.contains("\"cabi_realloc\"") {
        ""
    } else {
        REALLOC
    };
    let answer = if own.contains("$answer") { ANSWER } else { "" };
    let imports = imports.join("\n");
    format!("(module\n{types}{imports}\n{memory}\n{realloc}\n{answer}\n{exports}\n{own}\n)")
}

fn core(kind: WasmType) -> &'static str {
    match kind {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

const MEMORY: &str = "(memory (export \"memory\") 2)";

/// Hands out memory one piece after the other, 16-aligned, and takes nothing back.
const REALLOC: &str = r#"
(global $next (mut i32) (i32.const 4096))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (global.get $next)
  (global.set $next
    (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -16))))
"#;

/// `ok("{}")` of an action: the case, the address and the length of the text, and the text.
const ANSWER: &str = r#"
(data (i32.const 16) "\00\00\00\00\00\00\00\00\30\00\00\00\02\00\00\00")
(data (i32.const 48) "{}")
(func $answer (result i32) (i32.const 16))
"#;
