"""Reads the issues of a repository with dlt's REST source into a destination, as its documentation does it.

    python3 dlt_issues.py URL OWNER/REPOSITORY parquet|ndjson|postgres PLACE

PLACE is a directory, or a connection string. What is nested stays in its column, as with us: tables of labels and assignees
would cost dlt more. The last line says how many records were loaded.
"""

import json
import os
import sys

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    url, repository, kind, place = sys.argv[1:]
    source = rest_api_source(
        {
            "client": {"base_url": url, "auth": {"token": os.environ.get("PEER_TOKEN", "token")}, "paginator": {"type": "header_link"}},
            "resources": [
                {
                    "name": "issues",
                    "endpoint": {
                        "path": f"/repos/{repository}/issues",
                        "params": {"per_page": 100, "state": "all"},
                    },
                }
            ],
        }
    )
    source.max_table_nesting = 0
    if kind == "postgres":
        destination, shape = dlt.destinations.postgres(credentials=place), "insert_values"
    else:
        destination = dlt.destinations.filesystem(f"file://{place}")
        shape = {"parquet": "parquet", "ndjson": "jsonl"}[kind]
    pipeline = dlt.pipeline("issues", destination=destination, dataset_name="bench", pipelines_dir=f"{sys.argv[0]}.work")
    pipeline.run(source, loader_file_format=shape, write_disposition="append")
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(json.dumps({"type": "COUNT", "records": counts["issues"]}))


main()
