// SPDX-License-Identifier: MIT
/// See exec.hpp. The messages are QEMU's (docs/interop/qemu-ga-ref).

#include "guest/exec.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "guest/message.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::guest {
namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;
using Time = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds first_pause = 10ms, longest_pause = 300ms;
/// How long nobody may answer until the agent counts as gone.
constexpr auto silence_patience = 6s;
/// The longest reply that libvirt passes on is 4 MiB.
constexpr std::size_t longest_status = 4 * 1024 * 1024 + 64 * 1024;

Error senseless(std::string_view command, const std::string& what) {
    return Error(Code::guest,
                 "the guest agent's reply to " + std::string(command) + " makes no sense: " + what);
}

std::int64_t start(const AgentCall& call, const Program& program) {
    bj::object arguments{{"path", program.path}, {"capture-output", true}};
    if (!program.arguments.empty())
        arguments["arg"] = bj::array(program.arguments.begin(), program.arguments.end());
    const bj::value started = ask(call, "guest-exec", std::move(arguments));
    const auto pid = json::integer_in(started, "pid");
    if (!pid) throw senseless("guest-exec", "it has no pid");
    return *pid;
}

/// The member's bytes; empty when it is absent.
std::string bytes_of(const bj::value& status, std::string_view key) {
    const bj::value* data = json::member(status, key);
    if (data == nullptr) return {};
    const bj::string* text = data->if_string();
    auto bytes = text == nullptr ? std::nullopt : base64::decode(*text);
    if (!bytes) throw senseless("guest-exec-status", std::string(key) + " is not base64");
    return std::move(*bytes);
}

/// The member as a number from 0 to `most`; nothing when it is absent.
std::optional<int> number_of(const bj::value& status, std::string_view key, int most) {
    const bj::value* number = json::member(status, key);
    if (number == nullptr) return std::nullopt;
    if (!number->is_int64() || number->get_int64() < 0 || number->get_int64() > most)
        throw senseless("guest-exec-status", std::string(key) + " is out of bounds");
    return static_cast<int>(number->get_int64());
}

/// The outcome in a status reply; nothing while the program runs.
std::optional<Outcome> outcome_of(const bj::value& status) {
    const bj::value* exited = json::member(status, "exited");
    if (exited == nullptr || !exited->is_bool())
        throw senseless("guest-exec-status", "it does not tell whether the program has ended");
    if (!exited->get_bool()) return std::nullopt;
    Outcome outcome;
    const auto code = number_of(status, "exitcode", 255);
    outcome.signal = number_of(status, "signal", 127).value_or(0);
    if (!code && outcome.signal == 0)
        throw senseless("guest-exec-status", "the program ended without an exit code");
    outcome.exit_code = code.value_or(0);
    outcome.out = bytes_of(status, "out-data");
    outcome.err = bytes_of(status, "err-data");
    outcome.out_truncated = json::is_true(status, "out-truncated");
    outcome.err_truncated = json::is_true(status, "err-truncated");
    return outcome;
}

/// While a program runs, the agent may be busy, or frozen for a snapshot; then it refuses all but a few
/// commands as disabled.
bool may_answer_yet(const Error& error) {
    return is_silence(error) ||
           (error.code() == Code::guest && error.message().find("disabled") != std::string::npos);
}

/// The looks at one program.
class Watch {
  public:
    Watch(const AgentCall& call, std::int64_t pid, const Waiting& waiting)
        : call_(call), pid_(pid), waiting_(waiting) {}

    std::optional<Outcome> look() {
        const Time began = waiting_.now();
        try {
            auto status = ask(call_, "guest-exec-status", {{"pid", pid_}}, longest_status);
            silent_ = false;
            return outcome_of(status);
        } catch (const Paused&) {
            return std::nullopt;
        } catch (const Error& error) {
            if (error.code() == Code::guest && silent_ && !may_answer_yet(error))
                throw Error(Code::guest,
                            "the guest agent stopped answering while the command ran, and does not "
                            "know how it ended: " +
                                error.message());
            if (!may_answer_yet(error)) throw;
            if (!silent_) silent_since_ = began;
            silent_ = true;
            if (waiting_.now() - silent_since_ < silence_patience) return std::nullopt;
            throw Error(Code::guest,
                        "the guest agent stopped answering while the command ran: " + error.message());
        }
    }

  private:
    const AgentCall& call_;
    std::int64_t pid_;
    const Waiting& waiting_;
    bool silent_ = false; ///< nobody answered the last look
    Time silent_since_{};
};

Outcome exec_until(const AgentCall& call, const Program& program, Time end, const Waiting& waiting) {
    Watch watch(call, start(call, program), waiting);
    for (auto pause = first_pause;; pause = std::min(pause * 3 / 2, longest_pause)) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - waiting.now());
        if (left <= 0ms) throw Error(Code::guest, "the command did not end in time; it goes on in the guest");
        waiting.sleep(std::min(pause, left));
        if (auto outcome = watch.look()) return std::move(*outcome);
    }
}

} // namespace

Outcome exec(const AgentCall& call, const Program& program, std::chrono::milliseconds span,
             const Waiting& waiting) {
    return exec_until(call, program, waiting.now() + span, waiting);
}

