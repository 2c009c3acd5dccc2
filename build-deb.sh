#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds build/blockhost-provisioner-libvirt_<version>_amd64.deb. See packaging/build-deb.sh.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/packaging/build-deb.sh" "$@"
