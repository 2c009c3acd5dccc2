// SPDX-License-Identifier: MIT
/// See worker.hpp.

#include "hypervisor/libvirt/worker.hpp"

#include <csignal>
#include <thread>

namespace blockhost::libvirt {

void start_thread(std::function<void()> body) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread(std::move(body)).detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Worker::Worker() : shared_(std::make_shared<Shared>()) {
    start_thread([shared = shared_] { serve(shared); });
}

Worker::~Worker() {
    std::lock_guard lock(shared_->mutex);
    shared_->quit = true;
    shared_->changed.notify_all();
}

void Worker::serve(const std::shared_ptr<Shared>& shared) {
    std::unique_lock lock(shared->mutex);
    for (;;) {
        shared->changed.wait(lock, [&] { return shared->quit || !shared->work.empty(); });
        if (shared->work.empty()) return;
        auto function = std::move(shared->work.front());
        shared->work.pop();
        lock.unlock();
        function();
        function = nullptr; // what it captured may be a connection; it ends here, before its end is told
        lock.lock();
        ++shared->done;
        shared->changed.notify_all();
    }
}

bool Worker::finish(std::chrono::milliseconds span, std::function<void()> function,
                    const std::function<bool()>& more) {
    std::unique_lock lock(shared_->mutex);
    shared_->work.push(std::move(function));
    auto ticket = ++shared_->asked;
    shared_->changed.notify_all();
    auto until = std::chrono::steady_clock::now() + span;
    while (!shared_->changed.wait_until(lock, until, [&] { return shared_->done >= ticket; })) {
        lock.unlock();
        bool go_on = more && more();
        lock.lock();
        if (!go_on && shared_->done < ticket) {
            stuck_ = true;
            return false;
        }
        until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    }
    return true;
}

} // namespace blockhost::libvirt
