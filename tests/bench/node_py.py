#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The guests of a Proxmox node as users of Python's proxmoxer list them: node_py.py HOST PORT NODE TOKEN-FILE.

The certificate is not verified, which is what its documentation shows.
"""

import sys
import warnings

from proxmoxer import ProxmoxAPI

warnings.simplefilter("ignore")
host, port, node, token_file = sys.argv[1:]
user, _, rest = open(token_file).read().strip().partition("!")
name, _, secret = rest.partition("=")
api = ProxmoxAPI(host, port=int(port), user=user, token_name=name, token_value=secret, verify_ssl=False)
guests = api.nodes(node).qemu.get() + api.nodes(node).lxc.get()
for guest in sorted(guests, key=lambda each: int(each["vmid"])):
    print(guest["vmid"], guest["status"], guest.get("name", ""))
