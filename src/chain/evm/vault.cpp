// SPDX-License-Identifier: MIT
// Runs a thread on a stack in locked memory.
#include "chain/evm/vault.hpp"

#include "base/error.hpp"

#include <cerrno>
#include <cstring>
#include <exception>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace blockhost::chain {

namespace {

Error cannot_lock(int error_number) {
    return Error(Code::denied,
                 std::string("memory for the key cannot be locked: ") + std::strerror(error_number),
                 "allow 64 KiB of locked memory (ulimit -l, LimitMEMLOCK)");
}

/// Pages that stay in memory, between two guard pages that nothing can touch.
class LockedPages {
  public:
    LockedPages() : guard_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), whole_(vault_size + 2 * guard_) {
        void* mapped = mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) throw cannot_lock(errno);
        base_ = static_cast<char*>(mapped);
        const bool hidden = mprotect(start(), vault_size, PROT_READ | PROT_WRITE) == 0 &&
                            madvise(start(), vault_size, MADV_DONTDUMP) == 0 &&
                            madvise(start(), vault_size, MADV_WIPEONFORK) == 0 &&
                            mlock(start(), vault_size) == 0;
        if (hidden) return;
        const int reason = errno;
        munmap(base_, whole_);
        throw cannot_lock(reason);
    }
    LockedPages(const LockedPages&) = delete;
    LockedPages& operator=(const LockedPages&) = delete;
    ~LockedPages() {
        explicit_bzero(start(), vault_size);
        munmap(base_, whole_);
    }
    char* start() const { return base_ + guard_; }

  private:
    std::size_t guard_, whole_;
    char* base_ = nullptr;
};

class NoCore {
  public:
    NoCore() : before_(prctl(PR_GET_DUMPABLE)) { prctl(PR_SET_DUMPABLE, 0); }
    NoCore(const NoCore&) = delete;
    NoCore& operator=(const NoCore&) = delete;
    ~NoCore() {
        if (before_ == 1) prctl(PR_SET_DUMPABLE, 1); // no other value may be set
    }

  private:
    int before_;
};

struct Errand {
    const std::function<void()>& work;
    std::exception_ptr thrown;
};

void* run(void* of) {
    auto* errand = static_cast<Errand*>(of);
    try {
        errand->work();
    } catch (...) {
        errand->thrown = std::current_exception();
    }
    return nullptr;
}

} // namespace

void in_vault(const std::function<void()>& work) {
    const NoCore no_core;
    const LockedPages pages;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int failure = pthread_attr_setstack(&attributes, pages.start(), vault_size);
    Errand errand{work, {}};
    pthread_t thread{};
    if (failure == 0) failure = pthread_create(&thread, &attributes, run, &errand);
    pthread_attr_destroy(&attributes);
    if (failure != 0)
        throw Error(Code::io, std::string("cannot start a thread for the key: ") + std::strerror(failure));
    pthread_join(thread, nullptr);
    if (errand.thrown) std::rethrow_exception(errand.thrown);
}

} // namespace blockhost::chain
