/// See guest.hpp. The messages are QEMU's (docs/interop/qemu-ga-ref).

#include "hypervisor/simulated/guest.hpp"

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/json.hpp"
#include "hypervisor/domain_xml.hpp"

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
Files kernel_files(const DomainFile& domain, const Behaviour& behaviour) {
    const auto uptime = std::to_string((millis_now() - domain.started) / 1000);
    return {{"/proc/uptime", uptime + ".00 0.00\n"},
            {"/proc/net/snmp",
             "Tcp: RtoAlgorithm CurrEstab InSegs\nTcp: 1 " + std::to_string(behaviour.connections) + " 9\n"}};
}

/// What cloud-init left, by its paths, at this point of the guest's boot.
Files cloud_init_files(const DomainFile& domain, const Behaviour& behaviour) {
    if (behaviour.cloud_init == "disabled") return {{"/run/cloud-init/disabled", ""}};
    bool finished = behaviour.cloud_init != "running" && millis_now() >= domain.started + behaviour.boot_ms;
    Files files{{"/run/cloud-init/enabled", ""},
                {"/run/cloud-init/status.json", status_json(finished, behaviour)}};
    if (!finished) return files;
    bool failed = behaviour.cloud_init == "failed";
    files["/run/cloud-init/result.json"] = bj::serialize(bj::object{
        {"v1", bj::object{{"datasource", failed ? "DataSourceNone" : datasource}, {"errors", bj::array{}}}}});
    files["/var/lib/cloud/instance/boot-finished"] = "20.00 - simulated\n";
    return files;
}

/// The files of the guest by their paths.
Files files_of(const DomainFile& domain, const Behaviour& behaviour) {
    Files files = cloud_init_files(domain, behaviour);
    files.merge(kernel_files(domain, behaviour));
    return files;
}

std::int64_t integer_or(const bj::value& arguments, std::string_view key, std::int64_t fallback) {
    auto value = arguments.get_object().if_contains(key);
    return value && value->is_int64() ? value->get_int64() : fallback;
}

} // namespace

bool agent_is_up(const DomainFile& domain, const Behaviour& behaviour) {
    return domain.state == PowerState::running && millis_now() >= domain.started + behaviour.boot_ms / 2;
}

