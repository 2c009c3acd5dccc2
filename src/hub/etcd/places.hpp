// SPDX-License-Identifier: MIT
#pragma once
/// Where things are in a cluster: docs/hub.md, "etcd". A host reads what is below `wanted`, and writes what
/// is below `told`.

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace blockhost::hub::etcd {

/// Of all hosts; without a slash at its end.
inline constexpr std::string_view usual_prefix = "/blockhost";

struct Places {
    std::string hosts; ///< below it, each host's own
    std::string own, wanted, told;
    std::string desired, blocked, signed_operations; ///< the last ends with a slash
    std::string report, reports, kept;               ///< likewise `reports`

    Places(std::string_view prefix, std::string_view host)
        : hosts(fmt::format("{}/hosts/", prefix)), own(hosts + std::string(host) + "/"),
          wanted(own + "wanted/"), told(own + "told/"), desired(wanted + "desired"),
          blocked(wanted + "blocked"), signed_operations(wanted + "signed/"), report(told + "report"),
          reports(told + "reports/"), kept(told + "kept") {}
};

/// So that keys sort as numbers do.
inline std::string report_key(const Places& places, std::int64_t number) {
    return fmt::format("{}{:016}", places.reports, number);
}

} // namespace blockhost::hub::etcd
