// SPDX-License-Identifier: MIT
/// Makes an image with the programs of this host.

#include "image/maker.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "host/capability.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/open.hpp"
#include "image/bootstrap.hpp"
#include "image/customise.hpp"
#include "image/fetch.hpp"
#include "image/packages.hpp"
#include "image/room.hpp"
#include "image/trial.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* raw_disk = "disk.raw";
constexpr const char* final_disk = "image.qcow2";
constexpr std::uint64_t mib = 1ull << 20, gib = 1ull << 30;
constexpr std::uint64_t least_virtual_bytes = 4 * gib; ///< room for what is installed
/// What customising adds to its source, and what Debian from packages takes in all.
constexpr std::uint64_t customising_bytes = 700 * mib, bootstrap_bytes = 3 * gib;
constexpr std::uint64_t most_compression = 3; ///< a compressed image may grow to so many times its size

std::optional<DbConfig> config_of(const Paths& paths) {
    std::error_code ignored;
    if (!std::filesystem::exists(paths.db_yaml(), ignored)) return std::nullopt; // before the wizard has run
    return read_db_config(paths);
}

class RealMaker final : public Maker {
  public:
    RealMaker(const Paths& paths, const Order& order, Progress& progress, const Interruption& interruption)
        : paths_(paths), order_(order),
          config_(config_of(paths)), run_{progress, [&interruption] { interruption.check(); }} {
        require(tools());
        if (order_.customise) require_kernel();
        if (order_.verify_boot) open_libvirt(libvirt_uri(), Access::write); // fails before the work is done
    }

    Inputs inputs(const Folder& bench) override {
        Inputs found;
        if (from_packages()) {
            sources_ = package_sources(run_);
            found.all = bootstrap_inputs(*sources_);
            found.origin = "Debian packages from " + sources_->main;
        } else {
            base_ = find_base_image(run_, order_, template_url(), downloads());
            if (!base_->checked && order_.source.kind != Source::Kind::file)
                run_.progress.warn(base_->origin + " was not checked against any digest");
            found.all = {{"sha512", base_->sha512}};
            found.origin = base_->origin;
        }
        if (!order_.customise) return found;
        found.all["recipe"] = recipe_digest();
        if (order_.with_packages) packages_ = take_packages(run_, paths_.template_packages, bench);
        found.all["template_packages"] = as_inputs(packages_);
        return found;
    }

    Made make(const Folder& bench) override {
        if ((order_.customise || order_.verify_boot) && !host::kvm_works())
            run_.progress.say("KVM cannot be used here: guests are emulated, which takes minutes longer");
        if (base_) verify_base_image(run_, *base_);
        check_room(bench);
        if (base_) check_sound(run_, base_->path); // a conversion reads zeros where a file was cut off
        Made made{final_disk, {}};
        if (from_packages())
            bootstrap(run_, bench, raw_disk, *sources_);
        else
            convert_base(bench);
        if (order_.customise) {
            widen(bench);
            made.inside = customise(run_, bench, raw_disk, packages_,
                                    from_packages() ? finishing_arguments() : std::vector<std::string>{});
            convert(bench, {.from = raw_disk, .from_format = "raw", .to = final_disk, .to_format = "qcow2"});
            bench.remove(raw_disk);
        }
        check_sound(run_, bench.path() / final_disk);
        return made;
    }

    void boot(const Folder& bench, const std::filesystem::path& image) override {
        TrialSettings settings;
        if (config_)
            settings = {config_->domain_type, config_->boot_kernel, config_->boot_initrd,
                        config_->boot_arguments};
        const auto hypervisor = open_libvirt(libvirt_uri(), Access::write);
        boot_once(run_, *hypervisor, bench, image, settings);
    }

  private:
    bool from_packages() const { return order_.source.kind == Source::Kind::packages; }
    const char* start() const { return order_.customise ? raw_disk : final_disk; }
    const char* start_format() const { return order_.customise ? "raw" : "qcow2"; }

    std::vector<Tool> tools() const {
        std::vector<Tool> needed{qemu_img};
        if (order_.customise) needed.insert(needed.end(), {virt_customize, dpkg_deb});
        if (from_packages()) needed.insert(needed.end(), {mmdebstrap, make_ext4, sfdisk, apt_get});
        return needed;
    }

    std::string template_url() const {
        if (order_.source.kind == Source::Kind::url) return order_.source.where;
        return config_ && !config_->template_url.empty() ? config_->template_url : default_template_url;
    }

    Folder downloads() const { return Folder::open_or_make(paths_.cache / "downloads", 0700); }

    /// Requires room for what the work is known to take: the image, and a raw copy while it is customised.
    void check_room(const Folder& bench) const {
        std::uint64_t image = bootstrap_bytes / 2;
        if (base_)
            image = std::min(most_compression * std::filesystem::file_size(base_->path),
                             qcow2_virtual_size(base_->path)) +
                    (order_.customise ? customising_bytes : 0);
        require_room(bench, order_.customise ? 2 * image : image, "making the template");
        if (const auto templates = paths_.templates.open()) require_room(*templates, image, "the template");
    }

    struct Conversion {
        std::string from;
        const char* from_format;
        const char* to;
        const char* to_format;
    };
    void convert(const Folder& bench, const Conversion& how) {
        run_.progress.stage(std::string("writing ") + how.to);
        std::vector<std::string> words{"convert", "-f", how.from_format, "-O", how.to_format};
        if (how.to_format == std::string_view("qcow2")) words.insert(words.end(), {"-o", "compat=1.1"});
        words.insert(words.end(), {how.from, how.to});
        perform(run_, {.tool = qemu_img,
                       .arguments = std::move(words),
                       .limit = 1200s,
                       .doing = "convert the image",
                       .folder = bench.path()});
    }

    void convert_base(const Folder& bench) {
        convert(bench, {.from = base_->path.string(),
                        .from_format = "qcow2",
                        .to = start(),
                        .to_format = start_format()});
        require_unchanged(*base_);
    }

    /// Widens the disk alone: cloud-init grows the file system. Packages get the room that the source left.
    void widen(const Folder& bench) const {
        const Fd file = bench.open_file(raw_disk, O_RDWR);
        struct stat now {};
        const std::string shown = (bench.path() / raw_disk).string();
        if (!file || fstat(file.get(), &now) != 0) throw errno_error("cannot open", shown, errno);
        if (static_cast<std::uint64_t>(now.st_size) >= least_virtual_bytes) return;
        if (ftruncate(file.get(), static_cast<off_t>(least_virtual_bytes)) != 0)
            throw errno_error("cannot size", shown, errno);
    }

    Paths paths_;
    Order order_;
    std::optional<DbConfig> config_;
    Run run_;
    std::optional<PackageSources> sources_;
    std::optional<BaseImage> base_;
    std::vector<TemplatePackage> packages_;
};

} // namespace

std::unique_ptr<Maker> make_real(const Paths& paths, const Order& order, Progress& progress,
                                 const Interruption& interruption) {
    return std::make_unique<RealMaker>(paths, order, progress, interruption);
}

} // namespace blockhost::image