namespace {

std::string refuse_open(const std::string& path, const std::string& mode) {
    throw refusal(
        "internal error: unable to execute QEMU agent command 'guest-file-open': failed to open file '" +
        path + "' (mode: '" + mode + "'): No such file or directory");
}

/// What a misbehaving agent sends instead of its reply; nothing for one that behaves.
std::optional<std::string> nonsense(const std::string& how) {
    constexpr std::size_t huge = 10 << 20;
    if (how == "garbage") return "\x01\xff%PDF-1.4 \xfe";
    if (how == "escapes")
        return "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\\u001b[2J\\u009b31m\\u202e\\r\\n"
               "[vm-create] ERROR: forged\\u0007\"}}";
    if (how == "half") return R"({"return": {"pid": 12)";
    if (how == "deep") return R"({"return": )" + std::string(100'000, '[');
    if (how == "wrong") return R"({"return": [true, {"pid": "7", "exited": 1}]})";
    if (how == "huge")
        return R"({"return": {"pid": 7, "exited": true, "exitcode": 0, "out-data": ")" +
               std::string(huge, 'A') + "\"}}";
    return std::nullopt;
}

/// The first content of /etc/passwd: root and the user that the domain's mark names.
std::string first_passwd(const std::string& xml) {
    std::string passwd = "root:x:0:0:root:/root:/bin/bash\n";
    if (auto mark = read_mark(xml); mark && !mark->username.empty())
        passwd += mark->username + ":x:1000:1000:wallet=" + mark->wallet + ",nft=:/home/" + mark->username +
                  ":/bin/bash\n";
    return passwd;
}

} // namespace

std::string Guest::open_file(const Question& question, const bj::value& arguments) {
    const auto path = json::string_or(arguments, "path", ""), mode = json::string_or(arguments, "mode", "r");
    if (mode == "w") {
        if (!made_.contains(path.substr(0, path.rfind('/')) + "/")) return refuse_open(path, mode);
        made_[path] = "";
        files_[next_number_] = {path, "", 0, true};
        return reply(next_number_++);
    }
    auto files = files_of(question.domain, question.behaviour);
    auto found = files.find(path);
    if (found == files.end()) return refuse_open(path, mode);
    files_[next_number_] = {path, found->second, 0, false};
    return reply(next_number_++);
}

std::string Guest::with_file(const std::string& command, OpenFile& file, const bj::value& arguments) {
    if (command == "guest-file-write" && file.writing) {
        auto bytes = base64::decode(json::string_or(arguments, "buf-b64", "")).value_or("");
        made_[file.path] += bytes;
        return reply(bj::object{{"count", bytes.size()}, {"eof", false}});
    }
    auto& [path, content, position, writing] = file;
    auto count = static_cast<std::size_t>(std::max<std::int64_t>(0, integer_or(arguments, "count", 4096)));
    auto part = content.substr(position, count);
    position += part.size();
    return reply(bj::object{{"count", part.size()},
                            {"buf-b64", base64::encode(part)},
                            {"eof", position == content.size() && part.size() < count}});
}

std::string Guest::start(const Question& question, const bj::value& arguments) {
    std::vector<std::string> words;
    if (auto list = arguments.get_object().if_contains("arg"); list && list->is_array())
        for (const auto& word : list->get_array())
            words.emplace_back(word.is_string() ? std::string(word.get_string()) : "");
    const auto path = json::string_or(arguments, "path", "");
    Files files = files_of(question.domain, question.behaviour);
    files.merge(Files(made_));
    auto& passwd = files["/etc/passwd"];
    passwd = question.store.guest_passwd(question.name)
                 .value_or(first_passwd(question.store.domain_xml(question.name)));
    const bool usermod = path.ends_with("usermod");
    const bool locked = usermod && usermods_++ < question.behaviour.passwd_locked;
    auto ended = run_program(path, words, files, locked);
    question.store.put_guest_passwd(question.name, files["/etc/passwd"]);
    made_.clear();
    for (const auto& [name, content] : files)
        if (name.starts_with("/run/blockhost-exec.") || name.starts_with("/tmp/")) made_[name] = content;
    const auto over = millis_now() + ended.milliseconds;
    started_[next_number_] = {std::move(ended), over};
    return reply(bj::object{{"pid", next_number_++}});
}

std::string Guest::status(const bj::value& arguments) {
    const auto pid = integer_or(arguments, "pid", 0);
    auto found = started_.find(pid);
    if (found == started_.end())
        throw refusal("internal error: unable to execute QEMU agent command 'guest-exec-status': Invalid "
                      "parameter 'pid'");
    auto& [ended, over] = found->second;
    if (millis_now() < over) return reply(bj::object{{"exited", false}});
    bj::object told{{"exited", true}};
    if (ended.signal != 0)
        told["signal"] = ended.signal;
    else
        told["exitcode"] = ended.code;
    if (!ended.out.empty()) told["out-data"] = base64::encode(ended.out);
    if (!ended.err.empty()) told["err-data"] = base64::encode(ended.err);
    started_.erase(found);
    return reply(std::move(told));
}

std::string Guest::answer(const Question& question) {
    const Behaviour& behaviour = question.behaviour;
    if (!agent_is_up(question.domain, behaviour) || behaviour.agent == "absent")
        throw refusal("Guest agent is not responding: QEMU guest agent is not connected");
    auto message = json::parse(question.command, "guest agent command");
    auto name = json::string_or(message, "execute", "");
    if (behaviour.agent_at.empty() || behaviour.agent_at == name) {
        if (behaviour.agent == "silent")
            throw refusal("Guest agent is not responding: Guest agent not available for now");
        if (auto sent = nonsense(behaviour.agent)) return *sent;
    }
    bj::value arguments = bj::object{};
    if (auto given = message.as_object().if_contains("arguments"); given && given->is_object())
        arguments = *given;
    if (name == "guest-ping") return reply(bj::object{});
    if (name == "guest-get-fsinfo")
        return reply(bj::array{bj::object{{"mountpoint", "/"}, {"used-bytes", root_used_bytes}}});
    if (name == "guest-file-open") return open_file(question, arguments);
    if (name == "guest-exec") return start(question, arguments);
    if (name == "guest-exec-status") return status(arguments);

    auto opened = files_.find(integer_or(arguments, "handle", 0));
    if (name == "guest-file-close" && opened != files_.end()) {
        files_.erase(opened);
        return reply(bj::object{});
    }
    if ((name == "guest-file-read" || name == "guest-file-write") && opened != files_.end())
        return with_file(name, opened->second, arguments);
    throw refusal("internal error: unable to execute QEMU agent command '" + name + "': The command " + name +
                  " has not been found");
}

} // namespace blockhost::simulated
