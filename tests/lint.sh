#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How files look and what is not written: clang-format 14, clang-tidy 14 (.clang-tidy, every warning is an error) and shellcheck.
# Exit status 1 when something was found.
#
#   tests/lint.sh                what changed since the merge base with main, or since the commit before where that is HEAD
#   tests/lint.sh --base COMMIT  what changed since then
#   tests/lint.sh --all          every file; clang-tidy takes hours for that
#   tests/lint.sh --format       clang-format and shellcheck alone, of the same files
#   tests/lint.sh --most N       leaves clang-tidy out, and says so, where more than N of its files changed
#   tests/lint.sh --fix          also writes what clang-format would have written
#
# Files that are not committed yet count as changed. clang-tidy tells of lines that changed alone, in the program's sources and, of
# a header that changed, in the source of its name; not in tests. It needs the compile commands of build/, which BLOCKHOST_BUILD may name elsewhere; a
# folder that is not configured yet is. As root it installs what is missing; anybody else is told.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '[lint %4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[lint] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

build=${BLOCKHOST_BUILD:-$tree/build}
base=
all=
tidy=yes
most=
fix=
while [ $# -gt 0 ]; do
    case $1 in
        --base)
            [ $# -ge 2 ] || fail "--base needs a commit"
            base=$2
            shift
            ;;
        --most)
            [[ ${2:-} =~ ^[0-9]+$ ]] || fail "--most needs a number"
            most=$2
            shift
            ;;
        --all) all=yes ;;
        --format) tidy= ;;
        --fix) fix=yes ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "unknown option $1; tests/lint.sh --help tells the options" ;;
    esac
    shift
done

# The clone may be another user's.
in_git() { git -c safe.directory='*' -C "$tree" "$@"; }

default_base() {
    local found
    for name in main origin/main; do
        found=$(in_git merge-base "$name" HEAD 2>/dev/null) || continue
        [ "$found" = "$(in_git rev-parse HEAD)" ] || { printf '%s\n' "$found"; return; }
    done
    in_git rev-parse --verify --quiet HEAD~1 || printf '%s\n' HEAD # a clone of one commit has nothing before it
}

# The files to look at, those that are still there.
chosen() {
    local path
    if [ -n "$all" ]; then in_git ls-files
    else
        in_git diff --name-only "$base"
        in_git ls-files --others --exclude-standard
    fi | sort -u | while read -r path; do [ ! -f "$tree/$path" ] || printf '%s\n' "$path"; done
}

# clang-tidy's filter: of the sources named on stdin the lines that are new since the base, all of those that git does not know.
changed_lines() {
    local path
    while read -r path; do
        if in_git ls-files --error-unmatch -- "$path" >/dev/null 2>&1; then
            in_git diff -U0 --no-prefix "$base" -- "$path" |
                sed -nE 's/^@@ -[^ ]+ \+([0-9]+)(,([0-9]+))? @@.*/\1 \3/p' | while read -r first count; do
                    [ "${count:=1}" -eq 0 ] || printf '{"name": "%s", "lines": [[%d, %d]]}\n' "$path" "$first" "$((first + count - 1))"
                done
        else printf '{"name": "%s"}\n' "$path"
        fi
    done | paste -sd, | sed 's/.*/[&]/'
}

is_shell() { case $1 in *.sh) ;; *.*) return 1 ;; *) head -n 1 "$1" | grep -qaE '^#!.*\b(bash|sh)\b' ;; esac }

if [ "$(id -u)" -eq 0 ]; then
    need_packages build lint
else
    missing=$(missing_packages build lint | paste -sd' ')
    [ -z "$missing" ] || fail "packages are missing; as root: apt-get install $missing"
fi
in_git rev-parse --git-dir >/dev/null 2>&1 || fail "what changed is asked of git, and this is no clone"
[ -n "$all$base" ] || base=$(default_base)
cd "$tree"

sources=()
shells=()
while read -r path; do
    case $path in
        *.cpp | *.hpp) sources+=("$path") ;;
        *) ! is_shell "$path" || shells+=("$path") ;;
    esac
done < <(chosen)

# Sources with compile commands: those that changed, and those of headers that did.
[ -z "$tidy" ] || [ -e "$build/compile_commands.json" ] ||
    meson setup "$build" "$tree" -Dwerror=true -Dtests=true -Dcpp_args=-g1 >/dev/null
tidied=()
for path in "${sources[@]}"; do
    path=${path%.?pp}.cpp
    case $path in tests/*) continue ;; esac
    ! grep -qF "/$path\"" "$build/compile_commands.json" 2>/dev/null || tidied+=("$path")
done
if [ ${#tidied[@]} -gt 0 ]; then mapfile -t tidied < <(printf '%s\n' "${tidied[@]}" | sort -u); fi
if [ -n "$most" ] && [ ${#tidied[@]} -gt "$most" ]; then
    say "clang-tidy is left out: ${#tidied[@]} sources changed, more than $most"
    tidied=()
fi

found=
if [ ${#sources[@]} -gt 0 ]; then
    say "clang-format: ${#sources[@]} files"
    [ -z "$fix" ] || clang-format-14 -i "${sources[@]}"
    clang-format-14 --dry-run --Werror "${sources[@]}" || found=yes
fi
if [ ${#shells[@]} -gt 0 ]; then
    say "shellcheck: ${#shells[@]} files"
    shellcheck --external-sources --severity=warning "${shells[@]}" || found=yes
fi
if [ -n "$tidy" ] && [ ${#tidied[@]} -gt 0 ]; then
    say "clang-tidy: ${#tidied[@]} files"
    filter=()
    [ -n "$all" ] || filter=("--line-filter=$(printf '%s\n' "${sources[@]}" | changed_lines)")
    printf '%s\n' "${tidied[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy-14 -p "$build" --quiet "${filter[@]}" 2>&1 |
        sed '/warnings\? generated\.$/d; /warnings treated as errors$/d' || found=yes
fi
[ -z "$found" ] || fail "see above; tests/lint.sh --fix formats"
say "nothing found in $((${#sources[@]} + ${#shells[@]})) files${base:+ changed since ${base:0:12}}"
