// SPDX-License-Identifier: MIT
#pragma once
/// An agent's folder of the test's own, with a database and a record.

#include "authority/audit.hpp"
#include "authority/tables.hpp"
#include "store/database.hpp"
#include "store/private_folder.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <array>

inline constexpr std::array<std::string_view, 1> agent_migrations{blockhost::authority::tables};

struct AgentFolder {
    TemporaryFolder around;

    blockhost::Folder folder() const {
        return blockhost::store::make_private_folder(std::move(*blockhost::Folder::open(around.path)),
                                                     "agent");
    }
    std::filesystem::path file(const std::string& name) const { return around.path / "agent" / name; }
    blockhost::store::Database database() const {
        return blockhost::store::Database::open(folder(), "agent.db",
                                                {"the agent's database", agent_migrations},
                                                {std::chrono::milliseconds(100)});
    }
    blockhost::authority::Audit audit() const {
        return blockhost::authority::Audit::open(folder(), "audit.jsonl");
    }
};
