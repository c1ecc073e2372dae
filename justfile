# The same recipes as `cargo xtask`, for those who have just.

# List the recipes.
default:
    @just --list

# Build, start a stand-in for GitHub and a server, and do the main job.
demo *flags:
    cargo xtask demo {{ flags }}

# Everything CI runs.
test *flags:
    cargo xtask test {{ flags }}

# The connectors of plugins/ into target/connectors/.
build:
    cargo xtask build

# The SDKs for JavaScript, Python and C: their tests and examples.
sdks:
    cargo xtask sdks

# The hostile guests of fixtures/guests/.
guests:
    cargo xtask guests

# Measure what bench/README.md says.
bench *flags:
    cargo xtask bench {{ flags }}

# The engine with faults and power cuts, 10,000 times over; half an hour, for the night.
simulate *flags:
    cargo xtask simulate {{ flags }}
