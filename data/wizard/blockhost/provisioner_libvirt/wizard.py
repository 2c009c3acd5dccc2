# SPDX-License-Identifier: MIT
"""The installer's page for libvirt, its part of the summary, and its last steps; docs/contract.md, "Wizard plugin".

The page hands what was typed to `blockhost-libvirt setup db-config --dry-run` and shows what that says beside the fields.
The last steps are calls of the same verb.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
import re

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from werkzeug.exceptions import HTTPException

from . import helpers

SESSION_KEY = "libvirt"
WARNINGS_KEY = "warnings"

blueprint = Blueprint("provisioner_libvirt", __name__, template_folder="templates")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of the page: its name in forms and sessions, the program's option, its label, and what it is where
    neither the session nor the program knows better. Addresses are nobody's guess: where the program has none to
    propose, they may be left to the last steps, which know the bridge."""

    name: str
    option: str
    label: str
    otherwise: str


SETTINGS = (
    Setting("ip_network", "--ip-network", "Network", ""),
    Setting("ip_start", "--ip-start", "First address", ""),
    Setting("ip_end", "--ip-end", "Last address", ""),
    Setting("gateway", "--gateway", "Gateway", ""),
    Setting("storage_pool", "--pool", "Storage pool", "blockhost"),
    Setting("storage_path", "--path", "Folder", "/var/lib/blockhost/vms"),
    Setting("gc_grace_days", "--gc-grace-days", "Days until an unpaid machine is deleted", "7"),
)
NAMES = tuple(each.name for each in SETTINGS)
MAY_BE_EMPTY = {each.name for each in SETTINGS if not each.otherwise}
LABELS = {each.name: each.label for each in SETTINGS}
_SPELLINGS = {each.option.strip("-").replace("-", "_"): each.name for each in SETTINGS}


# The page.


@dataclasses.dataclass
class Verdict:
    """What is to be said of a set of values: (field, sentence) each, the field "" for what concerns no single one."""

    errors: list = dataclasses.field(default_factory=list)
    warnings: list = dataclasses.field(default_factory=list)
    values: dict = dataclasses.field(default_factory=dict)

    def beside(self, name):
        """Sentences to show at field `name`: errors, warnings."""
        return ([said for field, said in self.errors if field == name],
                [said for field, said in self.warnings if field == name])


def _stored(of):
    """The dict that the session holds for us; whoever filled it, it may hold anything."""
    found = of.get(SESSION_KEY) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def _usable(values):
    return {name: text for name in NAMES if (text := helpers.setting(values.get(name))) is not None}


def _field(name):
    name = name.replace("-", "_")
    return name if name in LABELS else _SPELLINGS.get(name, "")


def _options(values):
    return [f"{each.option}={values[each.name]}" for each in SETTINGS if each.name in values]


def _proposed(document):
    """The settings in the db.yaml that the program would write."""
    db = document.get("db")
    if not isinstance(db, dict):
        return {}
    pool = db.get("ip_pool") if isinstance(db.get("ip_pool"), dict) else {}
    return _usable({**db, "ip_network": pool.get("network"), "ip_start": pool.get("start"), "ip_end": pool.get("end"),
                    "gateway": pool.get("gateway")})


def _in_words_of_the_page(said):
    """A sentence of the program's, with the page's labels for options, and beginning like a sentence."""
    for each in sorted(SETTINGS, key=lambda each: -len(each.option)):
        said = said.replace(each.option, f"“{each.label}”")
    return said[:1].upper() + said[1:] if re.match(r"(the|this|no|which)\b", said) else said


def _to_fields(listed):
    return [(_field(field), _in_words_of_the_page(said)) for field, said in listed]


