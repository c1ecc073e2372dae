"""Writes the configuration and the catalog with which `source-declarative-manifest` of airbyte-cdk reads the issues of a
repository, page after page by the Link header.

    python3 cdk_manifest.py URL OWNER/REPOSITORY CONFIG CATALOG
"""

import json
import os
import sys


def main() -> None:
    url, repository, config, catalog = sys.argv[1:]
    schema = {"type": "object", "additionalProperties": True, "properties": {"id": {"type": "integer"}}}
    stream = {
        "type": "DeclarativeStream",
        "name": "issues",
        "primary_key": "id",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": url,
                "path": f"/repos/{repository}/issues",
                "http_method": "GET",
                "authenticator": {"type": "BearerAuthenticator", "api_token": os.environ.get("PEER_TOKEN", "token")},
                "request_parameters": {"per_page": "100", "state": "all"},
            },
            "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}},
            "paginator": {
                "type": "DefaultPaginator",
                "pagination_strategy": {
                    "type": "CursorPagination",
                    "cursor_value": "{{ headers['link']['next']['url'] }}",
                    "stop_condition": "{{ 'next' not in headers['link'] }}",
                },
                "page_token_option": {"type": "RequestPath"},
            },
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
    }
    manifest = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["issues"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }
    with open(config, "w") as file:
        json.dump({"__injected_declarative_manifest": manifest}, file)
    configured = {
        "stream": {"name": "issues", "json_schema": schema, "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
    }
    with open(catalog, "w") as file:
        json.dump({"streams": [configured]}, file)


main()
