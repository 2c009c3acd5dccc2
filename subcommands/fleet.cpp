// SPDX-License-Identifier: MIT
/// fleet: all hosts of a hub, for an operator's own machine: what they told, what waits, what is wanted.

#include "hub/fleet/fleet.hpp"
#include "agent/desired.hpp"
#include "authority/ssh_keygen.hpp"
#include "base/files/given_file.hpp"
#include "base/interrupt.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/columns.hpp"
#include "subcommands/signed_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

constexpr std::size_t largest_settings = 64u << 10, shown_digits = 16;

void stop_if_asked() {
    Interruption().check();
}

hub::Settings settings_of(const cli::Arguments& given) {
    const auto file = given.text("hub"), folder = given.text("folder");
    if (file.has_value() == folder.has_value())
        throw Error(Code::usage, "fleet takes --hub FILE or --folder FOLDER",
                    "FILE has what agent.json has as \"hub\": docs/hub.md");
    if (folder) {
        hub::Settings settings;
        settings.kind = hub::Settings::Kind::folder;
        settings.folder = std::filesystem::absolute(*folder).lexically_normal();
        return settings;
    }
    const auto text = files::read_given(*file, largest_settings);
    if (!text) throw Error(Code::not_found, "there is no " + *file, "name the file that says which hub");
    const bj::value section = json::parse(*text, *file);
    return hub::read_settings(&section, *file, *file, [](std::string_view) { return nullptr; });
}

/// A host and its newest report, read as outside text.
struct Told {
    std::string host;
    std::optional<bj::object> report;
    std::string why; ///< there is none, or none that can be read

    std::optional<std::int64_t> age() const {
        const auto at = report ? parse_instant(json::string_or(*report, "at", "")) : std::nullopt;
        if (!at) return std::nullopt;
        return std::chrono::duration_cast<std::chrono::seconds>(now() - *at).count();
    }
    std::vector<const bj::object*> all(std::string_view list) const {
        std::vector<const bj::object*> found;
        const auto* value = report ? json::member(*report, list) : nullptr;
        if (value == nullptr || !value->is_array()) return found;
        for (const bj::value& each : value->get_array())
            if (each.is_object()) found.push_back(&each.get_object());
        return found;
    }
    const bj::object& part(std::string_view key) const {
        static const bj::object none;
        return report ? json::object_in(*report, key) : none;
    }
};

Told told_by(hub::Fleet& fleet, const std::string& host) {
    Told told{host, {}, ""};
    try {
        const auto text = fleet.report(host);
        bj::value document = text ? json::parse(*text, "its report") : bj::value();
        if (document.is_object())
            told.report = std::move(document.get_object());
        else
            told.why = text ? "its report is no report" : "it is not heard of";
    } catch (const Error& error) {
        if (error.code() == Code::no_answer || error.code() == Code::interrupted)
            throw; // of the hub as a whole
        told.why = text::printable(error.message());
    }
    return told;
}

std::vector<Told> everyone(hub::Fleet& fleet) {
    std::vector<Told> all;
    for (const std::string& host : fleet.hosts()) all.push_back(told_by(fleet, host));
    return all;
}

/// Of one host that is named, or of all.
std::vector<Told> asked_for(hub::Fleet& fleet, const std::vector<std::string>& operands) {
    if (operands.size() > 1) return {told_by(fleet, operands[1])};
    return everyone(fleet);
}

std::string shown(const bj::object& from, std::string_view key) {
    return text::printable(json::string_or(from, key, ""), 80);
}

std::string number_or_dash(const bj::object& from, std::string_view key) {
    const auto* value = json::member(from, key);
    if (value != nullptr && value->is_double()) return fmt::format("{:.2f}", value->get_double());
    const auto whole = json::integer_in(from, key);
    return whole ? std::to_string(*whole) : "-";
}

// -- hosts

/// What keeps the host from being as it is wanted, in a few words.
std::string drift_of(const Told& told) {
    const bj::object& desired = told.part("desired");
    if (desired.empty()) return "nothing wanted";
    if (json::is_true(desired, "converged")) return "none";
    const auto* left = json::member(desired, "left");
    const std::size_t count = left != nullptr && left->is_array() ? left->get_array().size() : 0;
    return count > 0 ? fmt::format("{} left", count) : "not known";
}

