/// See session.hpp.

#include "hypervisor/rpc/session.hpp"

#include "hypervisor/meanings.hpp"
#include "hypervisor/rpc/answers.hpp"

#include <algorithm>
#include <fcntl.h>
#include <utility>

namespace blockhost::rpc {
namespace {

using namespace std::chrono_literals;

/// Where there is a terminal, libvirt's library asks there for the password that polkit wants.
bool has_terminal() {
    return static_cast<bool>(Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)));
}

} // namespace

Session::Session(const std::string& socket, bool write, std::chrono::milliseconds longest)
    : wakening_(std::in_place, socket, began_, longest),
      opening_(Deadline::in(std::min<std::chrono::milliseconds>(libvirt::patience, longest))),
      socket_(socket, opening_) {
    let_in();
    Writer arguments;
    arguments.present("qemu:///system").number(write ? 0u : open_read_only);
    ask(connect_open, arguments.bytes(), opening_).reader().expect_end();
    wakening_.reset();
}

void Session::let_in() {
    const auto offered = auth_types(ask(auth_list, {}, opening_).reader());
    const auto offers = [&](Auth type) {
        return std::find(offered.begin(), offered.end(), static_cast<std::int32_t>(type)) != offered.end();
    };
    if (offers(Auth::none)) return;
    if (!offers(Auth::polkit)) throw Surprise("it wants an authentication that only libvirt's library knows");
    try {
        one_number(ask(auth_polkit, {}, opening_).reader());
    } catch (const Refusal& why) {
        if (why.code() == libvirt::number::auth_unavailable && has_terminal())
            throw Surprise("it wants a password, for which libvirt's library asks");
        throw;
    }
}

Answer Session::call(const std::string& doing, Procedure procedure, const std::string& arguments,
                     const Deadline& deadline) {
    try {
        return ask(procedure, arguments, deadline);
    } catch (Trouble& trouble) {
        trouble.set_doing(doing);
        throw;
    }
}

void Session::begin(Procedure procedure, const std::string& arguments, const Deadline& deadline) {
    pass_over(deadline);
    begun_ = sent(procedure, arguments, deadline);
}

void Session::pass_over(const Deadline& deadline) {
    const auto begun = std::exchange(begun_, std::nullopt);
    if (!begun) return;
    try {
        answer_to(*begun, deadline);
    } catch (const Refusal&) { // nobody wants to know any more
    }
}

Answer Session::ask(Procedure procedure, const std::string& arguments, const Deadline& deadline) {
    if (begun_ && begun_->procedure == procedure && begun_->arguments == arguments)
        return answer_to(*std::exchange(begun_, std::nullopt), deadline);
    pass_over(deadline);
    return answer_to(sent(procedure, arguments, deadline), deadline);
}

Session::Pending Session::sent(Procedure procedure, const std::string& arguments, const Deadline& deadline) {
    Pending call{procedure, serial_++, arguments};
    socket_.send(packet_of(procedure, call.serial, arguments), deadline);
    return call;
}

Answer Session::answer_to(const Pending& call, const Deadline& deadline) {
    for (;;) {
        auto packet = next_packet(deadline);
        if (is_answer(packet, call.procedure, call.serial)) return Answer(std::move(packet));
    }
}

/// A daemon on its way is waited for, a second at a time.
std::string Session::next_packet(const Deadline& deadline) {
    auto until = deadline;
    for (;;) {
        try {
            return socket_.receive(until);
        } catch (const Silence&) {
            if (!wakening_ || !wakening_->is_going_on()) throw;
            until = Deadline::in(1s);
            opening_ = until;
        }
    }
}

} // namespace blockhost::rpc