def judge(values):
    """Lets the program judge `values`, texts by name; what is missing is the program's to propose.

    What no field of the page can mend (there is no bridge yet, say) is a warning: the installer's last steps meet it
    again, and say so.
    """
    answer = helpers.ask(["setup", "db-config", "--dry-run", *_options(values)], helpers.PAGE_SECONDS)
    verdict = Verdict(values=_proposed(answer.document) | values)
    if answer.good:
        verdict.warnings = _to_fields(answer.warnings)
    elif answer.understood:
        said = _to_fields(answer.errors) or [("", _in_words_of_the_page(answer.sentence))]
        verdict.errors = [(field, sentence) for field, sentence in said if field]
        verdict.warnings = [(field, sentence) for field, sentence in said if not field]
    else:
        verdict.warnings = [("", f"These settings could not be checked. {answer.sentence}")]
    # The session holds a number here: the one form that is ours to see to.
    days = verdict.values.get("gc_grace_days", "7")
    if not re.fullmatch("[0-9]{1,9}", days) and not verdict.beside("gc_grace_days")[0]:
        verdict.errors.append(("gc_grace_days", "This is a whole number of days."))
    return verdict


def _otherwise(values):
    """`values` and, for what is missing, the program's proposals or what is usual."""
    proposed = {}
    if values and any(name not in values for name in NAMES):
        proposed = _proposed(helpers.ask(["setup", "db-config", "--dry-run"], helpers.PAGE_SECONDS).document)
    return {each.name: each.otherwise for each in SETTINGS} | proposed | values


def _token(values, verdict):
    """Stands for these warnings about these values: whoever sends it has seen them."""
    seen = [sorted(values.items()), sorted({field for field, _ in verdict.warnings})]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def _page(values, verdict, as_typed=None):
    answer = helpers.ask(["detect", "--explain"], helpers.PAGE_SECONDS)
    shown = {name: helpers.plain((as_typed or {}).get(name, values.get(name, ""))) for name in NAMES}
    return render_template("provisioner_libvirt/wizard_libvirt.html", values=shown, labels=LABELS, verdict=verdict,
                           seen=_token(values, verdict) if verdict.warnings and not verdict.errors else "",
                           looks=helpers.looks(answer))


def _form():
    """What was posted, texts by name; None where that cannot be read."""
    try:
        return {name: request.form[name] for name in (*NAMES, "page", "seen") if name in request.form}
    except (HTTPException, LookupError, ValueError):
        # Too many parts, an unknown character set: Flask's parser raises all of these.
        return None


def _transportable(posted):
    """(usable values, errors): what no program's argument and no cookie can hold is told here."""
    values, errors = {}, []
    for name in NAMES:
        typed = posted.get(name)
        if typed is None:
            continue
        if not typed.strip() and name in MAY_BE_EMPTY:
            continue
        if not typed.strip():
            errors.append((name, "Please fill this in."))
        elif (text := helpers.setting(typed)) is not None:
            values[name] = text
        elif len(typed) > helpers.LONGEST_VALUE:
            errors.append((name, f"This is too long: {helpers.LONGEST_VALUE} characters are the most."))
        else:
            errors.append((name, "This has characters that cannot be used here."))
    return values, errors


@blueprint.before_request
def _only_for_whom_is_logged_in():
    if "login" in current_app.view_functions and not session.get("authenticated"):
        return redirect(url_for("login"))
    return None


@blueprint.route("/wizard/libvirt", methods=["GET", "POST"])
def wizard_libvirt():
    stored = _usable(_stored(dict(session)))
    if request.method != "POST":
        verdict = judge(stored)
        return _page(_otherwise(verdict.values), verdict)
    posted = _form()
    if posted is None:
        unread = Verdict(errors=[("", "What was sent could not be read. Please send it again.")])
        return _page(_otherwise(judge(stored).values), unread)
    typed, errors = _transportable(posted)
    missing = {name: text for name, text in stored.items() if name not in posted}
    verdict = judge(typed | missing)
    verdict.errors += errors
    values = _otherwise(verdict.values)
    if verdict.errors or ("page" in posted and verdict.warnings and posted.get("seen") != _token(values, verdict)):
        return _page(values, verdict, as_typed=posted)
    session[SESSION_KEY] = {**values, "gc_grace_days": int(values["gc_grace_days"]),
                            WARNINGS_KEY: [[field, helpers.plain(said, 300)] for field, said in verdict.warnings[:5]]}
    return redirect(url_for("wizard_connectivity"))


# What the installer asks for.


def get_ui_params(_session):
    return {}


