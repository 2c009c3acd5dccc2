# SPDX-License-Identifier: MIT
"""Which function serves which call. A function takes the request, then the call's parameters by name, a dash as `_`."""

HANDLERS = {}


def call(method, path):
    def register(function):
        HANDLERS[method, path] = function
        return function
    return register


def python_names(parameters):
    return {name.replace("-", "_"): value for name, value in parameters.items()}
