// SPDX-License-Identifier: MIT
// The code table and the one error type.
#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace blockhost {

namespace {

constexpr std::array table{
    CodeRow{Code::usage, "usage", 2, false, "the command line is malformed"},
    CodeRow{Code::invalid, "invalid", 3, false, "a value is outside of what is allowed"},
    CodeRow{Code::config, "config", 4, false, "a configuration file is missing, unreadable or wrong"},
    CodeRow{Code::not_found, "not_found", 5, false, "there is no such VM, volume or template"},
    CodeRow{Code::exists, "exists", 6, false, "the name is taken by something of ours"},
    CodeRow{Code::foreign, "foreign", 7, false, "the name is taken by something that is not ours"},
    CodeRow{Code::wrong_state, "wrong_state", 8, false, "the VM's state does not permit this"},
    CodeRow{Code::no_room, "no_room", 9, true, "memory, storage or addresses are exhausted"},
    CodeRow{Code::busy, "busy", 10, true, "another operation holds the VM or the registry"},
    CodeRow{Code::interrupted, "interrupted", 11, true, "stopped by a signal or by another operation's wish"},
    CodeRow{Code::hypervisor_down, "hypervisor_down", 12, true, "libvirt cannot be reached"},
    CodeRow{Code::no_answer, "no_answer", 13, true, "libvirt or the root agent does not answer in time"},
    CodeRow{Code::hypervisor, "hypervisor", 14, false, "libvirt or the root agent refused or failed a call"},
    CodeRow{Code::guest, "guest", 15, true, "the guest agent or cloud-init failed or never answered"},
    CodeRow{Code::registry, "registry", 16, true, "the VM database is torn, locked or cannot be written"},
    CodeRow{Code::io, "io", 17, false, "a file operation failed"},
    CodeRow{Code::denied, "denied", 18, false, "a privilege is missing"},
    CodeRow{Code::clock, "clock", 20, true, "the clock is not to be trusted"},
    CodeRow{Code::program, "program", 21, false, "a program that the work needs is missing or failed"},
    CodeRow{Code::chain, "chain", 22, false,
            "the blockchain's node or a contract refused, or makes no sense"},
    CodeRow{Code::internal, "internal", 19, false, "a broken promise of our own code: please report it"},
};

consteval bool in_order() {
    for (std::size_t i = 0; i < table.size(); ++i)
        if (static_cast<std::size_t>(table[i].code) != i) return false;
    return table.size() == static_cast<std::size_t>(Code::internal) + 1;
}
static_assert(in_order());

std::string_view hint_for(int error_number) {
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return "free some space on that file system";
    case EROFS:
        return "that file system is read-only here (a service's sandbox does this too)";
    case EACCES:
    case EPERM:
        return "run it as the blockhost user or as root";
    default:
        return {};
    }
}

} // namespace

std::span<const CodeRow> error_table() {
    return table;
}

const CodeRow& row_of(Code code) {
    return table[static_cast<std::size_t>(code)];
}

Error::Error(Code code, std::string message, std::string hint)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)),
      what_(hint_.empty() ? message_ : message_ + "; " + hint_) {}

Error Error::within(std::string_view context) const {
    return Error(code_, std::string(context) + ": " + message_, hint_);
}

Error errno_error(std::string_view what, std::string_view path, int error_number) {
    std::array<char, 256> buffer{};
    const char* words = strerror_r(error_number, buffer.data(), buffer.size()); // GNU's version: never null
    return Error(Code::io, std::string(what) + " " + std::string(path) + ": " + words,
                 std::string(hint_for(error_number)));
}

} // namespace blockhost
