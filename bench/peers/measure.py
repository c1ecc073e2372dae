"""Runs one command and prints, as one line of JSON, the records it wrote and what the operating system says it cost.

    python3 measure.py NAME STDERR_FILE COMMAND...

Airbyte's and Singer's programs write one JSON message a line; a record is a line whose `type` is RECORD. A peer that loads into a
destination says its count in a line whose `type` is COUNT. The lines are counted here, in another process, so counting costs the
peer nothing. CPU seconds are user and system time of the command and of everything it waited for.
"""

import json
import re
import resource
import subprocess
import sys
import time

RECORD = re.compile(rb'"type":\s*"RECORD"')


def main() -> int:
    name, log, *command = sys.argv[1:]
    started = time.monotonic()
    records = written = 0
    with open(log, "wb") as stderr:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr) as child:
            for line in child.stdout:
                written += len(line)
                records += bool(RECORD.search(line, 0, 200))
                if line.startswith(b'{"type": "COUNT"'):
                    records += json.loads(line)["records"]
    wall = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(
        json.dumps(
            {
                "bench": "sync",
                "who": name,
                "status": child.returncode,
                "records": records,
                "bytes_per_record": round(written / records) if records else 0,
                "cpu_s": round(cpu, 2),
                "records_per_cpu_s": round(records / cpu) if cpu else 0,
                "wall_s": round(wall, 2),
                "peak_rss_mb": round(used.ru_maxrss / 1024),
            }
        )
    )
    return 0 if child.returncode == 0 and records else 1


sys.exit(main())
