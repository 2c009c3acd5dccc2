#!/usr/bin/env bash
# What takes hours, apart from tests/run.sh.
#
#   tests/soak.sh --fuzz [--hours N] [--keep FOLDER] [--only TARGET]... [--until-settled]
#                       the fuzz targets in turn (docs/reliability.md, "Fuzzing"); an hour unless told otherwise, less
#                       when every target has settled. New corpus files and findings stay in FOLDER,
#                       /var/tmp/blockhost-fuzz
#   tests/soak.sh --histories N [--first SEED]
#                       so many random histories (docs/reliability.md, "Histories") in the build of tests/run.sh
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fail() { printf '[soak] ERROR: %s\n' "$*" >&2; exit 1; }

mode=
hours=1
passed_on=()
while [ $# -gt 0 ]; do
    case $1 in
        --fuzz) mode=fuzz ;;
        --histories | --first)
            [[ ${2:-} =~ ^[0-9]+$ ]] || fail "$1 needs a number"
            if [ "$1" = --first ]; then export BLOCKHOST_FIRST_HISTORY=$2; else mode=histories BLOCKHOST_HISTORIES=$2; fi
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
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; tests/soak.sh --help tells the options" ;;
    esac
    shift
done

case $mode in
    fuzz)
        "$tree/tests/fuzz/build.sh"
        exec /usr/bin/python3 "$tree/tests/fuzz/fuzzing.py" --hours "$hours" "${passed_on[@]}"
        ;;
    histories)
        [ -x "$tree/build/blockhost-libvirt" ] || fail "there is no build yet; tests/run.sh --list makes it"
        export BLOCKHOST_HISTORIES
        exec /usr/bin/python3 -m pytest -q -p no:cacheprovider "$tree/tests/explore/test_history.py"
        ;;
    *) fail "say what to soak; tests/soak.sh --help tells the options" ;;
esac
