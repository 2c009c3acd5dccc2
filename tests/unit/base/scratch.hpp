// SPDX-License-Identifier: MIT
#pragma once
/// What tests of files need: a folder that goes away, and a child process to do what cannot be undone.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace blockhost::test {

/// A fresh folder below the temporary folder, traversable by everybody, removed with everything in it.
class Scratch {
  public:
    Scratch() {
        std::string name = (std::filesystem::temp_directory_path() / "blockhost-unit-XXXXXX").native();
        if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path_ = name;
        chmod(name.c_str(), 0755);
    }
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline void put(const std::filesystem::path& path, const std::string& content) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
}

inline std::string get(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline struct stat look(const std::filesystem::path& path) {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) throw std::runtime_error("no " + path.native());
    return found;
}

inline mode_t mode_of(const std::filesystem::path& path) {
    return look(path).st_mode & 07777;
}

inline std::size_t entries(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// Runs `work` in a forked child and returns waitpid's status; an exception ends the child with 99. The
/// child's exit runs no destructors of ours; with `exit_quickly` it leaves as our program does, by
/// quick_exit.
enum class ChildEnd { at_once, exit_quickly };
template<typename Work>
int in_child(Work work, ChildEnd end = ChildEnd::at_once) {
    pid_t child = fork();
    if (child == 0) {
        int status = 99;
        try {
            status = work();
        } catch (...) {
        }
        if (end == ChildEnd::exit_quickly) std::quick_exit(status);
        _exit(status);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

inline bool ended_with(int status, int code) {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

} // namespace blockhost::test
