// SPDX-License-Identifier: MIT
// What is generated from the rows: help, manual pages, completion, the dump. Shells and roff formatters check
// them.
#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/help.hpp"
#include "cli/layout.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <catch2/catch.hpp>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::cli;

namespace {

/// Output of `program` fed with `input`; says so and gives nothing when it is not installed.
std::optional<ProcessResult> run_if_there(const std::string& program, std::vector<std::string> arguments,
                                          const std::string& input) {
    if (::access(program.c_str(), X_OK) != 0) {
        WARN(program << " is not installed: skipped");
        return std::nullopt;
    }
    return run({.program = program, .arguments = std::move(arguments), .environment = {}, .input = input});
}

std::vector<std::string> pages() {
    std::vector<std::string> all{man_page(nullptr)};
    for (const Row& row : rows()) all.push_back(man_page(&row));
    return all;
}

/// What bash offers for these words, the last of them unfinished.
std::string bash_offers(const std::vector<std::string>& words) {
    std::string script = completion("bash") +
                         "\nblockhost-libvirt() { printf 'NAME\\tSTATUS\\nweb\\tactive\\nwiki\\t"
                         "active\\n'; }\nCOMP_WORDS=(";
    for (const std::string& word : words) script += "'" + word + "' ";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) +
              "\n_blockhost_libvirt\necho \"${COMPREPLY[*]}\"\n";
    ProcessResult result =
        run({.program = "/bin/bash", .arguments = {"--norc"}, .environment = {}, .input = script});
    CHECK(result.err == "");
    return result.out;
}

const boost::json::object& member(const boost::json::value& array, std::string_view key,
                                  std::string_view value) {
    for (const auto& item : array.as_array())
        if (item.as_object().at(key).as_string() == value) return item.as_object();
    throw std::out_of_range(std::string(value));
}

} // namespace

TEST_CASE("the usage line shows operands, required options and that there are others") {
    CHECK(usage_line(*row_of_verb("destroy"), "blockhost-vm-destroy") ==
          "Usage: blockhost-vm-destroy <name>");
    CHECK(usage_line(*row_of_verb("create"), "blockhost-vm-create") ==
          "Usage: blockhost-vm-create <name> --owner-wallet <addr> [options]");
    CHECK(usage_line(*row_of_verb("guest-exec"), "blockhost-vm-guest-exec") ==
          "Usage: blockhost-vm-guest-exec [options] <name> <command...>");
    CHECK(usage_line(*row_of_verb("help"), "blockhost-libvirt help") ==
          "Usage: blockhost-libvirt help [<verb>]");
}

TEST_CASE("a verb's help shows everything but ignored options") {
    CHECK(verb_help(*row_of_verb("create"), "blockhost-vm-create") ==
          R"(Usage: blockhost-vm-create <name> --owner-wallet <addr> [options]

Create a VM.

Operands:
  <name>  the new VM's name

Options:
  --owner-wallet <addr>  whose VM it is (required)
  --memory <mb>          memory (64 to 1048576; default 2048)
  --offset <n>           a signed number (-5 to 5)
  --nft-token-id <int>   echoed in the answer
  --ssh-key <file>       a public key for the first user
  --apply                really do it
  --username <user>      the first user (default admin)
  -h, --help             show this help and exit
  --mock                 act on a simulated world in ./mock-world and
                         ./mock-db.json

Takes addresses from the pools, makes a disk and waits until the guest is ready.

  blockhost-vm-create web --owner-wallet 0xab --apply

.A paragraph that starts with a point, 'quotes' and a back\slash.

Exit status:
  0         success
  1         failure; the last line on standard error says why
  2         the command line is malformed
  130, 143  stopped by SIGINT, by SIGTERM

The same command: blockhost-libvirt create
)");
}

TEST_CASE("the help of a verb that exits by the table lists the table") {
    std::string text = verb_help(*row_of_verb("list"), "blockhost-libvirt list");
    for (const CodeRow& code : error_table())
        CHECK(text.find(std::string(code.help).substr(0, 20)) != std::string::npos);
    CHECK(text.find("  --format <format>  how to print them (one of table, json; default table)\n") !=
          std::string::npos);
    CHECK(text.ends_with("The same command: blockhost-vm-list\n"));
    CHECK(verb_help(*row_of_verb("status"), "blockhost-vm-status").find("  0  always, with an answer\n") !=
          std::string::npos);
}

