#pragma once
/// A JSON document that can be written back as it was read: each number's, string's and key's own spelling,
/// key order and duplicate keys are kept. What Python's json.load reads, this reads (NaN, Infinity,
/// -Infinity, lone surrogates, numbers of any size, 995 levels); what it refuses, this refuses (a BOM,
/// invalid UTF-8, control characters in strings, integers of more than 4300 digits).
///
/// The parser is our own: boost::json::basic_parser hands strings over already decoded and without their
/// place in the text, and refuses NaN, Infinity, lone surrogates and exponents beyond an int, so everything
/// but commas and brackets would have to be scanned here before it could run.

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

/// One value with everything below it. Copies are deep. What is below the members of the root's members stays
/// text until somebody looks into it, and text that nobody changed is written as a whole: of a database with
/// thousands of records one change touches one. So looking into one tree from two threads at once is not
/// safe.
class JsonTree {
  public:
    enum class Kind { null, boolean, number, string, array, object };
    /// The key as decoded UTF-8 (a lone surrogate as its three bytes, which no valid text equals) and its
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
    /// Written ASCII-escaped, as Python's ensure_ascii does; bytes that are not UTF-8 become U+FFFD.
    static JsonTree string(std::string_view utf8);
    static JsonTree array();
    static JsonTree object();

    /// Throws Error{registry} "not valid JSON (line L, column C: <what>)"; also for empty text and trailing
    /// text. The whole text is checked.
    static JsonTree parse(std::string text);
    /// Python's json.dump(indent=2, ensure_ascii=True): two blanks a level, "[]" and "{}" for empties, ": ",
    /// no final newline. What was parsed keeps its own spelling.
    std::string write() const;
    /// The text that it was read from, where write() would give just that, and as long as this lives; else
    /// empty.
    std::string_view as_read() const;

    Kind kind() const { return kind_; }
    bool is_object() const { return kind_ == Kind::object; }
    bool is_array() const { return kind_ == Kind::array; }

    /// A string's value as UTF-8 (lone surrogates become U+FFFD); nothing when not a string.
    std::optional<std::string> as_string() const;
    std::optional<std::int64_t> as_int() const; ///< an integer that fits; nothing otherwise
    std::optional<bool> as_bool() const;

    /// A member's value; null pointer when absent or this is no object. Of duplicate keys the last counts, as
    /// in Python. Constant time in large objects. The pointer holds until a member is added or erased.
    const JsonTree* get(std::string_view key) const;
    JsonTree* get(std::string_view key);
    /// A copy of a member's value, as get(); of an object that nobody has looked into it is found in the
    /// text, which is quicker for a member or two.
    std::optional<JsonTree> peek(std::string_view key) const;
    /// The values of those members as as_string() has them, "" where there is none: one pass over an object
    /// that nobody has looked into.
    template<std::size_t count>
    std::array<std::string, count> texts(const std::array<std::string_view, count>& keys) const {
        std::array<std::string, count> found;
        read_texts(keys, found);
        return found;
    }
    /// Replaces the member's value in its place (of duplicates the one that counts), or appends it. Objects
    /// only.
    JsonTree& set(std::string_view key, JsonTree value);
    /// Removes the member and its duplicates; true when there was one.
    bool erase(std::string_view key);
    /// In file order, duplicates included; empty when this is no object.
    const std::vector<Member>& members() const;

    std::vector<JsonTree>& items(); ///< arrays only
    /// Empty when this is no array.
    const std::vector<JsonTree>& items() const;

  private:
    friend class JsonTreeParser;
    struct Children;
    struct Raw;

    JsonTree(Kind kind, std::string text);
    JsonTree(Kind kind, Raw raw);
    const Children& children() const; ///< made of the text where nobody has looked before
    Children& changing();             ///< the text is no longer what is here
    std::optional<std::size_t> position(std::string_view key) const;
    void read_texts(std::span<const std::string_view> keys, std::span<std::string> found) const;
    void write_to(std::string& out, std::size_t level) const;
    std::size_t likely_size() const;

    Kind kind_ = Kind::null;
    std::string text_; ///< scalars: the spelling; a string's is what stands between the quotes
    // Of arrays and objects: at least one of the two. Both: somebody looked, nobody changed.
    std::unique_ptr<Raw> raw_;
    mutable std::unique_ptr<Children> children_;
};

} // namespace blockhost
