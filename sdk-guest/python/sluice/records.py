"""Records: from a vendor's page to changes, with the vendor's own text of each record kept as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from .errors import InvalidDataError

_DECODER = json.JSONDecoder()
_SPACE = " \t\n\r"


def each(array: str) -> Iterator[tuple[Any, str]]:
    """The elements of a JSON array, each parsed and as the vendor wrote it. Hand the text on: what is not parsed and written again
    keeps the vendor's numbers to the digit.

    >>> list(each('[{"id": 7, "price": 1.10}]'))
    [({'id': 7, 'price': 1.1}, '{"id": 7, "price": 1.10}')]
    """
    at = _skip(array, 0)
    if array[at : at + 1] != "[":
        raise InvalidDataError("the page is not a JSON array of records")
    at = _skip(array, at + 1)
    first = True
    while array[at : at + 1] != "]":
        if not first:
            if array[at : at + 1] != ",":
                raise InvalidDataError(f"the page is not a JSON array of records: something is missing at character {at}")
            at = _skip(array, at + 1)
        try:
            value, end = _DECODER.raw_decode(array, at)
        except (ValueError, RecursionError) as error:
            raise InvalidDataError(f"the page is not a JSON array of records: {error}") from None
        yield value, array[at:end]
        at = _skip(array, end)
        first = False
    if _skip(array, at + 1) != len(array):
        raise InvalidDataError("the page is not a JSON array of records: something follows it")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def parse(text: str | bytes, what: str) -> Any:
    """JSON of somebody else's."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"{what} is not JSON: {error}") from None


def text(value: Any) -> str:
    """A value as JSON text; a str is taken for JSON already."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def timestamp(moment: Any) -> int | None:
    """Milliseconds since 1970 of a datetime, an RFC 3339 text or a number of milliseconds; None for anything else."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        since = zoned - datetime(1970, 1, 1, tzinfo=timezone.utc)
        moment = (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
    if isinstance(moment, bool) or not isinstance(moment, int) or moment < 0:
        return None
    return moment


def rfc3339(moment: int) -> str:
    """Milliseconds since 1970 as an RFC 3339 text in UTC.

    >>> rfc3339(1_000)
    '1970-01-01T00:00:01Z'
    """
    whole = datetime.fromtimestamp(moment // 1_000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    millis = moment % 1_000
    return f"{whole}.{millis:03}Z" if millis else f"{whole}Z"
