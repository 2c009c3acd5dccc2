// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs of the tests' table saw, and streams whose text can be read back.

#include "cli/command.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace unit_cli {

/// One call of a verb that only notes what it was called with.
struct Ran {
    blockhost::cli::Arguments arguments;
    blockhost::Paths paths;
    bool mock;
};
std::vector<Ran>& ran();

/// A stream into memory.
class Stream {
  public:
    Stream() : file_(open_memstream(&data_, &size_)) {}
    ~Stream() {
        std::fclose(file_);
        std::free(data_);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    std::FILE* file() { return file_; }
    std::string text() {
        std::fflush(file_);
        return std::string(data_, size_);
    }

  private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::FILE* file_;
};

} // namespace unit_cli
