// SPDX-License-Identifier: MIT
#pragma once
/// What can be the matter with a database, and how long it is waited for.

#include "base/error.hpp"

#include <chrono>
#include <functional>

namespace blockhost::store {

/// How long a lock of another process is waited for. `check` is called at least every 100 ms of a wait; what
/// it throws is passed on.
struct Waiting {
    std::chrono::milliseconds patience{10'000};
    std::function<void()> check = {};
};

/// What is the matter with a database.
enum class Trouble {
    locked,    ///< another process holds it; the message says which
    full,      ///< no room on its file system
    read_only, ///< it may be read, and not written
    corrupt,   ///< its file is damaged, or is no database
    newer,     ///< a later version of this program wrote it
    foreign,   ///< it is another program's
    failed,    ///< anything else
};

class StoreError : public Error {
  public:
    StoreError(Trouble trouble, Code code, std::string message, std::string hint)
        : Error(code, std::move(message), std::move(hint)), trouble_(trouble) {}
    Trouble trouble() const { return trouble_; }

  private:
    Trouble trouble_;
};

} // namespace blockhost::store
