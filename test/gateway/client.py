"""A client of the gateway with nothing but Python's standard library: python3 client.py URL PORT NAME COUNT

Sends COUNT messages, each twice under one Idempotency-Key, while it reads the group's events. In the middle it drops
the stream and resumes it by the last id. Prints one JSON object: the seqs of its messages, and all that it has read.
"""

import http.client
import json
import sys
import threading
import urllib.parse
import urllib.request

TIMEOUT = 45


def post(url, body, headers):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return json.loads(response.read())


def read_events(group, last_id):
    """Yields (id, event, data) until the connection ends; `last_id` None begins with the oldest."""
    parts = urllib.parse.urlsplit(group)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)
    headers = {"Accept": "text/event-stream"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    connection.request("GET", parts.path + "/events?from=oldest", headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {response.read()}")
    try:
        fields = {}
        while True:
            line = response.readline()
            if line == b"":
                return
            line = line.decode("utf-8").rstrip("\n")
            if line == "":
                if "data" in fields:
                    yield fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ") if hasattr(str, "removeprefix") else value[1:]
    finally:
        connection.close()


def main():
    url, port, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    group = f"{url}/groups/{urllib.parse.quote(port, safe='')}"
    post(group, b'{"mode": "join-or-create"}', {})
    read, gaps, connections, wanted = [], 0, 0, []
    done = threading.Event()
    failures = []

    def reader():
        nonlocal gaps, connections
        last_id = None
        try:
            while True:
                connections += 1
                for event_id, event, data in read_events(group, last_id):
                    last_id = event_id or last_id
                    if event == "gap":
                        gaps += 1
                    if event == "message":
                        read.append([data["seq"], data["text"]])
                        if data["text"] == f"{name} end":
                            return
                        if len(read) == count // 2 and connections == 1:
                            break
        except Exception as error:  # the main thread prints it
            failures.append(repr(error))
        finally:
            done.set()

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    for number in range(count):
        headers = {"Content-Type": "text/plain; charset=utf-8", "Idempotency-Key": f"{name} {number}"}
        body = f"{name} {number} é".encode("utf-8")
        first = post(f"{group}/messages", body, headers)
        again = post(f"{group}/messages", body, headers)
        if again != {"seq": first["seq"], "repeat": True}:
            failures.append(f"{again} after {first}")
        wanted.append(first["seq"])
    post(f"{group}/messages", f"{name} end".encode("utf-8"), {"Content-Type": "text/plain"})
    if not done.wait(TIMEOUT):
        failures.append("the end has not been read")
    result = {"seqs": wanted, "read": list(read), "gaps": gaps, "connections": connections, "failures": failures}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
