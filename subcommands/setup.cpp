// SPDX-License-Identifier: MIT
/// setup: makes this host ready for VMs, step by step; the wizard's finalization calls it.

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "setup/db_yaml.hpp"
#include "setup/network.hpp"
#include "setup/storage.hpp"
#include "subcommands/building.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using boost::json::object;

/// A step, its options, and what it does. The answer is a JSON object, or the lines that `lines` makes of it.
struct Step {
    std::string_view name;
    std::vector<std::string_view> options;
    object (*run)(cli::Call&, const setup::Site&);
    std::vector<std::string> (*lines)(const object&, const cli::Arguments&);
};

std::string text_of(const object& answer, std::string_view key) {
    return std::string(answer.at(key).as_string());
}

object storage(cli::Call& call, const setup::Site& site) {
    const auto done = setup::settle_storage(site, {call.arguments.text("pool"), call.arguments.text("path")});
    return {{"changed", done.changed}, {"pool", done.pool}, {"path", done.path.string()}};
}

std::vector<std::string> storage_lines(const object& answer, const cli::Arguments&) {
    return {fmt::format("Storage pool {} is ready in {}", text_of(answer, "pool"), text_of(answer, "path"))};
}

object network(cli::Call& call, const setup::Site& site) {
    const auto done = setup::settle_network(site, call.arguments.text("bridge"));
    return {{"changed", done.changed}, {"bridge", done.bridge.name}, {"address", done.bridge.address.str()}};
}

std::vector<std::string> network_lines(const object& answer, const cli::Arguments&) {
    return {fmt::format("VMs stand on bridge {}, {}", text_of(answer, "bridge"), text_of(answer, "address"))};
}

/// As the file has it: a number if it is written as one.
boost::json::value pool_end(const Ipv4Network& network, Ipv4 address) {
    const std::string text = setup::pool_end_text(network, address);
    if (const auto number = text::parse_int(text)) return *number;
    return boost::json::value(text);
}

object document_of(const DbConfig& config) {
    object pool{{"network", config.ipv4.network.str()},
                {"start", pool_end(config.ipv4.network, config.ipv4.first)},
                {"end", pool_end(config.ipv4.network, config.ipv4.last)},
                {"gateway", nullptr}};
    if (config.ipv4.gateway) pool["gateway"] = config.ipv4.gateway->str();
    return {{"db_file", config.db_file.string()},
            {"bridge", config.bridge},
            {"storage_pool", config.storage_pool},
            {"storage_path", config.storage_path.string()},
            {"gc_grace_days", config.gc_grace_days},
            {"default_expiry_days", config.default_expiry_days},
            {"ip_pool", std::move(pool)},
            {"ipv6_pool", object{{"start", config.ipv6_first}, {"end", config.ipv6_last}}}};
}

object db_config(cli::Call& call, const setup::Site& site) {
    const auto& given = call.arguments;
    const auto done = setup::settle_db_config(site, {.pool = given.text("pool"),
                                                     .path = given.text("path"),
                                                     .bridge = given.text("bridge"),
                                                     .ip_network = given.text("ip-network"),
                                                     .ip_start = given.text("ip-start"),
                                                     .ip_end = given.text("ip-end"),
                                                     .gateway = given.text("gateway"),
                                                     .gc_grace_days = given.text("gc-grace-days"),
                                                     .dry_run = given.has("dry-run")});
    boost::json::array warnings;
    for (const setup::Warning& each : done.warnings) {
        call.printer.warn(each.message);
        warnings.push_back(object{{"field", each.field}, {"message", each.message}});
    }
    return {{"changed", done.changed},
            {"file", done.file.string()},
            {"db", document_of(done.config)},
            {"warnings", std::move(warnings)}};
}

std::string_view what_became(const object& answer, const cli::Arguments& given) {
    const bool dry = given.has("dry-run");
    if (answer.at("changed").as_bool()) return dry ? "would change; nothing was written" : "has changed";
    return dry ? "would stay as it is" : "is as it was";
}

std::vector<std::string> db_config_lines(const object& answer, const cli::Arguments& given) {
    const object& db = answer.at("db").as_object();
    const object& pool = db.at("ip_pool").as_object();
    const auto shown = [](const boost::json::value& value) {
        return value.is_string() ? std::string(value.get_string()) : json::python_line(value);
    };
    return {fmt::format("bridge: {}", text_of(db, "bridge")),
            fmt::format("storage: {} in {}", text_of(db, "storage_pool"), text_of(db, "storage_path")),
            fmt::format("addresses: {}, from {} to {}, gateway {}", text_of(pool, "network"),
                        shown(pool.at("start")), shown(pool.at("end")), shown(pool.at("gateway"))),
            fmt::format("{} {}", text_of(answer, "file"), what_became(answer, given))};
}

object make_template(cli::Call& call, const setup::Site&) {
    return build_template(call, {}).document();
}

std::vector<std::string> template_lines(const object& answer, const cli::Arguments&) {
    return {"Template built successfully: " + text_of(answer, "template")};
}

