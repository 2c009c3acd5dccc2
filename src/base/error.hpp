// SPDX-License-Identifier: MIT
#pragma once
/// The one error type, and the one table that tells what each code means to a caller.

#include <exception>
#include <span>
#include <string>
#include <string_view>

namespace blockhost {

/// Why something was refused or failed. Each code has one row in error_table().
enum class Code {
    usage,           ///< malformed command line
    invalid,         ///< a value outside the allowed range
    config,          ///< a configuration file is missing, unreadable or wrong
    not_found,       ///< no such VM, volume, template …
    exists,          ///< the name is taken by something of this instance
    foreign,         ///< the name is taken by something that is not this instance's
    wrong_state,     ///< the VM's state does not permit this verb
    no_room,         ///< memory, pool or addresses exhausted (admission)
    busy,            ///< another operation holds the VM or the registry
    interrupted,     ///< a signal, or another operation asked this one to give up
    hypervisor_down, ///< libvirt cannot be reached (refused, no socket, no driver module)
    no_answer,       ///< libvirt or the root agent was reached but does not answer in time
    hypervisor,      ///< libvirt refused or failed a call
    guest,           ///< the guest agent or cloud-init failed or never answered
    registry,        ///< the VM database is torn, locked or cannot be written
    io,              ///< a file operation failed
    denied,          ///< missing privilege
    clock,           ///< the clock cannot be trusted
    program,         ///< an outside program is missing or failed
    chain,           ///< the blockchain's node or a contract refused, or its answer makes no sense
    internal,        ///< a bug in this program
};

/// One row of the code table. `retry` tells whether the same call may succeed later without any change.
struct CodeRow {
    Code code;
    std::string_view name; ///< stable, used in JSON documents
    int exit_status;       ///< of admin verbs; each contract verb has the exit status of its own contract
    bool retry;
    std::string_view help; ///< one line
};

/// Every code once, in the order of the enumeration.
std::span<const CodeRow> error_table();
const CodeRow& row_of(Code code);

/// Thrown at the place of the failure, given context on the way up, printed once in main.
/// `message` is one clear sentence without a final full stop; `hint` says what to do about it (may be empty).
class Error : public std::exception {
  public:
    Error(Code code, std::string message, std::string hint = {});

    Code code() const noexcept { return code_; }
    const std::string& message() const noexcept { return message_; }
    const std::string& hint() const noexcept { return hint_; }
    /// `message` alone when there is no hint, else "message; hint".
    const char* what() const noexcept override { return what_.c_str(); }

    /// The same error with "`context`: " before its message.
    Error within(std::string_view context) const;

  private:
    Code code_;
    std::string message_, hint_, what_;
};

/// An Error{Code::io} for `error_number`: "`what` `path`: <strerror>". ENOSPC, EDQUOT, EROFS, EACCES and
/// EPERM get a hint.
Error errno_error(std::string_view what, std::string_view path, int error_number);

} // namespace blockhost
