// SPDX-License-Identifier: MIT
#pragma once
/// A folder as a hub: a directory, a mounted share, a git checkout. docs/hub.md says what lies in it.

#include "base/files/files.hpp"
#include "hub/transport.hpp"

namespace blockhost::hub {

/// What is in a host's folder.
namespace folder {
inline constexpr const char *desired = "desired.json", *blocked = "blocked", *signed_operations = "signed";
inline constexpr const char *report = "report.json", *reports = "reports", *kept = "acknowledged.json";
} // namespace folder

class FolderHub : public Transport {
  public:
    /// `around` holds a folder for each host; this host sees its own alone.
    FolderHub(std::filesystem::path around, std::string host);

    std::string name() const override { return place_.string(); }
    Answer exchange(const Outgoing& report) override;
    std::string desired() override;
    std::vector<std::string> signed_operations() override;

  private:
    /// Which file it was, so that one that stayed is not read again.
    struct Stamp {
        std::uint64_t device = 0, inode = 0;
        std::int64_t size = -1, seconds = 0, nanoseconds = 0;
        bool operator==(const Stamp&) const = default;
    };
    struct Kept {
        std::int64_t acknowledged = 0;
        std::string audit;
        bool operator==(const Kept&) const = default;
    };
    Folder own() const;
    Kept kept_in(const Folder& place) const;
    void write(const Folder& place, const Outgoing& report) const;
    void announce(const Folder& place, Answer& answer);
    void mark(const Folder& place, Answer& answer) const;
    std::vector<std::string> signed_in(const Folder& place) const;

    std::filesystem::path around_, place_;
    std::string host_;
    Stamp stamp_;
    std::optional<Announced> announced_;
};

} // namespace blockhost::hub