const std::vector<Step>& steps() {
    static const std::vector<Step> all{
        {"storage", {"pool", "path"}, storage, storage_lines},
        {"network", {"bridge"}, network, network_lines},
        {"db-config",
         {"pool", "path", "bridge", "ip-network", "ip-start", "ip-end", "gateway", "gc-grace-days",
          "dry-run"},
         db_config,
         db_config_lines},
        {"template", {}, make_template, template_lines},
    };
    return all;
}

const Step& step_of(const cli::Call& call) {
    const std::string& name = call.arguments.operands().front();
    return *std::ranges::find(steps(), name, &Step::name); // the parser lets no other word through
}

/// Refuses an option of another step: it is a slip that must not be ignored.
void require_options_of(const Step& step, const cli::Arguments& given) {
    for (const Step& other : steps())
        for (const std::string_view option : other.options)
            if (given.has(option) && std::ranges::find(step.options, option) == step.options.end())
                throw Error(Code::usage, fmt::format("--{} does not go with {}", option, step.name),
                            fmt::format("it goes with 'setup {}'", other.name));
}

int run(cli::Call& call) {
    const Step& step = step_of(call);
    require_options_of(step, call.arguments);
    if (!call.mock) require_root("setting up this host");
    const setup::Site site{call.paths, call.mock ? Reality::simulated : Reality::real, call.printer};
    const object result = step.run(call, site);
    if (call.arguments.has("json")) {
        object answer{{"step", step.name}};
        for (const auto& [key, value] : result) answer.emplace(key, value);
        call.printer.answer(json::python_line(answer));
    } else {
        for (const std::string& line : step.lines(result, call.arguments)) call.printer.answer(line);
    }
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Run as root, in this order, each as often as you like; what is there already is left as it is, and what "
    "is refused changes nothing.\n\n"
    "'storage' makes the pool that VMs' disks are in, active and started with libvirtd. 'network' looks for "
    "the bridge that VMs stand on: the one given, the one that the first boot made, the one in db.yaml, else "
    "the first with an IPv4 address that is not libvirt's own; then it stops libvirt's network 'default', "
    "which would hand out the same addresses. 'db-config' writes the given values into db.yaml and leaves "
    "everything else there, comments too, as it is; what is legal but dangerous is a warning. 'template' "
    "does "
    "what build-template does without options.\n\n"
    "With --json a refused value is told as a document with 'field' and, for all of them, 'errors'.";

} // namespace

cli::Row setup_row() {
    using Kind = cli::Option::Kind;
    return {
        .verb = "setup",
        .summary = "make this host ready for VMs, step by step",
        .details = details,
        .operands = {{.name = "STEP",
                      .help = "storage, network, db-config or template",
                      .choices = {"storage", "network", "db-config", "template"}}},
        .options = {{.name = "pool",
                     .kind = Kind::text,
                     .value = "NAME",
                     .default_text = "db.yaml's",
                     .help = "storage, db-config: the storage pool"},
                    {.name = "path",
                     .kind = Kind::text,
                     .value = "DIR",
                     .default_text = "db.yaml's",
                     .help = "storage, db-config: the pool's folder"},
                    {.name = "bridge",
                     .kind = Kind::text,
                     .value = "NAME",
                     .default_text = "looked for",
                     .help = "network, db-config: the bridge VMs stand on"},
                    {.name = "ip-network",
                     .kind = Kind::text,
                     .value = "CIDR",
                     .help = "db-config: the network of VMs' IPv4 addresses"},
                    {.name = "ip-start",
                     .kind = Kind::text,
                     .value = "ADDRESS",
                     .help = "db-config: the first of them, or its last number"},
                    {.name = "ip-end",
                     .kind = Kind::text,
                     .value = "ADDRESS",
                     .help = "db-config: the last of them, or its last number"},
                    {.name = "gateway",
                     .kind = Kind::text,
                     .value = "ADDRESS",
                     .help = "db-config: what VMs route through"},
                    {.name = "gc-grace-days",
                     .kind = Kind::text,
                     .value = "DAYS",
                     .help = "db-config: from suspension to destruction"},
                    {.name = "dry-run", .help = "db-config: validate, warn and show, but write nothing"},
                    {.name = "json", .help = "print a JSON object"}},
        .output = {.text =
                       "what is there now, a line each; with --json an object with 'step', and what the step "
                       "has to tell",
                   .json_keys = {"step", "changed"},
                   .json_call = "--json",
                   .unheard = "the step is done all the same; a repeat finds it done"},
        .examples = {{"storage", "the pool, as db.yaml names it"},
                     {"network --bridge br0", "VMs stand on br0"},
                     {"db-config --ip-network 192.168.1.0/24 --ip-start 200 --ip-end 250 --dry-run",
                      "what db.yaml would say, and what is dangerous about it"},
                     {"template", "build the template"}},
        .needs = cli::Needs::nothing,
        .effect = cli::Effect::changes,
        .talk_prefix = "[setup] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
