/// See guest.hpp. The messages are QEMU's (docs/interop/qemu-ga-ref).

#include "hypervisor/simulated/guest.hpp"

#include "base/error.hpp"
#include "base/json.hpp"

#include <boost/json/serialize.hpp>

namespace blockhost::simulated {
namespace {

namespace bj = boost::json;

constexpr std::int64_t root_used_bytes = 1ll << 30;
constexpr const char* datasource = "DataSourceNoCloud [seed=/dev/sr0][dsmode=net]";

Error refusal(const std::string& words) {
    return Error(Code::guest, "libvirt cannot ask the guest agent: " + words);
}

std::string reply(bj::value value) {
    return bj::serialize(bj::object{{"return", std::move(value)}});
}

std::string status_json(bool finished, const Behaviour& behaviour) {
    bool failed = behaviour.cloud_init == "failed";
    bj::array errors;
    if (behaviour.cloud_init == "errors") errors.emplace_back("('runcmd', RuntimeError('simulated'))");
    auto stage = [](bool over, bj::array with) {
        return bj::object{
            {"start", 1.5}, {"finished", over ? bj::value(2.5) : bj::value()}, {"errors", std::move(with)}};
    };
    return bj::serialize(
        bj::object{{"v1", bj::object{{"datasource", failed ? "DataSourceNone" : datasource},
                                     {"stage", finished ? bj::value() : bj::value("modules-config")},
                                     {"init-local", stage(true, {})},
                                     {"init", stage(true, {})},
                                     {"modules-config", stage(finished, {})},
                                     {"modules-final", stage(finished, std::move(errors))}}}});
}

/// What the kernel tells in /proc: how long it has been up, and its TCP connections.
std::map<std::string, std::string> kernel_files(const DomainFile& domain, const Behaviour& behaviour) {
    const auto uptime = std::to_string((millis_now() - domain.started) / 1000);
    return {{"/proc/uptime", uptime + ".00 0.00\n"},
            {"/proc/net/snmp",
             "Tcp: RtoAlgorithm CurrEstab InSegs\nTcp: 1 " + std::to_string(behaviour.connections) + " 9\n"}};
}

/// What cloud-init left, by its paths, at this point of the guest's boot.
std::map<std::string, std::string> cloud_init_files(const DomainFile& domain, const Behaviour& behaviour) {
    if (behaviour.cloud_init == "disabled") return {{"/run/cloud-init/disabled", ""}};
    bool finished = behaviour.cloud_init != "running" && millis_now() >= domain.started + behaviour.boot_ms;
    std::map<std::string, std::string> files{
        {"/run/cloud-init/enabled", ""}, {"/run/cloud-init/status.json", status_json(finished, behaviour)}};
    if (!finished) return files;
    bool failed = behaviour.cloud_init == "failed";
    files["/run/cloud-init/result.json"] = bj::serialize(bj::object{
        {"v1", bj::object{{"datasource", failed ? "DataSourceNone" : datasource}, {"errors", bj::array{}}}}});
    files["/var/lib/cloud/instance/boot-finished"] = "20.00 - simulated\n";
    return files;
}

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned group = 0;
        auto have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out += k <= have ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::int64_t integer_or(const bj::value& arguments, std::string_view key, std::int64_t fallback) {
    auto value = arguments.get_object().if_contains(key);
    return value && value->is_int64() ? value->get_int64() : fallback;
}

} // namespace

bool agent_is_up(const DomainFile& domain, const Behaviour& behaviour) {
    return domain.state == PowerState::running && millis_now() >= domain.started + behaviour.boot_ms / 2;
}

std::string Guest::open_file(const std::string& path, const DomainFile& domain, const Behaviour& behaviour) {
    auto files = cloud_init_files(domain, behaviour);
    files.merge(kernel_files(domain, behaviour));
    auto found = files.find(path);
    if (found == files.end())
        throw refusal(
            "internal error: unable to execute QEMU agent command 'guest-file-open': failed to open file '" +
            path + "' (mode: 'r'): No such file or directory");
    files_[next_handle_] = {found->second, 0};
    return reply(next_handle_++);
}

std::string Guest::answer(const std::string& command, const DomainFile& domain, const Behaviour& behaviour) {
    if (!agent_is_up(domain, behaviour))
        throw refusal("Guest agent is not responding: QEMU guest agent is not connected");
    if (behaviour.agent == "silent")
        throw refusal("Guest agent is not responding: Guest agent not available for now");
    auto message = json::parse(command, "guest agent command");
    auto name = json::string_or(message, "execute", "");
    bj::value arguments = bj::object{};
    if (auto given = message.as_object().if_contains("arguments"); given && given->is_object())
        arguments = *given;
    if (name == "guest-ping") return reply(bj::object{});
    if (name == "guest-get-fsinfo")
        return reply(bj::array{bj::object{{"mountpoint", "/"}, {"used-bytes", root_used_bytes}}});
    if (name == "guest-file-open")
        return open_file(json::string_or(arguments, "path", ""), domain, behaviour);

    auto opened = files_.find(integer_or(arguments, "handle", 0));
    if (name == "guest-file-close" && opened != files_.end()) {
        files_.erase(opened);
        return reply(bj::object{});
    }
    if (name == "guest-file-read" && opened != files_.end()) {
        auto& [content, position] = opened->second;
        auto count =
            static_cast<std::size_t>(std::max<std::int64_t>(0, integer_or(arguments, "count", 4096)));
        auto part = content.substr(position, count);
        position += part.size();
        return reply(bj::object{{"count", part.size()},
                                {"buf-b64", base64(part)},
                                {"eof", position == content.size() && part.size() < count}});
    }
    throw refusal("internal error: unable to execute QEMU agent command '" + name + "': The command " + name +
                  " has not been found");
}

} // namespace blockhost::simulated
