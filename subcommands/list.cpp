// SPDX-License-Identifier: MIT
/// list: prints the registry's records with their live state, from one libvirt call; always exits with 0.

#include "base/exceptions.hpp"
#include "base/text/json.hpp"
#include "hypervisor/open.hpp"
#include "operations/bring_up.hpp"
#include "subcommands/verbs.hpp"
#include "vm/renamed.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <exception>
#include <filesystem>
#include <map>
#include <system_error>

namespace blockhost::subcommands {

namespace {

struct Line {
    std::string name, status, ip, created;
    std::string state = {}, why = {}; ///< libvirt's; empty where libvirt was not asked, or has no such domain
    RecordStatus recorded = RecordStatus::active;
    bool defined = true; ///< false: it runs without a definition
};

/// What libvirt shows of its domains.
struct States {
    std::map<std::string, Power> power; ///< by name
    std::vector<std::string> undefined; ///< names of those that run without a definition
};

/// Asks for every domain's state. With a large database it asks before that is read, so that libvirt works
/// meanwhile. A small database may be empty, and then nobody is asked.
class Question {
  public:
    Question(const cli::Call& call, const Registry& registry) : call_(call) {
        constexpr std::uintmax_t large = 4096;
        std::error_code absent;
        const auto size = std::filesystem::file_size(registry.file(), absent);
        if (absent || size < large) return;
        try {
            observer_ = open_observer(call_);
            observer_->expect_states();
        } catch (...) {
            failure_ = std::current_exception();
        }
    }
    /// Nothing when libvirt could not be asked; a warning says so.
    std::optional<States> answer() {
        try {
            if (failure_) std::rethrow_exception(failure_);
            if (!observer_) observer_ = open_observer(call_);
            States states;
            for (const DomainState& domain : observer_->states())
                states.power[domain.name] = {domain.state, domain.reason};
            states.undefined = observer_->undefined();
            return states;
        } catch (const std::exception& error) {
            call_.printer.warn(std::string("showing what the VM database says: ") + as_error(error).what());
            return std::nullopt;
        }
    }

    /// The reason of that VM's power state; only after answer().
    std::string reason(const std::string& name, const Power& power) {
        constexpr std::chrono::milliseconds longest(500);
        return operations::reason_of(*observer_, name, power, longest);
    }

    /// The renamed domains, once states were answered; none where that cannot be told.
    RenamedDomains renamed() {
        return observer_ ? renamed_domains_if_known(*observer_, call_.paths) : RenamedDomains{};
    }

