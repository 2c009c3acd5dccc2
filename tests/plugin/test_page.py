# SPDX-License-Identifier: MIT
"""The page: what it shows, what it takes, and that nothing that is posted or stored breaks it."""

import html
import io
import json
import random
import re
import subprocess
import sys

import pytest
from stand_in import DB, DETECTED

PAGE = "/wizard/libvirt"
OF_CI = {"storage_pool": "blockhost", "storage_path": "/var/lib/blockhost/vms", "ip_network": "192.168.122.0/24",
         "ip_start": "2", "ip_end": "254", "gateway": "192.168.122.1", "gc_grace_days": "7"}
PROPOSED = {"storage_pool": "blockhost", "storage_path": "/var/lib/blockhost/vms", "ip_network": "192.168.1.0/24",
            "ip_start": "200", "ip_end": "250", "gateway": "192.168.1.1", "gc_grace_days": "7"}


class Shown:
    """What a page shows to a reader."""

    def __init__(self, response):
        assert response.status_code == 200, response.status
        self.raw = response.get_data(as_text=True)
        self.text = " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", self.raw, flags=re.S)).split())
        self.fields = {name: html.unescape(value) for name, value in
                       re.findall(r'name="([a-z_]+)"\s+value="([^"]*)"', self.raw)}
        self.button = re.search(r'<button type="submit"[^>]*>(.*?)</button>', self.raw).group(1)

    def beside(self, name):
        """The sentences at a field, with their kind."""
        said = re.search(rf'<div id="{name}-said">(.*?)</div>', self.raw, re.S).group(1)
        return [(kind, html.unescape(text))
                for kind, text in re.findall(r'libvirt-said libvirt-(\w+)">(.*?)</p>', said, re.S)]

    def filled_in(self, **changes):
        """What a browser posts after the reader typed `changes`."""
        return self.fields | changes


def settings(client):
    with client.session_transaction() as session:
        return session.get("libvirt")


def store(client, value):
    with client.session_transaction() as session:
        session["libvirt"] = value


def went_on(response):
    return response.status_code == 302 and response.headers["Location"] == "/wizard/connectivity"


# How the installer finds it.


def test_the_installer_finds_the_page_where_it_looks(app, wizard):
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    rule = rules["provisioner_libvirt.wizard_libvirt"]
    assert (rule.rule, {"GET", "POST"} <= rule.methods) == (PAGE, True)
    assert wizard.blueprint.name == "provisioner_libvirt"
    assert wizard.get_ui_params({}) == {}


def test_where_flask_is_missing_the_import_fails_as_the_installer_bears_it(dist_packages):
    script = ("import sys; sys.modules['flask'] = None\n"
              "try:\n    import blockhost.provisioner_libvirt.wizard\n"
              "except ImportError:\n    print('borne')")
    run = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(dist_packages)}, capture_output=True,
                         text=True)
    assert run.stdout == "borne\n", run.stderr


def test_without_a_login_the_page_sends_to_it_and_stores_nothing(app, program):
    stranger = app.test_client()
    for response in (stranger.get(PAGE), stranger.post(PAGE, data=OF_CI)):
        assert (response.status_code, response.headers["Location"]) == (302, "/login")
    assert settings(stranger) is None and program.calls() == []


# What it shows.


def test_the_first_look_shows_what_the_program_proposes(client, program):
    shown = Shown(client.get(PAGE))
    assert {name: shown.fields[name] for name in PROPOSED} == PROPOSED
    assert shown.button == "Continue" and shown.fields["seen"] == ""
    assert ["setup", "db-config", "--dry-run", "--json"] in program.calls()
    assert 'href="/wizard/wallet"' in shown.raw


def test_what_was_chosen_before_is_shown_again(client, program):
    client.post(PAGE, data=OF_CI)
    shown = Shown(client.get(PAGE))
    assert {name: shown.fields[name] for name in OF_CI} == OF_CI


