// SPDX-License-Identifier: MIT
// libvirt's protocol: what is written, what is read, and every length that lies.

#include "base/time.hpp"
#include "hypervisor/common/daemon_socket.hpp"
#include "hypervisor/common/states.hpp"
#include "hypervisor/rpc/answers.hpp"
#include "hypervisor/rpc/message.hpp"
#include "hypervisor/rpc/socket.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::rpc;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

constexpr Uuid128 uuid{0x62, 0x40, 0x38, 0x6e, 0x1a, 0x32, 0x4a, 0x38,
                       0xa0, 0xe2, 0x3a, 0x39, 0x31, 0xd6, 0x8d, 0xcd};
constexpr Procedure look{Program::remote, 23};

/// The words of the Surprise that `call` throws; fails the test when it throws none.
template<class Call>
std::string surprise(Call call) {
    try {
        call();
    } catch (const Surprise& why) {
        CHECK(!why.words().empty());
        return why.words();
    }
    FAIL("nothing was surprising");
    return {};
}

std::string header(std::uint32_t program, std::int32_t procedure, std::uint32_t kind, std::uint32_t serial,
                   std::uint32_t status) {
    Writer writer;
    writer.number(program).number(1u).number(procedure).number(kind).number(serial).number(status);
    return writer.bytes();
}

Writer& put_domain(Writer& writer, const std::string& name, std::int32_t id) {
    return writer << Domain{name, uuid, id};
}

/// An error as libvirt 9.0 sends it.
std::string error_answer(std::int32_t code, const std::string& words) {
    Writer writer;
    writer.number(code).number(10).present(words).number(2).number(0u);
    writer.present("Domain not found: %s").present(words).number(0u).number(-1).number(-1).number(0u);
    return writer.bytes();
}

/// A bulk answer of one domain with one parameter of each type, and the figures we look for.
std::string bulk_answer() {
    Writer writer;
    writer.number(1u);
    put_domain(writer, "web", 7).number(9u);
    writer.text("state.state").number(1).number(1);
    writer.text("cpu.time").number(4).number(1u).number(2u);
    writer.text("balloon.rss").number(2).number(4096u);
    writer.text("vcpu.current").number(3).number(0u).number(3u);
    writer.text("some.double").number(5).number(0u).number(0u);
    writer.text("some.boolean").number(6).number(1);
    writer.text("some.text").number(7).text("x");
    writer.text("net.count").number(2).number(1u);
    writer.text("net.0.rx.bytes").number(3).number(0xffffffffu).number(0xffffffffu);
    return writer.bytes();
}

/// A socket that serves one caller with `bytes`, a piece at a time, and hangs up when told to.
class Server {
  public:
    Server(const std::filesystem::path& path, std::string bytes, bool hangs_up)
        : listening_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.native().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listening_.get(), 1) == 0);
        thread_ = std::thread([this, bytes = std::move(bytes), hangs_up] { serve(bytes, hangs_up); });
    }
    ~Server() { thread_.join(); }

  private:
    void serve(std::string_view bytes, bool hangs_up) {
        caller_ = Fd(::accept(listening_.get(), nullptr, nullptr));
        for (std::size_t piece = 1; !bytes.empty(); piece *= 3) {
            const auto part = bytes.substr(0, piece);
            if (::send(caller_.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) return;
            bytes.remove_prefix(part.size());
        }
        if (hangs_up) caller_ = Fd();
    }

    Fd listening_, caller_;
    std::thread thread_;
};

/// What a caller of such a server gets as its first packet.
template<class Use>
void with_server(const std::string& bytes, bool hangs_up, Use use) {
    hypervisor_test::TemporaryFolder folder;
    const auto path = folder.path() / "sock";
    Server server(path, bytes, hangs_up);
    Socket socket(path.string(), Deadline::in(5s));
    use(socket);
}

} // namespace

