// SPDX-License-Identifier: MIT
#include "platform/proxmox/local.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/client.hpp"
#include "platform/proxmox/privileged/container_features.hpp"
#include "platform/proxmox/privileged/usb_disk.hpp"

namespace blockhost::platform::proxmox::local {

namespace {

privileged::Features features_of(const SetFeatures& set) {
    return privileged::Features({set.features.begin(), set.features.end()});
}

/// The arguments of an action that are none; nothing: they are.
struct Wrong {
    Kind kind;
    void operator()(const SetFeatures& set) const {
        if (kind == Kind::vm)
            throw Error(Code::invalid, "a VM has no features: containers have", "name a container");
        static_cast<void>(features_of(set));
    }
    void operator()(const Mount& mount) const { static_cast<void>(privileged::MountPoint(mount.point)); }
    void operator()(const Unmount& unmount) const {
        static_cast<void>(privileged::MountPoint(unmount.point));
    }
    template<class Other>
    void operator()(const Other&) const {}
};

privileged::UsbDisk::State state_of(const privileged::LocalNode& node, const Target& storage,
                                    const std::string& point) {
    return privileged::UsbDisk(node).look(privileged::FilesystemUuid(filesystem_of(storage)),
                                          privileged::MountPoint(point));
}

} // namespace

bool is_local(ActionKind kind) {
    return kind == ActionKind::set_features || is_on_storage(kind);
}

std::optional<Error> refusal(const Action& action, Kind kind) {
    try {
        std::visit(Wrong{kind}, action);
        return std::nullopt;
    } catch (const Error& error) {
        return error;
    }
}

void require_target(const Target& target, const Action& action) {
    if (!is_on_storage(kind_of(action))) return;
    if (filesystem_of(target).empty())
        throw Error(Code::invalid, text::printable(target.guest) + " is no storage with a file system",
                    "name it as the desired state has it, with its UUID");
    static_cast<void>(privileged::FilesystemUuid(filesystem_of(target)));
}

void carry_out(const privileged::LocalNode& node, const Permit& permit) {
    try {
        if (permit.kind() == ActionKind::mount)
            privileged::UsbDisk(node).mount(permit);
        else if (permit.kind() == ActionKind::unmount)
            privileged::UsbDisk(node).unmount(permit);
        else
            privileged::ContainerFeatures(node).set(permit);
    } catch (const Error& error) {
        if (error.code() == Code::no_answer) throw AnswerLost(error);
        throw;
    }
}

bool is_mounted(const privileged::LocalNode& node, const Target& storage, const std::string& point) {
    return state_of(node, storage, point) == privileged::UsbDisk::State{true, true};
}

bool is_unmounted(const privileged::LocalNode& node, const Target& storage, const std::string& point) {
    return state_of(node, storage, point) == privileged::UsbDisk::State{};
}

bool has_features(const GuestConfig& config, const SetFeatures& wanted) {
    const auto found = config.details.find("features");
    return found != config.details.end() && found->second == features_of(wanted).str();
}

} // namespace blockhost::platform::proxmox::local
