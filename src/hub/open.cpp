// SPDX-License-Identifier: MIT
#include "hub/open.hpp"

#include "hub/etcd/etcd_hub.hpp"
#include "hub/folder.hpp"
#include "hub/https.hpp"

namespace blockhost::hub {

std::unique_ptr<Transport> open_transport(const Settings& settings, const std::string& host,
                                          std::function<void()> check) {
    switch (settings.kind) {
    case Settings::Kind::folder:
        return std::make_unique<FolderHub>(settings.folder, host);
    case Settings::Kind::https:
        return std::make_unique<HttpsHub>(settings, host, std::move(check));
    case Settings::Kind::etcd:
        return std::make_unique<etcd::EtcdHub>(settings, host, std::move(check));
    case Settings::Kind::none:
        break;
    }
    throw Error(Code::config, "agent.json names no hub",
                R"(name one: {"hub": {"kind": "folder", "folder": "/srv/fleet"}}; docs/hub.md tells more)");
}

} // namespace blockhost::hub
