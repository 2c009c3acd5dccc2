# SPDX-License-Identifier: MIT
"""sign and verify, with every type of key that OpenSSH has here; documents are made independently of the program."""

import base64
import datetime
import hashlib
import json
import struct
import subprocess

import pytest
from host import BINARY

NAMESPACE = "operation@blockhost-libvirt"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def instant(hours):
    return (NOW + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def envelope(**changes):
    action = changes.pop("action", {"kind": "destroy"})
    return {"version": 1, "operation": "op-1", "host": "host-a", "target": {"guest": "web", "incarnation": "uuid:1"},
            "action": action, "digests": {"change": hashlib.sha256(json.dumps(action).encode()).hexdigest(), "guest": "d"},
            "not_before": instant(-1), "not_after": instant(24), "nonce": "0123456789abcdef" * 2} | changes


def document(text, *signatures):
    return json.dumps({"version": 1, "envelope": text, "signatures": list(signatures)})


PENDING = json.dumps(envelope())


class Desk:
    """An operator's folder: keys, allowed signers."""

    def __init__(self, folder):
        self.folder = folder
        self.allowed = folder / "allowed_signers"
        self.allowed.write_text("")

    def keygen(self, *words, text=None):
        return subprocess.run(["ssh-keygen", *words], cwd=self.folder, input=text, check=True, capture_output=True, text=True).stdout

    def key(self, name, *kind):
        self.keygen("-q", "-N", "", "-C", "", "-f", name, *(kind or ("-t", "ed25519")))
        return self.public(name)

    def public(self, name):
        return (self.folder / f"{name}.pub").read_text().strip()

    def allow(self, *lines):
        self.allowed.write_text("".join(line + "\n" for line in lines))

    def signature(self, key, text, namespace=NAMESPACE):
        return self.keygen("-Y", "sign", "-q", "-n", namespace, "-f", key, text=text)

    def call(self, *words, given=None, **env):
        return subprocess.run([BINARY, *words], cwd=self.folder, input=given, capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin"} | env)

    def sign(self, key, given, **env):
        run = self.call("sign", "--key", key, given=given, **env)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def verify(self, given, *words):
        run = self.call("verify", "--signers", str(self.allowed), "--json", *words, given=given)
        assert run.returncode in (0, 1) and run.stdout, run.stderr
        told = json.loads(run.stdout)
        assert told["valid"] == (run.returncode == 0) == (told["why"] == "")
        return told

    def refused(self, given, *words):
        """The sentence of a document that is not valid, or none at all."""
        run = self.call("verify", "--signers", str(self.allowed), *words, given=given)
        assert run.returncode in (1, 3, 17), run.stderr
        if run.returncode != 1:
            return run.stderr.strip().splitlines()[-1]
        return run.stdout.splitlines()[-1].removeprefix("not valid: ")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "ecdsa", "-b", "256"], ["-t", "ecdsa", "-b", "384"],
                                  ["-t", "ecdsa", "-b", "521"], ["-t", "rsa", "-b", "3072"]], ids=" ".join)
def test_a_key_of_each_type_signs_and_is_found(desk, kind):
    desk.allow("bob " + desk.key("bob"), "alice " + desk.key("k", *kind))
    signed = desk.sign("k", document(PENDING))
    assert json.loads(signed)["envelope"] == PENDING
    told = desk.verify(signed)
    assert told["valid"] and told["signers"][0]["principals"] == ["alice"]
    assert told["signers"][0]["key_type"].lower() == kind[1]
    assert (told["host"], told["guest"], told["incarnation"], told["action"]) == ("host-a", "web", "uuid:1", {"kind": "destroy"})


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_signs_for_the_principal_in_it(desk, kind):
    desk.allow("alice,bob cert-authority " + desk.key("ca"))
    desk.key("k", "-t", kind)
    desk.keygen("-q", "-s", "ca", "-I", "id", "-n", "alice", "-V", "-1h:+1h", "k.pub")
    told = desk.verify(desk.sign("k-cert.pub", document(PENDING)))
    assert told["valid"] and told["signers"][0]["principals"] == ["alice"]
    assert told["signers"][0]["key_type"] == kind.upper() + "-CERT"


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