TEST_CASE("the overview groups the verbs by what they do and leaves hidden ones out") {
    CHECK(overview() == R"(Usage: blockhost-libvirt <verb> [operands] [options]

Provisions BlockHost's virtual machines with libvirt.

Look:
  status  print a VM's status
  list    list the VMs

Change:
  create      create a VM
  guest-exec  run a command in a guest

Destroy:
  destroy  destroy a VM with its disk

About this program and host:
  fail        fail in a way of your choice
  completion  print a completion script
  help        show the help of a verb

Options:
  -h, --help  show this help and exit
  --version   show the version and exit

'blockhost-libvirt <verb> --help' shows a verb's operands, options and exit
statuses, 'blockhost-libvirt help <verb>' its manual page. How it all hangs
together: blockhost-libvirt(7).
)");
}

TEST_CASE("help is at most 80 columns wide") {
    std::string all = overview();
    for (const Row& row : rows())
        all += verb_help(row, row.contract_name.empty() ? row.verb : row.contract_name);
    for (const std::string& line : text::split(all, '\n')) CHECK(columns(line) <= 80);
}

TEST_CASE("text is wrapped between words and a list's right column stays in its place") {
    CHECK(wrap("one two three", 7) == std::vector<std::string>{"one two", "three"});
    CHECK(wrap("  incomprehensible word ", 5) == std::vector<std::string>{"incomprehensible", "word"});
    CHECK(wrap("", 5).empty());
    CHECK(list_entry("a", "b", 6) == "  a   b\n");
    CHECK(list_entry("a long left side", "right", 6) == "  a long left side\n      right\n");
    CHECK(list_entry("a", "", 6) == "  a\n");
    CHECK(wrap_paragraphs("a\nb\n\n  as it  is\nc") == "a b\n\n  as it  is\nc\n");
}

TEST_CASE("manual pages have no warnings from groff") {
    for (const std::string& page : pages()) {
        auto result = run_if_there("/usr/bin/groff", {"-ww", "-man", "-z"}, page);
        if (!result) return;
        INFO(page);
        CHECK(result->exit_status == 0);
        CHECK(result->err == "");
    }
}

TEST_CASE("manual pages have no errors from mandoc") {
    for (const std::string& page : pages()) {
        auto result = run_if_there("/usr/bin/mandoc", {"-T", "lint", "-W", "error"}, page);
        if (!result) return;
        INFO(page);
        CHECK(result->out == "");
    }
}

TEST_CASE("a manual page shows names, synopsis, options and details as they are") {
    auto result = run_if_there("/usr/bin/groff", {"-man", "-Tascii", "-P-c", "-P-b", "-P-o", "-P-u"},
                               man_page(row_of_verb("create")));
    if (!result) return;
    for (const char* line : {"blockhost-vm-create, blockhost-libvirt-create - create a VM",
                             "blockhost-vm-create <name> --owner-wallet <addr> [options]", "--memory mb",
                             "memory (64 to 1048576; default 2048)",
                             "\n         blockhost-vm-create web --owner-wallet 0xab --apply\n",
                             ".A paragraph that starts with a point, 'quotes' and a back\\slash."}) {
        std::string wanted(line);
        if (wanted.find('<') != std::string::npos) // italics stand for the brackets
            for (char bracket : {'<', '>'}) std::erase(wanted, bracket);
        INFO(result->out);
        CHECK(result->out.find(wanted) != std::string::npos);
    }
    CHECK(result->out.find("no-mint") == std::string::npos);
}

TEST_CASE("the overview's manual page names every shown verb and its page") {
    std::string page = man_page(nullptr);
    CHECK(page.find("\\fBcreate\\fR (\\fBblockhost\\-vm\\-create\\fR)") != std::string::npos);
    CHECK(page.find("\\fBblockhost\\-libvirt\\-help\\fR(8)") != std::string::npos);
    CHECK(page.find("__dump") == std::string::npos);
    CHECK(man_page_name(*row_of_verb("create")) == "blockhost-vm-create");
    CHECK(man_page_name(*row_of_verb("fail")) == "blockhost-libvirt-fail");
}

