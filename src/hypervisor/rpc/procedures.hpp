// SPDX-License-Identifier: MIT
#pragma once
/// The numbers of libvirt's RPC protocol that are used here. They are only ever appended to, and an old
/// number keeps its arguments and its answer.

#include <cstddef>
#include <cstdint>

namespace blockhost::rpc {

/// src/remote/remote_protocol.x (REMOTE_PROGRAM) and src/remote/qemu_protocol.x (QEMU_PROGRAM) of libvirt.
enum class Program : std::uint32_t { remote = 0x20008086, qemu = 0x20008087 };
/// REMOTE_PROTOCOL_VERSION and QEMU_PROTOCOL_VERSION.
inline constexpr std::uint32_t protocol_version = 1;

/// One procedure of one program.
struct Procedure {
    Program program = Program::remote;
    std::int32_t number = 0;
    bool operator==(const Procedure&) const = default;
};

/// remote_protocol.x, enum remote_procedure: REMOTE_PROC_… of the same name.
inline constexpr Procedure connect_open{Program::remote, 1};
inline constexpr Procedure connect_close{Program::remote, 2};
inline constexpr Procedure node_get_info{Program::remote, 6};
inline constexpr Procedure domain_get_xml_desc{Program::remote, 14};
inline constexpr Procedure domain_get_info{Program::remote, 16};
inline constexpr Procedure domain_lookup_by_name{Program::remote, 23};
inline constexpr Procedure auth_list{Program::remote, 66};
inline constexpr Procedure auth_polkit{Program::remote, 70};
inline constexpr Procedure domain_is_active{Program::remote, 150};
inline constexpr Procedure domain_is_persistent{Program::remote, 151};
inline constexpr Procedure domain_has_managed_save_image{Program::remote, 183};
inline constexpr Procedure domain_get_state{Program::remote, 212};
inline constexpr Procedure domain_get_metadata{Program::remote, 265};
inline constexpr Procedure connect_list_all_domains{Program::remote, 273};
inline constexpr Procedure connect_get_all_domain_stats{Program::remote, 344};
inline constexpr Procedure domain_managed_save_get_xml_desc{Program::remote, 388};
inline constexpr Procedure domain_agent_set_response_timeout{Program::remote, 420};

/// qemu_protocol.x, enum qemu_procedure: QEMU_PROC_DOMAIN_AGENT_COMMAND.
inline constexpr Procedure domain_agent_command{Program::qemu, 3};

/// remote_protocol.x: what a list may have (REMOTE_DOMAIN_LIST_MAX; REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX,
/// 4096 in older releases; REMOTE_AUTH_TYPE_LIST_MAX).
inline constexpr std::size_t most_domains = 16384, most_parameters = 262144, most_auth_types = 20;

/// remote_protocol.x, enum remote_auth_type.
enum class Auth : std::int32_t { none = 0, sasl = 1, polkit = 2 };

/// include/libvirt/libvirt-host.h and libvirt-domain.h: VIR_CONNECT_RO, VIR_DOMAIN_XML_INACTIVE,
/// VIR_CONNECT_LIST_DOMAINS_TRANSIENT, VIR_DOMAIN_METADATA_ELEMENT.
inline constexpr std::uint32_t open_read_only = 1, xml_inactive = 2, list_transient = 8;
inline constexpr std::int32_t metadata_element = 2;

} // namespace blockhost::rpc