TEST_CASE("what is written in XDR is read from it") {
    Writer writer;
    writer.number(7u)
        .number(-2)
        .text("web-1")
        .text("")
        .present("here")
        .number(0u)
        .raw(uuid)
        .number(1u)
        .number(2u);
    CHECK(writer.bytes().size() % 4 == 0);
    Reader reader(writer.bytes());
    CHECK(reader.number() == 7);
    CHECK(reader.signed_number() == -2);
    CHECK(reader.text() == "web-1");
    CHECK(reader.text().empty());
    CHECK(reader.optional_text() == "here");
    CHECK_FALSE(reader.optional_text());
    CHECK(reader.raw() == uuid);
    CHECK(reader.wide() == 0x100000002u);
    reader.expect_end();
}

TEST_CASE("lengths in XDR are not believed") {
    Writer longer, largest;
    longer.number(5u).number(0u); // five characters, of which four are there
    largest.number(0xffffffffu).number(0u);
    CHECK(surprise([&] { Reader(longer.bytes()).text(); }) == "an answer ends too early");
    CHECK(surprise([&] { Reader(largest.bytes()).text(); }).find("longer than the protocol") !=
          std::string::npos);
    CHECK(surprise([&] { Reader(longer.bytes()).text(4); }).find("longer than the protocol") !=
          std::string::npos);
    CHECK(surprise([&] { Reader(largest.bytes()).count(16384, 4); }).find("than the protocol") !=
          std::string::npos);
    CHECK(surprise([&] { Reader(longer.bytes()).count(16384, 4); }).find("than the answer") !=
          std::string::npos);
    CHECK(surprise([] { Reader("abc").number(); }) == "an answer ends too early");
    CHECK(surprise([] { Reader("\0\0\0\2xy"s).text(); }) ==
          "an answer ends too early"); // its padding is missing
    CHECK(surprise([] { Reader("\0\0\0\4x\0yz"s).text(); }).find("zero") != std::string::npos);
    CHECK(surprise([] { Reader("\0\0\0\2"s).optional_text(); }).find("neither") != std::string::npos);
    CHECK(surprise([] { Reader("x").expect_end(); }).find("longer than it should") != std::string::npos);
    CHECK_THROWS_AS(Writer().text(std::string(longest_text + 1, 'x')), Surprise);
}

TEST_CASE("a call is framed as libvirt frames it") {
    CHECK(packet_of(look, 3, "abcd") ==
          "\0\0\0\x20\x20\0\x80\x86\0\0\0\1\0\0\0\x17\0\0\0\0\0\0\0\3\0\0\0\0abcd"s);
    CHECK_THROWS_AS(packet_of(look, 3, std::string(largest_packet, 'x')), Surprise);
}

TEST_CASE("a packet's length is at least its header's and at most 32 MiB") {
    CHECK(size_after("\0\0\0\x1c"s) == header_size);
    CHECK(size_after("\2\0\0\4"s) == largest_packet);
    for (const auto& length : {"\0\0\0\0"s, "\0\0\0\x1b"s, "\2\0\0\5"s, "\xff\xff\xff\xff"s, "\x80\0\0\0"s})
        CHECK(surprise([&] { size_after(length); }).find("impossible length") != std::string::npos);
}

TEST_CASE(
    "an answer is known by program, procedure and serial number; what else comes is passed over or strange") {
    const auto program = static_cast<std::uint32_t>(Program::remote);
    CHECK(is_answer(header(program, 23, 1, 5, 0), look, 5));
    CHECK_FALSE(is_answer(header(0x6b656570, 1, 2, 0, 0), look, 5)); // keepalive
    CHECK_FALSE(is_answer(header(program, 318, 2, 0, 0), look, 5));  // an event
    CHECK(surprise([&] { is_answer(header(program, 23, 1, 6, 0), look, 5); }) ==
          "an answer is to another call");
    CHECK(surprise([&] { is_answer(header(program, 24, 1, 5, 0), look, 5); }) ==
          "an answer is to another call");
    CHECK(surprise([&] { is_answer(header(0x20008087, 23, 1, 5, 0), look, 5); }) ==
          "an answer is another program's");
    CHECK_THROWS_AS(is_answer(header(program, 23, 3, 5, 0), look, 5), Surprise); // a stream
    CHECK_THROWS_AS(is_answer(header(program, 23, 1, 5, 2), look, 5), Surprise);
    CHECK_THROWS_AS(is_answer("short", look, 5), Surprise);
}