std::string days_to(const bj::object& facts, std::string_view key) {
    constexpr std::int64_t latest = 253'402'300'799, day = 86'400; // the end of the year 9999
    const auto at = json::integer_in(facts, key);
    if (!at || *at < 0 || *at > latest) return "-";
    const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
    return fmt::format("{} d", (*at - now_s) / day);
}

bj::object row_of(const Told& told) {
    bj::object row{{"host", told.host}, {"why", told.why}};
    const auto age = told.age();
    row["age_s"] = age ? bj::value(*age) : bj::value(nullptr);
    for (const char* key : {"agent", "facts", "desired", "doubt", "troubles"}) {
        const auto* value = told.report ? json::member(*told.report, key) : nullptr;
        row[key] = value != nullptr ? *value : bj::value(nullptr);
    }
    const auto guests = told.all("guests");
    row["guests"] = guests.size();
    row["running"] = std::ranges::count_if(
        guests, [](const bj::object* each) { return json::string_or(*each, "power", "") == "running"; });
    row["pending"] = told.all("pending").size();
    return row;
}

void print_hosts(cli::Printer& printer, const std::vector<Told>& all) {
    std::vector<std::vector<std::string>> rows{{"HOST", "HEARD", "VERSION", "GUESTS", "LOAD", "FREE MIB",
                                                "FOLLOWS", "DRIFT", "PENDING", "CERTIFICATE", "TROUBLE"}};
    for (const Told& each : all) {
        const std::string name = text::printable(each.host, 64);
        if (!each.report) {
            rows.push_back({name, "-", "-", "-", "-", "-", "-", "-", "-", "-", each.why});
            continue;
        }
        const bj::object row = row_of(each);
        const bj::object& facts = each.part("facts");
        const auto troubles = each.all("troubles");
        rows.push_back({name, each.age() ? age_words(*each.age()) : "-", shown(each.part("agent"), "version"),
                        fmt::format("{} of {}", row.at("running").to_number<std::int64_t>(),
                                    row.at("guests").to_number<std::int64_t>()),
                        number_or_dash(facts, "load"), number_or_dash(facts, "memory_free_mib"),
                        number_or_dash(each.part("desired"), "generation"), drift_of(each),
                        std::to_string(each.all("pending").size()), days_to(facts, "certificate_expiry"),
                        troubles.empty() ? "" : shown(*troubles.front(), "what")});
    }
    print_columns(printer, rows);
}

int hosts(cli::Call& call, hub::Fleet& fleet) {
    const auto all = asked_for(fleet, call.arguments.operands());
    if (call.arguments.has("json")) {
        bj::array rows;
        for (const Told& each : all) rows.push_back(row_of(each));
        call.printer.answer(json::python_line(rows));
    } else {
        print_hosts(call.printer, all);
    }
    call.printer.flush_answer();
    return 0;
}

// -- guests

int guests(cli::Call& call, hub::Fleet& fleet) {
    bj::array list;
    std::vector<std::vector<std::string>> rows{{"HOST", "GUEST", "KIND", "POWER", "NAME"}};
    for (const Told& told : asked_for(fleet, call.arguments.operands())) {
        if (!told.report) call.printer.warn(text::printable(told.host, 64) + ": " + told.why);
        if (const std::string doubt = told.report ? shown(*told.report, "doubt") : ""; !doubt.empty())
            call.printer.warn(text::printable(told.host, 64) + " may have more guests: " + doubt);
        for (const bj::object* each : told.all("guests")) {
            bj::object row{{"host", told.host}};
            for (const auto& [key, value] : *each) row[key] = value;
            list.push_back(std::move(row));
            rows.push_back({text::printable(told.host, 64), shown(*each, "id"), shown(*each, "kind"),
                            shown(*each, "power"), shown(*each, "name")});
        }
    }
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(list));
    else
        print_columns(call.printer, rows);
    call.printer.flush_answer();
    return 0;
}

// -- what waits

const bj::object& pending_one(const Told& told, const std::string& operation) {
    for (const bj::object* each : told.all("pending"))
        if (json::string_or(*each, "operation", "") == operation) return *each;
    throw Error(Code::not_found,
                fmt::format("nothing of that name waits on {}: {}", text::printable(told.host, 64),
                            text::printable(operation, 64)),
                "'blockhost-libvirt fleet pending' shows what waits, as of each host's last report");
}

