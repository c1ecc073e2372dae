"""Another client of OCI registries: fetches what we published, and publishes what we fetch, in the layout of the CNCF's Wasm OCI
artifact. One line of JSON for each command: `pull ADDRESS REPOSITORY TAG FILE`, `push ADDRESS REPOSITORY TAG FILE`."""

import hashlib
import json
import pathlib
import sys
import tempfile

import oras.client
import oras.defaults
import oras.oci
import oras.provider

CONFIG = "application/vnd.wasm.config.v0+json"
LAYER = "application/wasm"


def main():
    command, address, repository, tag, file = sys.argv[1:]
    reference = f"{address}/{repository}:{tag}"
    registry = oras.provider.Registry(hostname=address, insecure=True, tls_verify=False)
    container = registry.get_container(reference)
    path = pathlib.Path(file)
    if command == "pull":
        manifest = registry.get_manifest(container)
        (layer,) = manifest["layers"]
        path.write_bytes(registry.get_blob(container, layer["digest"]).content)
        config = registry.get_blob(container, manifest["config"]["digest"]).json()
        print(json.dumps({"manifest": manifest, "config": config}))
        return
    content = path.read_bytes()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    config = {
        "created": "2026-01-01T00:00:00Z",
        "author": None,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest],
        "component": {"exports": [], "imports": [], "target": None},
    }
    with tempfile.TemporaryDirectory() as directory:
        config_file = pathlib.Path(directory, "config.json")
        config_file.write_text(json.dumps(config))
        layer = oras.oci.NewLayer(str(path), is_dir=False, media_type=LAYER)
        layer["annotations"] = {}
        described, _ = oras.oci.ManifestConfig(str(config_file), media_type=CONFIG)
        described["annotations"] = {}
        manifest = {
            "schemaVersion": 2,
            "mediaType": oras.defaults.default_manifest_media_type,
            "config": described,
            "layers": [layer],
        }
        for blob, of in ((str(config_file), described), (str(path), layer)):
            answer = registry.upload_blob(blob, container, of)
            assert answer.status_code in (200, 201, 202), answer.status_code
        answer = registry.upload_manifest(manifest, container)
        assert answer.status_code in (200, 201), answer.text
    print(json.dumps({"layer": digest}))


main()
