//! The child process in which the suite's components are compiled.

fn main() -> std::process::ExitCode {
    sluice_runtime::compile_child()
}