int pending(cli::Call& call, hub::Fleet& fleet) {
    const auto& operands = call.arguments.operands();
    if (operands.size() == 3) {
        const Told told = told_by(fleet, operands[1]);
        const std::string document = json::string_or(pending_one(told, operands[2]), "document", "");
        call.printer.answer(to_text(authority::parse_signed_operation(document)));
        call.printer.flush_answer();
        return 0;
    }
    bj::array list;
    for (const Told& told : asked_for(fleet, operands))
        for (const bj::object* each : told.all("pending")) {
            bj::object row{{"host", told.host}};
            for (const auto& [key, value] : *each) row[key] = value;
            const std::string place = text::printable(told.host, 64) + "  " + shown(*each, "operation");
            try {
                const auto operation =
                    authority::parse_signed_operation(json::string_or(*each, "document", ""));
                const std::string digest = sha256(operation.envelope);
                row["digest"] = digest;
                if (!call.arguments.has("json"))
                    call.printer.answer(
                        fmt::format("{}  {}  {}, asked for by {}", place, digest.substr(0, shown_digits),
                                    what_is_signed(authority::parse_envelope(operation.envelope)),
                                    shown(*each, "requester")));
            } catch (const Error& error) {
                call.printer.warn(place + " cannot be read: " + text::printable(error.message()));
            }
            list.push_back(std::move(row));
        }
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(list));
    else if (list.empty())
        call.printer.answer("Nothing waits for a signature.");
    call.printer.flush_answer();
    return 0;
}

int approve(cli::Call& call, hub::Fleet& fleet) {
    const auto& operands = call.arguments.operands();
    const auto key = call.arguments.text("key"), digest = call.arguments.text("digest");
    if (operands.size() != 3 || !key || !digest || !text::is_hex(*digest, shown_digits, 64))
        throw Error(Code::usage,
                    "fleet approve takes a host, an operation, --key KEY, and the --digest of what you saw",
                    "'blockhost-libvirt fleet pending' shows what waits, with its digest");
    const std::string &host = operands[1], &id = operands[2];
    const Told told = told_by(fleet, host);
    const std::string document = json::string_or(pending_one(told, id), "document", "");
    authority::SignedOperation operation = authority::parse_signed_operation(document);
    const authority::Envelope envelope = authority::parse_envelope(operation.envelope);
    // What was looked at, and not what the hub shows by now.
    if (!sha256(operation.envelope).starts_with(*digest))
        throw Error(Code::wrong_state, "what waits there now has another digest than what you saw",
                    "look at it again: 'blockhost-libvirt fleet pending'");
    if (envelope.host != host || envelope.operation != id)
        throw Error(Code::foreign, "that document is about another host or operation than it is listed as",
                    "sign nothing of it; see who writes to the hub");
    if (const auto before = fleet.signed_operation(host, id)) {
        const auto others = authority::parse_signed_operation(*before);
        if (others.envelope == operation.envelope) operation.signatures = others.signatures;
    }
    if (operation.signatures.size() >= authority::most_signatures)
        throw Error(Code::invalid, "it has as many signatures as are ever taken",
                    "the host takes it as it is");
    call.printer.say("signing: " + what_is_signed(envelope));
    operation.signatures.push_back(authority::sign(
        operation.envelope, *key, [&](std::string_view line) { call.printer.say(text::printable(line)); },
        stop_if_asked));
    fleet.sign(host, id, to_text(operation) + "\n");
    call.printer.answer(fmt::format("{} on {} is signed: the host takes it with its next report", id, host));
    call.printer.flush_answer();
    return 0;
}

// -- what is wanted

std::int64_t generation_in(const std::optional<std::string>& document, const std::string& host) {
    if (!document) return 0;
    return json::integer_in(json::parse(*document, "what is wanted of " + host), "generation").value_or(0);
}

