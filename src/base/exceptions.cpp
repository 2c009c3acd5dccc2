// SPDX-License-Identifier: MIT
// See exceptions.hpp.
#include "base/exceptions.hpp"

#include "base/text/text.hpp"

#include <filesystem>
#include <new>
#include <system_error>

namespace blockhost {

Error as_error(const std::exception& thrown) {
    if (const auto* ours = dynamic_cast<const Error*>(&thrown)) return *ours;
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&thrown))
        return errno_error("cannot use", text::printable(file->path1().native()), file->code().value());
    if (const auto* system = dynamic_cast<const std::system_error*>(&thrown))
        return Error(Code::io, "the system refuses: " + system->code().message());
    if (dynamic_cast<const std::bad_alloc*>(&thrown))
        return Error(Code::no_room, "this process gets no more memory", "free memory, or raise its limit");
    return Error(Code::internal, "the program met a fault of its own",
                 "please report it with these words: " + text::printable(thrown.what()));
}

} // namespace blockhost
