// SPDX-License-Identifier: MIT
#pragma once
/// Where a response's bytes are stored.

#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "http/response.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace blockhost::http {

class Store {
  public:
    /// The remote file that the stored bytes belong to; without validator when they cannot be continued.
    virtual const Origin& origin() const = 0;
    virtual std::uint64_t size() const = 0;
    /// From now on the bytes belong to `origin`, from byte `at` on. Stored bytes behind `at` are dropped.
    virtual void begin(const Origin& origin, std::uint64_t at) = 0;
    virtual void append(std::string_view bytes) = 0;

  protected:
    ~Store() = default;
};

/// A text in memory; always starts at zero.
class Text final : public Store {
  public:
    /// Throws Error{io} for a text beyond `max` bytes; the message calls it `name_for_errors`.
    Text(std::string name_for_errors, std::size_t max) : name_(std::move(name_for_errors)), max_(max) {}
    const Origin& origin() const override { return none_; }
    std::uint64_t size() const override { return text_.size(); }
    void begin(const Origin& origin, std::uint64_t at) override;
    void append(std::string_view bytes) override;
    std::string take() { return std::move(text_); }

  private:
    void check(std::uint64_t size) const;
    Origin none_;
    std::string name_, text_;
    std::size_t max_;
};

/// `<name>.partial` and `<name>.partial.json`, locked against other processes. Throws Error{io}, Error{busy}.
class PartialFile final : public Store {
  public:
    /// Opens what an earlier call for `url` left; ignores what belongs to another URL.
    PartialFile(const Folder& folder, const std::string& name, const std::string& url);
    /// Removes an empty partial file.
    ~PartialFile();
    const Origin& origin() const override { return origin_; }
    std::uint64_t size() const override { return size_; }
    void begin(const Origin& origin, std::uint64_t at) override;
    void append(std::string_view bytes) override;
    /// Renames the partial file to `name`, durably.
    void finish();

  private:
    const Folder& folder_;
    std::string name_, partial_, note_, path_;
    FileLock file_;
    Origin origin_;
    std::uint64_t size_ = 0;
    bool finished_ = false;
};

} // namespace blockhost::http
