// SPDX-License-Identifier: MIT
#pragma once
/// The module's border: every call of libvirt ends, on time and as a value.

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/worker.hpp"

#include <type_traits>

namespace blockhost::libvirt {

/// Runs `body` and turns whatever it throws into `f`.
template<class Body>
auto guarded(Failure& f, Body body) noexcept -> decltype(body()) {
    try {
        return body();
    } catch (const Failed& why) {
        f = why.failure;
    } catch (const std::exception& e) {
        f = {true, Code::internal, std::string("the libvirt driver failed: ") + e.what(), ""};
    } catch (...) {
        f = {true, Code::internal, "the libvirt driver failed", ""};
    }
    if constexpr (!std::is_void_v<decltype(body())>) return {};
}

/// The function's result, from the worker of the connection to `uri`. Throws Failed{no_answer} when it takes
/// longer than `span`, and from then on.
template<class Value>
Value answered(Worker& worker, const std::string& uri, std::chrono::milliseconds span,
               std::function<Value()> function) {
    if (worker.stuck()) throw no_answer(uri, "an earlier call was given up");
    auto result = worker.run<Value>(span, std::move(function));
    if (result) return std::move(*result);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span).count();
    throw no_answer(uri, "nothing within " + std::to_string(seconds) + " s");
}

} // namespace blockhost::libvirt
