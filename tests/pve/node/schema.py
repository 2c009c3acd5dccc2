# SPDX-License-Identifier: MIT
"""The API's own description of its calls: which call a path means, and whether parameters are what it takes."""

import functools
import json
import pathlib
import re

from . import formats
from .errors import ApiError, invalid_parameters

FILE = pathlib.Path(__file__).resolve().parents[1] / "schema.json"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
HIGHEST = {"net": 31, "ipconfig": 31, "scsi": 30, "virtio": 15, "hostpci": 15, "usb": 13, "virtiofs": 9, "numa": 7,
           "sata": 5,
           "ide": 3, "serial": 3, "parallel": 2}
"""The last of net0, net1 and so on."""
MISSING = "property is missing and it is not optional"


@functools.lru_cache(None)
def document():
    return json.loads(FILE.read_text())


class Call:
    def __init__(self, described):
        self.path, self.method = described["path"], described["method"]
        self.parameters = described["parameters"]
        self.permissions = described.get("permissions")
        self.protected, self.proxied = bool(described.get("protected")), described.get("proxyto") == "node"
        self.takes_tokens = bool(described.get("allowtoken", 1))
        self.open = bool(described.get("additionalProperties"))
        self._plain = {name: of for name, of in self.parameters.items() if "[n]" not in name}
        self._numbered = {name[:-3]: of for name, of in self.parameters.items() if name.endswith("[n]")}

    def parameter(self, name):
        """Its schema; `net[n]` describes net0, net1 and so on."""
        found = self._plain.get(name)
        if found is None:
            numbered = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
            if numbered and int(numbered[2]) <= HIGHEST.get(numbered[1], 255):
                found = self._numbered.get(numbered[1])
        return found


class Tree:
    """Finds the call of a path. A volume's name may hold slashes."""

    def __init__(self):
        self.root = {}
        self.calls = [Call(described) for described in document()["calls"]]
        for call in self.calls:
            at = self.root
            for part in parts_of(call.path):
                at = at.setdefault("{}" if part.startswith("{") else part, {"name": part[1:-1]})
            at.setdefault("calls", {})[call.method] = call

    def find(self, method, path):
        """The call and the values of its path's names, or None."""
        at, values, parts = self.root, {}, parts_of(path)
        for number, part in enumerate(parts):
            following = at.get(part) if part not in ("name", "calls", "{}") else None
            if following is None:
                following = at.get("{}")
                if following is None:
                    return None
                if following["name"] == "volume":
                    part, parts = "/".join(parts[number:]), parts[:number]
                values[following["name"]] = part
                at = following
                if following["name"] == "volume":
                    break
            else:
                at = following
        call = at.get("calls", {}).get(method)
        return (call, values) if call else None


def parts_of(path):
    return [part for part in path.split("/") if part]


@functools.lru_cache(None)
def tree():
    return Tree()


@functools.lru_cache(None)
def call(method, path):
    return next(each for each in tree().calls if (each.method, each.path) == (method, path))


class Checker:
    """Collects what is wrong with a call's parameters, and gives them back as the types that they are."""

    def __init__(self, privileges):
        self.errors, self.privileges = {}, privileges

    def check(self, the_call, given):
        checked = {}
        for name, value in given.items():
            of = the_call.parameter(name)
            if of is not None:
                checked[name] = self.value(name, value, of)
            elif the_call.open:
                checked[name] = value
            else:
                self.errors[name] = UNKNOWN
        for name, of in the_call.parameters.items():
            if not of.get("optional") and name not in given and "[n]" not in name:
                self.errors[name] = MISSING
            needed = of.get("requires")
            if needed and name in given and needed not in given:
                self.errors[needed] = f"missing property - '{name}' requires this property"
        if self.errors:
            raise invalid_parameters(self.errors)
        return checked

    def value(self, name, value, of):
        kind = of.get("type", "string")
        if value is None:
            raise ApiError(500, f"unable to parse value of '{name}' - got undefined value\n")
        if kind == "array":
            value = value if isinstance(value, list) else [value]
            return [self.value(f"{name}[{number}]", each, of.get("items", {})) for number, each in enumerate(value)]
        if isinstance(value, list) and str(of.get("format", "")).endswith("-list"):
            value = ",".join(map(str, value))
        if isinstance(value, (list, dict)):
            kind_given = "ARRAY" if isinstance(value, list) else "HASH"
            return self.wrong(name, f"type check ('{kind}') failed - got {kind_given}")
        text = str(int(value)) if isinstance(value, bool) else str(value)
        return self.scalar(name, text, kind, of)

    def wrong(self, name, text):
        self.errors[name] = text

    def scalar(self, name, text, kind, of):
        typed = self.typed(text, kind)
        if typed is None:
            return self.wrong(name, f"type check ('{kind}') failed - got '{text}'")
        try:
            self.format(name, text, of.get("format"))
        except formats.FormatError as error:
            return self.wrong(name, f"invalid format - {error}")
        if "enum" in of:
            if text not in map(str, of["enum"]):
                listed = ", ".join(map(str, of["enum"]))
                return self.wrong(name, f"value '{text}' does not have a value in the enumeration '{listed}'")
            return typed
        if "maxLength" in of and len(text) > of["maxLength"]:
            return self.wrong(name, f"value may only be {of['maxLength']} characters long")
        if "minLength" in of and len(text) < of["minLength"]:
            return self.wrong(name, f"value must be at least {of['minLength']} characters long")
        if "pattern" in of and not re.search(f"^(?:{pattern(of['pattern'])})$", text):
            return self.wrong(name, "value does not match the regex pattern")
        if kind in ("integer", "number"):
            if "minimum" in of and typed < of["minimum"]:
                return self.wrong(name, f"value must have a minimum value of {of['minimum']}")
            if "maximum" in of and typed > of["maximum"]:
                return self.wrong(name, f"value must have a maximum value of {of['maximum']}")
        return typed

    @staticmethod
    def typed(text, kind):
        if kind == "integer":
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else None
        if kind == "number":
            return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text) else None
        if kind == "boolean":
            return formats.boolean(text)
        return text

    def format(self, name, text, wanted):
        if isinstance(wanted, dict):
            self.property(name, text, wanted)
        elif wanted:
            formats.check_named(wanted, text, self.privileges)

    def property(self, name, text, schema):
        values = formats.parse_property(text, schema)
        inner = Checker(self.privileges)
        for key, value in values.items():
            if key in schema:
                inner.value(f"{name}.{key}", value, schema[key])
            else:
                inner.errors[f"{name}.{key}"] = UNKNOWN
        for key, of in schema.items():
            if not of.get("optional") and "alias" not in of and "default" not in of and key not in values:
                inner.errors[f"{name}.{key}"] = MISSING
        if inner.errors:
            lines = "".join(f"{key}: {why}\n" for key, why in inner.errors.items())
            raise formats.FormatError("format error\n" + lines)


@functools.lru_cache(None)
def pattern(perl):
    """Perl's way to print a compiled expression, in Python's words."""
    return perl.replace("(?^:", "(?:").replace("(?^i:", "(?i:")
