// SPDX-License-Identifier: MIT
#pragma once
/// How operations report to a person. The printer on the cli floor writes to stderr.

#include <string_view>

namespace blockhost {

class Progress {
  public:
    virtual ~Progress() = default;
    /// A stage begins: one line per stage; on a terminal, a live line that the next stage erases.
    virtual void stage(std::string_view text) = 0;
    /// A message that stays readable: always its own line.
    virtual void say(std::string_view text) = 0;
    /// A detail within the stage; shown live on a terminal, dropped elsewhere.
    virtual void detail(std::string_view text) = 0;
    /// Like say, for something that is wrong.
    virtual void warn(std::string_view text) = 0;
};

/// Says nothing.
class Silence : public Progress {
  public:
    void stage(std::string_view) override {}
    void say(std::string_view) override {}
    void detail(std::string_view) override {}
    void warn(std::string_view) override {}
};

} // namespace blockhost
