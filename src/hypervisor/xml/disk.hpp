// SPDX-License-Identifier: MIT
#pragma once
/// A domain's disk in its definition: the file that it is, and the same with another file.

#include <string>

namespace blockhost {

/// The file of the disk `target` ("vda") in a definition; empty when it has no such disk, or one that is no
/// file. Throws Error{hypervisor} when the definition cannot be parsed.
std::string file_of_disk(const std::string& xml, const std::string& target);

/// The whole <disk> element of the disk `target`, with the qcow2 file `path` for its source, and without what
/// that stands on: libvirt finds that out by itself. Throws Error{not_found} when there is no such disk, and
/// as file_of_disk.
std::string disk_with(const std::string& xml, const std::string& target, const std::string& path);
/// The whole definition with that element.
std::string with_disk(const std::string& xml, const std::string& target, const std::string& path);

/// What libvirt is asked for so that the disk `target` is the overlay `path` from now on, and every other
/// disk stays (libvirt, "Snapshot XML format"). Throws as disk_with.
std::string render_layer(const std::string& xml, const std::string& target, const std::string& path);

} // namespace blockhost
