// SPDX-License-Identifier: MIT
/// See session.hpp.

#include "hypervisor/rpc/session.hpp"

#include "hypervisor/common/states.hpp"
#include "hypervisor/rpc/answers.hpp"

#include <algorithm>
#include <utility>

namespace blockhost::rpc {
namespace {

using namespace std::chrono_literals;

constexpr auto leave_span = 1s;

/// What is left of `span` since `began`.
Deadline since(std::chrono::steady_clock::time_point began, std::chrono::milliseconds span) {
    return Deadline::in(std::chrono::duration_cast<std::chrono::milliseconds>(
        began + span - std::chrono::steady_clock::now()));
}

} // namespace

Session::Session(const std::string& socket, bool write, std::chrono::steady_clock::time_point began,
                 std::chrono::milliseconds longest)
    : wakening_(std::in_place, socket, began, longest),
      opening_(since(began, std::min<std::chrono::milliseconds>(libvirt::patience, longest))),
      socket_(socket, opening_) {
    let_in();
    Writer arguments;
    arguments.present("qemu:///system").number(write ? 0u : open_read_only);
    ask(connect_open, arguments.bytes(), opening_).reader().expect_end();
    wakening_.reset();
}

Session::~Session() {
    if (due_ > 0) return;
    try {
        ask(connect_close, {}, Deadline::in(leave_span));
    } catch (const std::exception&) { // gone is gone
    }
}

void Session::let_in() {
    const auto offered = auth_types(ask(auth_list, {}, opening_).reader());
    const auto offers = [&](Auth type) {
        return std::find(offered.begin(), offered.end(), static_cast<std::int32_t>(type)) != offered.end();
    };
    if (offers(Auth::none)) return;
    if (!offers(Auth::polkit)) throw Surprise("it wants an authentication that only libvirt's library knows");
    one_number(ask(auth_polkit, {}, opening_).reader());
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
    const auto packet = packet_of(procedure, call.serial, arguments);
    ++due_;
    socket_.send(packet, deadline);
    return call;
}

Answer Session::answer_to(const Pending& call, const Deadline& deadline) {
    for (;;) {
        auto packet = next_packet(deadline);
        try {
            if (!is_answer(packet, call.procedure, call.serial)) continue;
        } catch (const Refusal&) {
            --due_;
            throw;
        }
        --due_;
        return Answer(std::move(packet));
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
