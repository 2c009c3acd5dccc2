// SPDX-License-Identifier: MIT
#pragma once
/// The frame around every call and answer (libvirt's src/rpc/virnetprotocol.x): four bytes of length, which
/// count themselves, six numbers, then what the procedure has.

#include "hypervisor/rpc/procedures.hpp"
#include "hypervisor/rpc/xdr.hpp"

namespace blockhost::rpc {

inline constexpr std::size_t length_size = 4, header_size = 24;
/// VIR_NET_MESSAGE_MAX: of a whole packet without its length.
inline constexpr std::size_t largest_packet = 32u << 20;

/// virNetMessageType and virNetMessageStatus.
enum class Kind : std::uint32_t { call = 0, reply = 1, message = 2 };
enum class Status : std::uint32_t { ok = 0, error = 1 };

struct Header {
    std::uint32_t program = 0, version = 0;
    std::int32_t procedure = 0;
    std::uint32_t kind = 0, serial = 0, status = 0;
};

/// A call, ready to be sent. Throws Surprise when it is larger than the protocol permits.
std::string packet_of(Procedure procedure, std::uint32_t serial, const std::string& arguments);
/// How many bytes follow the four of a length. Throws Surprise for a length that no packet has.
std::size_t size_after(std::string_view length);
/// Of a packet without its length; Throws Surprise.
Header header_of(std::string_view packet);

/// Whether that packet is the answer to that call; not: something else that a daemon may say at any time
/// (events, keepalive, another program's messages). Throws Surprise for an answer to another call, and
/// Refusal when the answer is an error.
bool is_answer(std::string_view packet, Procedure procedure, std::uint32_t serial);

/// An error answer, a virNetMessageError. Throws Surprise for what is none.
Refusal refusal_of(Reader reader);

} // namespace blockhost::rpc
