#!/usr/bin/env bash
# Real peers, on the pages that our own connector reads: `bench/peers.sh URL [OWNER/REPOSITORY] [PEER...]`, where URL is the
# plain-http address of the vendor stand-in. Plain http, although our own run uses TLS: it favours the peers. Peers: airbyte, tap,
# cdk, dlt-parquet, dlt-ndjson, dlt-postgres (which needs PGURL, an empty database's connection string); all but the last if none is
# named.
# Installs them into target/peers/ (not shipped, not linked: they are run as programs), then prints one line of JSON for each.
set -euo pipefail
cd "$(dirname "$0")/.."

url="${1:?the plain-http address of the stand-in, e.g. http://127.0.0.1:8080}"
repository="${2:-acme/web}"
shift $(( $# < 2 ? $# : 2 ))
wanted=" ${*:-airbyte tap cdk dlt-parquet dlt-ndjson} "
wants() { [[ "$wanted" == *" $1 "* ]]; }
here="$PWD/bench/peers"
dir="${CARGO_TARGET_DIR:-$PWD/target}/peers"
mkdir -p "$dir"

install() { # PACKAGE VERSION [EXTRAS]: each has its own environment, because they disagree about what they depend on
  local at="$dir/$1-$2"
  if [ ! -e "$at/installed" ]; then
    python3 -m venv "$at"
    "$at/bin/pip" install --quiet --disable-pip-version-check "$1${3:-}==$2" >&2
    touch "$at/installed"
  fi
  echo "$at/bin"
}

if wants airbyte || wants tap; then
  airbyte=$(install airbyte-source-github 2.7.1)
  tap=$(install tap-github 4.0.0)
fi

# Both read the whole stream, 100 issues a page (Airbyte's default of 10 would be ten times the requests).
cat > "$dir/airbyte.json" <<JSON
{ "credentials": { "option_title": "PAT Credentials", "personal_access_token": "${PEER_TOKEN:-token}" },
  "repositories": ["$repository"], "api_url": "$url", "start_date": "2000-01-01T00:00:00Z", "page_size_for_large_streams": 100 }
JSON
cat > "$dir/airbyte-catalog.json" <<'JSON'
{ "streams": [ { "stream": { "name": "issues", "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"] },
                 "sync_mode": "full_refresh", "destination_sync_mode": "overwrite" } ] }
JSON
cat > "$dir/tap.json" <<JSON
{ "access_token": "${PEER_TOKEN:-token}", "repository": "$repository", "base_url": "$url", "start_date": "2000-01-01T00:00:00Z" }
JSON

if wants tap; then
  "$tap/python" "$here/tap_catalog.py" issues > "$dir/tap-catalog.json"
  python3 "$here/measure.py" tap-github "$dir/tap.log" \
    "$tap/tap-github" --config "$dir/tap.json" --properties "$dir/tap-catalog.json"
fi
wants airbyte && python3 "$here/measure.py" airbyte-source-github "$dir/airbyte.log" \
  "$airbyte/source-github" read --config "$dir/airbyte.json" --catalog "$dir/airbyte-catalog.json"
if wants cdk; then
  cdk=$(install airbyte-cdk 7.39.1)
  python3 "$here/cdk_manifest.py" "$url" "$repository" "$dir/cdk.json" "$dir/cdk-catalog.json"
  python3 "$here/measure.py" airbyte-cdk "$dir/cdk.log" \
    "$cdk/source-declarative-manifest" read --config "$dir/cdk.json" --catalog "$dir/cdk-catalog.json"
fi
export RUNTIME__DLTHUB_TELEMETRY=false
for kind in parquet ndjson postgres; do
  wants "dlt-$kind" || continue
  dlt=$(install dlt 1.31.0 '[filesystem,parquet,postgres]')
  place=$(mktemp -d)
  cp "$here/dlt_issues.py" "$place/"
  where="$place/out"
  if [ "$kind" = postgres ]; then where="${PGURL:?an empty database}"; fi
  python3 "$here/measure.py" "dlt-$kind" "$dir/dlt-$kind.log" \
    "$dlt/python" "$place/dlt_issues.py" "$url" "$repository" "$kind" "$where"
  rm -rf "$place"
done
