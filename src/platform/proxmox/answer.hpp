// SPDX-License-Identifier: MIT
#pragma once
/// The shapes of a node's answers. What has another shape makes no sense, and is never read as if there were
/// nothing.

#include "base/error.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace blockhost::platform::proxmox {

/// Of guests.
inline constexpr std::int64_t lowest_id = 100, highest_id = 999'999'999;

/// For an answer to the call of that path.
inline Error senseless(const std::string& path, std::string_view what) {
    return Error(Code::hypervisor, path + ": the node's answer makes no sense: " + std::string(what),
                 "is this version of Proxmox VE supported?");
}

inline const boost::json::object& object_of(const boost::json::value& value, const std::string& path) {
    if (!value.is_object()) throw senseless(path, "it is no object");
    return value.get_object();
}

inline const boost::json::array& list_of(const boost::json::value& value, const std::string& path) {
    if (!value.is_array()) throw senseless(path, "it is no list");
    return value.get_array();
}

/// One that is no row is not skipped: what is missing in a list would look like what is gone.
inline const boost::json::object& row_of(const boost::json::value& row, const std::string& path) {
    if (!row.is_object()) throw senseless(path, "a row is no object");
    return row.get_object();
}

} // namespace blockhost::platform::proxmox
