// SPDX-License-Identifier: MIT
/// Asks for room before it is taken.

#include "image/room.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>

namespace blockhost::image {

void require_room(const Folder& folder, std::uint64_t bytes, const std::string& what) {
    const auto room = files::room_on(folder.fd(), folder.path().string());
    const std::uint64_t reserve = room.all / 20;
    if (room.free >= reserve && bytes <= room.free - reserve) return;
    throw Error(Code::no_room,
                fmt::format("{} needs about {}, and {} has {} free, of which {} are kept for guests' disks",
                            what, text::human_bytes(bytes), folder.path().string(),
                            text::human_bytes(room.free), text::human_bytes(reserve)),
                "free some space there");
}

} // namespace blockhost::image
