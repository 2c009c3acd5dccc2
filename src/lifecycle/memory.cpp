/// See memory.hpp.

#include "lifecycle/memory.hpp"

#include "base/json.hpp"

#include <boost/json/parse.hpp>
#include <fcntl.h>

namespace blockhost {

namespace bj = boost::json;

bj::object recall(const World& world, const std::string& file) {
    try {
        const auto state = Folder::open(world.paths.state);
        const auto text = state ? state->read(file) : std::nullopt;
        boost::system::error_code malformed;
        const bj::value document = text ? bj::parse(*text, malformed) : bj::value();
        return document.is_object() ? document.get_object() : bj::object();
    } catch (const Error&) {
        return {};
    }
}

void remember(const World& world, const std::string& file, const bj::object& what) {
    const Folder state = Folder::open_or_make(world.paths.state, 0755);
    // What a killed writer left may only go while nobody writes.
    const auto alone = FileLock::take(state.open_file("memory.lock", O_RDWR | O_CREAT, 0640),
                                      FileLock::Mode::exclusive, Deadline::in(std::chrono::seconds(10)));
    if (!alone)
        throw Error(Code::busy, "another process keeps memory.lock for too long", "try again shortly");
    state.remove_temporaries(file);
    state.replace(file, json::python_line(what) + "\n", {.mode = 0640, .uid = {}, .gid = {}});
}

} // namespace blockhost
