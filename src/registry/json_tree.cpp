// SPDX-License-Identifier: MIT
/// JsonTree: an iterative parser that keeps spellings, lookups, and a writer in Python's layout. Text that
/// has this layout already and was not changed is copied.

#include "registry/json_tree.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/text/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

namespace blockhost {

namespace {

/// Python's limits: levels at the default recursion limit, and digits of an integer.
constexpr std::size_t max_depth = 995;
constexpr std::size_t max_integer_digits = 4300;
/// Objects below this size are searched without an index.
constexpr std::size_t index_from = 32;
constexpr char32_t replacement = 0xFFFD;

/// Bytes that need no decoding within a string.
constexpr std::array<bool, 256> is_plain = [] {
    std::array<bool, 256> plain{};
    for (unsigned c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
    return plain;
}();

/// Nested arrays and objects down to this level are made while parsing: the root and its members.
constexpr std::size_t made_at_once = 2;

/// Whether none of eight bytes of a string needs decoding.
bool all_plain(const char* bytes) {
    constexpr std::uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    std::uint64_t x;
    std::memcpy(&x, bytes, sizeof x);
    const auto has_zero = [](std::uint64_t y) { return (y - ones) & ~y & tops; };
    const std::uint64_t control = (x - ones * 0x20) & ~x & tops;
    return ((x & tops) | control | has_zero(x ^ ones * '"') | has_zero(x ^ ones * '\\')) == 0;
}

/// Python's layout before a value or an end: a new line, and two blanks per level.
std::string_view gap(std::size_t level) {
    static const std::string longest = "\n" + std::string(2 * (max_depth + 1), ' ');
    return std::string_view(longest).substr(0, 1 + 2 * level);
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::optional<unsigned> hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
}

/// The value of four hex digits at `at`; nothing when they are not all there.
std::optional<char32_t> hex4(std::string_view s, std::size_t at) {
    if (s.size() < at + 4) return std::nullopt;
    char32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
        const auto digit = hex_value(s[i]);
        if (!digit) return std::nullopt;
        value = value << 4 | *digit;
    }
    return value;
}

bool is_high_surrogate(char32_t c) {
    return c >= 0xD800 && c <= 0xDBFF;
}
bool is_low_surrogate(char32_t c) {
    return c >= 0xDC00 && c <= 0xDFFF;
}

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
}

enum class LoneSurrogates { replace, keep };

/// Decodes `spelling`, which the parser has checked or json::escaped() has made.
std::string unescape(std::string_view spelling, LoneSurrogates surrogates) {
    std::string out;
    out.reserve(spelling.size());
    for (std::size_t i = 0; i < spelling.size();) {
        if (spelling[i] != '\\') {
            out += spelling[i++];
            continue;
        }
        const char kind = spelling[i + 1];
        i += 2;
        if (kind != 'u') {
            constexpr std::string_view from = "bfnrt", to = "\b\f\n\r\t";
            const std::size_t known = from.find(kind);
            out += known == from.npos ? kind : to[known];
            continue;
        }
        char32_t c = *hex4(spelling, i);
        i += 4;
        if (is_high_surrogate(c) && spelling.substr(i, 2) == "\\u") {
            if (const auto low = hex4(spelling, i + 2); low && is_low_surrogate(*low)) {
                c = 0x10000 + ((c - 0xD800) << 10) + (*low - 0xDC00);
                i += 6;
            }
        }
        const bool lone = c >= 0xD800 && c <= 0xDFFF;
        append_utf8(out, lone && surrogates == LoneSurrogates::replace ? replacement : c);
    }
    return out;
}

} // namespace

/// The content of an array or an object.
struct JsonTree::Children {
    std::vector<Member> members;
    /// The spelling of each key, empty when it equals the decoded text; no entries when all do.
    std::vector<std::string> spellings;
    std::vector<JsonTree> items;
    /// Where the counting member of each key is; made at the first lookup, dropped when members move.
    mutable std::unique_ptr<std::unordered_map<std::string_view, std::size_t>> index;

