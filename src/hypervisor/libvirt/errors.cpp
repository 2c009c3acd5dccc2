/// See errors.hpp.

#include "hypervisor/libvirt/errors.hpp"

#include <cerrno>

namespace blockhost::libvirt {
namespace {

constexpr const char* look_hint = "look at `systemctl status libvirtd` and `journalctl -u libvirtd`";
constexpr const char* access_hint = "run it as root or as a member of group libvirt";

bool is_refusal(int code) {
    return code == VIR_ERR_AUTH_FAILED || code == VIR_ERR_AUTH_CANCELLED ||
           code == VIR_ERR_AUTH_UNAVAILABLE || code == VIR_ERR_OPERATION_DENIED ||
           code == VIR_ERR_ACCESS_DENIED;
}

Code code_of(int code) {
    switch (code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_STORAGE_POOL:
    case VIR_ERR_NO_STORAGE_VOL:
    case VIR_ERR_NO_NWFILTER:
        return Code::not_found;
    case VIR_ERR_DOM_EXIST:
    case VIR_ERR_STORAGE_VOL_EXIST:
        return Code::exists;
    case VIR_ERR_OPERATION_INVALID:
        return Code::wrong_state;
    case VIR_ERR_OPERATION_TIMEOUT:
        return Code::busy; // another job holds the domain
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
        return Code::guest;
    default:
        return is_refusal(code) ? Code::denied : Code::hypervisor;
    }
}

} // namespace

Failed failed(Code code, std::string message, std::string hint) {
    return {Failure{true, code, std::move(message), std::move(hint)}};
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
    std::string words = error && error->message ? error->message : "no reason given";
    return words.substr(0, words.find_last_not_of('\n') + 1); // those of programs it ran end in one
}

Failed no_answer(const std::string& uri, const std::string& words) {
    return failed(Code::no_answer, "libvirt at " + uri + " does not answer: " + words, look_hint);
}

Failed last_failure(virConnectPtr connection, const std::string& doing) {
    auto words = last_words();
    int libvirt_code = last_code();
    auto code = code_of(libvirt_code);
    bool alive = virConnectIsAlive(connection) != 0; // forgets the last error
    auto why =
        alive
            ? failed(code, "libvirt cannot " + doing + ": " + words, code == Code::denied ? access_hint : "")
            : failed(Code::no_answer,
                     "the connection to libvirt ended while it should " + doing + ": " + words, look_hint);
    why.libvirt_code = libvirt_code;
    return why;
}

Failed open_failure(const std::string& uri) {
    auto error = virGetLastError();
    bool shut =
        error && error->code == VIR_ERR_SYSTEM_ERROR && (error->int1 == EACCES || error->int1 == EPERM);
    auto words = last_words();
    if (shut || is_refusal(last_code()))
        return failed(Code::denied, "libvirt at " + uri + " refuses us: " + words, access_hint);
    return failed(Code::hypervisor_down, "libvirt cannot be reached at " + uri + ": " + words,
                  "start it with `systemctl start libvirtd`");
}

} // namespace blockhost::libvirt
