// SPDX-License-Identifier: MIT
/// See guest.hpp. The messages are QEMU's (docs/interop/qemu-ga-ref).

#include "hypervisor/simulated/guest.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/domain.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
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

/// Silent between two stages.
bool is_idle(const Behaviour& behaviour) {
    return behaviour.cloud_init == "waits" || behaviour.cloud_init == "stopped";
}

bool has_booted(const DomainFile& domain, const Behaviour& behaviour) {
    return millis_now() >= domain.started + behaviour.boot_ms;
}

std::string status_json(bool finished, const Behaviour& behaviour) {
    bool failed = behaviour.cloud_init == "failed";
    const bool idle = is_idle(behaviour);
    bj::array errors;
    if (behaviour.cloud_init == "errors") errors.emplace_back("('runcmd', RuntimeError('simulated'))");
    auto stage = [](bool over, bj::array with) {
        return bj::object{
            {"start", 1.5}, {"finished", over ? bj::value(2.5) : bj::value()}, {"errors", std::move(with)}};
    };
    return bj::serialize(
        bj::object{{"v1", bj::object{{"datasource", failed ? "DataSourceNone" : datasource},
                                     {"stage", finished || idle ? bj::value() : bj::value("modules-config")},
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
    bool finished = behaviour.cloud_init != "running" && !is_idle(behaviour) && has_booted(domain, behaviour);
    Files files{{"/run/cloud-init/enabled", ""},
                {"/run/cloud-init/status.json", status_json(finished, behaviour)}};
    if (!finished) return files;
    bool failed = behaviour.cloud_init == "failed";
    files["/run/cloud-init/result.json"] = bj::serialize(bj::object{
        {"v1", bj::object{{"datasource", failed ? "DataSourceNone" : datasource}, {"errors", bj::array{}}}}});
    files["/var/lib/cloud/instance/boot-finished"] = "20.00 - simulated\n";
    return files;
}

/// What systemd has yet to do; the simulated systemctl reads it.
Files systemd_files(const Behaviour& behaviour) {
    if (behaviour.cloud_init != "waits") return {{std::string(boot_jobs_file), ""}};
    return {{std::string(boot_jobs_file), "133 slow.service        start running\n"
                                          "140 cloud-config.service start waiting\n"
                                          "141 cloud-final.service  start waiting\n"}};
}

/// The value behind `key` in the first line of YAML that begins with it, without quotes.
std::string value_in(const std::string& text, std::string_view key) {
    for (const std::string& line : text::split(text, '\n')) {
        std::string_view rest = text::trim(line);
        if (rest.starts_with("- ")) rest = text::trim(rest.substr(2));
        if (!rest.starts_with(key)) continue;
        rest = text::trim(rest.substr(key.size()));
        if (rest.size() > 1 && rest.front() == '"' && rest.back() == '"')
            rest = rest.substr(1, rest.size() - 2);
        return std::string(rest);
    }
    return "";
}

/// What the seed tells of the login: the user-data is what it begins with. Without a seed the domain's mark
/// tells it.
struct Wanted {
    std::string user, gecos, keys;
};
Wanted wanted_login(const std::string& xml) {
    const DomainFacts facts = read_domain(xml);
    const auto seed =
        facts.seeds.empty() ? std::nullopt : files::read(std::filesystem::path(facts.seeds.front()));
    if (const auto& mark = facts.claim.unproven(); !seed && mark)
        return {mark->username, "wallet=" + mark->wallet + ",nft=", ""};
    if (!seed) return {};
    Wanted wanted{value_in(*seed, "name:"), value_in(*seed, "gecos:"), ""};
    const std::string merged = value_in(*seed, "<<:");
    boost::system::error_code malformed;
    const bj::value login = bj::parse(merged.empty() ? "{}" : merged, malformed);
    for (const std::string& key : json::strings_in(login, "ssh_authorized_keys")) wanted.keys += key + "\n";
    return wanted;
}

/// The guest's user database as its first boot leaves it, as far as that has come.
Files first_users(const DomainFile& domain, const Behaviour& behaviour, const std::string& xml) {
    Files files{{"/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"}};
    const bool set_up = behaviour.cloud_init != "disabled" && behaviour.cloud_init != "failed";
    const Millis made = domain.started + std::max(behaviour.boot_ms, behaviour.login_ms);
    Wanted wanted = wanted_login(xml);
    if (!set_up || wanted.user.empty() || behaviour.login == "missing" || millis_now() < made) return files;
    if (behaviour.login == "other's") wanted.gecos = "wallet=0x0,nft=1";
    files["/etc/passwd"] +=
        wanted.user + ":x:1000:1000:" + wanted.gecos + ":/home/" + wanted.user + ":/bin/bash\n";
    if (!wanted.keys.empty() && behaviour.login != "keyless")
        files["/home/" + wanted.user + "/.ssh/authorized_keys"] = wanted.keys;
    return files;
}

} // namespace

bool agent_is_up(const DomainFile& domain, const Behaviour& behaviour) {
    const bool goes_down = domain.ends != 0; // the agent is among the first to be stopped
    return domain.state == PowerState::running && !goes_down &&
           millis_now() >= domain.started + behaviour.boot_ms / 2;
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

/// The files of the guest by their paths.
Files files_of(const Question& question) {
    const auto& [name, command, domain, behaviour, store] = question;
    Files files = cloud_init_files(domain, behaviour);
    files.merge(kernel_files(domain, behaviour));
    files.merge(systemd_files(behaviour));
    files.merge(first_users(domain, behaviour, store.domain_xml(name)));
    if (const auto passwd = store.guest_passwd(name)) files["/etc/passwd"] = *passwd;
    return files;
}

} // namespace

std::string Guest::open_file(const Question& question, const bj::object& arguments) {
    const auto path = json::string_or(arguments, "path", ""), mode = json::string_or(arguments, "mode", "r");
    if (mode == "w") {
        if (!made_.contains(path.substr(0, path.rfind('/')) + "/")) return refuse_open(path, mode);
        made_[path] = "";
        files_[next_number_] = {path, "", 0, true};
        return reply(next_number_++);
    }
    auto files = files_of(question);
    auto found = files.find(path);
    if (found == files.end()) return refuse_open(path, mode);
    files_[next_number_] = {path, found->second, 0, false};
    return reply(next_number_++);
}

std::string Guest::with_file(const std::string& command, OpenFile& file, const bj::object& arguments) {
    if (command == "guest-file-write" && file.writing) {
        auto bytes = base64::decode(json::string_or(arguments, "buf-b64", "")).value_or("");
        made_[file.path] += bytes;
        return reply(bj::object{{"count", bytes.size()}, {"eof", false}});
    }
    auto& [path, content, position, writing] = file;
    auto count = static_cast<std::size_t>(
        std::max<std::int64_t>(0, json::integer_in(arguments, "count").value_or(4096)));
    auto part = content.substr(position, count);
    position += part.size();
    return reply(bj::object{{"count", part.size()},
                            {"buf-b64", base64::encode(part)},
                            {"eof", position == content.size() && part.size() < count}});
}

std::string Guest::start(const Question& question, const bj::object& arguments) {
    const auto words = json::strings_in(arguments, "arg");
    const auto path = json::string_or(arguments, "path", "");
    Files files = files_of(question);
    files.merge(Files(made_));
    const std::string passwd = files["/etc/passwd"];
    const bool usermod = path.ends_with("usermod");
    const bool locked = usermod && usermods_++ < question.behaviour.passwd_locked;
    auto ended = run_program(path, words, files, locked);
    if (files["/etc/passwd"] != passwd) question.store.put_guest_passwd(question.name, files["/etc/passwd"]);
    made_.clear();
    for (const auto& [name, content] : files)
        if (name.starts_with("/run/blockhost-exec.") || name.starts_with("/tmp/")) made_[name] = content;
    const auto over = millis_now() + ended.milliseconds;
    started_[next_number_] = {std::move(ended), over};
    return reply(bj::object{{"pid", next_number_++}});
}

std::string Guest::status(const bj::object& arguments) {
    const auto pid = json::integer_in(arguments, "pid").value_or(0);
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

std::string Guest::freezing(const Question& question, const std::string& name) {
    if (name == "guest-fsfreeze-status") return reply(question.domain.frozen ? "frozen" : "thawed");
    const bool freeze = name == "guest-fsfreeze-freeze";
    if (freeze && question.domain.frozen)
        throw refusal("internal error: unable to execute QEMU agent command 'guest-fsfreeze-freeze': Command "
                      "guest-fsfreeze-freeze has been disabled: the agent is in frozen state");
    try {
        return reply(question.store.set_frozen(question.name, freeze));
    } catch (const Error& error) {
        if (error.code() != Code::io && error.code() != Code::no_room) throw;
        throw refusal("internal error: unable to execute QEMU agent command '" + name +
                      "': failed to write to /: " + error.message());
    }
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
    const bj::object& arguments = json::object_in(message, "arguments");
    if (name == "guest-ping") return reply(bj::object{});
    if (name.starts_with("guest-fsfreeze-")) return freezing(question, name);
    if (question.domain.frozen)
        throw refusal("internal error: unable to execute QEMU agent command '" + name + "': Command " + name +
                      " has been disabled: the agent is in frozen state");
    if (name == "guest-get-fsinfo")
        return reply(bj::array{bj::object{{"mountpoint", "/"}, {"used-bytes", root_used_bytes}}});
    if (name == "guest-file-open") return open_file(question, arguments);
    if (name == "guest-exec") return start(question, arguments);
    if (name == "guest-exec-status") return status(arguments);

    auto opened = files_.find(json::integer_in(arguments, "handle").value_or(0));
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
