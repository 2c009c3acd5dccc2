# SPDX-License-Identifier: MIT
"""The knobs over a Unix socket: one JSON object a line, one answer a line. It is no part of the imitated API."""

import contextlib
import json
import os
import socket
import threading


class Control:
    def __init__(self, standin, path):
        self.standin, self.path = standin, str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rw", encoding="utf-8") as lines:
            for line in lines:
                lines.write(json.dumps(self.standin.knobs.call(line)) + "\n")
                lines.flush()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
