// SPDX-License-Identifier: MIT
/// What we keep ourselves in folders that others can write, by the input's first character: s sample of
/// metrics, l limits, v start veto, m manifest of a template version, r report from inside an image (and,
/// behind ---, a package that must be in it).

#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "hypervisor/files/start_veto.hpp"
#include "image/customise.hpp"
#include "image/store.hpp"
#include "limits/limit_file.hpp"
#include "metrics/sample.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <cmath>

using namespace blockhost;

namespace {

constexpr const char* id = "0123456789ab";

struct Root {
    fuzz::MemoryFolder folder;
    Paths paths;
    Root() {
        std::filesystem::create_directory(folder.path() / "templates");
        paths.state = folder.path();
        paths.templates = folder.path() / "templates";
        folder.set("templates/blockhost-base-0123456789ab.qcow2", std::string(4096, '\0'));
    }
};

void sample(const Root& root, std::string_view text) {
    root.folder.set("web.json", text);
    const auto read = metrics::read_sample(root.folder.path(), VmName("web")); // never throws
    if (!read) return;
    DomainStats stats;
    stats.uuid = read->uuid;
    stats.id = read->id;
    stats.cpu_time_ns = stats.read_requests = stats.write_bytes = stats.sent_bytes = ~std::uint64_t{0};
    for (const double later : {0.0, 0.1, 60.0}) {
        const metrics::Rates rates =
            metrics::rates_since(read, stats, {read->at.boot_id, read->at.seconds + later});
        for (const double rate : {rates.cpus, rates.reads, rates.writes, rates.read_bytes, rates.write_bytes,
                                  rates.received_bytes, rates.sent_bytes})
            fuzz::check(std::isfinite(rate) && rate >= 0, "rates are finite and not negative");
    }
    metrics::write_sample(root.folder.path(), VmName("web"), *read);
    const auto again = metrics::read_sample(root.folder.path(), VmName("web"));
    fuzz::check(again && again->counters == read->counters && again->uuid == read->uuid &&
                    again->id == read->id && again->slow == read->slow && again->left_open == read->left_open,
                "a sample comes back as it was written");
}

void limits_of(std::string_view text) {
    const Moment now{*parse_instant("2030-01-01"), "boot", std::chrono::hours(1)};
    fuzz::answered([&] {
        const limits::LimitNotes notes = limits::limit_notes(std::string(text), "web.limits");
        const limits::LimitNotes again = limits::limit_notes(limits::to_text(notes), "web.limits");
        fuzz::check(again.uuid == notes.uuid && again.parts == notes.parts,
                    "limits come back as they were written");
        (void)notes.due(now), (void)notes.of_earlier_boot(now);
        for (const auto& [key, part] : notes.parts) {
            fuzz::check(notes.find(key.first, key.second) != nullptr, "each limit is found");
            for (const limits::Setting& setting : part.ours)
                (void)limits::value_of(key.second, setting), (void)limits::value_words(key.second, setting);
            if (part.until) fuzz::check(left(*part.until, now).count() >= 0, "no time left is none");
        }
    });
}

void veto(std::string_view text) {
    const auto read = parse_start_veto(text); // never throws
    if (!read) return;
    const auto again = parse_start_veto(render_start_veto(*read));
    fuzz::check(again && again->instance == read->instance && again->since == read->since,
                "a veto comes back");
    fuzz::check(again->uuid == read->uuid || text::printable(read->uuid, 4096) != read->uuid,
                "with its uuid");
}

void manifest(const Root& root, std::string_view text) {
    root.folder.set("templates/blockhost-base-0123456789ab.json", text);
    const auto store = image::Store::open(root.paths);
    fuzz::answered([&] {
        if (const auto read = store->version(id))
            fuzz::check(read->id == id, "a manifest is of its own version");
    });
    fuzz::answered([&] { (void)store->versions(); });
    fuzz::answered([&] { (void)store->strays(); });
    fuzz::answered([&] {
        fuzz::check(!template_accounts(root.paths, store->image("0123456789ab")).empty(),
                    "every template has accounts");
    });
}

void report(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    fuzz::answered([&] {
        const auto inside = image::read_report(parts[0]);
        for (const auto& [package, version] : inside.packages)
            fuzz::check(package.find_first_of(" \n") == package.npos, "a package's name is one word");
        for (const std::string& account : inside.accounts)
            fuzz::check(account.find_first_of(" \n") == account.npos, "an account's name is one word");
        if (parts.size() > 1) image::require_inside({{"a.deb", parts[1], "1.0", ""}}, inside.packages);
    });
}

void state_files(std::string_view input) {
    static const Root root;
    switch (fuzz::take_selector(input)) {
    case 's':
        return sample(root, input);
    case 'l':
        return limits_of(input);
    case 'v':
        return veto(input);
    case 'm':
        return manifest(root, input);
    case 'r':
        return report(input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(state_files)
