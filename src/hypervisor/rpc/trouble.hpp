// SPDX-License-Identifier: MIT
#pragma once
/// How speaking the protocol fails. These travel within this folder only; driver.cpp makes Errors of them, or
/// leaves the work to the module.

#include <exception>
#include <string>
#include <utility>

namespace blockhost::rpc {

/// `words` say for a person what happened, `doing` what was being done ("look up domain web").
class Trouble : public std::exception {
  public:
    explicit Trouble(std::string words) : words_(std::move(words)) {}
    const std::string& words() const noexcept { return words_; }
    const std::string& doing() const noexcept { return doing_; }
    void set_doing(std::string doing) { doing_ = std::move(doing); }
    const char* what() const noexcept override { return words_.c_str(); }

  private:
    std::string words_, doing_;
};

/// The daemon offers or sends what we do not know. Nothing more can be said on this connection.
class Surprise final : public Trouble {
    using Trouble::Trouble;
};

/// The connection could not be made, and why as an errno; or it ended, and the number is 0.
class Ended final : public Trouble {
  public:
    explicit Ended(std::string words, int error_number = 0)
        : Trouble(std::move(words)), error_number_(error_number) {}
    int error_number() const noexcept { return error_number_; }

  private:
    int error_number_;
};

/// Nothing was said in time.
class Silence final : public Trouble {
    using Trouble::Trouble;
};

/// libvirt answered that it does not do it. The connection is as good as before.
class Refusal final : public Trouble {
  public:
    Refusal(int code, std::string words) : Trouble(std::move(words)), code_(code) {}
    int code() const noexcept { return code_; } ///< virErrorNumber

  private:
    int code_;
};

} // namespace blockhost::rpc