namespace {

/// Runs /bin/sh with the operands and cuts both of its streams one byte behind the limit, so that a command
/// that writes on ends by SIGPIPE. Descriptors 3 and 4 are the agent's stdout and stderr, 5 takes the exit
/// status, 6 is the command's stderr. The subshell and /dev/null are needed because a shell reports a command
/// that a signal killed ("Terminated") on the stderr that the command has.
constexpr std::string_view limiter =
    "command -v head >/dev/null || exec /bin/sh \"$@\"\n"
    "exec 3>&1 4>&2 2>/dev/null\n"
    "status=$({ { { (exec /bin/sh \"$@\" 2>&6 3>&- 4>&- 5>&- 6>&-); echo $? >&5; } | head -c LIMIT >&3; "
    "} 6>&1 | head -c LIMIT >&4; } 5>&1)\n";
constexpr std::string_view remove_folder = "rm -rf -- \"${1%/*}\"\n";
constexpr std::string_view finish = "exit \"${status:-1}\"\n";

std::string filled_limiter() {
    constexpr std::string_view placeholder = "LIMIT";
    std::string text(limiter);
    const std::string number = std::to_string(most_output + 1);
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != text.npos; at += number.size())
        text.replace(at, placeholder.size(), number);
    return text;
}

Outcome checked(Outcome outcome) {
    for (const auto& [stream, cut, name] : {std::tuple(&outcome.out, outcome.out_truncated, "stdout"),
                                            std::tuple(&outcome.err, outcome.err_truncated, "stderr")})
        if (cut || stream->size() > most_output)
            throw Error(Code::guest,
                        std::string("the command's ") + name + " is longer than " +
                            std::to_string(most_output) + " bytes",
                        "let it write to a file in the guest");
    return outcome;
}

/// JSON carries only UTF-8. libvirt cannot send the agent a message that is longer than its socket's buffer
/// (212 KiB), and one byte may take six in JSON.
bool fits_an_argument(const std::string& command) {
    constexpr std::size_t longest_message = 160 * 1024;
    if (command.size() > longest_argument) return false;
    const std::string message = bj::serialize(bj::string(command));
    boost::system::error_code malformed;
    bj::parse(message, malformed);
    return !malformed && message.size() <= longest_message;
}

/// A folder in the guest that only root can enter, for one command's text. The destructor removes it.
class ScriptFolder {
  public:
    ScriptFolder(const AgentCall& call, Time end, const Waiting& waiting) : call_(call), waiting_(waiting) {
        // The umask matters: the agent makes files that everybody may read and write.
        auto made = exec_until(
            call, {"/bin/sh", {"-c", "umask 077; mktemp -d /run/blockhost-exec.XXXXXX || mktemp -d"}}, end,
            waiting);
        path_ = std::string(text::trim(made.out));
        const bool is_path = path_.starts_with('/') && path_.size() < 200 && path_ == text::printable(path_);
        if (made.status() == 0 && is_path) return;
        path_.clear();
        throw Error(Code::guest, "the guest made no folder for the command: " + text::printable(made.err));
    }
    ScriptFolder(const ScriptFolder&) = delete;
    ScriptFolder& operator=(const ScriptFolder&) = delete;
    ~ScriptFolder() {
        if (removed_by_itself_) return;
        try {
            exec(call_, {"/bin/sh", {"-c", "rm -rf -- \"$1\"", "guest-exec", path_}}, 3s, waiting_);
        } catch (...) {
            // The failure that led here matters more; /run is emptied at the next boot.
        }
    }

    std::string script() const { return path_ + "/command"; }

    void write(const std::string& text) const {
        const auto handle = ask(call_, "guest-file-open", {{"path", script()}, {"mode", "w"}});
        try {
            write_to(handle, text);
        } catch (...) {
            close(handle);
            throw;
        }
        ask(call_, "guest-file-close", {{"handle", handle}});
    }

    /// To be called when the command's own shell has removed the folder.
    void is_removed() { removed_by_itself_ = true; }

  private:
    void write_to(const bj::value& handle, const std::string& text) const {
        constexpr std::size_t part = 48 * 1024; // see fits_an_argument
        for (std::size_t at = 0; at < text.size();) {
            const auto bytes = base64::encode(std::string_view(text).substr(at, part));
            const auto written = ask(call_, "guest-file-write", {{"handle", handle}, {"buf-b64", bytes}});
            const auto count = json::integer_in(written, "count");
            if (!count || *count <= 0) throw senseless("guest-file-write", "nothing was written");
            at += static_cast<std::size_t>(*count);
        }
    }
    void close(const bj::value& handle) const {
        try {
            ask(call_, "guest-file-close", {{"handle", handle}});
        } catch (...) {
            // The earlier failure matters more.
        }
    }

    const AgentCall& call_;
    const Waiting& waiting_;
    std::string path_;
    bool removed_by_itself_ = false;
};

} // namespace

Outcome shell(const AgentCall& call, const std::string& command, std::chrono::milliseconds span,
              const Waiting& waiting) {
    if (command.size() > longest_command)
        throw Error(Code::invalid, "the command is longer than " + text::human_bytes(longest_command));
    if (command.find('\0') != command.npos) throw Error(Code::invalid, "the command has a NUL byte in it");
    const Time end = waiting.now() + span;
    const std::string limited = filled_limiter();
    if (fits_an_argument(command)) {
        const std::string text = limited + std::string(finish);
        return checked(
            exec_until(call, {"/bin/sh", {"-c", text, "guest-exec", "-c", command}}, end, waiting));
    }
    ScriptFolder folder(call, end, waiting);
    folder.write(command);
    const std::string text = limited + std::string(remove_folder) + std::string(finish);
    auto outcome = exec_until(call, {"/bin/sh", {"-c", text, "guest-exec", folder.script()}}, end, waiting);
    if (outcome.signal == 0) folder.is_removed();
    return checked(std::move(outcome));
}

} // namespace blockhost::guest
