// SPDX-License-Identifier: MIT
#pragma once
/// Reads the members of a located document by their types, and gathers everything that is wrong.

#include "base/field_error.hpp"
#include "base/text/located_json.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::json {

/// What was found wrong or doubtful in one document, in the order in which it was found.
class Findings {
  public:
    /// `document` must outlive this object.
    explicit Findings(const LocatedJson& document) : document_(document) {}

    /// `field` is the way to the value ("guests.web-001.cpus"); it begins the sentence: "cpus" and "is …".
    void refuse(std::size_t at, const std::string& field, std::string_view what, std::string hint);
    /// A sentence about something that is let pass; of a flood of them the first hundred are kept.
    void warn(std::size_t at, const std::string& field, std::string_view what);

    bool any_refused() const { return !refused_.empty(); }
    /// Throws FieldError{config} with the first ten refusals when there is any; how many more there are is
    /// told.
    void throw_if_refused() const;
    const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    std::string sentence(std::size_t at, const std::string& field, std::string_view what) const;

    const LocatedJson& document_;
    std::vector<BadField> refused_;
    std::size_t refusals_ = 0, warned_ = 0;
    std::vector<std::string> warnings_;
};

/// The members of one object. A member is absent where nothing is returned; one of another type, or outside
/// of what is allowed, is refused and counts as absent.
class Members {
  public:
    /// `path` names the object, "" the document itself. What is no object is refused, and has no members.
    /// `findings` and `value` must outlive this object.
    Members(Findings& findings, const Located& value, std::string path);

    std::optional<std::string> text(std::string_view key, std::size_t longest);
    std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);
    std::optional<bool> boolean(std::string_view key);
    /// The place of the text among `allowed`.
    std::optional<std::size_t> choice(std::string_view key, std::span<const std::string_view> allowed);
    std::optional<std::vector<std::string>> texts(std::string_view key, std::size_t longest);
    std::optional<Members> object(std::string_view key);

    bool has(std::string_view key) const { return value_.member(key) != nullptr; }
    /// In the document's order; they count as read.
    const std::vector<LocatedMember>& all();
    /// Refuses the value of `key`, which is there, or the object itself where `key` is empty or not there.
    void refuse(std::string_view key, std::string_view what, std::string hint) const;
    void require(std::string_view key, std::string hint) const;
    /// Warns of each member that was not read.
    void warn_of_unread() const;

    std::string way_to(std::string_view key) const;
    std::size_t at() const { return value_.at; }

  private:
    const Located* read(std::string_view key);
    const Located* read(std::string_view key, Located::Kind kind, std::string_view expected);
    void refuse_found(const Located& found, const std::string& field, std::string_view expected) const;

    Findings& findings_;
    const Located& value_;
    std::string path_;
    std::vector<std::string_view> read_; ///< keys that were asked for
    bool all_read_ = false;
};

} // namespace blockhost::json
