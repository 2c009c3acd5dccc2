// SPDX-License-Identifier: MIT
/// Single values: names, addresses, moments, spans, numbers, base64; and a wallet by an engine's pattern,
/// which is the second part.

#include "base/boot_clock.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "model/vm.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;

namespace {

template<class Value>
void round_trip(std::string_view text) {
    const auto value = Value::try_parse(text);
    if (value)
        fuzz::check(Value::try_parse(value->str())->str() == value->str(), "what is read can be read again");
}

void addresses(std::string_view text) {
    round_trip<Ipv4>(text), round_trip<Ipv4Network>(text), round_trip<Ipv6>(text),
        round_trip<Ipv6Prefix>(text);
    round_trip<Mac>(text), round_trip<Uuid>(text), round_trip<InstanceId>(text),
        round_trip<OperationId>(text);
    round_trip<VmName>(text);
    if (const auto ip = Ipv4::try_parse(text))
        fuzz::check(ip->str() == text, "an IPv4 address has one spelling");
    if (const auto ip = Ipv6::try_parse(text))
        fuzz::check(*Ipv6::try_parse(ip->str()) == *ip, "an IPv6 address stays");
    if (const auto network = Ipv4Network::try_parse(text))
        fuzz::check(network->contains(network->network()) && network->contains(network->broadcast()),
                    "a network");
    if (const auto prefix = Ipv6Prefix::try_parse(text))
        for (const std::uint64_t n : {0ull, 1ull, ~0ull})
            if (const auto address = prefix->at(n)) fuzz::check(prefix->contains(*address), "a prefix");
    if (const auto name = VmName::try_parse(text)) {
        const auto operation = *OperationId::try_parse("0123456789abcdef");
        fuzz::check(operation_of_volume(*name, volume_name(*name, operation)) == operation,
                    "a volume names its VM");
    }
    (void)operation_of_volume(VmName("web"), text);
}

void moments(std::string_view text) {
    if (const auto at = parse_instant(text)) {
        const std::string spelled = format_instant(*at);
        const auto again = parse_instant(spelled);
        const bool in_python = spelled[0] != '-' && spelled[4] == '-' && spelled > "0001"; // years 1 to 9999
        fuzz::check(!in_python || again == at, "a moment stays");
    }
    if (const auto span = parse_span(text)) fuzz::check(span->count() >= 1, "a span is not empty");
    if (const auto number = text::parse_int(text))
        fuzz::check(text::parse_int(std::to_string(*number)) == number, "int");
}

void texts(std::string_view text) {
    if (const auto bytes = base64::decode(text))
        fuzz::check(base64::decode(base64::encode(*bytes)) == bytes, "base64");
    fuzz::check(base64::decode(base64::encode(text)) == text, "bytes come back from base64");
    const std::string shown = text::printable(text, 100);
    fuzz::check(shown.size() <= 100 + 3 && shown.find_first_of("\n\r\x1b") == shown.npos,
                "printable text is a line");
    fuzz::check(text::printable(shown, 200) == shown, "printable text is printable");
    fuzz::check(text::last_lines(text, 3).size() <= 3, "the last lines are few");
    fuzz::check(text::join(text::split(text, ','), ",") == text, "what is split can be joined");
    constexpr std::string_view words[] = {"create", "destroy", "guest-exec"};
    (void)text::nearest(text.substr(0, 4096), words);
    fuzz::answered([&] {
        const auto value = json::parse(text, "text");
        // Boost reads a number of many digits to within its last bit.
        fuzz::check(json::parse(json::python_line(value), "line").kind() == value.kind(),
                    "JSON on a line is JSON");
    });
}

void wallets(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    if (parts.size() < 2) return;
    fuzz::answered([&] { fuzz::check(Wallet(parts[0], parts[1]).str() == parts[0], "a wallet stays"); });
    fuzz::answered([&] { fuzz::check(Username(parts[0]).str() == parts[0], "a username stays"); });
    if (const auto wallet = Wallet::trusted(parts[0]))
        fuzz::check(wallet->str() == parts[0], "a trusted wallet stays");
}

void values(std::string_view input) {
    addresses(input), moments(input), texts(input), wallets(input);
}

} // namespace

FUZZ_TARGET(values)