def test_it_says_in_plain_words_what_this_computer_can_do(client, program):
    text = Shown(client.get(PAGE)).text
    assert "This computer can run virtual machines at full speed." in text
    assert "libvirt, which runs the machines, is installed and running." in text
    assert "The installation will make the settings, the storage pool and the template that machines are copied from." in text
    assert "could be started by hand" not in text
    assert "clock" not in text


def found(**changes):
    return {"works": False, "findings": [each | changes.get(each["finding"].replace(" ", "_"), {})
                                         for each in DETECTED["findings"]]}


@pytest.mark.parametrize("changes, sentences", [
    ({"virtualization": {"found": "KVM cannot run guests here; emulation can, slowly"}},
     ["can run virtual machines, but slowly.", "Intel VT-x"]),
    ({"virtualization": {"ok": False, "found": "db.yaml wants KVM", "advice": "switch on virtualization"}},
     ["cannot run virtual machines as it is set up. db.yaml wants KVM; switch on virtualization"]),
    ({"daemon_socket": {"ok": False, "found": "no libvirt daemon has a socket here", "advice": "start it"}},
     ["libvirt, which runs the machines, is not ready. no libvirt daemon has a socket here; start it"]),
    ({"configuration": {"ok": False, "found": "/etc/blockhost/db.yaml: line 3", "advice": "mend it"}},
     ["Earlier settings are there and cannot be read. /etc/blockhost/db.yaml: line 3; mend it"]),
    ({"start_veto": {"ok": False, "found": "no hook", "advice": "link it"}}, ["started by hand. no hook; link it"]),
    ({"clock": {"ok": False, "found": "nobody keeps it right", "advice": "install chrony"}},
     ["clock cannot tell yet who has paid. nobody keeps it right; install chrony"]),
    ({"definitions": {"ok": False, "found": "web runs without one", "advice": "start it"}},
     ["A machine here runs without a definition. web runs without one; start it"]),
])
def test_it_says_what_is_missing(client, program, changes, sentences):
    program.answers("detect", found(**changes), status=1)
    text = Shown(client.get(PAGE)).text
    for sentence in sentences:
        assert sentence in text


# What it takes.


def test_a_good_post_is_stored_and_goes_on(client, program):
    assert went_on(client.post(PAGE, data=OF_CI))
    assert settings(client) == OF_CI | {"gc_grace_days": 7, "warnings": []}
    assert program.calls() == [["setup", "db-config", "--dry-run", "--ip-network=192.168.122.0/24", "--ip-start=2",
                                "--ip-end=254", "--gateway=192.168.122.1", "--pool=blockhost",
                                "--path=/var/lib/blockhost/vms", "--gc-grace-days=7", "--json"]]


def test_fields_that_are_not_posted_are_what_was_chosen_or_is_proposed(client, program):
    store(client, {"ip_start": "192.168.1.210"})
    assert went_on(client.post(PAGE, data={"storage_pool": "mine", "gc_grace_days": "3"}))
    assert settings(client) == PROPOSED | {"storage_pool": "mine", "gc_grace_days": 3, "ip_start": "192.168.1.210",
                                           "warnings": []}


def test_what_the_program_refuses_is_said_beside_the_field_and_what_was_typed_stays(client, program):
    program.refuses(("ip_start", "192.168.1.300 is not an address"), ("path", "the folder <b>x</b> is not absolute"),
                    ("bridge", "there is no bridge"))
    typed = OF_CI | {"ip_start": "192.168.1.300", "storage_path": "<b>x</b>"}
    shown = Shown(client.post(PAGE, data=typed))
    assert {name: shown.fields[name] for name in typed} == typed
    assert shown.beside("ip_start") == [("error", "192.168.1.300 is not an address")]
    assert shown.beside("storage_path") == [("error", "The folder <b>x</b> is not absolute")]
    assert shown.beside("gateway") == []
    assert "there is no bridge" in shown.text and "<b>x</b>" not in shown.raw
    assert shown.button == "Continue"
    assert settings(client) is None