def get_summary_data(of):
    stored = _stored(of)
    values = {name: helpers.plain(stored.get(name), helpers.LONGEST_VALUE) for name in NAMES}
    listed = stored.get(WARNINGS_KEY)
    pairs = [each for each in (listed if isinstance(listed, list) else []) if isinstance(each, (list, tuple))]
    return {**values, "addresses": _range(values),
            "warnings": [helpers.plain(each[1]) for each in pairs[:5] if len(each) == 2]}


def _range(values):
    """The addresses for people: "192.168.1.20 – 192.168.1.60 (41 machines)"."""
    try:
        network = ipaddress.IPv4Network(values["ip_network"], strict=False)
        first, last = (_address(network, values[name]) for name in ("ip_start", "ip_end"))
        count = int(last) - int(first) + 1
        machines = f" ({count} machine{'s' if count > 1 else ''})" if count > 0 else ""
    except ValueError:
        return " – ".join(filter(None, (values["ip_start"], values["ip_end"])))
    return f"{first} – {last}{machines}"


def _address(network, text):
    """`text` as an address; it may be the last number alone, or in a network larger than /24 the host's number."""
    if re.fullmatch("[0-9]{1,9}", text):
        return ipaddress.IPv4Address((int(network.network_address) & ~255) + int(text))
    return ipaddress.IPv4Address(text)


def get_summary_template():
    return "provisioner_libvirt/summary_section.html"


# The installer's last steps: func(config) -> (done, error or None). They may run again, also after they were done.


def _provisioner(config):
    """What the wizard stored, as a dict of `config`'s; put there where there is none."""
    found = config.get("provisioner")
    if not isinstance(found, dict):
        found = config["provisioner"] = {}
    return found


def _chosen(provisioner, *names):
    """Options for those of `names` that were chosen. Raises ValueError on what cannot be handed on."""
    values = {}
    for name in names:
        if provisioner.get(name) in (None, ""):
            continue
        values[name] = helpers.setting(provisioner[name])
        if values[name] is None:
            raise ValueError(f"The setting “{LABELS.get(name, name)}” cannot be used; open the wizard's page again.")
    bridge = [f"--bridge={values.pop('bridge')}"] if "bridge" in values else []
    return [*_options(values), *bridge]


def _step(config, name, words, seconds):
    """Calls the program, and leaves its answer for the installer's page."""
    answer = helpers.ask(["setup", name.replace("_", "-"), *words], seconds)
    if not answer.good:
        config.pop(f"_step_result_{name}", None)
        said = [said for _, said in answer.errors] or [answer.sentence]
        return answer, (False, ". ".join(_in_words_of_the_page(each) for each in said))
    config[f"_step_result_{name}"] = answer.document
    return answer, (True, None)


def finalize_storage(config):
    """The pool that machines' disks lie in."""
    try:
        words = _chosen(_provisioner(config), "storage_pool", "storage_path")
    except ValueError as reason:
        return False, str(reason)
    return _step(config, "storage", words, helpers.STEP_SECONDS)[1]


def finalize_network(config):
    """The bridge that machines are connected to; remembered for the settings."""
    answer, result = _step(config, "network", [], helpers.STEP_SECONDS)
    bridge = helpers.setting(answer.document.get("bridge"))
    if result[0] and bridge:
        _provisioner(config)["bridge"] = bridge
    return result


def finalize_db_config(config):
    """The settings, merged into those that there are."""
    try:
        words = _chosen(_provisioner(config), *NAMES, "bridge")
    except ValueError as reason:
        return False, str(reason)
    return _step(config, "db_config", words, helpers.STEP_SECONDS)[1]


def finalize_template(config):
    """The image that machines are copied from."""
    return _step(config, "template", [], helpers.TEMPLATE_SECONDS)[1]


def get_finalization_steps():
    return [
        ("storage", "Preparing storage for machines", finalize_storage, ""),
        ("network", "Preparing the machines' network", finalize_network, ""),
        ("db_config", "Writing the settings", finalize_db_config, ""),
        ("template", "Building the template of machines", finalize_template, "(this may take several minutes)"),
    ]
