# SPDX-License-Identifier: MIT
"""A node's certificate: what lies on disk, and what the front end serves, which may be older. openssl makes them."""

import functools
import ipaddress
import os
import pathlib
import re
import ssl
import subprocess
import tempfile
import time

DAYS_CA, DAYS_LEAF = 3650, 730
CA_NAME = "/CN=Proxmox Virtual Environment/OU=8a1c52d6-0f6e-4b52-9d3e-3b0d4e1c7a11/O=PVE Cluster Manager CA"
KINDS = {"ec": ("ec", ("ec_paramgen_curve:P-256",), ("ec_paramgen_curve:P-256",)),
         "rsa": ("rsa", ("rsa_keygen_bits:4096", "rsa_keygen_primes:4"),
                 ("rsa_keygen_bits:2048", "rsa_keygen_primes:3"))}
"""Algorithm, and options of the CA's key and of a node's. A real node's rsa has two primes, which take long to find."""


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True,
                          stdin=subprocess.DEVNULL).stdout.decode()


def new_key(algorithm, options, path):
    words = [word for each in options for word in ("-pkeyopt", each)]
    openssl("genpkey", "-algorithm", algorithm, *words, "-out", path)


class Certificate:
    """One file with a certificate, and its key."""

    def __init__(self, file, text, key=None):
        self.file, self.text, self.key = file, text, key

    @functools.cached_property
    def fingerprint(self):
        import hashlib
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.text)).hexdigest().upper()
        return ":".join(found[at:at + 2] for at in range(0, len(found), 2))

    @functools.lru_cache(None)
    def described(self):
        with tempfile.TemporaryDirectory(prefix="blockhost-pve-") as folder:
            path = pathlib.Path(folder) / "one.pem"
            path.write_text(self.text)
            text = openssl("x509", "-in", path, "-noout", "-subject", "-issuer", "-nameopt", "compat", "-dates",
                           "-text",
                           "-certopt", "no_header,no_sigdump")
        value = {name: re.search(rf"^{name}=\s*(.*)$", text, re.M)[1]
                 for name in ("subject", "issuer", "notBefore", "notAfter")}
        names = re.search(r"X509v3 Subject Alternative Name:[^\n]*\n\s*([^\n]+)", text)
        kind = re.search(r"Public Key Algorithm: (\S+)", text)[1]
        return {"filename": self.file, "fingerprint": self.fingerprint, "pem": self.text, "subject": value["subject"],
                "issuer": value["issuer"], "notbefore": seconds(value["notBefore"]),
                "notafter": seconds(value["notAfter"]),
                "san": [alternative(name.strip()) for name in names[1].split(",")] if names else [],
                "public-key-type": kind, "public-key-bits": int(re.search(r"Public-Key: \((\d+) bit", text)[1])}


def seconds(text):
    return int(time.mktime(time.strptime(text, "%b %d %H:%M:%S %Y GMT"))) - time.timezone


def alternative(name):
    kind, _, value = name.partition(":")
    return ipaddress.ip_address(value).exploded if kind == "IP Address" else value


@functools.lru_cache(None)
def authority(kind, number):
    """The texts of a cluster's own CA and of its key, made once a process."""
    with tempfile.TemporaryDirectory(prefix="blockhost-pve-") as folder:
        folder = pathlib.Path(folder)
        algorithm, bits, _ = KINDS[kind]
        new_key(algorithm, bits, folder / "ca.key")
        openssl("req", "-x509", "-key", folder / "ca.key", "-out", folder / "ca.pem", "-subj", CA_NAME, "-days",
                DAYS_CA, "-addext", "keyUsage=critical,keyCertSign")
        return (folder / "ca.pem").read_text(), (folder / "ca.key").read_text()


@functools.lru_cache(None)
def first_leaf(kind, name, address, number):
    """A node's first certificate, likewise."""
    return leaf_of(kind, name, address, *authority(kind, number), None)


def leaf_of(kind, name, address, ca, ca_key, key, days=DAYS_LEAF):
    """A certificate that the CA signed: (its text, the key's text). A new key where none is given."""
    with tempfile.TemporaryDirectory(prefix="blockhost-pve-") as folder:
        folder = pathlib.Path(folder)
        (folder / "ca.pem").write_text(ca)
        (folder / "ca.key").write_text(ca_key)
        algorithm, _, bits = KINDS[kind]
        if key is None:
            new_key(algorithm, bits, folder / "key")
        else:
            (folder / "key").write_text(key)
        openssl("req", "-new", "-key", folder / "key", "-out", folder / "csr", "-subj",
                f"/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={name}")
        (folder / "ext").write_text(f"subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,IP:{address},DNS:{name}\n"
                                    "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", folder / "csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                "-set_serial",
                f"0x{os.urandom(8).hex()}", "-days", days, "-extfile", folder / "ext", "-out", folder / "leaf.pem")
        return (folder / "leaf.pem").read_text(), (folder / "key").read_text()


class Certificates:
    """Of one node. `on_disk` is what the API tells; `context` is what new connections meet."""

    def __init__(self, name, address, kind="ec"):
        self.name, self.address, self.kind = name, address, kind
        ca, self._ca_key = authority(kind, 0)
        self.ca = Certificate("pve-root-ca.pem", ca)
        self.leaf = Certificate("pve-ssl.pem", *first_leaf(kind, name, address, 0))
        self.custom = None
        self.old_for = 0  # so many connections still meet an old worker
        self.served = self.old = self.leaf
        self._contexts = {}

    def on_disk(self):
        return [self.ca, self.leaf, *([self.custom] if self.custom else [])]

    def renew(self, same_key=True, days=DAYS_LEAF):
        """As the daily job does. It lies on disk; the front end serves the old one until `reload`."""
        text, key = leaf_of(self.kind, self.name, self.address, self.ca.text, self._ca_key,
                            self.leaf.key if same_key else None, days)
        self.leaf = Certificate("pve-ssl.pem", text, key)

    def install_custom(self):
        """A certificate of another CA, with another key."""
        self.custom = Certificate("pveproxy-ssl.pem", *first_leaf(self.kind, self.name, self.address, 1))

    def reload(self, old_for=0):
        """As a restart of the front end; so many of the next connections still meet an old worker."""
        self.old, self.old_for = self.served, old_for
        self.served = self.custom or self.leaf

    def context(self):
        which = self.served
        if self.old_for > 0:
            self.old_for, which = self.old_for - 1, self.old
        if which.fingerprint not in self._contexts:
            with tempfile.TemporaryDirectory(prefix="blockhost-pve-") as folder:
                path = pathlib.Path(folder) / "both.pem"
                path.write_text(which.text + which.key)
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(path)
            self._contexts[which.fingerprint] = context
        return self._contexts[which.fingerprint]
