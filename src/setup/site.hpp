// SPDX-License-Identifier: MIT
#pragma once
/// Making a host ready for VMs: where the steps of `setup` work. Each step finds everything that speaks
/// against it before it changes anything, and may be repeated. A refused value is a FieldError.

#include "base/field_error.hpp"
#include "base/progress.hpp"
#include "config/config.hpp"
#include "host/interfaces.hpp"
#include "hypervisor/surroundings.hpp"
#include "vm/context.hpp"

namespace blockhost::setup {

/// Where a step works. This is no World, since db.yaml need not exist yet.
struct Site {
    Paths paths;
    Reality reality;
    Progress& progress;

    std::vector<host::Interface> interfaces() const;
    std::unique_ptr<Hypervisor> hypervisor(Access access) const;
    std::unique_ptr<Surroundings> surroundings(Access access) const;
    /// The db.yaml that counts. In the simulated world this is its own one, once a step has written it.
    std::filesystem::path db_yaml() const;
    /// The text of db.yaml; nothing when the file is missing or empty.
    std::optional<std::string> db_text() const;
    /// Where a step writes db.yaml.
    std::filesystem::path db_target() const;
};

/// Throws a FieldError of one field.
[[noreturn]] void refuse(std::string field, std::string message, std::string hint, Code code = Code::invalid);

/// A folder's path without "." and without a slash at its end.
std::filesystem::path plain(const std::filesystem::path& path);

} // namespace blockhost::setup