TEST_CASE("an error answer is libvirt's number and words") {
    const auto packet = header(static_cast<std::uint32_t>(Program::remote), 23, 1, 5, 1);
    try {
        is_answer(packet + error_answer(42, "Domain not found"), look, 5);
        FAIL("it was no refusal");
    } catch (const Refusal& why) {
        CHECK(why.code() == libvirt::number::no_domain);
        CHECK(why.words() == "Domain not found");
    }
    const auto whole = error_answer(42, "Domain not found");
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(refusal_of(Reader(std::string_view(whole).substr(0, size))), Surprise);
}

TEST_CASE("a bulk answer has each domain's state, and the figures that we show") {
    const auto bytes = bulk_answer();
    const auto states = stats_states(Reader(bytes));
    REQUIRE(states.size() == 1);
    CHECK(states[0].name == "web");
    CHECK(states[0].state == PowerState::running);
    const auto figures = stats_figures(Reader(bytes)).at(0);
    CHECK(figures.uuid == "6240386e-1a32-4a38-a0e2-3a3931d68dcd");
    CHECK(figures.id == 7);
    CHECK(figures.cpu_time_ns == 0x100000002u);
    CHECK(figures.rss_kib == 4096);
    CHECK(figures.cpus == 3);
    CHECK(figures.received_bytes == 0); // it said -1
}

TEST_CASE("an answer that is cut short, or longer, is none") {
    const auto bytes = bulk_answer();
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_THROWS_AS(stats_figures(Reader(std::string_view(bytes).substr(0, size))), Surprise);
    CHECK_THROWS_AS(stats_states(Reader(bytes + "more")), Surprise);
    auto unknown = bytes;
    unknown[bytes.find("state.state") + 12 + 3] = 8; // a type that there is not
    CHECK(surprise([&] { stats_states(Reader(unknown)); }).find("type") != std::string::npos);
}

TEST_CASE("a packet is put together from pieces, and the next one is not lost") {
    const auto first = packet_of(look, 0, std::string(20000, 'a')), second = packet_of(look, 1, "bbbb");
    with_server(first + second, false, [&](Socket& socket) {
        CHECK(socket.receive(Deadline::in(5s)) == first.substr(length_size));
        CHECK(socket.receive(Deadline::in(5s)) == second.substr(length_size));
        CHECK_THROWS_AS(socket.receive(Deadline::in(50ms)), Silence);
    });
}

TEST_CASE(
    "an end within a packet is an end, and an impossible length is seen before anything is waited for") {
    with_server(packet_of(look, 0, "abcd").substr(0, 30), true,
                [](Socket& socket) { CHECK_THROWS_AS(socket.receive(Deadline::in(5s)), Ended); });
    with_server("\x7f\0\0\0"s, false,
                [](Socket& socket) { CHECK_THROWS_AS(socket.receive(Deadline::in(5s)), Surprise); });
}

TEST_CASE("a length that lies costs no memory and ends with the deadline") {
    with_server("\2\0\0\0 abc"s, false, [](Socket& socket) {
        const auto end = Deadline::in(2s);
        CHECK_THROWS_AS(socket.receive(Deadline::in(100ms)), Silence);
        CHECK_FALSE(end.passed());
    });
}

TEST_CASE("only QEMU on this host has a socket that we know") {
    using libvirt::local_sockets;
    CHECK(local_sockets("qemu:///system")->reading == local_sockets("qemu:///system")->writing + "-ro");
    CHECK(local_sockets("qemu+unix:///system?socket=/x/s")->writing == "/x/s");
    CHECK(local_sockets("qemu:///system?socket=/x/s")->reading == "/x/s");
    for (const char* other :
         {"test:///default", "qemu:///session", "qemu+ssh://host/system", "qemu:///system?mode=direct",
          "qemu:///system?socket=x", "qemu:///system?socket=/x&mode=direct", "qemu:///system?socket=/x%20y",
          "qemu:///embed?root=/x", ""})
        CHECK_FALSE(local_sockets(other));
}
