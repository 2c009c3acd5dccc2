// SPDX-License-Identifier: MIT
/// build-template: builds the image that every new VM's disk stands on.

#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "cli/describe.hpp"
#include "cli/help.hpp"
#include "config/templates.hpp"
#include "image/build.hpp"
#include "image/store.hpp"
#include "subcommands/building.hpp"

#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using image::Order;
using image::Source;

/// The installer's step may take half an hour, so another build is given as long.
constexpr std::chrono::minutes patience_for_another(30);

[[noreturn]] void refuse_together(std::string_view first, std::string_view second, std::string_view hint) {
    throw Error(Code::usage, fmt::format("{} and {} do not go together", first, second), std::string(hint));
}

void check(const Order& order) {
    const bool packages = order.source.kind == Source::Kind::packages;
    const bool downloads = order.source.kind == Source::Kind::cloud || order.source.kind == Source::Kind::url;
    if (packages && !order.sha512.empty())
        refuse_together("--source packages", "--sha512", "apt checks packages by their signatures");
    if (packages && !order.customise)
        refuse_together("--source packages", "--as-is",
                        "what comes from packages boots only once customised");
    if (!order.needs_checksum && !order.sha512.empty())
        refuse_together("--sha512", "--insecure-no-checksum", "give the one you mean");
    if (!downloads && !order.ca_file.empty())
        refuse_together("--ca-file", "this --source", "it is for https:// sources");
}

Order order_from(const cli::Arguments& given) {
    Order order;
    order.source = image::parse_source(given.text("source").value_or("cloud"));
    order.needs_checksum = !given.has("insecure-no-checksum");
    order.ca_file = given.text("ca-file").value_or("");
    order.with_packages = !given.has("no-packages");
    order.customise = !given.has("as-is");
    order.verify_boot = given.has("verify-boot");
    order.force = given.has("force");
    if (const auto digest = given.text("sha512")) {
        order.sha512 = as_sha512(*digest);
        if (order.sha512.empty())
            throw Error(Code::invalid, "--sha512 takes 128 hex digits", "'sha512sum IMAGE' prints them");
    }
    check(order);
    return order;
}

} // namespace

boost::json::object Built::document() const {
    return {
        {"changed", changed}, {"version", version}, {"template", named.string()}, {"link", link.string()}};
}

Built build_template(cli::Call& call, const image::Order& order) {
    if (!call.mock) require_root("building a template");
    const Interruption interruption;
    const auto maker = call.mock ? image::make_simulated(order)
                                 : image::make_real(call.paths, order, call.printer, interruption);
    const auto bench = image::Bench::open(call.paths, call.printer, interruption, patience_for_another);
    const auto current = [&] { return image::Store::open_or_make(call.paths).current(); };
    const auto before = current();
    Built built{.link = image::build(call.paths, order, *maker, bench, call.printer, interruption,
                                     fmt::format("{} {}", cli::program_name, cli::version())),
                .named = call.paths.templates.string(template_link)};
    const auto after = current();
    built.version = after.value_or("");
    built.changed = after != before;
    if (built.link.filename() != template_link)
        call.printer.warn(
            fmt::format("{} of the 0.2.0 provisioner stays, since old disks name it; new VMs stand "
                        "on {}",
                        template_link, built.link.string()));
    return built;
}

namespace {

int run(cli::Call& call) {
    const Built built = build_template(call, order_from(call.arguments));
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(built.document()));
    else
        call.printer.answer("Template built successfully: " + built.named.string());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Makes a new version of the template, proves it sound, and only then lets new VMs stand on it. Versions "
    "are "
    "never written again: VMs keep the one they were made on. What has been made from the same inputs before "
    "is "
    "not made again; --force does that all the same, and fetches anew.\n\n"
    "Sources: 'cloud' is Debian's generic cloud image (template_url in db.yaml names another), checked "
    "against "
    "the SHA512SUMS beside it; 'packages' installs Debian 12 from this host's own package sources; "
    "'file:PATH' "
    "and 'https://…' take a qcow2 image of your own, the latter with --sha512.\n\n"
    "Every .deb in the template-packages folder is installed and proved to be inside. Whatever fails or is "
    "killed leaves the current template as it was.";

} // namespace

cli::Row build_template_row() {
    using Kind = cli::Option::Kind;
    return {
        .verb = "build-template",
        .contract_name = "blockhost-build-template",
        .summary = "build the image that new VMs' disks stand on",
        .details = details,
        .options =
            {{.name = "source",
              .kind = Kind::text,
              .value = "SOURCE",
              .default_text = "cloud",
              .help = "cloud, packages, file:PATH or https://…",
              .offers = {"cloud", "packages", "file:", "https://"}},
             {.name = "sha512", .kind = Kind::text, .value = "HEX", .help = "digest the image must have"},
             {.name = "insecure-no-checksum", .help = "take an image whose digest nobody knows"},
             {.name = "ca-file",
              .kind = Kind::file,
              .value = "FILE",
              .help = "certificates to trust instead of the system's"},
             {.name = "no-packages", .help = "install no template packages"},
             {.name = "as-is", .help = "take the image as it is, without customising it"},
             {.name = "verify-boot", .help = "boot it once on libvirt before it is used"},
             {.name = "force", .help = "fetch and build again even if nothing has changed"},
             {.name = "json", .help = "print a JSON object"}},
        .output = {.text = "one line: the template was built, and its file",
                   .json_keys = {"changed", "version", "template", "link"},
                   .json_call = "--json",
                   .unheard = "the version is made, and the current one, all the same; a repeat finds it, "
                              "with --force it makes another"},
        .examples = {{"", "build from Debian's cloud image"},
                     {"--source packages", "install Debian from this host's package sources"},
                     {"--source https://example.org/image.qcow2 --sha512 0123abcd --verify-boot",
                      "take an image of your own, and boot it before it is used"}},
        .needs = cli::Needs::nothing,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[build-template] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
