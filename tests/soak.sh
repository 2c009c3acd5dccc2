#!/usr/bin/env bash
# What takes hours, apart from tests/run.sh.
#
#   tests/soak.sh --fuzz [--hours N] [--keep FOLDER] [--only TARGET]...
#                       the fuzz targets in turn (docs/reliability.md, "Fuzzing"); an hour unless told otherwise. New
#                       corpus files and findings stay in FOLDER, /var/tmp/blockhost-fuzz
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fail() { printf '[soak] ERROR: %s\n' "$*" >&2; exit 1; }

mode=
hours=1
passed_on=()
while [ $# -gt 0 ]; do
    case $1 in
        --fuzz) mode=fuzz ;;
        --hours)
            [[ ${2:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "--hours needs a number"
            hours=$2
            shift
            ;;
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
    *) fail "say what to soak; tests/soak.sh --help tells the options" ;;
esac
