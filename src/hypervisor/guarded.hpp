#pragma once
/// For drivers that live in the executable: what their private calls throw, as the Failure that they report.

#include "hypervisor/hypervisor.hpp"

#include <exception>
#include <string>
#include <type_traits>

namespace blockhost {

/// Runs `body` and turns whatever it throws into `f`.
template<class Body>
auto guarded(Failure& f, Body body) noexcept -> decltype(body()) {
    try {
        return body();
    } catch (const Error& error) {
        f = {true, error.code(), error.message(), error.hint()};
    } catch (const std::exception& error) {
        f = {true, Code::internal, std::string("the hypervisor's driver failed: ") + error.what(), ""};
    }
    if constexpr (!std::is_void_v<decltype(body())>) return {};
}

} // namespace blockhost
