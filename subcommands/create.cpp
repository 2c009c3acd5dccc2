// SPDX-License-Identifier: MIT
/// create: the row, and the two result lines, one for each generation of engines.

#include "operations/create.hpp"
#include "base/files/given_file.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/claim.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using cli::Option;

constexpr std::int64_t memory_cap_mib = 16ll << 20; ///< of the option; the host's own figure is checked later

std::string read_content(const std::string& path) {
    auto content = files::read_given(path, limits::cloud_init_max_bytes);
    if (!content)
        throw Error(Code::invalid, "there is no file " + path, "give --cloud-init-content an existing file");
    return *content;
}

std::string read_ssh_key(const std::string& path) {
    constexpr std::size_t key_max = 16 << 10;
    constexpr const char* hint = "give --ssh-key a public key file, such as ~/.ssh/id_ed25519.pub";
    auto content = files::read_given(path, key_max);
    if (!content) throw Error(Code::invalid, "there is no file " + path, hint);
    if (text::trim(*content).empty())
        throw Error(Code::invalid, "the SSH key file " + path + " is empty", hint);
    return *content;
}

std::optional<TokenId> token_id(const cli::Arguments& given) {
    const auto text = given.text("nft-token-id");
    if (!text) return std::nullopt;
    try {
        return TokenId(*text);
    } catch (const Error& error) {
        throw error.within("--nft-token-id");
    }
}

operations::CreateRequest request_from(const cli::Call& call) {
    const cli::Arguments& given = call.arguments;
    const auto number = [&](std::string_view option, std::int64_t fallback) {
        return given.integer(option).value_or(fallback);
    };
    const EngineManifest engine = read_engine_manifest(call.paths);
    operations::CreateRequest request{
        .vm = {.name = vm_name(call),
               .wallet = Wallet(given.text("owner-wallet").value_or(""), engine.address_pattern),
               .username = Username(given.text("username").value_or("admin")),
               .cpus = number("cpu", 1),
               .memory_mib = number("memory", 2048),
               .disk_gib = number("disk", 20),
               .expiry_days = number("expiry-days", 30),
               .nft_token_id = token_id(given)},
        .user_data = {},
        .ssh_key = {},
        .ready_timeout = std::chrono::seconds(number("ready-timeout", 180)),
        .clock = given.has("force-clock") ? ClockTrust::forced : ClockTrust::judged};
    if (const auto path = given.text("cloud-init-content")) request.user_data = read_content(*path);
    if (const auto path = given.text("ssh-key")) request.ssh_key = read_ssh_key(*path);
    return request;
}

/// A number where every reader takes it exactly; otherwise its digits as text.
boost::json::value json_of(const std::optional<TokenId>& token) {
    if (!token) return nullptr;
    if (token->is_exact_number()) return text::parse_int(token->str()).value();
    return boost::json::value(token->str());
}

std::string result_json(const operations::CreateResult& result) {
    const Addresses& addresses = result.addresses;
    return json::python_line(boost::json::object{
        {"status", "ok"},
        {"vm_name", result.name.str()},
        {"ip", addresses.ip.str()},
        {"ipv6", addresses.ipv6 ? addresses.ipv6->str() : ""},
        {"vmid", result.name.str()},
        {"nft_token_id", json_of(result.nft_token_id)},
        {"username", result.username.str()},
    });
}

/// Prints the sentinel line, which newer engines parse, and the bare line, which older ones parse.
void print_result(cli::Printer& printer, const operations::CreateResult& result) {
    const std::string json = result_json(result);
    printer.answer("BLOCKHOST_RESULT: " + json);
    printer.answer(json);
    printer.flush_answer();
}

/// Reports at its end where the time went: to the journal always, to stderr when asked to.
class Timings {
  public:
    Timings(const cli::Call& call, World& world) : call_(call), world_(world) {}
    Timings(const Timings&) = delete;
    Timings& operator=(const Timings&) = delete;
    ~Timings() {
        world_.stages.end();
        std::string line = "timings:";
        for (const StageTime& stage : world_.stages.ended())
            line += fmt::format(" {} {:.1f} ms;", stage.name, in_ms(stage.took));
        call_.printer.trace(line);
        if (call_.arguments.has("timings")) print_table();
    }

  private:
    static double in_ms(std::chrono::microseconds span) {
        return std::chrono::duration<double, std::milli>(span).count();
    }
    void print_row(const StageTime& stage) {
        call_.printer.say_bare(fmt::format("{:<22} {:>10.1f} {:>10.1f} {:>10.1f}", stage.name,
                                           in_ms(stage.took), in_ms(stage.asking),
                                           in_ms(stage.took - stage.asking)));
    }
    void print_table() {
        call_.printer.say_bare(fmt::format("{:<22} {:>10} {:>10} {:>10}", "stage", "ms", "libvirt", "own"));
        StageTime running{.name = "until the domain runs"};
        bool runs = false;
        for (const StageTime& stage : world_.stages.ended()) {
            print_row(stage);
            runs |= stage.name == "await-guest";
            if (!runs) running.took += stage.took, running.asking += stage.asking;
        }
        print_row(running);
    }

    const cli::Call& call_;
    World& world_;
};