def test_the_programs_options_have_the_names_of_fields(client, program):
    program.refuses(("path", "the pool mine is at /a", "give --path /a, or another --pool"),
                    ("gateway", "--gateway takes an address, --ip-start-not"))
    shown = Shown(client.post(PAGE, data=OF_CI))
    assert shown.beside("storage_path") == [("error", "The pool mine is at /a; give “Folder” /a, or another “Storage pool”")]
    assert shown.beside("gateway")[0][1].startswith("“Gateway” takes")


@pytest.mark.parametrize("refusal, sentence", [
    ({"message": "db.yaml cannot be read", "hint": "mend line 3"}, "db.yaml cannot be read; mend line 3"),
    ({"message": "no bridge", "errors": [("bridge", "this host has no bridge")]}, "This host has no bridge"),
])
def test_what_no_field_can_mend_is_a_warning(client, program, refusal, sentence):
    errors = refusal.pop("errors", [])
    program.refuses(*errors, **refusal)
    shown = Shown(client.post(PAGE, data=OF_CI | {"page": "libvirt"}))
    assert sentence in shown.text and shown.button == "Continue anyway"
    assert went_on(client.post(PAGE, data=shown.filled_in()))
    assert went_on(client.post(PAGE, data=OF_CI))
    assert sentence in Shown(client.get("/wizard/summary")).text


@pytest.mark.parametrize("typed, said", [
    ("", "Please fill this in."), ("x" * 300, "This is too long: 255 characters are the most."),
    ("a\0b", "This has characters that cannot be used here."), ("a\nb", "This has characters that cannot be used here."),
], ids=["nothing", "long", "nul", "lines"])
def test_what_cannot_be_handed_to_a_program_is_said_beside_the_field(client, program, typed, said):
    shown = Shown(client.post(PAGE, data=OF_CI | {"storage_pool": typed}))
    assert shown.beside("storage_pool") == [("error", said)]
    assert shown.fields["storage_pool"] == re.sub(r"[\0\n]", " ", typed)
    assert not [word for call in program.calls() for word in call if word.startswith("--pool")]


def test_a_warning_is_shown_and_a_second_continue_takes_it(client, program):
    program.warns(("ip_start", "192.168.1.1 is the gateway"))
    shown = Shown(client.post(PAGE, data=Shown(client.get(PAGE)).filled_in(seen="")))
    assert shown.beside("ip_start") == [("warning", "192.168.1.1 is the gateway")]
    assert "Please look at this before you go on." in shown.text and shown.button == "Continue anyway"
    assert settings(client) is None
    assert went_on(client.post(PAGE, data=shown.filled_in()))
    assert settings(client)["warnings"] == [["ip_start", "192.168.1.1 is the gateway"]]


def test_other_values_or_other_warnings_are_shown_anew(client, program):
    program.warns(("ip_start", "192.168.1.1 is the gateway"))
    shown = Shown(client.get(PAGE))
    assert Shown(client.post(PAGE, data=shown.filled_in(ip_end="192.168.1.251"))).button == "Continue anyway"
    program.warns(("ip_start", "192.168.1.1 is the gateway"), ("gateway", "192.168.1.1 does not answer"))
    assert Shown(client.post(PAGE, data=shown.filled_in())).button == "Continue anyway"
    assert settings(client) is None


def test_a_warning_that_counts_differently_each_time_is_taken_all_the_same(client, program):
    program.warns(("storage_path", "only 7 GiB are free"))
    shown = Shown(client.get(PAGE))
    program.warns(("storage_path", "only 6 GiB are free"))
    assert went_on(client.post(PAGE, data=shown.filled_in()))


def test_a_programs_post_goes_through_and_its_warnings_are_in_the_summary(client, program):
    program.warns(("ip_start", "192.168.122.9 is this computer"), ("", "the network is not the bridge's"))
    assert went_on(client.post(PAGE, data=OF_CI))
    text = Shown(client.get("/wizard/summary")).text
    assert "192.168.122.9 is this computer" in text and "The network is not the bridge's" in text


