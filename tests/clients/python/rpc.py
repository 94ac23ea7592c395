"""The worker side of the line protocol: one JSON request a line in, one answer a line out."""

import base64
import json
import os
import sys
import threading
import traceback


def unb64(v):
    return None if v is None else base64.b64decode(v)


def b64(v):
    return None if v is None else base64.b64encode(v).decode()


def record_in(r):
    """A record of the protocol as (partition, timestamp, key, value, headers)."""
    headers = [(h["k"], unb64(h["v"])) for h in (r.get("headers") or [])]
    return r["p"], r["t"], unb64(r["key"]), unb64(r["value"]), headers


def record_out(partition, offset, timestamp, key, value, headers):
    return {"p": partition, "o": offset, "t": timestamp, "key": b64(key), "value": b64(value),
            "headers": [{"k": k, "v": b64(v)} for k, v in (headers or [])]}


class Member:
    """One group member: a thread that polls. `turn` polls once and returns (assigned, [(partition, offset)])."""

    def __init__(self, open_consumer, turn, close):
        self.lock = threading.Lock()
        self.assigned, self.records, self.error = [], [], ""
        self.quit = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(open_consumer, turn, close), daemon=True)
        self.thread.start()

    def run(self, open_consumer, turn, close):
        try:
            consumer = open_consumer()
            while not self.quit.is_set():
                assigned, records = turn(consumer)
                with self.lock:
                    self.assigned = assigned
                    self.records += records
            close(consumer)
        except Exception:
            with self.lock:
                self.error = traceback.format_exc(limit=3)
        with self.lock:
            self.assigned = []

    def state(self):
        with self.lock:
            return {"assigned": list(self.assigned), "records": list(self.records), "error": self.error}

    def leave(self):
        self.quit.set()
        self.thread.join(20)
        if self.thread.is_alive():
            raise RuntimeError("the member did not leave within 20 s")
        if self.error:
            raise RuntimeError(self.error)


def serve(client):
    """Calls client.<op>(request) for each request; the method returns the answer's fields or None."""
    members = {}

    def members_op(_):
        return {"members": {n: m.state() for n, m in members.items()}}

    def join_op(req):
        members[req["name"]] = client.member(req)

    def leave_op(req):
        members[req["name"]].leave()

    own = {"members": members_op, "join": join_op, "leave": leave_op}
    for line in sys.stdin:
        req = json.loads(line)
        try:
            answer = (own.get(req["op"]) or getattr(client, req["op"]))(req) or {}
        except Exception:
            answer = {"error": traceback.format_exc(limit=4)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)
