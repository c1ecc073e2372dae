"""Files of the connection: the host downloads them by the same road as every request and keeps them; the connector has a reference, to
be put in a record. What was kept becomes durable with the call's outcome or not at all."""

from __future__ import annotations

from typing import Any

from . import _host
from .errors import ConfigError, ConnectorError, TransientError
from .http import Response, _error, build


def fetch(
    url: str,
    key: str,
    name: str | None = None,
    *,
    owner: tuple[str, str] | None = None,
    method: str = "GET",
    **more: Any,
) -> dict[str, Any]:
    """Downloads and keeps; gives the reference: `id`, `name`, `media_type`, `bytes`, `sha256`.

    `key` should be the vendor's own id of the file; what is fetched again under it takes the place of what was there. `owner`: the
    stream and the id of the record that it belongs to. `more` is as for `http.request`. Raises what the status means where it is not
    2xx, and the `ConnectorError` that says who has to act where there is no file.
    """
    host = _host.of("files")
    of = None if owner is None else host.Owner(stream_name=owner[0], id=str(owner[1]))
    try:
        fetched = host.fetch(build(method, url, **more), host.Save(key=key, name=name or key, owner=of))
    except Exception as error:
        raise _refusal(error, key) from None
    value = fetched.value
    if hasattr(value, "sha256"):
        return _reference(value)
    Response(value.status, value.headers, value.body, url).raise_for_status()
    # 304 is no error, and no file either.
    raise TransientError(f"the vendor answered {value.status}, which is no file")


def get(key: str) -> dict[str, Any] | None:
    """What is kept under `key`."""
    file = _host.of("files").get(key)
    return None if file is None else _reference(file)


def delete(key: str) -> None:
    """Deletes; deleting what is not there succeeds."""
    try:
        _host.of("files").delete(key)
    except Exception as error:
        raise _refusal(error, key) from None


def _reference(file: Any) -> dict[str, Any]:
    """As the API tells of a file."""
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "bytes": file.size,
        "sha256": file.sha256,
    }


def _refusal(error: Exception, key: str) -> Exception:
    """The contract's `files.error` comes inside componentize-py's `Err`."""
    value = getattr(error, "value", None)
    case, said = type(value).__name__, getattr(value, "value", None)
    if isinstance(error, ConnectorError) or value is None:
        return error
    if case == "Error_Http":
        return _error(said)
    if case == "Error_TooLarge":
        if said == 0:
            return ConfigError("not permitted: to keep files")
        return ConfigError(f"the file is larger than the {said} bytes of the grant")
    if case == "Error_Quota":
        return ConfigError(f"the files would be more than the {said} bytes of the grant")
    if case == "Error_Unavailable":
        return TransientError(f"the file is not kept: {said}")
    if case == "Error_InvalidKey":
        return RuntimeError(f"{key!r} is no key of a file, or its owner is none")
    return error
