// SPDX-License-Identifier: MIT
#pragma once
/// The executable's side of the libvirt module: loading it at first need, and its failures as Errors.
/// (The Hypervisor that is made of it: open_libvirt in open_libvirt.hpp.)

#include "hypervisor/module_interface.hpp"
#include "hypervisor/open_libvirt.hpp"

#include <type_traits>

namespace blockhost {

/// A connection that the module made.
class Module {
  public:
    /// Throws as open_libvirt.
    Module(const std::string& uri, Access access, std::chrono::seconds longest);

    const ModuleCalls& calls() const { return connection_->calls; }

    /// Makes one of the calls; throws as Observer and Hypervisor say.
    template<class Result, class... Parameters>
    Result ask(ModuleCall<Result, Parameters...> call, std::chrono::milliseconds span,
               const std::type_identity_t<Parameters>&... arguments) {
        Failure failure;
        if constexpr (std::is_void_v<Result>) {
            call(*connection_, span, failure, arguments...);
            failure.raise();
        } else {
            Result result = call(*connection_, span, failure, arguments...);
            failure.raise();
            return result;
        }
    }

  private:
    std::unique_ptr<ModuleConnection> connection_;
};

} // namespace blockhost
