#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What to run after a small change, in less than a minute: builds what changed, with warnings as errors, and runs the unit
# programs, conformance of the simulated world, the lifecycle program, the house's rules, and of the command line what is quick
# in the simulated world. Needs neither root nor libvirt nor guests. Ends with one line "N passed, N failed, N skipped"; exit
# status 1 when anything failed.
#
#   tests/quick.sh               all of that
#   tests/quick.sh --only SUITE  of that only suites of that name or kind (may be repeated)
#   tests/quick.sh --list        names the suites
#   tests/quick.sh --slowest N   names each suite's N slowest tests
#
# It builds in build/, as tests/run.sh does, and installs nothing: what is missing is named with the command that installs it.
# The first build takes minutes. What else to run after which change: CONTRIBUTING.md.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '[quick %3d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[quick] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"
# shellcheck source=tests/needs.sh
. "$tree/tests/needs.sh"

build=$tree/build
passed_on=()
while [ $# -gt 0 ]; do
    case $1 in
        --only | --slowest)
            [ $# -ge 2 ] || fail "$1 needs a value"
            passed_on+=("$1" "$2")
            shift
            ;;
        --list) passed_on+=(--list) ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; tests/quick.sh --help tells the options" ;;
    esac
    shift
done

mapfile -t purposes < <(purposes_of unit lifecycle tools)
missing=$(missing_packages build "${purposes[@]}" | paste -sd' ')
[ -z "$missing" ] || fail "packages are missing; as root: apt-get install $missing"
mapfile -t targets < <(targets_of unit lifecycle)
say "building, warnings are errors"
with_progress "$(build_log "$build")" build_for_tests "$tree" "$build" "${targets[@]}"
say "suites"
exec /usr/bin/python3 "$tree/tests/tools/run_suites.py" --quick --build "$build" "${passed_on[@]}"
