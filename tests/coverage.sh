#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tells which share of the lines the suites reach, by folder: builds in build-coverage, counts, and prints a table. It is no
# verdict on a change (that is tests/run.sh's): the counting build is slow, and what it cannot count is said on stderr, which a few
# tests read.
#
#   tests/coverage.sh [SUITE]...   of these suites, by name or kind as tests/run.sh --only takes them; unit, lifecycle, cli and
#                                  image without one. Processes that are killed or that run in another root are not counted
#   tests/coverage.sh --lines      also each file's lines that nothing reached, in build-coverage/lines.txt
#
# Needs root, as tests/run.sh does. What was counted before is forgotten at the beginning.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '[coverage %4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[coverage] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"
# shellcheck source=tests/needs.sh
. "$tree/tests/needs.sh"

build=$tree/build-coverage
lines=
suites=()
while [ $# -gt 0 ]; do
    case $1 in
        --lines) lines=yes ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) fail "unknown option $1; tests/coverage.sh --help tells the options" ;;
        *) suites+=("$1") ;;
    esac
    shift
done
[ ${#suites[@]} -gt 0 ] || suites=(unit lifecycle cli image)

mapfile -t kinds < <(kinds_of "${suites[@]}")
mapfile -t purposes < <(purposes_of "${kinds[@]}")
need_packages build coverage "${purposes[@]}"
mapfile -t targets < <(targets_of "${suites[@]}")
say "building, counting"
with_progress "$(build_log "$build")" build_tree "$tree" "$build" -Db_coverage=true -Doptimization=0 -Dtests=true \
    -- "${targets[@]}"
find "$build" -name '*.gcda' -delete
if need_it libvirt "${kinds[@]}"; then start_libvirt; fi
say "suites"
/usr/bin/python3 "$tree/tests/tools/run_suites.py" --build "$build" "${suites[@]/#/--only=}" >&2 ||
    say "some tests failed; the figures tell what was reached all the same"

say "figures"
counted() { gcovr --root "$tree" --filter "$tree/(src|subcommands|hooks)/" --gcov-ignore-parse-errors "$build" "$@"; }
[ -z "$lines" ] || counted --txt "$build/lines.txt"
counted --csv - | awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
        folder = $column["filename"]; sub("/[^/]*$", "", folder)
        all[folder] += $column["line_total"]; hit[folder] += $column["line_covered"]
        all["all"] += $column["line_total"]; hit["all"] += $column["line_covered"]
    }
    END { for (f in all) printf "%-32s %6d lines, %6d reached, %5.1f %%\n", f, all[f], hit[f], all[f] ? 100 * hit[f] / all[f] : 0 }' |
    sort
