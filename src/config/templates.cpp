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
                        const std::function<bool()>& give_up) {
    const Folder state = Folder::open_or_make(paths.state, 0711);
    auto lock =
        FileLock::take(state.open_file("templates.lock", O_RDWR | O_CREAT, 0660), mode, deadline, give_up);
    if (!lock)
        throw Error(Code::busy,
                    mode == FileLock::Mode::shared ? "template versions are being removed by another process"
                                                   : "a create is making a disk on a template",
                    "try again in a moment");
    return std::move(*lock);
}

} // namespace blockhost
