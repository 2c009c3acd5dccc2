// SPDX-License-Identifier: MIT
#include "config/secret_file.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {

std::string read_secret(const std::filesystem::path& file, std::string_view what) {
    constexpr std::size_t longest = 1024;
    const std::string shown = file.string(), secret(what);
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENOENT)
        throw Error(Code::config, shown + " is missing", "write " + secret + " into it, mode 0600");
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0)
        throw Error(Code::config, secret + " in " + shown + " cannot be read: " + std::strerror(errno),
                    "give the file to the user that the agent runs as");
    if (!S_ISREG(status.st_mode))
        throw Error(Code::config, shown + " is no regular file", "name the file that holds " + secret);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 || (status.st_uid != 0 && status.st_uid != geteuid()))
        throw Error(Code::config, "others can read " + secret + " in " + shown,
                    "chmod 0600 " + shown + "; it belongs to root or to the agent's user");
    return std::string(text::trim(files::read_fd(fd.get(), shown, longest)));
}

} // namespace blockhost