  private:
    const cli::Call& call_;
    std::unique_ptr<Observer> observer_;
    std::exception_ptr failure_;
};

/// The live state, where it is known, replaces the record's, unless the record says destroyed.
void show_live(Line& line, const States& live, Question& question) {
    if (line.recorded == RecordStatus::destroyed) return;
    const auto domain = live.power.find(line.name);
    const bool is_there = domain != live.power.end();
    line.status = contract_status(is_there ? std::optional(domain->second.state) : std::nullopt);
    if (!is_there) return;
    line.state = to_string(domain->second.state);
    line.why = question.reason(line.name, domain->second);
    line.defined = std::ranges::find(live.undefined, line.name) == live.undefined.end();
}

/// Warns of a state that nobody asked for; the answer itself has no place for it.
void warn_of_trouble(cli::Printer& printer, const Line& line, const Power& power) {
    if (is_trouble(power))
        printer.warn(line.name + " is " + line.state + (line.why.empty() ? "" : ": " + line.why));
    if (!line.defined)
        printer.warn(line.name +
                     " runs without a definition (virsh undefine?): when it goes off by itself it is gone; "
                     "start, stop and kill define it again");
}

/// A record without a domain may have one under another name. Then neither name tells a state.
void show_renamed(const cli::Call& call, Question& question, std::vector<Line>& lines, const States& live) {
    const auto is_gone = [&](const Line& line) {
        return line.recorded != RecordStatus::destroyed && !live.power.contains(line.name);
    };
    if (std::ranges::none_of(lines, is_gone)) return;
    const RenamedDomains names = question.renamed();
    for (Line& line : lines) {
        const auto found = is_gone(line) ? names.find(line.name) : names.end();
        if (found == names.end()) continue;
        line.status = "unknown";
        call.printer.warn(renamed(line.name, found->second).what());
    }
}

/// The date of a timestamp, if it is one: panels put it into pages unescaped.
std::string date_of(const VmRecord& record) {
    constexpr std::size_t date_length = 10;
    return record.created_at ? record.created_text.substr(0, date_length) : "";
}

std::vector<Line> lines_of(const cli::Call& call) {
    std::vector<Line> lines;
    try {
        const Registry registry = registry_of(call);
        Question question(call, registry);
        const auto records = readable_records(call, registry);
        if (records.empty()) return lines;
        for (const VmRecord& record : records) // while libvirt is at work
            lines.push_back({.name = record.name.str(),
                             .status = std::string(to_string(record.status)),
                             .ip = record.ip ? record.ip->str() : "",
                             .created = date_of(record),
                             .recorded = record.status});
        const auto live = question.answer();
        if (!live) return lines;
        for (Line& line : lines) {
            show_live(line, *live, question);
            if (!line.state.empty()) warn_of_trouble(call.printer, line, live->power.at(line.name));
        }
        show_renamed(call, question, lines, *live);
    } catch (const Error& error) {
        lines.clear();
        call.printer.error(error);
    }
    return lines;
}

/// Consumers get the contract's four columns; `wide` is for those that ask for more.
enum class Width { contract, wide };

void print_json(cli::Printer& printer, const std::vector<Line>& lines, Width width) {
    boost::json::array all;
    for (const Line& line : lines) {
        boost::json::object object{
            {"name", line.name}, {"status", line.status}, {"ip", line.ip}, {"created", line.created}};
        if (width == Width::wide) {
            object["state"] = line.state;
            object["reason"] = line.why;
            object["defined"] = line.defined;
        }
        all.push_back(std::move(object));
    }
    printer.answer(json::python_line(all));
}

void print_table(cli::Printer& printer, const std::vector<Line>& lines, Width width) {
    const bool wide = width == Width::wide;
    std::string table = wide ? "NAME\tSTATUS\tIP\tCREATED\tSTATE\tREASON\n" : "NAME\tSTATUS\tIP\tCREATED\n";
    for (const Line& line : lines) {
        table += line.name + "\t" + line.status + "\t" + line.ip + "\t" + line.created;
        if (wide) table += "\t" + line.state + "\t" + line.why + (line.defined ? "" : " (no definition)");
        table += '\n';
    }
    printer.answer_raw(table);
}

int run(cli::Call& call) {
    const auto lines = lines_of(call);
    const Width width = call.arguments.has("long") ? Width::wide : Width::contract;
    if (call.arguments.has("json") || call.arguments.text("format") == "json")
        print_json(call.printer, lines, width);
    else
        print_table(call.printer, lines, width);
    call.printer.flush_answer();
    return 0;
}

int answer_anyway(cli::Printer& printer, std::span<const std::string> words) {
    bool wants_json = false;
    for (const std::string& word : words) wants_json |= word.find("json") != std::string::npos;
    if (wants_json)
        printer.answer("[]");
    else
        print_table(printer, {}, Width::contract);
    printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Every record of the VM database, destroyed ones included, with the "
    "state libvirt shows now. When libvirt cannot be "
    "asked, the database's own status is shown and a line on stderr says "
    "so. A VM whose domain was renamed is unknown, and stderr says its name now. Records that cannot be read "
    "are left out.\n\n"
    "A VM that an error holds, and one that runs without a definition, get a line on "
    "stderr with libvirt's reason. --long shows state and reason of each.";

} // namespace

cli::Row list_row() {
    return {
        .verb = "list",
        .contract_name = "blockhost-vm-list",
        .summary = "list the VMs with their state",
        .details = details,
        .options = {{.name = "format",
                     .kind = cli::Option::Kind::choice,
                     .value = "FORMAT",
                     .default_text = "table",
                     .help = "how to print",
                     .choices = {"table", "json"}},
                    {.name = "json", .help = "same as --format json"},
                    {.name = "long", .help = "with libvirt's state and its reason"}},
        .output = {.text = "a table with tabs: NAME, STATUS, IP, CREATED",
                   .json_keys = {"name", "status", "ip", "created"},
                   .json_call = "--json"},
        .examples = {{"", "as a table"}, {"--format json", "for programs"}, {"--long", "with the reasons"}},
        .needs = cli::Needs::registry,
        .effect = cli::Effect::reads,
        .usage_status = 0,
        .exit = cli::Row::Exit::contract,
        .run = run,
        .on_usage_error = answer_anyway,
    };
}

} // namespace blockhost::subcommands