    Children() = default;
    Children(const Children& other)
        : members(other.members), spellings(other.spellings), items(other.items) {}
    Children& operator=(const Children&) = delete;

    void append(std::string key, std::string spelling, JsonTree value);
};

/// An array or object as it was read.
struct JsonTree::Raw {
    std::shared_ptr<const std::string> document; ///< contains `text`
    std::string_view text;
    std::size_t level; ///< in how many arrays and objects it lies
    bool laid_out;     ///< laid out as write() would, at that level
};

JsonTree::JsonTree() = default;
JsonTree::JsonTree(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {
    if (kind == Kind::array || kind == Kind::object) children_ = std::make_unique<Children>();
}
JsonTree::JsonTree(Kind kind, Raw raw) : kind_(kind), raw_(std::make_unique<Raw>(std::move(raw))) {}
JsonTree::JsonTree(const JsonTree& other)
    : kind_(other.kind_), text_(other.text_), raw_(other.raw_ ? std::make_unique<Raw>(*other.raw_) : nullptr),
      children_(other.children_ && !raw_ ? std::make_unique<Children>(*other.children_) : nullptr) {}
JsonTree::JsonTree(JsonTree&& other) noexcept
    : kind_(std::exchange(other.kind_, Kind::null)), text_(std::move(other.text_)),
      raw_(std::move(other.raw_)), children_(std::move(other.children_)) {}
JsonTree& JsonTree::operator=(const JsonTree& other) {
    return *this = JsonTree(other);
}
JsonTree& JsonTree::operator=(JsonTree&& other) noexcept {
    // Through a local, since `other` may be a part of this tree.
    JsonTree taken(std::move(other));
    kind_ = taken.kind_;
    text_.swap(taken.text_);
    raw_.swap(taken.raw_);
    children_.swap(taken.children_);
    return *this;
}
JsonTree::~JsonTree() = default;

JsonTree JsonTree::null() {
    return {};
}
JsonTree JsonTree::boolean(bool value) {
    return {Kind::boolean, value ? "true" : "false"};
}
JsonTree JsonTree::number(std::int64_t value) {
    return {Kind::number, std::to_string(value)};
}
JsonTree JsonTree::string(std::string_view utf8) {
    return {Kind::string, json::escaped(utf8)};
}
JsonTree JsonTree::array() {
    return {Kind::array, std::string()};
}
JsonTree JsonTree::object() {
    return {Kind::object, std::string()};
}

std::optional<std::string> JsonTree::as_string() const {
    if (kind_ != Kind::string) return std::nullopt;
    return unescape(text_, LoneSurrogates::replace);
}

std::optional<std::int64_t> JsonTree::as_int() const {
    return kind_ == Kind::number ? text::parse_int(text_) : std::nullopt;
}

std::optional<bool> JsonTree::as_bool() const {
    if (kind_ != Kind::boolean) return std::nullopt;
    return text_ == "true";
}

std::optional<std::size_t> JsonTree::position(std::string_view key) const {
    if (kind_ != Kind::object) return std::nullopt;
    const auto& [members, spellings, items, index] = children();
    if (members.size() < index_from) {
        for (std::size_t i = members.size(); i-- > 0;)
            if (members[i].first == key) return i;
        return std::nullopt;
    }
    if (!index) {
        index = std::make_unique<std::unordered_map<std::string_view, std::size_t>>(members.size() * 2);
        for (std::size_t i = 0; i < members.size(); ++i) (*index)[members[i].first] = i;
    }
    const auto found = index->find(key);
    if (found == index->end()) return std::nullopt;
    return found->second;
}

const JsonTree* JsonTree::get(std::string_view key) const {
    const auto at = position(key);
    return at ? &children_->members[*at].second : nullptr;
}

JsonTree* JsonTree::get(std::string_view key) {
    const auto at = position(key);
    return at ? &changing().members[*at].second : nullptr;
}

JsonTree& JsonTree::set(std::string_view key, JsonTree value) {
    if (kind_ != Kind::object) throw std::logic_error("JsonTree::set on something that is no object");
    const auto at = position(key);
    Children& here = changing();
    if (at) return here.members[*at].second = std::move(value);
    std::string spelling = json::escaped(key);
    if (spelling == key) spelling.clear();
    here.append(std::string(key), std::move(spelling), std::move(value));
    return here.members.back().second;
}

void JsonTree::Children::append(std::string key, std::string spelling, JsonTree value) {
    if (!spelling.empty() || !spellings.empty()) {
        spellings.resize(members.size());
        spellings.push_back(std::move(spelling));
    }
    if (members.size() == members.capacity()) index.reset();
    members.emplace_back(std::move(key), std::move(value));
    if (index) (*index)[members.back().first] = members.size() - 1;
}

bool JsonTree::erase(std::string_view key) {
    if (!position(key)) return false;
    auto& [members, spellings, items, index] = changing();
    index.reset();
    // A copy: `key` may be one of the texts that are about to move.
    const std::string wanted(key);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (members[i].first == wanted) continue;
        if (kept != i) {
            members[kept] = std::move(members[i]);
            if (!spellings.empty()) spellings[kept] = std::move(spellings[i]);
        }
        ++kept;
    }
    members.resize(kept);
    if (!spellings.empty()) spellings.resize(kept);
    return true;
}

