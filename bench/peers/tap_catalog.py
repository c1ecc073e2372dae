"""Prints tap-github's own catalog with one stream selected; run by the interpreter that has the tap.

Asking the tap (`--discover`) would give the same after a probe of every endpoint of the vendor.
"""

import json
import sys

from singer import metadata
from tap_github.schema import get_schemas

name = sys.argv[1]
schemas, fields = get_schemas()
chosen = metadata.to_map(fields[name])
for breadcrumb in chosen:
    chosen[breadcrumb]["selected"] = True
keys = chosen[()]["table-key-properties"]
entry = {
    "stream": name,
    "tap_stream_id": name,
    "key_properties": keys,
    "schema": schemas[name],
    "metadata": metadata.to_list(chosen),
}
json.dump({"streams": [entry]}, sys.stdout)