def positive(number):
    return text(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def der_integers(signature):
    """r and s of an ECDSA signature in DER."""
    at, found = 2, []
    for _ in range(2):
        length = signature[at + 1]
        found.append(int.from_bytes(signature[at + 2:at + 2 + length], "big"))
        at += 2 + length
    return found


class SecurityKey:
    """A synthetic FIDO2 key: what OpenSSH verifies of one, made by openssl."""

    def __init__(self, desk, kind):
        self.desk, self.kind = desk, kind
        self.openssl("genpkey", *(["-algorithm", "ed25519"] if kind == "ed25519" else
                                  ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), "-out", "sk.pem")
        der = self.openssl("pkey", "-in", "sk.pem", "-pubout", "-outform", "DER")
        if kind == "ed25519":
            self.type, self.blob = "sk-ssh-ed25519@openssh.com", text(der[-32:])
        else:
            self.type, self.blob = "sk-ecdsa-sha2-nistp256@openssh.com", text("nistp256") + text(der[-65:])
        self.blob = text(self.type) + self.blob + text("ssh:")
        self.line = f"{self.type} {base64.b64encode(self.blob).decode()}"

    def openssl(self, *words):
        return subprocess.run(["openssl", *words], cwd=self.desk.folder, check=True, capture_output=True).stdout

    def signature(self, message, flags=1):
        head = text(NAMESPACE) + text("") + text("sha512")
        signed = b"SSHSIG" + head + text(hashlib.sha512(message.encode()).digest())
        state = struct.pack(">BI", flags, 7)
        data = hashlib.sha256(b"ssh:").digest() + state + hashlib.sha256(signed).digest()
        (self.desk.folder / "data").write_bytes(data)
        if self.kind == "ed25519":
            raw = text(self.openssl("pkeyutl", "-sign", "-inkey", "sk.pem", "-rawin", "-in", "data"))
        else:
            raw = text(b"".join(map(positive, der_integers(self.openssl("dgst", "-sha256", "-sign", "sk.pem", "data")))))
        blob = b"SSHSIG" + struct.pack(">I", 1) + text(self.blob) + head + text(text(self.type) + raw + state)
        digits = base64.b64encode(blob).decode()
        lines = [digits[at:at + 70] for at in range(0, len(digits), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_security_keys_signature_is_taken_when_the_key_was_touched(desk, kind):
    key = SecurityKey(desk, kind)
    desk.allow("alice " + key.line)
    told = desk.verify(document(PENDING, key.signature(PENDING)))
    assert told["valid"], told
    assert told["signers"][0]["key_type"] == kind.upper() + "-SK"
    assert desk.refused(document(PENDING, key.signature(PENDING, flags=4))) == "a signature is by a security key that nobody touched"


def test_an_agent_signs_for_a_public_key(desk):
    desk.allow("alice " + desk.key("k"))
    agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    names = dict(word.split(";")[0].split("=", 1) for word in agent.splitlines() if "=" in word)
    try:
        subprocess.run(["ssh-add", "-q", "k"], cwd=desk.folder, env=names, check=True, capture_output=True)
        (desk.folder / "k").unlink()
        assert desk.verify(desk.sign("k.pub", document(PENDING), SSH_AUTH_SOCK=names["SSH_AUTH_SOCK"]))["valid"]
    finally:
        subprocess.run(["ssh-agent", "-k"], env=names, check=True, capture_output=True)


def test_a_passphrase_is_asked_for_by_a_program_and_else_refused(desk):
    desk.keygen("-q", "-t", "ed25519", "-N", "secret", "-C", "", "-f", "k")
    desk.allow("alice " + desk.public("k"))
    asks = desk.folder / "asks"
    asks.write_text("#!/bin/sh\necho secret\n")
    asks.chmod(0o755)
    assert desk.verify(desk.sign("k", document(PENDING), SSH_ASKPASS=str(asks)))["valid"]
    run = desk.call("sign", "--key", "k", given=document(PENDING))
    assert run.returncode == 21 and "ssh-add" in run.stderr and run.stdout == ""


def test_two_sign_one_after_the_other(desk):
    desk.allow("alice " + desk.key("a"), "bob " + desk.key("b"))
    (desk.folder / "pending").write_text(document(PENDING))
    once = desk.call("sign", "pending", "--key", "a")
    assert once.returncode == 0 and "destroy of guest web (uuid:1) on host host-a" in once.stderr
    told = desk.verify(desk.sign("b", once.stdout))
    assert [signer["principals"] for signer in told["signers"]] == [["alice"], ["bob"]] and told["valid"]


def test_people_are_told_who_signed_for_what_and_until_when(desk):
    desk.allow("alice " + desk.key("a"))
    run = desk.call("verify", "--signers", "allowed_signers", given=desk.sign("a", document(PENDING)))
    lines = run.stdout.splitlines()
    assert run.returncode == 0 and lines[0] == "operation: op-1" and lines[-1] == "valid"
    assert lines[1].startswith("for: destroy of guest web (uuid:1) on host host-a, from ")
    assert lines[2].startswith("signed by: alice (ED25519 key SHA256:")


def test_each_bad_document_is_refused_with_its_own_sentence(desk):
    alice, bob = desk.key("alice"), desk.key("bob")
    desk.key("stranger")
    desk.allow("alice " + alice, f'bob namespaces="file" {bob}')
    (desk.folder / "revoked").write_text(alice + "\n")
    (desk.folder / "none").write_text("")
    good = document(PENDING, desk.signature("alice", PENDING))
    assert desk.verify(good)["valid"] and desk.verify(good, "--revoked", "none")["valid"]

    def signed(**changes):
        made = json.dumps(envelope(**changes))
        return document(made, desk.signature("alice", made))

    re_encoded = json.dumps(envelope(), indent=1)
    assert json.loads(re_encoded) == json.loads(PENDING)
    twice = PENDING.replace('"host": "host-a"', '"host": "host-a", "host": "host-a"')
    bad = {
        "empty": "",
        "no JSON": "nonsense",
        "truncated": good[:len(good) // 2],
        "more behind it": good + good,
        "oversized": document(PENDING + " " * 70_000),
        "much too large": " " * 300_000,
        "not signed": document(PENDING),
        "no signature": document(PENDING, "nonsense"),
        "cut signature": document(PENDING, desk.signature("alice", PENDING)[:150] + "\n-----END SSH SIGNATURE-----\n"),
        "same JSON, other bytes": document(re_encoded, desk.signature("alice", PENDING)),
        "other namespace": document(PENDING, desk.signature("alice", PENDING, "file")),
        "unknown signer": document(PENDING, desk.signature("stranger", PENDING)),
        "not for this namespace": document(PENDING, desk.signature("bob", PENDING)),
        "expired": signed(not_before=instant(-5), not_after=instant(-2)),
        "not yet valid": signed(not_before=instant(2), not_after=instant(5)),
        "for too long": signed(not_after=instant(24 * 40)),
        "twice the same member": document(twice, desk.signature("alice", twice)),
        "unknown member": signed(more=1),
        "unknown version": signed(version=2),
        "unknown action": signed(action={"kind": "explode"}),
        "another change's digest": signed(digests={"change": "0" * 64}),
    }
    sentences = {name: desk.refused(given) for name, given in bad.items()}
    sentences["revoked"] = desk.refused(good, "--revoked", "revoked")
    assert all(sentences.values())
    assert len(set(sentences.values())) == len(sentences), sorted(sentences.items(), key=lambda each: each[1])


def test_what_is_no_document_is_not_signed(desk):
    desk.key("a")
    for given in ("", "nonsense", PENDING, document("nonsense"), document(PENDING, *["x"] * 5)):
        run = desk.call("sign", "--key", "a", given=given)
        assert run.returncode == 3 and run.stdout == "", given
    run = desk.call("sign", "nothing", "--key", "a")
    assert run.returncode == 3 and "there is no file nothing" in run.stderr


def test_a_file_of_signers_that_others_may_write_is_refused(desk):
    desk.allow("alice " + desk.key("a"))
    signed = desk.sign("a", document(PENDING))
    desk.allowed.chmod(0o666)
    run = desk.call("verify", "--signers", "allowed_signers", given=signed)
    assert run.returncode == 4 and "may be written by others" in run.stderr
    run = desk.call("verify", "--signers", "missing", given=signed)
    assert run.returncode == 4 and "is missing" in run.stderr


def test_neither_key_nor_document_is_in_any_argument_of_a_program(desk):
    """ssh-keygen is given names of files; what is secret never stands among its words."""
    desk.allow("alice " + desk.key("a"))
    trace = desk.folder / "trace"
    run = subprocess.run(["strace", "-f", "-e", "trace=execve", "-s", "4096", "-o", trace, BINARY, "sign", "--key", "a"], cwd=desk.folder,
                         input=document(PENDING), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    calls = trace.read_text()
    assert "ssh-keygen" in calls and "uuid:1" not in calls and "PRIVATE" not in calls