def test_the_summary_says_what_was_chosen(client, program):
    client.post(PAGE, data=OF_CI | {"gc_grace_days": "1"})
    text = Shown(client.get("/wizard/summary")).text
    for words in ("192.168.122.0/24", "192.168.122.2 – 192.168.122.254 (253 machines)", "192.168.122.1",
                  "/var/lib/blockhost/vms", "Unpaid machines are deleted after 1 day"):
        assert words in text


@pytest.mark.parametrize("network, first, last, said", [
    ("10.0.0.0/16", "300", "10.0.2.0", "10.0.1.44 – 10.0.2.0 (213 machines)"),
    ("10.0.0.128/25", "200", "200", "10.0.0.200 – 10.0.0.200 (1 machine)"), ("10.0.0.0/24", "9", "2", "10.0.0.9 – 10.0.0.2"),
    ("", "2", "9", "2 – 9"), ("x", "", "9", "9")])
def test_the_range_is_told_in_addresses(wizard, network, first, last, said):
    chosen = {"ip_network": network, "ip_start": first, "ip_end": last}
    assert wizard.get_summary_data({"libvirt": chosen})["addresses"] == said


# What may go wrong.


HANGS = "sleep 30 & wait\n"


@pytest.mark.parametrize("answer, status, talk, script, said", [
    (b"", 3, "a\nIt is broken\n", "", "ended with status 3 and no answer: It is broken"),
    (b"", 0, "", "", "ended with status 0 and no answer"),
    (b"[]", 0, "", "", "ended with status 0"),
    (b"[" * 100000, 0, "", "", "ended with status 0"),
    (b"\xff\xfe{", 0, "", "", "ended with status 0"),
    (b'{"db": ' + b"9" * 2000000 + b"}", 0, "", "", "ended with status 0"),
    (b"{}", 0, "", "kill -9 $$\n", "was killed by signal 9"),
    (b"{}", 0, "", HANGS, "was not done within 0.5 seconds"),
], ids=["talks", "silent", "a list", "deep", "no text", "endless", "killed", "hangs"])
def test_a_program_that_fails_is_spoken_of_and_a_second_continue_goes_on(client, program, helpers, monkeypatch, answer,
                                                                        status, talk, script, said):
    monkeypatch.setattr(helpers, "PAGE_SECONDS", 0.5 if script == HANGS else 20)
    program.answers("dry-run", answer, status, talk, script)
    program.answers("detect", answer, status, talk, script)
    shown = Shown(client.post(PAGE, data=OF_CI | {"page": "libvirt"}))
    assert "These settings could not be checked. blockhost-libvirt setup " + said in shown.text
    assert "What this computer can do could not be looked at. blockhost-libvirt detect " + said in shown.text
    assert went_on(client.post(PAGE, data=shown.filled_in()))
    assert settings(client)["gc_grace_days"] == 7


def test_where_the_program_is_missing_the_page_says_so(client, helpers, monkeypatch, tmp_path):
    monkeypatch.setattr(helpers, "PROGRAM", str(tmp_path / "none"))
    shown = Shown(client.get(PAGE))
    assert f"The program {tmp_path}/none is not installed." in shown.text
    nothing = {name: "" for name in ("ip_network", "ip_start", "ip_end", "gateway")}
    assert nothing.items() <= shown.fields.items(), "addresses are nobody's guess"
    assert went_on(client.post(PAGE, data=OF_CI | nothing))
    assert nothing.items() <= settings(client).items()
    assert went_on(client.post(PAGE, data=OF_CI))
    assert "could not be checked" in Shown(client.get("/wizard/summary")).text
    (tmp_path / "none").write_text("no program")
    assert "cannot be run" in Shown(client.get(PAGE)).text
    assert Shown(client.post(PAGE, data=OF_CI | {"gc_grace_days": "soon"})).beside("gc_grace_days") == [
        ("error", "This is a whole number of days.")]


