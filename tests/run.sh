#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what the tests need, builds with warnings as errors, runs every suite, and ends with one line
# "N passed, N failed, N skipped". Exit status 1 when anything failed.
#
#   tests/run.sh                 every suite; the unit and lifecycle suites also in a build with ASan and UBSan
#   tests/run.sh --plain         without the sanitizer build
#   tests/run.sh --sanitize      only the sanitizer build and its suites
#   tests/run.sh --only SUITE    only suites of that name or kind (may be repeated), and what they need (tests/needs.sh)
#   tests/run.sh --list          names the suites
#   tests/run.sh --slowest N     names each suite's N slowest tests
#   tests/run.sh --one-lane      one suite after another
#
# Suites that mostly wait (system, package, image, mint, conformance with QEMU) run one after another beside all others, which
# compute: each line of progress says whose it is. --one-lane is for hosts with one core, and to see what a suite does alone.
#
# Of random tests (exploration, histories, real kills, fuzzing) a run plays a share, by the commit; the first line of the suites
# says which, and BLOCKHOST_SEED=NUMBER plays that one again. All of them, and the cli suite in the sanitizer build: tests/soak.sh.
#
# BLOCKHOST_NO_GUEST=1 waives the guests that boot for real. Needs root for packages, libvirt and the system suite.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '[tests %4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[tests] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"
# shellcheck source=tests/needs.sh
. "$tree/tests/needs.sh"

plain=$tree/build
sanitized=$tree/build-sanitize
which_builds=both
only=()
passed_on=()

while [ $# -gt 0 ]; do
    case $1 in
        --plain) which_builds=plain ;;
        --sanitize) which_builds=sanitized ;;
        --only)
            [ $# -ge 2 ] || fail "--only needs a suite's name"
            only+=("$2")
            passed_on+=(--only "$2")
            case $which_builds$2 in bothsanitize:*) which_builds=sanitized ;; both*) which_builds=plain ;; esac
            shift
            ;;
        --slowest)
            [ $# -ge 2 ] || fail "--slowest needs a number"
            passed_on+=(--slowest "$2")
            shift
            ;;
        --list | --one-lane) passed_on+=("$1") ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; tests/run.sh --help tells the options" ;;
    esac
    shift
done

mapfile -t kinds < <(kinds_of "${only[@]}")
mapfile -t purposes < <(purposes_of "${kinds[@]}")
[ "$which_builds" = plain ] || purposes+=(fuzz)
need_packages build "${purposes[@]}"
targets=()
if [ ${#only[@]} -gt 0 ]; then mapfile -t targets < <(targets_of "${only[@]}"); fi
case $which_builds in
    plain | both)
        say "building, warnings are errors"
        with_progress "$(build_log "$plain")" build_for_tests "$tree" "$plain" "${targets[@]}"
        passed_on+=(--build "$plain")
        ;;&
    sanitized | both)
        say "building with ASan and UBSan"
        with_progress "$(build_log "$sanitized")" build_sanitized "$tree" "$sanitized" "${targets[@]}"
        passed_on+=(--sanitized "$sanitized")
        ;;
esac

case " ${passed_on[*]} " in
    *" --list "*) ;;
    *)
        if [ "$(id -u)" -eq 0 ] && need_it libvirt "${kinds[@]}"; then start_libvirt; fi
        if [ -z "${BLOCKHOST_NO_GUEST:-}" ] && [ "$which_builds" != sanitized ] && need_it quick-guest "${kinds[@]}"; then
            say "guests"
            "$tree/tests/guest/build-quick.sh" >/dev/null
            BLOCKHOST_BUILD=$plain with_progress "" "$tree/tests/guest/build-debian.sh" >/dev/null
        fi
        say "suites"
        ;;
esac
exec /usr/bin/python3 "$tree/tests/tools/run_suites.py" "${passed_on[@]}"
