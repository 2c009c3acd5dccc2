// SPDX-License-Identifier: MIT
// Hashing with libmd.
#include "base/text/digest.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <array>
#include <cerrno>
#include <sha2.h>
#include <unistd.h>
#include <vector>

namespace blockhost {

namespace {

constexpr std::size_t block = 4 << 20;
constexpr std::size_t sha512_digits = 128;

class Hash {
  public:
    explicit Hash(Sha2 which) : wide_(which == Sha2::sha512) {
        wide_ ? SHA512Init(&context_) : SHA256Init(&context_);
    }
    void add(const char* bytes, std::size_t n) {
        const auto* at = reinterpret_cast<const unsigned char*>(bytes);
        wide_ ? SHA512Update(&context_, at, n) : SHA256Update(&context_, at, n);
    }
    std::string hex() {
        std::array<unsigned char, SHA512_DIGEST_LENGTH> digest{};
        wide_ ? SHA512Final(digest.data(), &context_) : SHA256Final(digest.data(), &context_);
        return text::to_hex(
            {digest.data(), static_cast<std::size_t>(wide_ ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH)});
    }

  private:
    bool wide_;
    SHA2_CTX context_{};
};

} // namespace

std::string sha256(std::string_view bytes) {
    Hash hash(Sha2::sha256);
    hash.add(bytes.data(), bytes.size());
    return hash.hex();
}

std::string digest_of(int fd, Sha2 which, std::string_view name_for_errors,
                      const std::function<void(std::uint64_t)>& each) {
    Hash hash(which);
    std::uint64_t done = 0;
    std::vector<char> buffer(block);
    while (true) {
        const ssize_t got = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw errno_error("cannot read", name_for_errors, errno);
        if (got == 0) return hash.hex();
        hash.add(buffer.data(), static_cast<std::size_t>(got));
        done += static_cast<std::uint64_t>(got);
        if (each) each(done);
    }
}

std::string as_sha512(std::string_view text) {
    std::string lower = text::lower(text);
    return text::is_hex(lower, sha512_digits, sha512_digits) ? lower : std::string();
}

} // namespace blockhost
