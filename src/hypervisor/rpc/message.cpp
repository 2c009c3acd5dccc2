// SPDX-License-Identifier: MIT
/// See message.hpp.

#include "hypervisor/rpc/message.hpp"

namespace blockhost::rpc {

std::string packet_of(Procedure procedure, std::uint32_t serial, const std::string& arguments) {
    const std::size_t size = header_size + arguments.size();
    if (size > largest_packet) throw Surprise("a call larger than the protocol permits was to be made");
    Writer writer;
    writer.number(static_cast<std::uint32_t>(length_size + size));
    writer.number(static_cast<std::uint32_t>(procedure.program)).number(protocol_version);
    writer.number(procedure.number).number(static_cast<std::uint32_t>(Kind::call));
    writer.number(serial).number(static_cast<std::uint32_t>(Status::ok));
    return writer.bytes() + arguments;
}

std::size_t size_after(std::string_view length) {
    const std::size_t size = Reader(length).number();
    if (size < length_size + header_size || size > length_size + largest_packet)
        throw Surprise("a packet has an impossible length");
    return size - length_size;
}

Header header_of(std::string_view packet) {
    Reader reader(packet);
    Header header;
    header.program = reader.number();
    header.version = reader.number();
    header.procedure = reader.signed_number();
    header.kind = reader.number();
    header.serial = reader.number();
    header.status = reader.number();
    return header;
}

bool is_answer(std::string_view packet, Procedure procedure, std::uint32_t serial) {
    const Header header = header_of(packet);
    if (header.kind == static_cast<std::uint32_t>(Kind::message)) return false;
    if (header.kind != static_cast<std::uint32_t>(Kind::reply))
        throw Surprise("a packet is neither an answer nor a message");
    if (header.program != static_cast<std::uint32_t>(procedure.program) || header.version != protocol_version)
        throw Surprise("an answer is another program's");
    if (header.serial != serial || header.procedure != procedure.number)
        throw Surprise("an answer is to another call");
    if (header.status == static_cast<std::uint32_t>(Status::ok)) return true;
    if (header.status != static_cast<std::uint32_t>(Status::error))
        throw Surprise("an answer has an impossible status");
    Reader rest(packet);
    rest.skip(header_size);
    throw refusal_of(rest);
}

Refusal refusal_of(Reader reader) {
    const int code = reader.signed_number();
    reader.number(); // the part of libvirt it comes from
    const std::string words(reader.optional_text().value_or("no reason given"));
    reader.number(); // its level
    constexpr std::uint32_t there = 1;
    if (reader.number() == there) { // a domain
        reader.text();
        reader.raw();
        reader.number();
    }
    for (int detail = 0; detail < 3; ++detail) reader.optional_text();
    reader.number();
    reader.number();
    if (reader.number() == there) { // a network
        reader.text();
        reader.raw();
    }
    reader.expect_end();
    return Refusal(code, words);
}

} // namespace blockhost::rpc
