# SPDX-License-Identifier: MIT
"""A plain client of the stand-in, for its own tests."""

import http.client
import json
import ssl
import time
import urllib.parse


class Reply:
    def __init__(self, answer):
        self.status, self.reason, self.headers = answer.status, answer.reason, answer.headers
        self.body = answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    @property
    def errors(self):
        return self.json["errors"]


class Client:
    """Keeps its connection as long as the server does."""

    def __init__(self, standin, token=None, node=None, timeout=120):
        self.standin, self.timeout, self.connection = standin, timeout, None
        self.front = standin.fronts[node] if node else standin.front
        self.authorization = f"PVEAPIToken={token or standin.token()}"
        self.connections = 0

    def connect(self):
        if self.connection is None:
            context = ssl._create_unverified_context()
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.front.port, context=context,
                                                          timeout=self.timeout)
            self.connection.connect()
            self.connections += 1
        return self.connection

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def certificate(self):
        return self.connect().sock.getpeercert(True)

    def ask(self, method, path, values=None, headers=None, raw=False):
        body = urllib.parse.urlencode(values, doseq=True) if isinstance(values, dict) else values
        given = {"Authorization": self.authorization} | (headers or {})
        if body is not None and "Content-Type" not in given:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection = self.connect()
            connection.request(method, path if raw else "/api2/json" + path, body, given)
            reply = Reply(connection.getresponse())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if reply.headers["Connection"] == "close":
            self.close()
        return reply

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, /, **values):
        return self.ask("POST", path, {name.replace("_", "-"): value for name, value in values.items()})

    def put(self, path, /, **values):
        return self.ask("PUT", path, {name.replace("_", "-"): value for name, value in values.items()})

    def delete(self, path):
        return self.ask("DELETE", path)

    # -- tasks

    def status(self, upid):
        return self.get(f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status").data

    def log(self, upid):
        rows = self.get(f"/nodes/{upid.split(':')[1]}/tasks/{upid}/log?limit=0").data
        return [row["t"] for row in rows]

    def end_of(self, upid, seconds=120):
        """Waits in real time; the exit status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.status(upid)
            if found["status"] == "stopped":
                return found["exitstatus"]
            time.sleep(0.005)
        raise AssertionError(f"still runs: {upid}")

    def do(self, reply):
        """The exit status of the task that the reply names."""
        assert reply.status == 200, (reply.status, reply.reason, reply.body)
        return self.end_of(reply.data)
