// Finding the current template, and the lock that keeps it there.
#include "config/templates.hpp"

#include "base/error.hpp"

#include <fcntl.h>

namespace blockhost {

std::filesystem::path template_image(const Paths& paths) {
    for (const char* name : {template_stand_in, template_link}) {
        std::error_code error;
        auto real = std::filesystem::canonical(paths.templates / name, error);
        if (!error) return real;
        if (error != std::errc::no_such_file_or_directory)
            throw Error(Code::config,
                        "cannot use template " + (paths.templates / name).string() + ": " + error.message());
    }
    throw Error(Code::not_found, "Template not found: " + (paths.templates / template_link).string(),
                "build it with blockhost-build-template");
}

FileLock hold_templates(const Paths& paths, FileLock::Mode mode, const Deadline& deadline,
                        const Interruption& interruption) {
    const auto state = Folder::open(paths.state); // which every verb that changes something has made
    if (!state) throw Error(Code::io, "there is no folder " + paths.state.string());
    auto lock = FileLock::take(state->open_file("templates.lock", O_RDWR | O_CREAT, 0660), mode, deadline,
                               [&] { return interruption.reason() != Interruption::Reason::none; });
    if (lock) return std::move(*lock);
    interruption.check();
    throw Error(Code::busy,
                mode == FileLock::Mode::shared ? "template versions are being removed by another process"
                                               : "a create is making a disk on a template",
                "try again in a moment");
}

} // namespace blockhost