const std::vector<JsonTree::Member>& JsonTree::members() const {
    static const std::vector<Member> none;
    return is_object() ? children().members : none;
}

std::vector<JsonTree>& JsonTree::items() {
    if (kind_ != Kind::array) throw std::logic_error("JsonTree::items on something that is no array");
    return changing().items;
}

const std::vector<JsonTree>& JsonTree::items() const {
    static const std::vector<JsonTree> none;
    return is_array() ? children().items : none;
}

std::string JsonTree::write() const {
    std::string out;
    out.reserve(likely_size());
    write_to(out, 0);
    return out;
}

std::string_view JsonTree::as_read() const {
    return raw_ && raw_->laid_out && raw_->level == 0 ? raw_->text : std::string_view();
}

/// An estimate of write()'s result: the text that is copied, and some room for the rest.
std::size_t JsonTree::likely_size() const {
    constexpr std::size_t of_a_member = 64;
    if (raw_) return raw_->text.size();
    std::size_t size = text_.size();
    for (const JsonTree& item : items()) size += of_a_member + item.likely_size();
    for (const Member& member : members()) size += of_a_member + member.second.likely_size();
    return size;
}

void JsonTree::write_to(std::string& out, std::size_t level) const {
    const auto new_line = [&](std::size_t deep) { out.append(1, '\n').append(2 * deep, ' '); };
    const auto quote = [&](std::string_view spelling) { out.append(1, '"').append(spelling).append(1, '"'); };
    if (kind_ == Kind::null) {
        out += "null";
    } else if (kind_ == Kind::string) {
        quote(text_);
    } else if (!is_array() && !is_object()) {
        out += text_;
    } else if (raw_ && raw_->laid_out && raw_->level == level) {
        out += raw_->text;
    } else if (members().empty() && items().empty()) {
        out += is_array() ? "[]" : "{}";
    } else {
        const auto& [members, spellings, items, index] = children();
        std::size_t written = 0;
        out += is_array() ? '[' : '{';
        for (const JsonTree& item : items) {
            if (written++ > 0) out += ',';
            new_line(level + 1);
            item.write_to(out, level + 1);
        }
        for (const auto& [key, value] : members) {
            const bool as_decoded = spellings.empty() || spellings[written].empty();
            const std::string_view spelling = as_decoded ? key : spellings[written];
            if (written++ > 0) out += ',';
            new_line(level + 1);
            quote(spelling);
            out += ": ";
            value.write_to(out, level + 1);
        }
        new_line(level);
        out += is_array() ? ']' : '}';
    }
}

/// Reads one text from start to end, without recursion.
class JsonTreeParser {
  public:
    /// `text` is a part of `document` at that level.
    JsonTreeParser(std::shared_ptr<const std::string> document, std::string_view text, std::size_t level,
                   std::size_t made)
        : document_(std::move(document)), text_(text), level_(level), made_(made) {}