@pytest.mark.parametrize("answer", [
    {"db": "x"}, {"db": {"ip_pool": []}}, {"db": {"ip_pool": "x"}}, {"db": {"ip_pool": {"start": [1], "end": {}}, "gc_grace_days": None}},
    {"db": DB, "warnings": "x"}, {"db": DB, "warnings": [1, None, [], {"field": [], "message": {}}, {"message": "m"}]},
    {"error": "text"}, {"error": []}, {"error": {"message": 7}, "errors": {"a": 1}},
    {"error": "\ud800 lone", "hint": "\udfff", "errors": [{"field": "ip_start", "message": "\udfff"}]},
    {"db": DB | {"storage_pool": "\ud800", "storage_path": "a\nb"}, "warnings": [{"field": "\ud800", "message": "\ud801"}]},
    {"findings": "x"}, {"findings": [1, {}, {"finding": [], "ok": 1}, {"finding": "virtualization", "found": 5}]},
], ids=range(13))
def test_answers_of_another_form_do_no_harm(client, program, answer):
    program.answers("dry-run", answer)
    program.answers("detect", answer)
    Shown(client.get(PAGE))
    response = client.post(PAGE, data=OF_CI)
    assert went_on(response) or Shown(response)
    client.get("/wizard/summary")


GARBAGE = [None, 7, "text", [], [1], {}, {"ip_start": 7, "gc_grace_days": "9", "ip_end": 254.0},
           {name: [] for name in OF_CI}, {name: None for name in OF_CI}, {name: {"a": "b"} for name in OF_CI},
           {name: "x" * 5000 for name in OF_CI}, {name: "\0\n<script>" for name in OF_CI}, {name: True for name in OF_CI},
           {"warnings": "x"}, {"warnings": [1, [], ["a"], ["", 5], ["", []], ["a", "b", "c"]]}, {"gc_grace_days": 10 ** 400},
           {"ip_network": "0.0.0.0/0", "ip_start": "999", "ip_end": "1"}]


@pytest.mark.parametrize("stored", GARBAGE, ids=range(len(GARBAGE)))
def test_whatever_others_stored_does_no_harm(client, wizard, program, stored):
    store(client, stored)
    shown = Shown(client.get(PAGE))
    assert set(OF_CI) <= set(shown.fields)
    assert Shown(client.get("/wizard/summary")).button == "Continue"
    wizard.get_summary_data({"libvirt": stored})
    assert went_on(client.post(PAGE, data={}))
    store(client, stored)
    assert went_on(client.post(PAGE, data=OF_CI))


def test_a_number_that_python_cannot_write_is_no_text(helpers):
    assert helpers.plain(10 ** 5000) == "" and helpers.setting(10 ** 5000) is None


def test_what_is_missing_beside_a_refused_value_is_proposed(client, program):
    program.answers("dry-run", b"", script=f"""case "$*" in
        *--ip-start*) cat '{program.folder}/refusal'; exit 3 ;;
        *) cat '{program.folder}/proposal'; exit 0 ;;
    esac
""")
    (program.folder / "proposal").write_text(json.dumps({"db": DB}))
    (program.folder / "refusal").write_text(json.dumps({"error": "x", "errors": [{"field": "ip_start", "message": "not so"}]}))
    store(client, {"ip_start": "x"})
    shown = Shown(client.get(PAGE))
    assert {name: shown.fields[name] for name in PROPOSED} == PROPOSED | {"ip_start": "x"}
    assert shown.beside("ip_start") == [("error", "not so")]


def test_numbers_that_others_stored_are_settings(client, program):
    store(client, {"ip_start": 20, "gc_grace_days": "9"})
    shown = Shown(client.get(PAGE))
    assert (shown.fields["ip_start"], shown.fields["gc_grace_days"]) == ("20", "9")


@pytest.mark.parametrize("session", [None, [], {}, {"libvirt": None}])
def test_a_session_without_us_has_a_summary(wizard, session):
    assert wizard.get_summary_data(session)["ip_network"] == ""


