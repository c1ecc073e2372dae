"""localstripe as Stripe, on loopback with TLS: its lists, its keys, and the webhooks that it signs and sends by itself.

    target/counterparts-venv/bin/python tests/counterparts/localstripe/main.py [--host NAME]... [--port N] [--keep]

Prints one line when it is ready: {"ready":true,"port":...,"http_port":...,"control":...,"ca_pem":...,"ca_file":...}. Control: POST
`webhook` {"url","secret","events"} has it send its events there; `GET counts` says how many events there were. What localstripe lacks
and the connector asks for is answered here: whose account a key is, and events of several types or groups of them, newest first.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import threading
from fnmatch import fnmatchcase
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

import loopback
from aiohttp import web
from localstripe import resources, server, webhooks

# It would keep what it has in a file that all its processes share.
type(resources.store).dump_to_disk = lambda _: None
ACCOUNT = {"id": "acct_1LocalStripe", "object": "account", "business_profile": {"name": "Local"}, "email": None}


@web.middleware
async def lacking(request, handler):
    """In front of localstripe's own: it answers the two requests that it does not know."""
    if request.method == "GET" and server.get_api_key(request):
        if request.path == "/v1/account":
            return web.json_response(ACCOUNT)
        if request.path == "/v1/events":
            return web.json_response(events(request.query))
    return await handler(request)


def events(asked):
    kinds = asked.getall("types[]", []) + asked.getall("type", [])
    found = [event for key, event in resources.store.items() if key.startswith("event:")]
    found = [event for event in reversed(found) if not kinds or any(fnmatchcase(event.type, kind) for kind in kinds)]
    limit = int(asked.get("limit", 10))
    place = lambda event: next(at for at, other in enumerate(found) if other.id == event)
    if "ending_before" in asked:
        end = place(asked["ending_before"])
        begin = max(0, end - limit)
        more = begin > 0
    else:
        begin = place(asked["starting_after"]) + 1 if "starting_after" in asked else 0
        end = begin + limit
        more = end < len(found)
    data = [event._export() for event in found[begin:end]]
    return {"object": "list", "url": "/v1/events", "has_more": more, "data": data}


async def serve(context, port):
    runner = web.AppRunner(server.app, access_log=None)
    await runner.setup()
    ports = []
    for tls, wanted in ((context, port), (None, 0)):
        site = web.TCPSite(runner, "127.0.0.1", wanted, ssl_context=tls)
        await site.start()
        ports.append(site._server.sockets[0].getsockname()[1])
    return ports


def main():
    words = argparse.ArgumentParser(description="localstripe on loopback, with TLS")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    directory = tempfile.mkdtemp(prefix="sluice-counterpart-")
    ca_pem, context = loopback.authority(["api.stripe.com", *options.host], directory)
    server.app.middlewares.insert(0, lacking)
    loop = asyncio.new_event_loop()
    tls, plain = loop.run_until_complete(serve(context, options.port))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    calls = loopback.control({
        "POST webhook": lambda asked: webhooks.register_webhook("sluice", asked["url"], asked["secret"], asked.get("events")) or {},
        "GET counts": lambda _: {"events": sum(key.startswith("event:") for key in list(resources.store))},
    })  # fmt: skip
    control = loopback.serve(calls).server_port
    ready = {
        "ready": True, "port": tls, "http_port": plain, "control": f"http://127.0.0.1:{control}", "control_port": control,
        "ca_pem": ca_pem, "ca_file": os.path.join(directory, "ca.pem"),
    }  # fmt: skip
    print(json.dumps(ready), flush=True)
    loopback.wait_for_end(options.keep)
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # nothing here needs closing


if __name__ == "__main__":
    main()
