// SPDX-License-Identifier: MIT
// The compiled half of fmt, once for the whole program. Debian packages it only as a shared library, which
// would add a library to load at every start. FMT_HEADER_ONLY would compile it into every file, which takes
// as long as the rest of the file. When a file uses more of fmt, `nm` tells what is missing here.

#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
template FMT_API auto dragonbox::to_decimal(double) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto dragonbox::to_decimal(float) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API locale_ref::locale_ref(const std::locale&);
template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;
template FMT_API auto thousands_sep_impl(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto decimal_point_impl(locale_ref) -> char;
} // namespace detail
FMT_END_NAMESPACE