@pytest.mark.parametrize("post", [
    {"json": {"ip_start": 1}}, {"data": b"\xff\0%zz=&&&=", "content_type": "application/x-www-form-urlencoded"},
    {"data": b"--x\r\nno", "content_type": "multipart/form-data; boundary=x"},
    {"data": b"x", "content_type": "multipart/form-data"},
    {"data": b"--x\r\nContent-Disposition: form-data; name=ip_start\r\nContent-Type: text/plain; charset=no-such\r\n\r\n"
             b"\xff\r\n--x--\r\n", "content_type": "multipart/form-data; boundary=x"},
    {"data": "&".join(f"a{number}=1" for number in range(3000)), "content_type": "application/x-www-form-urlencoded"},
    {"data": {f"a{number}": (io.BytesIO(b"1"), "f") for number in range(1500)}},
    {"data": OF_CI | {"ip_start": ["1", "2", "3"]}}, {"data": {"ip_start": (io.BytesIO(b"1"), "file")}},
    {"data": OF_CI | {"storage_path": "x" * (1 << 22)}},
], ids=range(10))
def test_posts_of_any_form_are_answered(client, program, post):
    assert client.post(PAGE, **post).status_code in (200, 302)


def test_a_post_that_cannot_be_read_is_no_choice(client, program):
    parts = b'--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=none\r\n\r\n1\r\n--x--\r\n'
    shown = Shown(client.post(PAGE, data=parts, content_type="multipart/form-data; boundary=x"))
    assert "What was sent could not be read." in shown.text and settings(client) is None


CHARACTERS = ["0", "1", "2", "9", ".", "/", ":", "-", "--", " ", "\t", "\n", "\0", "\x7f", "a", "Z", "%", "'", '"', "<", ">",
              "&", "{{", "}}", "$(", "`", ";", "\\", "ä", "٣", "\u202e", "\ufeff", "\ud7ff", "😀", "192.168.1.", "/24", "é"]


def typed_at_random(chance):
    kind = chance.randrange(12)
    if kind == 1:
        return str(chance.randrange(-(10 ** chance.randrange(1, 30)), 10 ** chance.randrange(1, 30)))
    if kind == 2:
        return chance.randbytes(chance.randrange(40)).decode("latin-1")
    if kind == 3:
        return "x" * chance.choice([254, 255, 256, 257, 10000])
    if kind == 4:
        return [typed_at_random(chance) for _ in range(chance.randrange(3))]
    if kind == 5:
        return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(30)))
    return chance.choice(["7", "254", "10.0.0.0/8"])


def test_thousands_of_random_posts_are_answered(client, helpers, monkeypatch):
    chance = random.Random(20)
    answers = [helpers.Answer(good=True, understood=True, document={"db": DB}),
               helpers.Answer(good=True, understood=True, document={"db": DB}, warnings=[("ip_start", "w"), ("", "v")]),
               helpers.Answer(understood=True, sentence="no", errors=[("path", "e"), ("x", "y")]),
               helpers.Answer(sentence="broken")]
    handed = []

    def ask(words, _seconds):
        handed.extend(words)
        return chance.choice(answers)

    monkeypatch.setattr(helpers, "ask", ask)
    statuses = {200: 0, 302: 0}
    for _ in range(3000):
        wild = chance.random()
        post = {name: typed_at_random(chance) if chance.random() < wild else "7"
                for name in (*OF_CI, "page", "seen") if chance.random() < 0.7}
        if chance.random() < 0.2:
            store(client, chance.choice(GARBAGE))
        statuses[client.post(PAGE, data=post).status_code] += 1
    assert min(statuses.values()) > 300
    assert all(word.isprintable() and len(word) < 300 for word in handed)


def test_random_words_reach_the_program_as_they_were_typed(client, program):
    chance = random.Random(21)
    for _ in range(80):
        post = {name: typed_at_random(chance) for name in OF_CI}
        post = {name: value[0] if value and isinstance(value, list) else value for name, value in post.items()}
        assert client.post(PAGE, data=post).status_code in (200, 302)
        for word in next(call for call in reversed(program.calls()) if call[0] == "setup"):
            name = {"--pool": "storage_pool", "--path": "storage_path"}.get(
                word.partition("=")[0], word.partition("=")[0].strip("-").replace("-", "_"))
            if name in post and isinstance(post[name], str) and post[name].strip():
                assert word.partition("=")[2] in (post[name].strip(), PROPOSED[name], OF_CI[name])
