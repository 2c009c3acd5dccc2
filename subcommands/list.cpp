/// list: the registry's records with their live state, from one libvirt call; always with exit status 0.

#include "base/json.hpp"
#include "hypervisor/load.hpp"
#include "subcommands/verbs.hpp"

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
};

/// By domain.
using States = std::map<std::string, PowerState>;

/// The question for every domain's state. Where the database is large it is asked before that is read, so
/// that libvirt is at work meanwhile; a small one may be empty, and then nobody is asked.
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
    /// Nothing when libvirt could not be asked, which is said.
    std::optional<States> answer() {
        try {
            if (failure_) std::rethrow_exception(failure_);
            if (!observer_) observer_ = open_observer(call_);
            States states;
            for (const DomainState& domain : observer_->states()) states[domain.name] = domain.state;
            return states;
        } catch (const std::exception& error) {
            call_.printer.warn(std::string("showing what the VM database says: ") + error.what());
            return std::nullopt;
        }
    }

  private:
    const cli::Call& call_;
    std::unique_ptr<Observer> observer_;
    std::exception_ptr failure_;
};

/// What is live, where it is known, wins over what the record says, unless that is destroyed.
void show_live(Line& line, const States& live) {
    if (line.status == to_string(RecordStatus::destroyed)) return;
    const auto domain = live.find(line.name);
    line.status = domain == live.end() ? "destroyed" : std::string(contract_status(domain->second));
}

/// The date of a timestamp; only what is one is shown, since panels put it into pages unescaped.
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
            lines.push_back({record.name.str(), std::string(to_string(record.status)),
                             record.ip ? record.ip->str() : "", date_of(record)});
        if (const auto live = question.answer())
            for (Line& line : lines) show_live(line, *live);
    } catch (const Error& error) {
        lines.clear();
        call.printer.error(error);
    }
    return lines;
}

void print_json(cli::Printer& printer, const std::vector<Line>& lines) {
    boost::json::array all;
    for (const Line& line : lines)
        all.push_back(boost::json::object{
            {"name", line.name}, {"status", line.status}, {"ip", line.ip}, {"created", line.created}});
    printer.answer(json::python_line(all));
}

void print_table(cli::Printer& printer, const std::vector<Line>& lines) {
    std::string table = "NAME\tSTATUS\tIP\tCREATED\n";
    for (const auto& [name, status, ip, created] : lines)
        table.append(name).append("\t").append(status).append("\t").append(ip).append("\t").append(created) +=
            '\n';
    printer.answer_raw(table);
}

int run(cli::Call& call) {
    const auto lines = lines_of(call);
    if (call.arguments.has("json") || call.arguments.text("format") == "json")
        print_json(call.printer, lines);
    else
        print_table(call.printer, lines);
    call.printer.flush_answer();
    return 0;
}

int answer_anyway(cli::Printer& printer, std::span<const std::string> words) {
    bool wants_json = false;
    for (const std::string& word : words) wants_json |= word.find("json") != std::string::npos;
    if (wants_json)
        printer.answer("[]");
    else
        print_table(printer, {});
    printer.flush_answer();
    return 0;
}

constexpr std::string_view details = "Every record of the VM database, destroyed ones included, with the "
                                     "state libvirt shows now. When libvirt cannot be "
                                     "asked, the database's own status is shown and a line on stderr says "
                                     "so. Records that cannot be read are left out.";

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
                    {.name = "json", .help = "same as --format json"}},
        .output = {.text = "a table with tabs: NAME, STATUS, IP, CREATED",
                   .json_keys = {"name", "status", "ip", "created"},
                   .json_call = "--json"},
        .examples = {{"", "as a table"}, {"--format json", "for programs"}},
        .needs = cli::Needs::registry,
        .effect = cli::Effect::reads,
        .usage_status = 0,
        .exit = cli::Row::Exit::contract,
        .run = run,
        .on_usage_error = answer_anyway,
    };
}

} // namespace blockhost::subcommands