    JsonTree document() {
        if (text_.starts_with("\xEF\xBB\xBF")) fail("a byte order mark is not allowed");
        skip_blanks();
        if (at_ == text_.size()) fail("there is no value");
        for (;;) {
            JsonTree done;
            if (!begin_value(done)) continue; // opened an array or object: its first value is next
            while (!open_.empty()) {
                if (!open_.back().left_as_text) attach(std::move(done));
                if (!take_separator(done)) break;
            }
            if (open_.empty()) return finish(std::move(done));
        }
    }

    /// For an object whose text has been checked: calls `take` with each member's key and its value's text.
    template<class Take>
    void each_member(Take take) {
        std::string decoded;
        at_ = 1;
        for (skip_blanks(); peek() != '}'; skip_blanks()) {
            if (peek() == ',') ++at_, skip_blanks();
            std::string_view key = string_spelling();
            if (key.find('\\') != key.npos) key = decoded = unescape(key, LoneSurrogates::keep);
            skip_blanks();
            ++at_;
            skip_blanks();
            const std::size_t start = at_;
            skip_value();
            take(key, text_.substr(start, at_ - start));
        }
    }

  private:
    /// An array or object that is being read, with the key of its next value.
    struct Open {
        bool is_array, left_as_text;
        std::size_t start;
        JsonTree node;
        std::string key, spelling;
        bool laid_out = true;
    };

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool is_blank() const {
        const char c = peek();
        return c == ' ' || c == '\n' || c == '\t' || c == '\r';
    }

    void skip_blanks() {
        while (is_blank()) ++at_;
    }

    /// Skips what separates two tokens, and notes whether it is what write() puts there.
    void skip(std::string_view usual) {
        const bool is_usual = text_.substr(at_, usual.size()) == usual;
        if (is_usual) at_ += usual.size();
        if (is_usual && !is_blank()) return;
        skip_blanks();
        if (!open_.empty()) open_.back().laid_out = false;
    }

    [[noreturn]] void fail(std::string_view what) const {
        std::size_t line = 1, column = 1;
        for (const char c : text_.substr(0, at_)) {
            if (c == '\n')
                ++line, column = 1;
            else if (!text::continues_character(c))
                ++column;
        }
        throw Error(Code::registry, "not valid JSON (line " + std::to_string(line) + ", column " +
                                        std::to_string(column) + ": " + std::string(what) + ")");
    }

    /// Reads a scalar, or an empty array or object, into `value`. Opens any other array or object and returns
    /// false: its first value is next. Makes no values inside of what is left as text.
    bool begin_value(JsonTree& value) {
        const char c = peek();
        if (c == '[' || c == '{') return begin_children(value, c == '[' ? ']' : '}');
        const bool wanted = open_.empty() || !open_.back().left_as_text;
        if (c == '"') {
            const std::string_view spelling = string_spelling();
            if (wanted) value = JsonTree(JsonTree::Kind::string, std::string(spelling));
        } else if (c == '-' || is_digit(c)) {
            const std::string_view spelling = number_spelling();
            if (wanted) value = JsonTree(JsonTree::Kind::number, std::string(spelling));
        } else {
            value = literal();
        }
        return true;
    }

    bool begin_children(JsonTree& value, char end) {
        if (level_ + open_.size() == max_depth) fail("nested too deeply");
        const bool is_array = end == ']';
        const std::size_t start = at_++;
        if (peek() == end || is_empty(end)) {
            ++at_;
            value = is_array ? JsonTree::array() : JsonTree::object();
            return true;
        }
        const bool left_as_text = open_.size() >= made_;
        open_.push_back({is_array, left_as_text, start, {}, {}, {}});
        if (!left_as_text) {
            open_.back().node = is_array ? JsonTree::array() : JsonTree::object();
            open_.back().node.children_->members.reserve(is_array ? 0 : likely_members_);
        }
        skip(gap(level_ + open_.size()));
        if (!is_array) read_key();
        return false;
    }

