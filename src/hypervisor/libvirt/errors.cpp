// SPDX-License-Identifier: MIT
/// See errors.hpp.

#include "hypervisor/libvirt/errors.hpp"

#include <cerrno>

namespace blockhost::libvirt {
namespace {

static_assert(number::no_support == VIR_ERR_NO_SUPPORT && number::invalid_argument == VIR_ERR_INVALID_ARG);
static_assert(number::operation_failed == VIR_ERR_OPERATION_FAILED &&
              number::operation_denied == VIR_ERR_OPERATION_DENIED);
static_assert(number::system_error == VIR_ERR_SYSTEM_ERROR && number::rpc == VIR_ERR_RPC);
static_assert(number::no_domain == VIR_ERR_NO_DOMAIN && number::domain_exists == VIR_ERR_DOM_EXIST);
static_assert(number::no_storage_pool == VIR_ERR_NO_STORAGE_POOL &&
              number::no_storage_volume == VIR_ERR_NO_STORAGE_VOL &&
              number::volume_exists == VIR_ERR_STORAGE_VOL_EXIST && number::no_filter == VIR_ERR_NO_NWFILTER);
static_assert(number::operation_invalid == VIR_ERR_OPERATION_INVALID &&
              number::operation_timeout == VIR_ERR_OPERATION_TIMEOUT);
static_assert(number::auth_failed == VIR_ERR_AUTH_FAILED &&
              number::auth_cancelled == VIR_ERR_AUTH_CANCELLED &&
              number::auth_unavailable == VIR_ERR_AUTH_UNAVAILABLE &&
              number::access_denied == VIR_ERR_ACCESS_DENIED);
static_assert(number::no_metadata == VIR_ERR_NO_DOMAIN_METADATA);
static_assert(number::agent_unresponsive == VIR_ERR_AGENT_UNRESPONSIVE &&
              number::agent_unsynced == VIR_ERR_AGENT_UNSYNCED);
static_assert(greeting_by_default == VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
static_assert(state_group == VIR_DOMAIN_STATS_STATE &&
              stats_nowait == VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
static_assert(figure_groups ==
              (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON |
               VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK));

static_assert(VIR_DOMAIN_DISK_ERROR_NONE == 0 && VIR_DOMAIN_DISK_ERROR_NO_SPACE == 2);

} // namespace

Failed failed(Code code, std::string message, std::string hint) {
    return {failure_of(code, std::move(message), std::move(hint))};
}

int last_code() {
    auto error = virGetLastError();
    return error ? error->code : 0;
}

int last_domain() {
    auto error = virGetLastError();
    return error ? error->domain : 0;
}

std::string last_words() {
    auto error = virGetLastError();
    return trimmed(error && error->message ? error->message : "no reason given");
}

Failed no_answer(const std::string& uri, const std::string& words) {
    return {unanswered(uri, words)};
}

Failed last_failure(virConnectPtr connection, const std::string& doing) {
    const auto words = last_words();
    const int libvirt_code = last_code();
    const bool alive = virConnectIsAlive(connection) != 0; // forgets the last error
    return {alive ? refused(libvirt_code, doing, words) : connection_ended(doing, words), libvirt_code};
}

Failed open_failure(const std::string& uri) {
    auto error = virGetLastError();
    const bool shut =
        error && error->code == VIR_ERR_SYSTEM_ERROR && (error->int1 == EACCES || error->int1 == EPERM);
    return {not_opened(uri, last_code(), shut, last_words())};
}

} // namespace blockhost::libvirt
