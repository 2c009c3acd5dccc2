// SPDX-License-Identifier: MIT
/// See pattern.hpp. Uses PCRE2's matcher that follows all alternatives at once: its backtracking matcher
/// takes exponential time for "(a|aa)*b".

#include "base/text/pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <array>
#include <memory>
#include <pcre2.h>

namespace blockhost {
namespace {

constexpr std::size_t longest_pattern = 1000; // bytes
constexpr std::uint32_t most_recursions = 10'000, deepest = 250, most_heap_kib = 16 * 1024;
constexpr std::size_t workspace_size = 4000; // room for some 600 alternatives at a time

template<class Type>
using Owned = std::unique_ptr<Type, void (*)(Type*)>;

unsigned char const* bytes(const std::string& text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

bool is_too_complex(int compiling_error) {
    switch (compiling_error) {
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
    case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
    case PCRE2_ERROR_PATTERN_TOO_LARGE:
    case PCRE2_ERROR_HEAP_FAILED:
    case PCRE2_ERROR_PATTERN_TOO_COMPLICATED:
    case PCRE2_ERROR_PATTERN_STRING_TOO_LONG:
        return true;
    default:
        return false;
    }
}

} // namespace

Matching match_at_start(const std::string& text, const std::string& pattern) {
    const Owned<pcre2_compile_context> compiling(pcre2_compile_context_create(nullptr),
                                                 pcre2_compile_context_free);
    pcre2_set_max_pattern_length(compiling.get(), longest_pattern);
    int error = 0;
    std::size_t offset = 0;
    const Owned<pcre2_code> code(
        pcre2_compile(bytes(pattern), pattern.size(), PCRE2_NEVER_UTF, &error, &offset, compiling.get()),
        pcre2_code_free);
    if (!code) return is_too_complex(error) ? Matching::too_complex : Matching::no_pattern;

    const Owned<pcre2_match_context> matching(pcre2_match_context_create(nullptr), pcre2_match_context_free);
    pcre2_set_match_limit(matching.get(), most_recursions);
    pcre2_set_depth_limit(matching.get(), deepest);
    pcre2_set_heap_limit(matching.get(), most_heap_kib);
    const Owned<pcre2_match_data> found(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
    std::array<int, workspace_size> workspace{};
    const int result =
        pcre2_dfa_match(code.get(), bytes(text), text.size(), 0, PCRE2_ANCHORED | PCRE2_DFA_SHORTEST,
                        found.get(), matching.get(), workspace.data(), workspace.size());
    if (result == PCRE2_ERROR_NOMATCH) return Matching::no;
    return result < 0 ? Matching::too_complex : Matching::yes;
}

} // namespace blockhost