    /// Whether only blanks precede the end; write() would leave them out.
    bool is_empty(char end) {
        const std::size_t next = text_.find_first_not_of(" \t\n\r", at_);
        if (next == text_.npos || text_[next] != end) return false;
        at_ = next;
        if (!open_.empty()) open_.back().laid_out = false;
        return true;
    }

    void read_key() {
        if (peek() != '"') fail("expected a key in double quotes");
        const std::string_view spelling = string_spelling();
        Open& here = open_.back();
        if (!here.left_as_text) {
            const bool as_decoded = spelling.find('\\') == spelling.npos;
            here.key = as_decoded ? std::string(spelling) : unescape(spelling, LoneSurrogates::keep);
            here.spelling = as_decoded ? std::string_view() : spelling;
        }
        skip("");
        if (peek() != ':') fail("expected ':'");
        ++at_;
        skip(" ");
    }

    void attach(JsonTree value) {
        Open& here = open_.back();
        if (here.is_array)
            here.node.children_->items.push_back(std::move(value));
        else
            here.node.children_->append(std::move(here.key), std::move(here.spelling), std::move(value));
    }

    /// After a value: true when the innermost array or object ends here, which is moved into `done`; false
    /// when another value follows in it.
    bool take_separator(JsonTree& done) {
        const bool in_array = open_.back().is_array;
        const char end = in_array ? ']' : '}';
        if (peek() != ',') skip(gap(level_ + open_.size() - 1));
        if (peek() == end) {
            ++at_;
            done = close();
            return true;
        }
        if (peek() != ',') fail(in_array ? "expected ',' or ']'" : "expected ',' or '}'");
        if (text_[at_ - 1] == ' ' || text_[at_ - 1] == '\n') open_.back().laid_out = false;
        ++at_;
        skip(gap(level_ + open_.size()));
        if (!in_array) read_key();
        return false;
    }

    /// Takes the innermost array or object, which has ended.
    JsonTree close() {
        Open ended = std::move(open_.back());
        open_.pop_back();
        if (!open_.empty() && !ended.laid_out) open_.back().laid_out = false;
        if (!open_.empty() && open_.back().left_as_text) return {};
        JsonTree::Raw raw{document_, text_.substr(ended.start, at_ - ended.start), level_ + open_.size(),
                          ended.laid_out};
        const auto kind = ended.is_array ? JsonTree::Kind::array : JsonTree::Kind::object;
        if (ended.left_as_text) return {kind, std::move(raw)};
        likely_members_ = std::min<std::size_t>(ended.node.children_->members.size(), index_from);
        ended.node.raw_ = std::make_unique<JsonTree::Raw>(std::move(raw));
        return std::move(ended.node);
    }

    JsonTree finish(JsonTree root) {
        skip_blanks();
        if (at_ != text_.size()) fail("text follows the document");
        return root;
    }

    /// Skips a value whose text has been checked.
    void skip_value() {
        std::size_t open = 0;
        do {
            const char c = peek();
            if (c == '"') {
                string_spelling();
                continue;
            }
            if (c == '{' || c == '[') ++open;
            if (c == '}' || c == ']') --open;
            ++at_;
        } while (open > 0 || (peek() != ',' && peek() != '}' && !is_blank()));
    }

    /// The text between the quotes; `at_` is on the opening one.
    std::string_view string_spelling() {
        const std::size_t start = ++at_;
        while (at_ < text_.size()) {
            while (at_ + 8 <= text_.size() && all_plain(text_.data() + at_)) at_ += 8;
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (is_plain[c]) {
                ++at_;
                continue;
            }
            if (c == '"') return text_.substr(start, at_++ - start);
            if (c < 0x20) fail("control character in a string");
            if (c == '\\') {
                skip_escape();
            } else {
                const auto code_point = text::code_point(text_, at_);
                if (!code_point) fail("invalid UTF-8");
                at_ += code_point->length;
            }
        }
        at_ = start - 1;
        fail("the string that starts here has no end");
    }

