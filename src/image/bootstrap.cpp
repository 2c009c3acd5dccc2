// SPDX-License-Identifier: MIT
/// mmdebstrap fills a folder; mke2fs makes the partition from it.

#include "image/bootstrap.hpp"

#include "base/error.hpp"
#include "base/text/digest.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* suite = "bookworm";
constexpr const char* keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr const char* packages =
    "linux-image-cloud-amd64,systemd-sysv,udev,dbus,cloud-init,cloud-guest-utils,qemu-guest-agent,"
    "openssh-server,sudo,curl,ca-certificates,libpam-runtime,netplan.io,systemd-resolved,iproute2,iputils-"
    "ping,"
    "extlinux";
constexpr std::int64_t disk_mib = 4096; ///< sparse; cloud-init grows the partition to the VM's disk
constexpr std::int64_t partition_at_mib = 1;
constexpr std::size_t boot_code_bytes = 440; ///< of the first sector, before the partition table
constexpr const char* boot_code = "usr/lib/EXTLINUX/mbr.bin";

/// The root partition is found by its label, so that the disk boots whatever it is attached to.
constexpr const char* mounts = "LABEL=blockhost-root / ext4 errors=remount-ro 0 1\n";
constexpr const char* boot_menu = "SERIAL 0 115200\n"
                                  "DEFAULT debian\n"
                                  "PROMPT 0\n"
                                  "TIMEOUT 0\n"
                                  "LABEL debian\n"
                                  "  LINUX /vmlinuz\n"
                                  "  INITRD /initrd.img\n"
                                  "  APPEND root=LABEL=blockhost-root ro console=tty0 console=ttyS0,115200 "
                                  "net.ifnames=0 no_timer_check quiet\n";
/// The image has no locale but C.UTF-8. An emulated guest needs half a minute for RSA host keys.
constexpr const char* cloud_settings = "locale: false\nssh_genkeytypes: [ed25519, ecdsa]\n";

/// The digest of one of apt's lists, which apt may keep compressed.
std::string list_digest(const std::string& path) {
    for (const char* suffix : {"", ".lz4", ".gz", ".xz", ".zst"}) {
        const Fd file(::open((path + suffix).c_str(), O_RDONLY | O_CLOEXEC));
        if (file) return digest_of(file.get(), Sha2::sha256, path);
    }
    throw Error(Code::config, "apt's list " + text::printable(path) + " is missing", "apt-get update");
}

/// Writes a file of the new system. This program names its path; what lies on that path is Debian's own.
void write_into(const Folder& root, const std::string& folder, const std::string& name,
                std::string_view content) {
    std::optional<Folder> at;
    for (const std::string& part : text::split(folder, '/')) at = (at ? *at : root).make_sub(part, 0755);
    at->replace(name, content, {.mode = 0644, .uid = 0, .gid = 0});
}

void configure(const Folder& root) {
    write_into(root, "etc", "fstab", mounts);
    write_into(root, "boot/extlinux", "extlinux.conf", boot_menu);
    write_into(root, "etc/cloud/cloud.cfg.d", "98-blockhost-packages.cfg", cloud_settings);
}

void install_packages(const Run& run, const Folder& bench, const PackageSources& sources) {
    run.progress.stage("installing Debian 12 from this host's package sources");
    std::vector<std::string> words{"--mode=root",
                                   "--variant=minbase",
                                   std::string("--include=") + packages,
                                   "--skip=check/empty",
                                   "--dpkgopt=force-unsafe-io",
                                   "--dpkgopt=path-exclude=/usr/share/man/*",
                                   "--dpkgopt=path-exclude=/usr/share/locale/*",
                                   suite,
                                   "root"};
    words.insert(words.end(), sources.lines.begin(), sources.lines.end());
    perform(run, {.tool = mmdebstrap,
                  .arguments = std::move(words),
                  .limit = 1200s,
                  .doing = "install Debian from " + sources.main,
                  .folder = bench.path(),
                  .shown = Job::Shown::yes});
}

void make_partition(const Run& run, const Folder& bench, const std::string& disk) {
    run.progress.stage("writing the disk");
    const Fd file = bench.open_file(disk, O_RDWR | O_CREAT | O_TRUNC, 0600);
    const std::string shown = (bench.path() / disk).string();
    if (ftruncate(file.get(), disk_mib << 20) != 0) throw errno_error("cannot size", shown, errno);
    perform(run, {.tool = sfdisk,
                  .arguments = {"--quiet", disk},
                  .limit = 60s,
                  .doing = "partition the disk",
                  .input = fmt::format("label: dos\nstart={}MiB, type=83, bootable\n", partition_at_mib),
                  .folder = bench.path()});
    // The boot loader cannot read ext4 with the feature 64bit.
    perform(run, {.tool = make_ext4,
                  .arguments = {"-q", "-F", "-t", "ext4", "-L", "blockhost-root", "-O", "^64bit", "-d",
                                "root", "-E", fmt::format("offset={}", partition_at_mib << 20), disk,
                                fmt::format("{}M", disk_mib - partition_at_mib)},
                  .limit = 600s,
                  .doing = "make the file system",
                  .folder = bench.path()});
    const auto code = files::read(bench.path() / "root" / boot_code, boot_code_bytes);
    if (!code) throw Error(Code::program, std::string("the package extlinux brought no ") + boot_code);
    if (pwrite(file.get(), code->data(), code->size(), 0) != static_cast<ssize_t>(code->size()))
        throw errno_error("cannot write", shown, errno);
}

} // namespace

PackageSources package_sources(const Run& run) {
    const std::string told =
        perform(run, {.tool = apt_get,
                      .arguments = {"indextargets", "--format",
                                    "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)|$(FILENAME)",
                                    "Created-By: Packages"},
                      .limit = 60s,
                      .doing = "ask apt for this host's package sources"});
    PackageSources found;
    std::string digests;
    for (const std::string& line : text::split(told, '\n')) {
        const auto fields = text::split(line, '|');
        if (fields.size() != 6 || fields[0] != "Debian" || fields[2] != "main" ||
            !fields[1].starts_with(suite))
            continue;
        const std::string source =
            fmt::format("deb [signed-by={}] {} {} main", keyring, fields[3], fields[4]);
        if (std::find(found.lines.begin(), found.lines.end(), source) != found.lines.end()) continue;
        found.lines.push_back(source);
        if (found.main.empty()) found.main = fields[3];
        digests += list_digest(fields[5]);
    }
    if (found.lines.empty())
        throw Error(Code::config, "apt knows no package source of Debian 12 on this host",
                    "apt-get update; or use --source cloud");
    found.digest = sha256(digests);
    return found;
}

boost::json::object bootstrap_inputs(const PackageSources& sources) {
    std::string recipe = std::string(suite) + packages + mounts + boot_menu + cloud_settings;
    for (const std::string& line : sources.lines) recipe += line;
    return {{"suite", suite}, {"lists", sources.digest}, {"bootstrap", sha256(recipe)}};
}

void bootstrap(const Run& run, const Folder& bench, const std::string& disk, const PackageSources& sources) {
    const Folder root = bench.make_sub("root", 0755);
    install_packages(run, bench, sources);
    configure(root);
    make_partition(run, bench, disk);
    bench.remove_tree("root");
}

std::vector<std::string> finishing_arguments() {
    return {"--run-command", "extlinux --install /boot/extlinux"};
}

} // namespace blockhost::image