int apply(cli::Call& call, hub::Fleet& fleet) {
    const auto& operands = call.arguments.operands();
    if (operands.size() != 3)
        throw Error(Code::usage, "fleet apply takes a host and the file of its desired state",
                    "'blockhost-libvirt dump-desired' writes one on the host");
    const std::string &host = operands[1], &file = operands[2];
    auto text = files::read_given(file, agent::bounds::document_bytes);
    if (!text)
        throw Error(Code::not_found, "there is no " + file, "name a desired state: docs/desired-state.md");
    const auto before = fleet.desired(host);
    const std::int64_t current = generation_in(before, host);
    if (call.arguments.has("next")) {
        bj::value document = json::parse(*text, file);
        if (!document.is_object()) throw Error(Code::invalid, file + " is no desired state");
        document.get_object()["generation"] = current + 1;
        text = json::python_line(document) + "\n";
    }
    const agent::Desired desired = agent::parse_desired(*text, file);
    if (desired.host != host)
        throw Error(Code::foreign,
                    fmt::format("{} is for the host {}", file, text::printable(desired.host, 64)),
                    "a host refuses what is another's");
    if (desired.generation <= current)
        throw Error(
            Code::wrong_state,
            fmt::format("{} has generation {}, and {} is wanted already", file, desired.generation, current),
            "a host follows a higher one alone: --next gives it the next");
    fleet.want(host, *text, before);
    call.printer.answer(fmt::format("generation {} is wanted of {}", desired.generation, host));
    call.printer.flush_answer();
    return 0;
}

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const auto fleet = hub::open_fleet(settings_of(call.arguments), stop_if_asked);
    struct Row {
        std::string_view what;
        std::size_t most; ///< words
        int (*run)(cli::Call&, hub::Fleet&);
    };
    static constexpr Row table[]{{"hosts", 2, hosts},
                                 {"guests", 2, guests},
                                 {"pending", 3, pending},
                                 {"approve", 3, approve},
                                 {"apply", 3, apply}};
    const auto* row = std::ranges::find(table, operands.front(), &Row::what);
    if (operands.size() > row->most)
        throw Error(Code::usage, fmt::format("fleet {} takes nothing more", row->what), "leave out the rest");
    return row->run(call, *fleet);
}

constexpr std::string_view details =
    "What each host told last, what waits for a signature, and what is wanted, of all hosts of a hub: a "
    "folder, or "
    "an etcd cluster as one of its operators. It needs neither libvirt nor configuration: it is for an "
    "operator's "
    "own machine. A server that is a hub shows its hosts by its own means.\n\n"
    "hosts [HOST] has a line for each host: when it was heard last, its version, guests that run, load, free "
    "memory, "
    "the generation that it follows, what is left of that, what waits, the days that its certificate is good "
    "for, and "
    "what troubles it. guests [HOST] has the guests. pending [HOST] has what waits for a signature, pending "
    "HOST ID the "
    "document of one. approve HOST ID --key KEY --digest HEX signs it as 'sign' does, if it is still what "
    "pending showed under that "
    "digest, and puts it where the host finds it; a second "
    "signer's signature joins the first one's. apply HOST FILE puts a desired state there: it has to be for "
    "that host, and its "
    "generation higher than what is wanted now; --next makes it the next one. What somebody else changed "
    "meanwhile is not "
    "overwritten.\n\n"
    "--hub names a file that has what agent.json has as \"hub\"; of an etcd cluster with \"user\", an "
    "operator's. --folder is "
    "enough for a folder.";

} // namespace

cli::Row fleet_row() {
    using Kind = cli::Option::Kind;
    return {
        .verb = "fleet",
        .summary = "see to all hosts of a hub",
        .details = details,
        .operands = {{.name = "WHAT",
                      .help = "what to do",
                      .choices = {"hosts", "guests", "pending", "approve", "apply"}},
                     {.name = "WHICH",
                      .help = "a host; then an operation, or a file",
                      .count = cli::Operand::Count::several}},
        .options =
            {{.name = "hub", .kind = Kind::text, .value = "FILE", .help = "the file that says which hub"},
             {.name = "folder", .kind = Kind::text, .value = "FOLDER", .help = "the folder that is the hub"},
             {.name = "key",
              .kind = Kind::text,
              .value = "KEY",
              .help = "for approve: the file of the key to sign with, private or public"},
             {.name = "digest",
              .kind = Kind::text,
              .value = "HEX",
              .help = "for approve: the digest that pending showed of what is to be signed"},
             {.name = "next", .help = "for apply: with the generation that follows what is wanted now"},
             {.name = "json", .help = "for hosts, guests and pending: print a JSON list"}},
        .output =
            {.text = "a table, or a line that tells what was done",
             .json_keys = {"host", "why", "age_s", "agent", "facts", "desired", "doubt", "troubles", "guests",
                           "running", "pending"},
             .json_call = "--json",
             .unheard =
                 "what was put there stays; a repeat of apply finds it wanted already, one of approve adds a "
                 "signature"},
        .examples = {{"hosts --folder /srv/fleet", "all hosts, a line each"},
                     {"apply host-a host-a.json --next --hub fleet.json", "want something of a host"},
                     {"approve host-a 6b1d0c --digest 9f86d081884c7d65 --key id_ed25519 --folder /srv/fleet",
                      "sign what waits there"}},
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