    void skip_escape() {
        const char kind = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        if (kind == '\0' || std::string_view("\"\\/bfnrtu").find(kind) == std::string_view::npos)
            fail("invalid escape");
        if (kind == 'u' && !hex4(text_, at_ + 2)) fail("\\u needs four hex digits");
        at_ += kind == 'u' ? 6 : 2;
    }

    std::string_view number_spelling() {
        const std::size_t start = at_;
        if (peek() == '-') ++at_;
        if (text_.substr(at_).starts_with("Infinity")) return at_ += 8, text_.substr(start, at_ - start);
        const std::size_t digits = at_;
        if (!is_digit(peek())) fail("expected a digit");
        if (peek() == '0')
            ++at_;
        else
            skip_digits();
        bool integer = true;
        if (peek() == '.') integer = false, skip_fraction();
        if (peek() == 'e' || peek() == 'E') integer = false, skip_exponent();
        if (integer && at_ - digits > max_integer_digits) fail("an integer of more than 4300 digits");
        return text_.substr(start, at_ - start);
    }

    void skip_digits() {
        while (is_digit(peek())) ++at_;
    }

    void skip_fraction() {
        ++at_;
        if (!is_digit(peek())) fail("expected a digit");
        skip_digits();
    }

    void skip_exponent() {
        ++at_;
        if (peek() == '+' || peek() == '-') ++at_;
        if (!is_digit(peek())) fail("expected a digit");
        skip_digits();
    }

    JsonTree literal() {
        const std::string_view rest = text_.substr(at_);
        for (const std::string_view word : {"null", "true", "false", "NaN", "Infinity"}) {
            if (!rest.starts_with(word)) continue;
            at_ += word.size();
            if (word == "null") return JsonTree::null();
            const bool boolean = word == "true" || word == "false";
            return {boolean ? JsonTree::Kind::boolean : JsonTree::Kind::number, std::string(word)};
        }
        fail("expected a value");
    }

    std::shared_ptr<const std::string> document_;
    std::string_view text_;
    std::size_t level_, made_;
    std::size_t at_ = 0;
    std::vector<Open> open_;
    std::size_t likely_members_ = 0; ///< the previous object's: records are alike
};

JsonTree JsonTree::parse(std::string text) {
    const auto document = std::make_shared<const std::string>(std::move(text));
    return JsonTreeParser(document, *document, 0, made_at_once).document();
}

const JsonTree::Children& JsonTree::children() const {
    if (!children_)
        children_ =
            std::move(JsonTreeParser(raw_->document, raw_->text, raw_->level, 1).document().children_);
    return *children_;
}

JsonTree::Children& JsonTree::changing() {
    children();
    raw_.reset();
    return *children_;
}

std::optional<JsonTree> JsonTree::peek(std::string_view key) const {
    if (kind_ != Kind::object || children_) {
        const JsonTree* found = get(key);
        return found ? std::optional(*found) : std::nullopt;
    }
    std::optional<std::string_view> last;
    JsonTreeParser(raw_->document, raw_->text, raw_->level, 0)
        .each_member([&](std::string_view each, std::string_view value) {
            if (each == key) last = value;
        });
    if (!last) return std::nullopt;
    return JsonTreeParser(raw_->document, *last, raw_->level + 1, 0).document();
}

void JsonTree::read_texts(std::span<const std::string_view> keys, std::span<std::string> found) const {
    if (kind_ != Kind::object || children_) {
        for (std::size_t i = 0; i < keys.size(); ++i)
            if (const JsonTree* value = get(keys[i])) found[i] = value->as_string().value_or("");
        return;
    }
    JsonTreeParser(raw_->document, raw_->text, raw_->level, 0)
        .each_member([&](std::string_view each, std::string_view value) {
            for (std::size_t i = 0; i < keys.size(); ++i)
                if (each == keys[i])
                    found[i] = value.front() == '"'
                                   ? unescape(value.substr(1, value.size() - 2), LoneSurrogates::replace)
                                   : "";
        });
}

} // namespace blockhost
