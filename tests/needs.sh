# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What each kind of suite needs, here alone: packages by their purposes (packaging/lib.sh), and ninja's targets. A kind is a
# suite's name in meson's list of tests, or a folder below tests/. The compiler and the libraries (build) are needed by all.
# tests/structure/test_programs.py compares this with what the suites call.

suite_needs='
# kind    | purposes of packages                                        | targets
unit      | catch pytest shells disks network login schemas backup      | unit-programs
lifecycle | catch pytest disks                                          | product tests/lifecycle/lifecycle-tests
libvirt   | catch libvirt                                               | tests/conformance/conformance hypervisor-libvirt.so
agent     | pytest json-schema login trace                              | product
cli       | pytest libvirt shells trace disks login                     | product tests/unit/execution/execution-call
adversary | pytest random login                                         | tests/unit/agent/agent-call
backup    | pytest backup template trace                                | product
explore   | pytest random trace                                         | product
fuzz      | pytest fuzz                                                 | product
http      | pytest                                                      | product tests/unit/http/http-fetch
hub       | pytest json-schema login trace etcd network                 | product tests/unit/hub/hub-call
image     | pytest template                                             | product
lint      | pytest lint                                                 | build.ninja
mint      | pytest chain trace                                          | product tests/unit/chain/chain-tool
package   | pytest package deb libvirt template quick-guest lint        | product
plugin    | pytest browser                                              | product
platform  | pytest                                                      | product tests/unit/platform/platform-call
pve       | pytest login                                                | product tests/unit/platform/platform-call
structure | *                                                           | product tests/unit/guest/print-cloud-init
system    | pytest libvirt disks network quick-guest template login backup | product tests/unit/platform/platform-call
tools     | pytest tools                                                | build.ninja
'

# Rows of kinds: "KIND | PURPOSES | TARGETS", without the table's spaces.
need_rows() { sed '/^#/d; /^$/d; s/ *| */|/g; s/ *$//' <<<"$suite_needs"; }

known_kinds() { need_rows | cut -d'|' -f1; }

# kinds_of [SUITE]...: of suites by name, kind or the beginning of a name, as tests/tools/run_suites.py takes them; all without.
kinds_of() {
    local suite name
    [ $# -gt 0 ] || { known_kinds; return; }
    for suite; do
        name=${suite#sanitize:}
        name=${name#tests/}
        case $name in
            unit-* | conformance-simulated | conformance-test-driver) echo unit ;;
            conformance-qemu | conformance-rpc) echo libvirt ;;
            conformance*) printf '%s\n' unit libvirt ;;
            *) known_kinds | grep -xF -- "$name" || known_kinds ;;
        esac
    done | sort -u
}

# purposes_of KIND...: of packages.
purposes_of() {
    local kind purposes _
    for kind; do
        IFS='|' read -r _ purposes _ < <(need_rows | grep "^$kind|")
        if [ "$purposes" = '*' ]; then purposes=$(need_rows | cut -d'|' -f2 | grep -vxF '*'; echo fresh); fi
        tr ' ' '\n' <<<"$purposes"
    done | sort -u
}

# need_it PURPOSE KIND...: whether one of these kinds has that purpose.
need_it() {
    local kind
    for kind in "${@:2}"; do
        ! need_rows | grep "^$kind|" | cut -d'|' -f2 | tr ' ' '\n' | grep -qxF -- "$1" || return 0
    done
    return 1
}

# targets_of SUITE...: one program alone where a suite is named that is one.
targets_of() {
    local tests suite found kind
    tests=$(dirname "${BASH_SOURCE[0]}")
    for suite; do
        suite=${suite#sanitize:}
        found=$(cd "$tests" && grep -lF "'$suite'" unit/*/meson.build) || found=
        case $suite:$found in
            unit-hypervisor-load:*) echo "tests/${found%/*}/$suite hypervisor-libvirt.so" ;;
            unit-*:*/meson.build) echo "tests/${found%/*}/$suite" ;;
            conformance-simulated:) echo tests/conformance/conformance ;;
            *) for kind in $(kinds_of "$suite"); do need_rows | grep "^$kind|" | cut -d'|' -f3; done ;;
        esac
    done | tr ' ' '\n' | sed '/^$/d' | sort -u
}
