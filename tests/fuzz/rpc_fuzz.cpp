// SPDX-License-Identifier: MIT
/// What a libvirt daemon says: by the input's first character, s bytes as they come from its socket, e an
/// error, and any other one kind of answer.

#include "base/time.hpp"
#include "hypervisor/rpc/answers.hpp"
#include "hypervisor/rpc/message.hpp"
#include "hypervisor/rpc/socket.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/parrot.hpp"

namespace blockhost::rpc {
namespace {

constexpr auto patience = std::chrono::seconds(20);

/// Trouble is an answer too; anything else that is thrown is a finding.
template<class Body>
void told(Body body) {
    try {
        body();
    } catch (const Trouble& trouble) {
        fuzz::check(!trouble.words().empty() || dynamic_cast<const Refusal*>(&trouble),
                    "trouble says what is wrong");
    }
}

void packets(std::string_view bytes) {
    static auto& daemon =
        *new fuzz::Parrot(fuzz::Parrot::Manner::speaks_at_once); // its thread ends with the process
    daemon.set(bytes);
    const auto end = Deadline::in(patience);
    told([&] {
        Socket socket(daemon.path().string(), end);
        for (std::uint32_t serial = 0;; ++serial) {
            const auto packet = socket.receive(end);
            fuzz::check(packet.size() >= header_size && packet.size() <= bytes.size(),
                        "a packet is of what was said");
            told([&] { is_answer(packet, auth_list, serial); });
        }
    });
    fuzz::check(!end.passed(), "whoever hung up is not waited for");
}

void figures(std::string_view bytes) {
    told([&] {
        const auto figures = stats_figures(Reader(bytes));
        const auto states = stats_states(Reader(bytes));
        fuzz::check(figures.size() == states.size(), "a bulk answer is of the same domains twice");
        for (std::size_t i = 0; i < states.size(); ++i)
            fuzz::check(figures[i].state == states[i].state, "a domain has one state");
    });
}

void daemons_words(std::string_view input) {
    const char kind = fuzz::take_selector(input);
    const Reader reader(input);
    switch (kind) {
    case 's':
        return packets(input);
    case 'e':
        return told([&] { (void)refusal_of(reader); });
    case 'f':
        return figures(input);
    case 'a':
        return told([&] { (void)auth_types(reader); });
    case 'd':
        return told([&] {
            fuzz::check(uuid_text(domain(reader).uuid).size() == 36, "a uuid is spelt in 36 characters");
        });
    case 'l':
        return told([&] { (void)domains(reader); });
    case 't':
        return told([&] { (void)one_text(reader); });
    case 'r':
        return told([&] { (void)agent_reply(reader); });
    case 'n':
        return told([&] { (void)node_info(reader); });
    case 'i':
        return told([&] { (void)info_memory(reader); });
    default:
        return;
    }
}

} // namespace
} // namespace blockhost::rpc

FUZZ_TARGET(blockhost::rpc::daemons_words)
