# SPDX-License-Identifier: MIT
"""Real etcd clusters, with TLS both ways and users, as `hub init-etcd` makes them."""

import base64
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from ports import free_port

BUILD = pathlib.Path(os.environ.get("BLOCKHOST_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
MISSING = [each for each in ("etcd", "openssl") if not shutil.which(each)]
PATIENCE = 180


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def end_of(prefix):
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Member:
    """`words` before its command: where it lives, such as a network namespace."""

    def __init__(self, name, place, authority, address="127.0.0.1", ports=None, words=(), **settings):
        self.name, self.place, self.authority, self.address, self.words, self.settings = name, place, authority, address, list(words), settings
        self.client, self.peer = ports or (free_port(), free_port())
        self.process = None

    @property
    def url(self):
        return f"https://{self.address}:{self.client}"

    @property
    def peer_url(self):
        return f"http://{self.address}:{self.peer}"

    def start(self, members):
        certificate, key = self.authority.certificate(f"IP:{self.address}")
        options = {"name": self.name, "data-dir": self.place / self.name, "listen-client-urls": self.url, "advertise-client-urls": self.url,
                   "listen-peer-urls": self.peer_url, "initial-advertise-peer-urls": self.peer_url,
                   "initial-cluster": ",".join(f"{each.name}={each.peer_url}" for each in members), "cert-file": certificate,
                   "key-file": key, "client-cert-auth": "true", "trusted-ca-file": self.authority.ca, "log-level": "error",
                   "heartbeat-interval": "250", "election-timeout": "2500"} | self.settings
        words = [f"--{key}={value}" for key, value in options.items()]
        log = (self.place / f"{self.name}.log").open("a")
        self.process = subprocess.Popen([*self.words, "etcd", *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()


class Cluster:
    """As root sees it: TLS with a certificate, and a token where users are required."""

    def __init__(self, place, authority, members):
        self.place, self.authority, self.members = place, authority, members
        self.certificate, self.key = authority.certificate("DNS:client", "/O=a client")  # etcd refuses one with a common name
        self.password = None
        for each in members:
            each.start(members)
        self.wait()

    @property
    def urls(self):
        return [each.url for each in self.members]

    def post(self, path, request, token=None, url=None):
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.load_cert_chain(self.certificate, self.key)
        headers = {"Content-Type": "application/json"} | ({"Authorization": token} if token else {})
        asked = urllib.request.Request(f"{url or self.urls[0]}/v3/{path}", json.dumps(request).encode(), headers)
        with urllib.request.urlopen(asked, context=context, timeout=20) as answer:
            return json.loads(answer.read())

    def ask(self, path, request):
        """Of whichever member answers."""
        end = time.monotonic() + PATIENCE
        while True:
            for url in self.urls:
                try:
                    token = self.post("auth/authenticate", {"name": "root", "password": self.password}, url=url)["token"] if self.password else None
                    return self.post(path, request, token, url)
                except (OSError, urllib.error.URLError):
                    pass
            assert time.monotonic() < end, "no member answers"
            time.sleep(0.2)

    def wait(self):
        self.ask("kv/range", {"key": encoded("x")})

    def init(self, *words):
        """`hub init-etcd`, by root."""
        (self.place / "passwords").mkdir(exist_ok=True, mode=0o700)
        file = self.place / "root.password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text("password-of-root\n")
        more = [word for url in self.urls for word in ("--url", url)]
        run = subprocess.run([BUILD / "blockhost-libvirt", "hub", "init-etcd", *more, "--password-file", file, "--to", self.place / "passwords",
                              "--ca-file", self.authority.ca, "--certificate-file", self.certificate, "--key-file", self.key, *words],
                             capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if run.returncode == 0:
            self.password = "password-of-root"
        return run

    def put(self, key, value):
        self.ask("kv/put", {"key": encoded(key), "value": encoded(value)})

    def remove(self, key):
        self.ask("kv/deleterange", {"key": encoded(key)})

    def below(self, prefix):
        told = self.ask("kv/range", {"key": encoded(prefix), "range_end": encoded(end_of(prefix))})
        return {base64.b64decode(each["key"]).decode(): base64.b64decode(each.get("value", "")).decode() for each in told.get("kvs", [])}

    def settings(self, host, **more):
        return {"kind": "etcd", "urls": self.urls, "password_file": str(self.place / f"passwords/{host}.password"),
                "ca_file": str(self.authority.ca), "certificate_file": str(self.certificate), "key_file": str(self.key)} | more

    def close(self):
        for each in self.members:
            if each.process and each.process.poll() is None:
                each.kill()
