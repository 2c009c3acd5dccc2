# SPDX-License-Identifier: MIT
"""A hub that speaks HTTPS, for tests: docs/hub.md, with a knob for each bad day.

    hub = Hub(authority)            # tests/https_server.py's Authority
    hub.add_host("host-a", token)
    hub.want("host-a", 3, {...})
    hub.bad = {"status": 503, "headers": {"Retry-After": "120"}}
"""

import contextlib
import hashlib
import http.server
import json
import threading


class Known:
    """What the hub has of one host."""

    def __init__(self, token):
        self.tokens, self.desired, self.signed, self.blocked, self.poll_s = {token}, None, [], False, None
        self.reports, self.acknowledged, self.audit = [], 0, None
        self.numbers_again = 0  # reports that came with a number of before


class Hub:
    """`bad` is how all answers go wrong, or those of one path ("report", "desired", "signed") in `bad_at`:
    status, headers; truncate: bytes after which the connection ends; silent: nothing is answered; body: in place of the answer;
    lose: the report is taken, and its answer lost."""

    def __init__(self, authority):
        self.authority, self.hosts, self.requests = authority, {}, []
        self.bad, self.bad_at, self.context = {}, {}, authority.context()
        self.lock, self.port, self.server = threading.Lock(), 0, None
        self.start()

    # -- what its operator does

    def add_host(self, host, token):
        self.hosts[host] = Known(token)

    def want(self, host, generation, /, **more):
        self.hosts[host].desired = json.dumps({"version": 1, "host": host, "generation": generation} | more)

    def sign(self, host, document):
        self.hosts[host].signed.append(document)

    # -- the server

    def start(self):
        outer = self

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads, block_on_close, allow_reuse_address = True, False, True

            def handle_error(self, _request, _address):
                pass  # hosts break off, and so does this hub

            def finish_request(self, request, address):
                request.settimeout(30)
                with contextlib.closing(outer.context.wrap_socket(request, server_side=True)) as encrypted:
                    super().finish_request(encrypted, address)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_words):
                pass

            def do_GET(self):
                outer.answer(self, None)

            def do_POST(self):
                outer.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        self.server = Listener(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}/v1"

    def answer(self, request, body):
        _empty, version, hosts, host, what = request.path.split("/")
        with self.lock:
            self.requests.append((host, what))
            bad = self.bad_at.get(what, self.bad)
            text, status = self.reply(host, what, request.headers.get("Authorization", ""), body, bad)
        if (version, hosts) != ("v1", "hosts"):
            text, status = "{}", 404
        if bad.get("silent"):
            threading.Event().wait(bad["silent"])
        data = bad.get("body", text if isinstance(text, bytes) else text.encode())
        request.send_response(status)
        for name, value in bad.get("headers", {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:bad.get("truncate", len(data))])
        if "truncate" in bad or bad.get("lose"):
            request.close_connection = True

    def reply(self, host, what, authorization, body, bad):
        known = self.hosts.get(host)
        if known is None or authorization not in {f"Bearer {token}" for token in known.tokens}:
            return "{}", 401
        if "status" in bad:
            return "{}", bad["status"]
        if what == "desired":
            return (known.desired, 200) if known.desired else ("{}", 404)
        if what == "signed":
            operations = ", ".join(known.signed)
            return f'{{"version": 1, "host": "{bad.get("host", host)}", "operations": [{operations}]}}', 200
        self.take(known, json.loads(body))
        return json.dumps(self.answer_to(known, bad.get("host", host))), 200

    @staticmethod
    def take(known, report):
        """Drops what it has already, by its sequence."""
        if known.reports and report["number"] <= known.reports[-1]["number"]:
            known.numbers_again += 1
        fresh = [event for event in report["events"] if event["sequence"] > known.acknowledged]
        known.reports.append(report | {"events": fresh})
        if fresh:
            known.acknowledged = fresh[-1]["sequence"]
        line = int((report.get("audit") or "0:").split(":")[0])
        if line > int((known.audit or "0:").split(":")[0]):
            known.audit = report["audit"]

    @staticmethod
    def answer_to(known, host):
        answer = {"version": 1, "host": host, "blocked": known.blocked, "acknowledged": known.acknowledged}
        if known.desired:
            with contextlib.suppress(ValueError):
                answer["desired"] = {"generation": json.loads(known.desired)["generation"],
                                     "digest": hashlib.sha256(known.desired.encode()).hexdigest()}
        if known.signed:
            answer["signed"] = hashlib.sha256("".join(known.signed).encode()).hexdigest()
        for key in ("audit", "poll_s"):
            if getattr(known, key):
                answer[key] = getattr(known, key)
        return answer
