// SPDX-License-Identifier: MIT
/// Renders the user-data of a new guest.

#include "operations/create/request.hpp"

#include "guest/cloud_init.hpp"
#include "guest/user_data.hpp"
#include "safety/planted_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::operations {

Claimed claimed_by(const CreateRequest& request) {
    Claimed claimed = claimed_by(request.vm);
    if (request.origin) claimed.written_bytes = request.origin->data_bytes;
    return claimed;
}

std::filesystem::path backing_of(const World& world, const CreateRequest& request) {
    if (request.origin) return former_template(world, request.origin->base);
    auto image = template_for(world, request.vm);
    if (geteuid() == 0) safety::require_template(world, image);
    return image;
}

std::string user_data(const World& world, const CreateRequest& request, const Settings& settings,
                      const Addresses& addresses) {
    const guest::UserDataInput input{.request = request.vm,
                                     .ip = addresses.ip,
                                     .ipv6 = addresses.ipv6,
                                     .dns_zone = settings.broker ? settings.broker->dns_zone : "",
                                     .web3 = settings.web3,
                                     .engine_installed = settings.engine.found,
                                     .verbatim = request.user_data,
                                     .ssh_key = request.ssh_key,
                                     .secret_key = random_hex(64)};
    std::string text = guest::render_user_data(input, world.paths);
    const std::string what = request.user_data ? "the given user-data" : "the login template";
    guest::require_user_data(text, what);
    if (const std::string wrong = guest::malformed_in(text); !wrong.empty())
        world.progress.warn(fmt::format("{} is no YAML that cloud-init could read: {}", what, wrong));
    return text;
}

ExpectedLogin login_of(const CreateRequest& request, const std::string& text) {
    ExpectedLogin expected{guest::login_in(text, request.vm.username.str()), true};
    expected.promised = !request.origin && (expected.login.declared || !request.user_data);
    return expected;
}

} // namespace blockhost::operations
