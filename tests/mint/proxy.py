# SPDX-License-Identifier: MIT
"""Stands between mint-nft and the node, and misbehaves: for each method a test says what shall be answered.

    with Proxy(chain) as proxy:
        proxy.on("eth_chainId", lambda request, pass_on: Raw(429))

A rule gets the request as JSON and a function that asks the real node; it returns an answer's JSON, or Raw. Without a rule
the node answers.
"""

import dataclasses
import http.server
import json
import threading
import time


@dataclasses.dataclass
class Raw:
    """An HTTP answer as it is; None as body: the connection ends without one. A body that is a generator of parts needs its
    Content-Length among the headers."""

    status: int = 200
    body: bytes | None = b""
    headers: dict = dataclasses.field(default_factory=dict)


def result(request, value):
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(request, message, code=-32000, **more):
    return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message} | more}


class Proxy:
    def __init__(self, chain):
        self.chain, self.rules, self.methods, self.sent, self.taken = chain, {}, [], [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = outer.answer(request)
                self.close_connection = True
                if answer.body is None:
                    return
                self.send_response_only(answer.status)
                whole = isinstance(answer.body, bytes)
                for name, value in (({"Content-Length": len(answer.body)} if whole else {}) | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                for part in [answer.body] if whole else answer.body:
                    self.wfile.write(part)
                    self.wfile.flush()

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                pass

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown()
        self._listener.server_close()

    def on(self, method, rule):
        self.rules[method] = rule

    def once(self, method, rule, times=1):
        """The rule holds for so many requests."""
        left = [times]

        def limited(request, pass_on):
            left[0] -= 1
            return rule(request, pass_on) if left[0] >= 0 else pass_on(request)

        self.on(method, limited)

    def await_taken(self, count, run):
        """Until the node has been handed so many transactions while `run` goes on."""
        while self.taken < count:
            assert run.poll() is None
            time.sleep(0.01)

    def pass_on(self, request):
        return json.loads(self.chain.pass_on(json.dumps(request)))

    def answer(self, request):
        self.methods.append(request["method"])
        if request["method"] == "eth_sendRawTransaction":
            self.sent.append(request["params"][0])
        rule = self.rules.get(request["method"]) or self.rules.get("*")
        made = rule(request, self.pass_on) if rule else self.pass_on(request)
        self.taken += request["method"] == "eth_sendRawTransaction"
        return made if isinstance(made, Raw) else Raw(body=json.dumps(made).encode())
