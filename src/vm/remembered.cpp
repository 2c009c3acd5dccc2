// SPDX-License-Identifier: MIT
/// See remembered.hpp.

#include "vm/remembered.hpp"

#include "base/text/json.hpp"

#include <boost/json/parse.hpp>
#include <fcntl.h>

namespace blockhost {

namespace bj = boost::json;

bj::object recall(const World& world, const std::string& file) {
    try {
        const auto state = world.paths.state.open();
        const auto text = state ? state->read(file) : std::nullopt;
        boost::system::error_code malformed;
        const bj::value document = text ? bj::parse(*text, malformed) : bj::value();
        return document.is_object() ? document.get_object() : bj::object();
    } catch (const Error&) {
        return {};
    }
}

void remember(const World& world, const std::string& file, const bj::object& what) {
    const Folder state = world.paths.state.make();
    // What a killed writer left may be removed only while nobody writes.
    const auto alone = FileLock::take(state.open_file("memory.lock", O_RDWR | O_CREAT, 0640),
                                      FileLock::Mode::exclusive, Deadline::in(std::chrono::seconds(10)));
    if (!alone)
        throw Error(Code::busy, "another process keeps memory.lock for too long", "try again shortly");
    state.remove_temporaries(file);
    state.replace(file, json::python_line(what) + "\n", {.mode = 0640, .uid = {}, .gid = {}});
}

} // namespace blockhost
