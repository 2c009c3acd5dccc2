// SPDX-License-Identifier: MIT
#pragma once
/// The guest of a simulated domain: its agent, what cloud-init left behind as far as it has come, and its
/// user database.

#include "hypervisor/simulated/shell.hpp"
#include "hypervisor/simulated/store.hpp"

#include <boost/json/object.hpp>
#include <map>

namespace blockhost::simulated {

/// A command for a domain's guest, and how that guest is at the moment.
struct Question {
    const std::string& name; ///< the domain's
    const std::string& command;
    const DomainFile& domain;
    const Behaviour& behaviour;
    const Store& store;
};

/// The agent's end of one connection; it keeps the files that were opened and made, and the programs that
/// were started, through it.
class Guest {
  public:
    /// One command's reply. Throws Error{guest} with what libvirt would say when there is no agent, it is
    /// silent or it refuses.
    std::string answer(const Question& question);

  private:
    struct OpenFile {
        std::string path, content;
        std::size_t position = 0;
        bool writing = false;
    };
    struct Started {
        Ended ended;
        Millis over = 0; ///< when
    };
    std::string open_file(const Question& question, const boost::json::object& arguments);
    std::string with_file(const std::string& command, OpenFile& file, const boost::json::object& arguments);
    std::string start(const Question& question, const boost::json::object& arguments);
    static std::string freezing(const Question& question, const std::string& name);
    std::string status(const boost::json::object& arguments);

    std::map<std::int64_t, OpenFile> files_;
    std::map<std::int64_t, Started> started_;
    Files made_;
    std::int64_t next_number_ = 1000; ///< of a handle or a program
    std::int64_t usermods_ = 0;
};

/// Whether the agent has come up since the domain's start.
bool agent_is_up(const DomainFile& domain, const Behaviour& behaviour);

} // namespace blockhost::simulated
