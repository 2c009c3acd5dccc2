#pragma once
/// The guest of a simulated domain: its agent, and what cloud-init left behind as far as it has come.

#include "hypervisor/simulated/store.hpp"

#include <map>

namespace blockhost::simulated {

/// The agent's end of one connection; it keeps the files that were opened through it.
class Guest {
  public:
    /// One command's reply. Throws Error{guest} with what libvirt would say when there is no agent, it is
    /// silent or it refuses.
    std::string answer(const std::string& command, const DomainFile& domain, const Behaviour& behaviour);

  private:
    std::string open_file(const std::string& path, const DomainFile& domain, const Behaviour& behaviour);
    struct OpenFile {
        std::string content;
        std::size_t position = 0;
    };
    std::map<std::int64_t, OpenFile> files_;
    std::int64_t next_handle_ = 1000;
};

/// Whether the agent has come up since the domain's start.
bool agent_is_up(const DomainFile& domain, const Behaviour& behaviour);

} // namespace blockhost::simulated
