// SPDX-License-Identifier: MIT
#pragma once
/// Writes to systemd's journal on its own socket: a line of talk with fields beside it
/// (systemd.journal-fields(7), and "Native Journal Protocol" in systemd's documentation).

#include "base/files/files.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blockhost::cli {

inline constexpr std::string_view journal_socket = "/run/systemd/journal/socket";

/// The levels of syslog(3).
enum class Priority { error = 3, warning = 4, notice = 5, debug = 7 };

class JournalLog {
  public:
    using Fields = std::vector<std::pair<std::string_view, std::string>>;

    /// `identifier` is what journalctl shows before the line.
    JournalLog(std::string identifier, std::string_view socket = journal_socket);
    /// A log when `fd` is the stream to the journal that JOURNAL_STREAM names (systemd.exec(5)); otherwise
    /// nothing.
    static std::unique_ptr<JournalLog> behind(int fd, std::string identifier,
                                              std::string_view socket = journal_socket);

    /// Adds a field to every line from now on; an empty value removes it.
    void set(std::string_view field, std::string value);
    /// Whether the journal took the line: false when there is no journal, or the line is too long for it.
    /// Waits for a second at most. A journal that failed is not asked again.
    bool send(Priority priority, std::string_view message, const Fields& more = {});

  private:
    Fields fields_;
    std::string socket_path_;
    Fd socket_;
};

/// A field as the journal reads it.
std::string journal_field(std::string_view field, std::string_view value);

} // namespace blockhost::cli
