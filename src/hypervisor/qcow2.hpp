#pragma once
/// The one fact of a qcow2 file we need before libvirt is asked: its virtual size.

#include <cstdint>
#include <filesystem>

namespace blockhost {

/// From the header (QEMU docs/interop/qcow2.txt). Throws Error{not_found} when there is no file,
/// Error{config} when it is no qcow2 image.
std::uint64_t qcow2_virtual_size(const std::filesystem::path& image);

} // namespace blockhost
