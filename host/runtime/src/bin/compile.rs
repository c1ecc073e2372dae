//! The compiler's process on its own, for tests and tools that do not carry the `sluice` binary.

fn main() -> std::process::ExitCode {
    sluice_runtime::compile_child()
}
