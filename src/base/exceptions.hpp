// SPDX-License-Identifier: MIT
#pragma once
/// Turns other exceptions into an Error, so that no user reads the standard library's words.

#include "base/error.hpp"

namespace blockhost {

/// An Error as it is. A refusal of the file system or the system becomes Error{io}, exhausted memory
/// Error{no_room}, everything else Error{internal} with the original words in the hint, for the report.
Error as_error(const std::exception& thrown);

} // namespace blockhost
