#pragma once
/// Where work tells a person what it is doing. The printer on the cli floor implements it on stderr.

#include <string_view>

namespace blockhost {

class Talk {
  public:
    virtual ~Talk() = default;
    /// A stage begins: one line a stage, or a live line on a terminal.
    virtual void stage(std::string_view text) = 0;
    /// Something within the stage; shown live on a terminal, dropped elsewhere.
    virtual void detail(std::string_view text) = 0;
    /// Something a person must see; always its own line.
    virtual void warn(std::string_view text) = 0;
};

/// Says nothing.
class Silence : public Talk {
  public:
    void stage(std::string_view) override {}
    void detail(std::string_view) override {}
    void warn(std::string_view) override {}
};

} // namespace blockhost