int run(cli::Call& call) {
    const operations::CreateRequest request = request_from(call);
    if (!call.arguments.has("apply")) {
        World world = open_world(call, Intent::look);
        print_result(call.printer, operations::preview_create(world, request));
        return 0;
    }
    World world = open_world(call, Intent::change);
    const Timings timings(call, world);
    operations::create(world, request,
                       [&](const operations::CreateResult& result) { print_result(call.printer, result); });
    return 0;
}

void answer_failure(cli::Printer& printer, const Error& error) {
    printer.answer(json::python_line(boost::json::object{{"status", "error"}, {"error", error.message()}}));
}

constexpr std::string_view details =
    "Without --apply nothing is changed: the checks are made, the addresses it would take are shown and the "
    "steps are "
    "named. With --apply the VM is made, started and waited for until its guest agent answers, cloud-init "
    "is done and its owner can log in; "
    "then it is registered and the result is printed, once behind 'BLOCKHOST_RESULT: ' and once bare.\n\n"
    "Whatever fails, is signalled or killed on the way is undone, at the latest by the next create of that "
    "name; "
    "the same name can be tried again at once. Several creates may run at the same time.";

} // namespace

cli::Row create_row() {
    using Kind = Option::Kind;
    using Standing = Option::Standing;
    return {
        .verb = "create",
        .contract_name = "blockhost-vm-create",
        .summary = "create a VM and wait until its guest is ready",
        .details = details,
        .operands = {{.name = "NAME",
                      .help = "the new VM's name: letters, digits, '.', '_', '-'; 64 at most"}},
        .options =
            {
                {.name = "owner-wallet",
                 .kind = Kind::text,
                 .value = "ADDRESS",
                 .help = "the owner's wallet address",
                 .presence = Option::Presence::required},
                {.name = "apply", .help = "carry it out; without it, a dry run"},
                {.name = "expiry-days",
                 .kind = Kind::integer,
                 .value = "N",
                 .default_text = "30",
                 .min = limits::expiry_days_min,
                 .max = limits::expiry_days_max,
                 .help = "days until the VM expires"},
                {.name = "cpu",
                 .kind = Kind::integer,
                 .value = "N",
                 .default_text = "1",
                 .min = limits::cpus_min,
                 .max = limits::cpus_max,
                 .help = "virtual CPUs, the host's at most"},
                {.name = "memory",
                 .kind = Kind::integer,
                 .value = "MB",
                 .default_text = "2048",
                 .min = limits::memory_min_mib,
                 .max = memory_cap_mib,
                 .help = "memory in MiB, the host's at most"},
                {.name = "disk",
                 .kind = Kind::integer,
                 .value = "GB",
                 .default_text = "20",
                 .min = 1,
                 .max = limits::disk_max_gib,
                 .help = "disk in GiB, the template's size at least"},
                {.name = "username",
                 .kind = Kind::text,
                 .value = "USER",
                 .default_text = "admin",
                 .help = "login made in the guest, by a name that the template does not have"},
                {.name = "nft-token-id",
                 .kind = Kind::text,
                 .value = "ID",
                 .help = "token id, 0 to 2^256 - 1, passed on to the guest"},
                {.name = "cloud-init-content",
                 .kind = Kind::file,
                 .value = "FILE",
                 .help = "user-data taken as it is, instead of the template"},
                {.name = "ssh-key",
                 .kind = Kind::file,
                 .value = "FILE",
                 .help = "public keys for the login, on hosts without an engine"},
                {.name = "ready-timeout",
                 .kind = Kind::integer,
                 .value = "SECONDS",
                 .default_text = "180",
                 .min = 1,
                 .max = 3600,
                 .help = "how long the guest may take to be ready"},
                {.name = "force-clock", .help = "go on with a clock that lies behind what was written here"},
                {.name = "timings", .help = "show on stderr where the time went, stage by stage"},
                {.name = "skip-mint", .help = "of earlier generations", .standing = Standing::ignored},
                {.name = "no-mint", .help = "of earlier generations", .standing = Standing::ignored},
                {.name = "user-signature",
                 .kind = Kind::text,
                 .value = "HEX",
                 .help = "of earlier generations",
                 .standing = Standing::ignored},
                {.name = "public-secret",
                 .kind = Kind::text,
                 .value = "TEXT",
                 .help = "of earlier generations",
                 .standing = Standing::ignored},
            },
        .output = {.text = "'BLOCKHOST_RESULT: ' and a JSON document, then the same document bare; without "
                           "--apply, of what would be made",
                   .json_keys = {"status", "vm_name", "ip", "ipv6", "vmid", "nft_token_id", "username"},
                   .unheard = "everything is undone, and the same name can be created again"},
        .examples = {{"web-001 --owner-wallet 0x00000000000000000000000000000000000000a1",
                      "show what would be done"},
                     {"web-001 --owner-wallet 0x00000000000000000000000000000000000000a1 --memory 4096 --cpu "
                      "2 --disk 40 --apply",
                      "make the VM and wait until its guest is ready"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[vm-create] ",
        .run = run,
        .answer_failure = answer_failure,
    };
}

} // namespace blockhost::subcommands
