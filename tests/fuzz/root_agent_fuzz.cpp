/// Both ends of the talk with the root agent, by the input's first character: r a reply's text, f bytes as
/// they come from its socket, t limits that a caller wants set.

#include "base/root_agent.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "hypervisor/tuning_json.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;

namespace {

/// Answers every request with the same bytes, and closes.
class Agent {
  public:
    Agent()
        : socket_(folder_.path() / "agent.sock"), listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_.native().copy(address.sun_path, sizeof address.sun_path - 1);
        fuzz::check(bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                        listen(listening_, 4) == 0,
                    "an agent can listen");
        std::thread([this] { serve(); }).detach();
    }
    const std::filesystem::path& path() const { return socket_; }
    void set(std::string_view bytes) { bytes_ = bytes; }

  private:
    void serve() const {
        for (;;) {
            const int caller = accept(listening_, nullptr, nullptr);
            if (caller < 0) return;
            char request[4096];
            (void)!read(caller, request, sizeof request);
            (void)!send(caller, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
            close(caller);
        }
    }

    fuzz::MemoryFolder folder_;
    std::filesystem::path socket_;
    int listening_;
    std::string bytes_;
};

/// What a person is shown of an answer is bounded and printable.
void check_message(const Error& error) {
    fuzz::check(error.message().size() < 2100 && error.hint().size() < 2100, "a message has bounds");
    fuzz::check(text::printable(error.message(), 4096) == error.message(), "a message is printable");
}

void reply(std::string_view text) {
    try {
        const auto object = checked_reply(std::string(text), "vm-step");
        fuzz::check(object.at("ok").as_bool(), "a reply that is taken says ok");
    } catch (const Error& error) {
        check_message(error);
    }
}

void frame(std::string_view bytes) {
    static auto& agent = *new Agent; // its thread ends with the process
    agent.set(bytes);
    constexpr auto patience = std::chrono::seconds(20);
    const auto end = Deadline::in(patience);
    try {
        (void)call_root_agent(agent.path(), "vm-step", {{"name", "web"}}, patience);
    } catch (const Error& error) {
        check_message(error);
    }
    fuzz::check(!end.passed(), "whoever hung up is not waited for");
}

void limits(std::string_view text) {
    fuzz::answered([&] {
        const auto value = json::parse(text, "stdin");
        if (!value.is_object()) return;
        const Tuning tuning = tuning_from(value.get_object());
        fuzz::check(tuning_from(to_json(tuning)) == tuning, "limits travel unchanged");
    });
    (void)subsystem_named(text);
}

void root_agent(std::string_view input) {
    switch (fuzz::take_selector(input)) {
    case 'r':
        return reply(input);
    case 'f':
        return frame(input);
    case 't':
        return limits(input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(root_agent)
