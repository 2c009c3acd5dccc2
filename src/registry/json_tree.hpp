// SPDX-License-Identifier: MIT
#pragma once
/// A JSON document that can be written back as it was read: the spelling of each number, string and key, the
/// key order and duplicate keys are kept. It accepts what Python's json.load accepts (NaN, Infinity,
/// -Infinity, lone surrogates, numbers of any size, 995 levels), and refuses what that refuses (a BOM,
/// invalid UTF-8, control characters in strings, integers of more than 4300 digits).
///
/// The parser is the project's own. boost::json::basic_parser passes strings on decoded and without their
/// position, and refuses NaN, Infinity, lone surrogates and exponents beyond an int. So everything but commas
/// and brackets would have to be scanned before it could run.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blockhost {

/// One value with everything below it. Copies are deep. What lies below the members of the root's members
/// stays text until it is looked into, and unchanged text is written as a whole: one change to a database of
/// thousands of records touches one record. Therefore two threads must not look into one tree at once.
class JsonTree {
  public:
    enum class Kind { null, boolean, number, string, array, object };
    /// The key as decoded UTF-8 (a lone surrogate as its three bytes, which no valid text equals), and its
    /// value.
    using Member = std::pair<std::string, JsonTree>;

    JsonTree(); ///< null
    JsonTree(const JsonTree& other);
    JsonTree(JsonTree&& other) noexcept;
    JsonTree& operator=(const JsonTree& other);
    JsonTree& operator=(JsonTree&& other) noexcept;
    ~JsonTree();

    static JsonTree null();
    static JsonTree boolean(bool value);
    static JsonTree number(std::int64_t value);
    /// Written ASCII-escaped, like Python's ensure_ascii; bytes that are not UTF-8 become U+FFFD.
    static JsonTree string(std::string_view utf8);
    static JsonTree array();
    static JsonTree object();

    /// Checks the whole text. Throws Error{registry} "not valid JSON (line L, column C: <what>)", also for
    /// empty text and for text behind the document.
    static JsonTree parse(std::string text);
    /// Written like Python's json.dump(indent=2, ensure_ascii=True): two blanks per level, "[]" and "{}" for
    /// empty values, ": ", no final newline. What was parsed keeps its own spelling.
    std::string write() const;
    /// The text that it was parsed from, if write() would return exactly that; else empty. Valid as long as
    /// this tree lives.
    std::string_view as_read() const;

    Kind kind() const { return kind_; }
    bool is_object() const { return kind_ == Kind::object; }
    bool is_array() const { return kind_ == Kind::array; }

    /// A string's value as UTF-8 (lone surrogates become U+FFFD); nothing for other kinds.
    std::optional<std::string> as_string() const;
    std::optional<std::int64_t> as_int() const; ///< an integer that fits; nothing otherwise
    std::optional<bool> as_bool() const;

    /// A member's value; null when absent or when this is not an object. Of duplicate keys the last counts,
    /// like in Python. Constant time in large objects. Valid until a member is added or erased.
    const JsonTree* get(std::string_view key) const;
    JsonTree* get(std::string_view key);
    /// A copy of a member's value, like get(). In an object that was not looked into yet it is found in the
    /// text, which is quicker for one or two members.
    std::optional<JsonTree> peek(std::string_view key) const;
    /// The values of these members like as_string(), "" for an absent member or one that is not a string. One
    /// pass over an object that was not looked into yet.
    template<std::size_t count>
    std::array<std::string, count> texts(const std::array<std::string_view, count>& keys) const {
        std::array<std::string, count> found;
        read_texts(keys, found);
        return found;
    }
    /// Replaces the member's value in its place (of duplicates the one that counts), or appends the member.
    /// Objects only.
    JsonTree& set(std::string_view key, JsonTree value);
    /// Removes the member and its duplicates; true when there was one.
    bool erase(std::string_view key);
    /// In file order, duplicates included; empty when this is not an object.
    const std::vector<Member>& members() const;

    std::vector<JsonTree>& items(); ///< arrays only
    /// Empty when this is not an array.
    const std::vector<JsonTree>& items() const;

  private:
    friend class JsonTreeParser;
    struct Children;
    struct Raw;

    JsonTree(Kind kind, std::string text);
    JsonTree(Kind kind, Raw raw);
    const Children& children() const; ///< parsed from the text at the first call
    Children& changing();             ///< drops the text, which no longer matches
    std::optional<std::size_t> position(std::string_view key) const;
    void read_texts(std::span<const std::string_view> keys, std::span<std::string> found) const;
    void write_to(std::string& out, std::size_t level) const;
    std::size_t likely_size() const;

    Kind kind_ = Kind::null;
    std::string text_; ///< scalars: the spelling; of a string, without the quotes
    // Arrays and objects have one or both: the text until changed, the children once looked into.
    std::unique_ptr<Raw> raw_;
    mutable std::unique_ptr<Children> children_;
};

} // namespace blockhost
