// SPDX-License-Identifier: MIT
/// The heads of images, and what they stand on.

#include "hypervisor/files/qcow2.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;

namespace {

void qcow2(std::string_view input) {
    static const fuzz::MemoryFolder folder;
    folder.set("web.qcow2", input);
    const auto image = folder.path() / "web.qcow2";
    std::optional<Qcow2Head> head;
    if (!fuzz::answered([&] { head = read_qcow2_head(image); })) return;
    fuzz::answered(
        [&] { fuzz::check(qcow2_virtual_size(image) == head->virtual_bytes, "a head says the same twice"); });
    fuzz::answered([&] {
        for (const Qcow2Bitmap& each : qcow2_bitmaps(image))
            fuzz::check(!each.name.empty() && head, "a bitmap has a name, and is an image's");
    });
    if (!head || head->backing.find('/') != std::string::npos) return;
    fuzz::answered([&] { fuzz::check(backing_chain(image).size() <= 64, "a chain has an end"); });
}

} // namespace

FUZZ_TARGET(qcow2)