TEST_CASE("completion scripts pass their shells' syntax check") {
    for (const char* shell : {"bash", "zsh", "fish"}) {
        auto result = run_if_there(std::string("/usr/bin/") + shell, {"-n", "/dev/stdin"}, completion(shell));
        if (!result) continue;
        INFO(completion(shell));
        CHECK(result->exit_status == 0);
        CHECK(result->err == "");
    }
    CHECK_THROWS_AS(completion("tcsh"), Error);
}

TEST_CASE("bash completes verbs, options, choices and VMs") {
    CHECK(bash_offers({"blockhost-libvirt", "d"}) == "destroy\n");
    CHECK(bash_offers({"blockhost-libvirt", "--v"}) == "--version\n");
    CHECK(bash_offers({"blockhost-libvirt", "create", "--me"}) == "--memory\n");
    CHECK(bash_offers({"/usr/bin/blockhost-vm-create", "--n"}) == "--nft-token-id\n");
    CHECK(bash_offers({"blockhost-vm-list", "--format", "j"}) == "json\n");
    CHECK(bash_offers({"blockhost-vm-list", "--format", "=", "t"}) == "table\n");
    CHECK(bash_offers({"blockhost-vm-list", "--format", "="}) == "table json\n");
    CHECK(bash_offers({"blockhost-vm-list", "--sizes", "=", "g"}) == "gib\n");
    CHECK(bash_offers({"blockhost-vm-list", "--sizes", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-destroy", "we"}) == "web\n");
    CHECK(bash_offers({"blockhost-vm-destroy", "--mock", "w"}) == "web wiki\n");
    CHECK(bash_offers({"blockhost-libvirt", "help", "gu"}) == "guest-exec\n");
    CHECK(bash_offers({"blockhost-libvirt", "completion", "z"}) == "zsh\n");
    CHECK(bash_offers({"blockhost-vm-create", "--ssh-key", "/dev/nul"}) == "/dev/null\n");
}

TEST_CASE("bash offers nothing where it knows nothing") {
    CHECK(bash_offers({"blockhost-vm-create", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-create", "--memory", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-guest-exec", "--timeout", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-destroy", "web", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-guest-exec", "--timeout", "5", "web", ""}) == "\n");
    CHECK(bash_offers({"blockhost-vm-guest-exec", "--timeout", "=", "5", "w"}) == "web wiki\n");
}

TEST_CASE("zsh completes verbs, options, choices and VMs") {
    // An interactive zsh on a pseudo-terminal; Tab completes the line, shows it in brackets and ends it.
    auto completed = [](const std::string& line) {
        std::string inner = "blockhost-libvirt() { printf 'NAME\\nweb\\n'; }\n"
                            "autoload -U compinit; compinit -u -D\n" +
                            completion("zsh") +
                            "show() { zle complete-word; print -r -- \"[[$BUFFER]]\"; exit; }\n"
                            "zle -N show; bindkey '^I' show\nPS1=ready:\n";
        std::string outer = "zmodload zsh/zpty\nzpty shell 'TERM=dumb zsh -f -i'\n"
                            "inner=$(cat <<'END_OF_INNER'\n" +
                            inner +
                            "\nEND_OF_INNER\n)\n"
                            "file=$(mktemp); print -r -- $inner > $file\nzpty -w shell \". $file\"\n"
                            "zpty -r shell text '*ready:*'; rm -f $file\n"
                            "zpty -w -n shell '" +
                            line +
                            "'$'\\t'\n"
                            "zpty -r shell text '*]]*'; print -r -- ${${text##*\\[\\[}%%\\]\\]*}\n";
        auto result = run_if_there("/usr/bin/zsh", {"-f"}, outer);
        return result ? result->out : std::string();
    };
    if (::access("/usr/bin/zsh", X_OK) != 0) {
        WARN("zsh is not installed: skipped");
        return;
    }
    CHECK(completed("blockhost-libvirt destr") == "blockhost-libvirt destroy \n");
    CHECK(completed("blockhost-libvirt create --mem") == "blockhost-libvirt create --memory=\n");
    CHECK(completed("blockhost-vm-list --sizes=g") == "blockhost-vm-list --sizes=gib \n");
    CHECK(completed("blockhost-vm-list --format=j") == "blockhost-vm-list --format=json \n");
    CHECK(completed("blockhost-vm-destroy w") == "blockhost-vm-destroy web \n");
    CHECK(completed("blockhost-libvirt help gu") == "blockhost-libvirt help guest-exec \n");
}

TEST_CASE("fish completes verbs, options, choices and VMs") {
    auto offers = [](const std::string& line) {
        std::string script = completion("fish") +
                             "\nfunction blockhost-libvirt; printf 'NAME\\nweb\\nwiki\\n'; end\n"
                             "complete -C '" +
                             line + "'\n";
        auto result = run_if_there("/usr/bin/fish", {"--no-config"}, script);
        return result ? result->out : std::string();
    };
    if (::access("/usr/bin/fish", X_OK) != 0) {
        WARN("fish is not installed: skipped");
        return;
    }
    CHECK(offers("blockhost-libvirt des") == "destroy\tdestroy a VM with its disk\n");
    CHECK(offers("blockhost-libvirt create --mem") == "--memory\tmemory\n");
    CHECK(offers("blockhost-vm-list --sizes=g") == "--sizes=gib\ttell sizes\n");
    CHECK(offers("blockhost-vm-list --format j") == "json\thow to print them\n");
    CHECK(offers("blockhost-vm-destroy w") == "web\nwiki\n");
}

TEST_CASE("the dump holds every row, its options with the common ones, links and the error table") {
    auto dump = json::parse(dump_json(), "dump").as_object();
    CHECK(dump.at("program") == "blockhost-libvirt");
    CHECK(dump.at("version").as_string() == version());
    CHECK(dump.at("verbs").as_array().size() == rows().size());
    CHECK(dump.at("links") ==
          boost::json::array({"blockhost-vm-create", "blockhost-vm-destroy", "blockhost-vm-status",
                              "blockhost-vm-list", "blockhost-vm-guest-exec"}));
    CHECK(dump.at("errors").as_array().size() == error_table().size());
    CHECK(member(dump.at("errors"), "name", "busy").at("retry") == true);

    auto& create = member(dump.at("verbs"), "verb", "create");
    CHECK(create.at("contract_name") == "blockhost-vm-create");
    CHECK(create.at("needs") == "hypervisor");
    CHECK(create.at("effect") == "changes");
    CHECK(create.at("exit") == "contract");
    CHECK(create.at("talk_prefix") == "[vm-create] ");
    CHECK(create.at("operands").as_array().size() == 1);
    CHECK(member(create.at("options"), "name", "memory") ==
          boost::json::object({{"name", "memory"},
                               {"letter", nullptr},
                               {"kind", "integer"},
                               {"value", "MB"},
                               {"default", "2048"},
                               {"min", 64},
                               {"max", 1048576},
                               {"choices", boost::json::array()},
                               {"offers", boost::json::array()},
                               {"implicit", nullptr},
                               {"required", false},
                               {"ignored", false},
                               {"help", "memory"}}));
    CHECK(member(create.at("options"), "name", "no-mint").at("ignored") == true);
    CHECK(member(create.at("options"), "name", "owner-wallet").at("required") == true);
    CHECK(member(create.at("options"), "name", "help").at("letter") == "h");
    CHECK(member(create.at("options"), "name", "nft-token-id").at("min") == nullptr);

    CHECK(member(dump.at("verbs"), "verb", "status").at("usage_status") == 0);
    CHECK(member(dump.at("verbs"), "verb", "status").at("always_answers") == true);
    CHECK(member(dump.at("verbs"), "verb", "__dump").at("hidden") == true);
    CHECK(member(dump.at("verbs"), "verb", "fail").at("contract_name") == nullptr);
    CHECK(member(dump.at("verbs"), "verb", "fail").at("man_page") == "blockhost-libvirt-fail");
    CHECK(dump_json().find('\n') == std::string::npos);
}
