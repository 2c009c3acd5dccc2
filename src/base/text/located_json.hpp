// SPDX-License-Identifier: MIT
#pragma once
/// JSON that remembers where everything in it stands, for documents that people write: what is wrong with a
/// value is told with its line and column.

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::json {

/// How much a document may hold.
struct Bounds {
    std::size_t bytes = 4 << 20;
    std::size_t depth = 32; ///< of lists and objects within each other
    std::size_t values = 250'000;
};

struct LocatedMember;

/// One value with everything below it, in the document's order.
struct Located {
    enum class Kind { null, boolean, number, text, list, object };
    Kind kind = Kind::null;
    std::size_t at = 0;        ///< the byte of the document at which it begins
    boost::json::value scalar; ///< of a boolean, a number or a text; else null
    std::vector<Located> items;
    std::vector<LocatedMember> members; ///< no key stands twice

    /// Null when there is none.
    const LocatedMember* member(std::string_view key) const;
};

struct LocatedMember {
    std::string key;
    std::size_t at = 0; ///< of the key
    Located value;
};

/// A whole document. Cannot be empty.
class LocatedJson {
  public:
    /// `name` is how messages call the document: a file's path. Throws Error{config}
    /// "NAME:LINE:COLUMN: <what>" for what is no JSON, for a key that stands twice in one object, and for
    /// what exceeds the bounds.
    static LocatedJson parse(std::string_view text, std::string name, const Bounds& bounds = {});

    const Located& root() const { return root_; }
    const std::string& name() const { return name_; }
    /// "NAME:LINE:COLUMN" of the byte at `at`; both counted from 1, columns in bytes.
    std::string place(std::size_t at) const;

  private:
    LocatedJson(std::string_view text, std::string name);

    std::string name_;
    std::vector<std::size_t> lines_; ///< where each begins
    Located root_;
};

} // namespace blockhost::json
