//! The `sluice` program. Everything it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a compiling child has no arguments of ours, no log and no runtime.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__compile") {
        return sluice_runtime::compile_child();
    }
    sluice::cli::main()
}
