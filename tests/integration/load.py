"""
A client of the swarm that calls all the time. Runs on a manager of the lab, by its certificate.

Ten calls a second; each is tried at one manager after the other, as behind a load balancer, and
fails if none has answered it within ``patience`` seconds. Ends when there is a file ``END``.
"""

import http.client
import json
import ssl
import sys
import threading
import time
from pathlib import Path

END = Path("/run/load.end")
FOLDER = "/etc/swarm-formula/tls/current/"
MANAGERS, PATIENCE, PERIOD = sys.argv[1].split(","), float(sys.argv[2]), 0.1
# What only the primary can tell: a replica has to reach it.
PATH = "/containers/json"
BEGUN = time.monotonic()
found = {"calls": 0, "failed": 0, "retried": 0, "slowest": 0.0, "why": []}


def ask(manager):
    """Ask one manager; raises if it does not answer."""
    # Read anew: its own certificate is renewed, too.
    context = ssl.create_default_context(cafile=f"{FOLDER}ca.pem")
    context.load_cert_chain(f"{FOLDER}cert.pem", f"{FOLDER}key.pem")
    link = http.client.HTTPSConnection(manager, timeout=3, context=context)
    try:
        link.request("GET", PATH)
        answer = link.getresponse()
        text = answer.read()
    finally:
        link.close()
    if answer.status != 200:
        raise OSError(f"{answer.status}: {text[:80]}")


def call():
    """Call once, and note how it went."""
    start, tries, why = time.monotonic(), 0, []
    while time.monotonic() - start < PATIENCE:
        for manager in MANAGERS:
            tries += 1
            try:
                ask(manager)
            except (OSError, http.client.HTTPException) as err:
                why.append(f"{manager}: {err}")
                continue
            found["retried"] += tries > 1
            found["slowest"] = max(found["slowest"], time.monotonic() - start)
            return
    found["failed"] += 1
    found["why"].append([f"{start - BEGUN:.1f} s after the start", *why[-3:]])


threads, following = [], time.monotonic()
while not END.exists():
    threads.append(threading.Thread(target=call))
    threads[-1].start()
    found["calls"] += 1
    following += PERIOD
    time.sleep(max(0.0, following - time.monotonic()))
for thread in threads:
    thread.join()
print(json.dumps(found))
