# SPDX-License-Identifier: MIT
"""What a call ends with when it does not end well."""

VERIFICATION = "Parameter verification failed."


class ApiError(Exception):
    """Becomes an answer, whose reason is the text's first line. In a worker it becomes the task's exit status."""

    def __init__(self, status, text, errors=None):
        super().__init__(text)
        self.status, self.text, self.errors = status, text, errors


class FrontError(Exception):
    """An answer of the front end itself, in plain text or without a body."""

    def __init__(self, status, reason, body=""):
        super().__init__(reason)
        self.status, self.reason, self.body = status, reason, body


class Dropped(Exception):
    """The connection ends without an answer."""


def failed(text):
    return ApiError(500, text + "\n")


def denied(path=None, privileges=()):
    if path is None:
        return ApiError(403, "Permission check failed\n")
    return ApiError(403, f"Permission check failed ({path}, {'|'.join(privileges)})\n")


def denied_because(why):
    return ApiError(403, f"Permission check failed ({why})\n")


def invalid(**errors):
    return invalid_parameters({name.replace("_", "-"): text for name, text in errors.items()})


def invalid_parameters(errors):
    return ApiError(400, VERIFICATION + "\n", errors)
