#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What takes hours, apart from tests/run.sh.
#
#   tests/soak.sh --kills [--hours N | --count N] [--first NUMBER]
#                       kills of verbs and of libvirtd on real libvirt and QEMU (docs/reliability.md, "Real kills"), until
#                       one breaks something
#   tests/soak.sh --histories [--count N] [--first SEED]
#                       random histories (docs/reliability.md, "Histories"), 2000 unless told otherwise
#   tests/soak.sh --explore
#                       every disturbance at every point (docs/reliability.md, "Exploration")
#   tests/soak.sh --sanitized [--only SUITE]...
#                       the unit, lifecycle and cli suites in a build with ASan and UBSan
#   tests/soak.sh --fuzz [--hours N] [--keep FOLDER] [--only TARGET]... [--until-settled]
#                       the fuzz targets in turn (docs/reliability.md, "Fuzzing"), less when every target has settled. New
#                       corpus files and findings stay in FOLDER, the cache of tests/fuzz/fuzzing.py
#
# --hours alone soaks kills; kills and fuzzing take an hour unless told otherwise. A number right behind --kills or --histories
# is the count. Kills, histories and the exploration are played with the build of tests/run.sh, or that in BLOCKHOST_BUILD.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '[soak %4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[soak] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"
# shellcheck source=tests/needs.sh
. "$tree/tests/needs.sh"

is_number() { [[ ${1:-} =~ ^[0-9]+$ ]]; }

mode=
hours=
count=
first=0
passed_on=()
while [ $# -gt 0 ]; do
    case $1 in
        --fuzz | --explore | --sanitized) mode=${1#--} ;;
        --kills | --histories)
            mode=${1#--}
            if is_number "${2:-}"; then
                count=$2
                shift
            fi
            ;;
        --count | --first)
            is_number "${2:-}" || fail "$1 needs a number"
            if [ "$1" = --first ]; then first=$2; else count=$2; fi
            shift
            ;;
        --hours)
            [[ ${2:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "--hours needs a number"
            hours=$2
            shift
            ;;
        --until-settled) passed_on+=("$1") ;;
        --keep | --only)
            [ $# -ge 2 ] || fail "$1 needs a value"
            passed_on+=("$1" "$2")
            shift
            ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; tests/soak.sh --help tells the options" ;;
    esac
    shift
done

[ -n "$mode" ] || [ -z "$hours" ] || mode=kills
[ -z "$count" ] || [ -z "$hours" ] || fail "--count and --hours do not go together"
[ "$mode" != histories ] || [ -z "$hours" ] || fail "histories are told by --count"
case $mode in explore | sanitized) [ -z "$count$hours" ] || fail "--$mode plays all there is, once" ;; esac
[ "$mode" != fuzz ] || [ -z "$count" ] || fail "fuzzing is told by --hours"

need_build() {
    export BLOCKHOST_BUILD=${BLOCKHOST_BUILD:-$tree/build}
    [ -x "$BLOCKHOST_BUILD/blockhost-libvirt" ] || fail "there is no build yet; tests/run.sh --list makes it"
}

case $mode in
    explore)
        need_build
        export BLOCKHOST_SHARE=1
        exec /usr/bin/python3 -m pytest -q -p no:cacheprovider "$tree/tests/explore/test_explore.py"
        ;;
    sanitized)
        mapfile -t purposes < <(purposes_of unit lifecycle cli)
        need_packages build fuzz "${purposes[@]}"
        say "building with ASan and UBSan"
        with_progress "$(build_log "$tree/build-sanitize")" build_sanitized "$tree" "$tree/build-sanitize"
        exec /usr/bin/python3 "$tree/tests/tools/run_suites.py" --sanitized "$tree/build-sanitize" --thorough "${passed_on[@]}"
        ;;
    fuzz)
        "$tree/tests/fuzz/build.sh"
        exec /usr/bin/python3 "$tree/tests/fuzz/fuzzing.py" --hours "${hours:-1}" "${passed_on[@]}"
        ;;
    histories)
        need_build
        export BLOCKHOST_HISTORIES=${count:-2000} BLOCKHOST_FIRST_SEED=$first
        exec /usr/bin/python3 -m pytest -q -p no:cacheprovider "$tree/tests/explore/test_history.py"
        ;;
    kills)
        need_build
        [ "$(id -u)" -eq 0 ] || fail "kills need root: they make bridges and boot guests"
        if [ -n "$count" ]; then until=(--count "$count"); else until=(--hours "${hours:-1}"); fi
        exec /usr/bin/python3 "$tree/tests/system/kills.py" "${until[@]}" --first "$first"
        ;;
    *) fail "say what to soak; tests/soak.sh --help tells the options" ;;
esac
