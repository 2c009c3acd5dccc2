// SPDX-License-Identifier: MIT
// The option parser.
#include "base/error.hpp"
#include "cli/command.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace blockhost;
using namespace blockhost::cli;
using Words = std::vector<std::string>;

namespace {

Arguments parsed(std::string_view verb, const Words& words) {
    return parse(*row_of_verb(verb), words);
}

/// Words of a create that only lacks what the test adds.
Arguments created(const Words& words) {
    Words all{"web", "--owner-wallet", "0xab"};
    all.insert(all.end(), words.begin(), words.end());
    return parsed("create", all);
}

Error refusal(std::string_view verb, const Words& words) {
    try {
        parsed(verb, words);
    } catch (const Error& error) {
        return error;
    }
    return Error(Code::internal, "nothing was thrown");
}

Error create_refusal(const Words& words) {
    try {
        created(words);
    } catch (const Error& error) {
        return error;
    }
    return Error(Code::internal, "nothing was thrown");
}

} // namespace

TEST_CASE("a value follows its option, or an equals sign") {
    CHECK(created({"--memory", "512"}).integer("memory") == 512);
    CHECK(created({"--memory=512"}).integer("memory") == 512);
    CHECK(created({"--username=a=b"}).text("username") == "a=b");
}

TEST_CASE("nothing behind the equals sign is an empty value") {
    CHECK(created({"--username="}).text("username") == "");
    CHECK(create_refusal({"--memory="}).message() == "--memory: '' is not a whole number");
}

TEST_CASE("a value that may be left out is taken from behind an equals sign alone") {
    CHECK(parsed("list", {"--sizes"}).text("sizes") == "mib");
    CHECK(parsed("list", {"--sizes=gib"}).text("sizes") == "gib");
    CHECK(parsed("list", {"--siz", "--json"}).text("sizes") == "mib");
    CHECK(refusal("list", {"--sizes", "gib"}).message() == "surplus operand 'gib'");
    CHECK(refusal("list", {"--sizes="}).code() == Code::invalid);
    CHECK_FALSE(parsed("list", {}).has("sizes"));
}

TEST_CASE("what follows an option whose value was left out is an operand") {
    Row row = *row_of_verb("list");
    row.operands = {{.name = "NAME", .help = "a VM"}, {.name = "OTHER", .help = "another"}};
    for (const Words& words :
         {Words{"--sizes", "gib", "web"}, {"gib", "--sizes", "web"}, {"gib", "web", "--sizes"}}) {
        const Arguments arguments = parse(row, words);
        CHECK(arguments.text("sizes") == "mib");
        CHECK(arguments.operands() == Words{"gib", "web"});
    }
    CHECK(parse(row, Words{"--sizes=gib", "web", "db"}).text("sizes") == "gib");
    CHECK(parse(row, Words{"--sizes=gib", "web", "db"}).operands() == Words{"web", "db"});
    CHECK(parse(row, Words{"--sizes", "--", "gib", "web"}).operands() == Words{"gib", "web"});
}

TEST_CASE("options and operands come in any order") {
    for (const Words& words : {Words{"web", "--owner-wallet", "0xab", "--apply"},
                               Words{"--apply", "--owner-wallet", "0xab", "web"},
                               Words{"--owner-wallet", "0xab", "web", "--apply"}}) {
        Arguments arguments = parsed("create", words);
        CHECK(arguments.operands() == Words{"web"});
        CHECK(arguments.has("apply"));
        CHECK(arguments.text("owner-wallet") == "0xab");
    }
}

TEST_CASE("an option that was not given has no value") {
    CHECK_FALSE(created({}).has("memory"));
    CHECK_FALSE(created({}).integer("memory"));
    CHECK_FALSE(created({}).text("username"));
}

TEST_CASE("of a repeated option the last counts, and only its value is looked at") {
    CHECK(created({"--memory", "512", "--memory=1024"}).integer("memory") == 1024);
    CHECK(created({"--memory", "abc", "--memory", "512"}).integer("memory") == 512);
}

TEST_CASE("an option that is given several times has all of its values, in their order") {
    const Arguments given = created({"--memory", "512", "--memory=1024", "--memory", "512"});
    CHECK(given.texts("memory") == Words{"512", "1024", "512"});
    CHECK(given.texts("disk").empty());
}

TEST_CASE("a unique prefix names an option") {
    CHECK(created({"--mem", "512"}).integer("memory") == 512);
    CHECK(created({"--mem=512"}).integer("memory") == 512);
    CHECK(created({"--app"}).has("apply"));
}

TEST_CASE("an ambiguous prefix is refused with its candidates, ignored options among them") {
    Error error = create_refusal({"--user", "x"});
    CHECK(error.code() == Code::usage);
    CHECK(error.message() == "option --user is ambiguous");
    CHECK(error.hint() == "it could be --user-signature, --username");
    CHECK(create_refusal({"--m", "1"}).hint() == "it could be --memory, --mock");
}

TEST_CASE("an exact name wins over what it is a prefix of") {
    static const Row row{.verb = "x", .options = {{.name = "user-name"}, {.name = "user"}}};
    Arguments arguments = parse(row, Words{"--user"});
    CHECK(arguments.has("user"));
    CHECK_FALSE(arguments.has("user-name"));
}

TEST_CASE("an unknown option is refused with the nearest one as hint") {
    Error error = create_refusal({"--memroy=5"});
    CHECK(error.code() == Code::usage);
    CHECK(error.message() == "unknown option --memroy");
    CHECK(error.hint() == "did you mean --memory?");
    CHECK(create_refusal({"--zzzzzzzz"}).hint() == "");
    CHECK(create_refusal({"--=5"}).message() == "unknown option --");
}

TEST_CASE("what is quoted from the command line cannot act on the terminal") {
    CHECK(create_refusal({"--\033[2J"}).message() == "unknown option --\\x1b[2J");
    CHECK(create_refusal({"--memory", "\033[2J"}).message() == "--memory: '\\x1b[2J' is not a whole number");
}

TEST_CASE("a missing value is refused and what follows is not swallowed") {
    Error error = create_refusal({"--memory"});
    CHECK(error.code() == Code::usage);
    CHECK(error.message() == "option --memory needs a value");
    CHECK(error.hint() == "write --memory=<mb>");
    CHECK(create_refusal({"--username", "--apply"}).message() == "option --username needs a value");
    CHECK(create_refusal({"--username", "-x"}).message() == "option --username needs a value");
    CHECK(create_refusal({"--username", "--"}).message() == "option --username needs a value");
}

TEST_CASE("a negative number, a lone dash and an empty word are values") {
    CHECK(created({"--offset", "-1"}).integer("offset") == -1);
    CHECK(created({"--username", "-0.5"}).text("username") == "-0.5");
    CHECK(created({"--username", "-"}).text("username") == "-");
    CHECK(created({"--username", ""}).text("username") == "");
    CHECK(created({"--username=-x"}).text("username") == "-x");
}

TEST_CASE("a flag takes no value") {
    CHECK(create_refusal({"--apply=yes"}).message() == "option --apply takes no value");
    CHECK(create_refusal({"--apply="}).message() == "option --apply takes no value");
}

TEST_CASE("a malformed number is a refused value") {
    for (const char* value : {"abc", "5x", " 5", "+5", "0x10", "1.0", "1e3", "--5", "5 "}) {
        Error error = create_refusal({std::string("--memory=") + value});
        CHECK(error.code() == Code::invalid);
        CHECK(error.message() == "--memory: '" + std::string(value) + "' is not a whole number");
    }
}

TEST_CASE("a number out of bounds is refused with the bounds") {
    for (const char* value : {"63", "1048577", "-1", "99999999999999999999"}) {
        Error error = create_refusal({"--memory", value});
        CHECK(error.code() == Code::invalid);
        CHECK(error.message() == "--memory: '" + std::string(value) + "' is out of bounds (64 to 1048576)");
    }
    CHECK(created({"--memory", "64"}).integer("memory") == 64);
    CHECK(created({"--memory", "1048576"}).integer("memory") == 1048576);
    CHECK(refusal("list", {"--limit", "0"}).message() == "--limit: '0' is out of bounds (at least 1)");
}

TEST_CASE("a number without bounds need only be one") {
    CHECK(created({"--nft-token-id", "-7"}).integer("nft-token-id") == -7);
    CHECK(create_refusal({"--nft-token-id", "9223372036854775808"}).message() ==
          "--nft-token-id: '9223372036854775808' is too large a number");
}

TEST_CASE("a choice is one of its words") {
    CHECK(parsed("list", {"--format=json"}).text("format") == "json");
    Error error = refusal("list", {"--format", "xml"});
    CHECK(error.code() == Code::invalid);
    CHECK(error.message() == "--format: 'xml' is not one of table, json");
    CHECK(refusal("completion", {"tcsh"}).message() == "<shell>: 'tcsh' is not one of bash, zsh, fish");
}

TEST_CASE("a file must exist and not be a folder") {
    CHECK(created({"--ssh-key", "/dev/null"}).text("ssh-key") == "/dev/null");
    CHECK(create_refusal({"--ssh-key", "/nowhere/key"}).message() ==
          "--ssh-key: '/nowhere/key' cannot be used: No such file or directory");
    CHECK(create_refusal({"--ssh-key", "/"}).message() == "--ssh-key: '/' is a folder, not a file");
}

TEST_CASE("an ignored option is accepted whatever its value is") {
    CHECK(created({"--no-mint", "--user-signature", "0xzz"}).has("no-mint"));
}

TEST_CASE("a missing or surplus operand is refused") {
    CHECK(refusal("destroy", {}).message() == "operand <name> is missing");
    CHECK(refusal("destroy", {}).code() == Code::usage);
    CHECK(refusal("destroy", {"a", "b"}).message() == "surplus operand 'b'");
    CHECK(refusal("list", {"a"}).message() == "surplus operand 'a'");
    CHECK(parsed("help", {}).operands().empty());
    CHECK(parsed("help", {"create"}).operands() == Words{"create"});
}

TEST_CASE("a missing required option is refused before any value is looked at") {
    Error error = refusal("create", {"web", "--memory", "abc"});
    CHECK(error.code() == Code::usage);
    CHECK(error.message() == "option --owner-wallet is missing");
}

TEST_CASE("two dashes end the options") {
    CHECK(parsed("destroy", {"--", "-odd"}).operands() == Words{"-odd"});
    CHECK(parsed("destroy", {"--", "--help"}).operands() == Words{"--help"});
    CHECK(parsed("destroy", {"-"}).operands() == Words{"-"});
    CHECK(refusal("destroy", {"-1"}).message() == "unknown option -1");
}

TEST_CASE("one-letter options stand alone, in a row, and with their value") {
    CHECK(parsed("list", {"-v"}).has("verbose"));
    CHECK(parsed("list", {"-n", "5"}).integer("limit") == 5);
    CHECK(parsed("list", {"-n5"}).integer("limit") == 5);
    Arguments arguments = parsed("list", {"-vn5"});
    CHECK(arguments.has("verbose"));
    CHECK(arguments.integer("limit") == 5);
    CHECK(refusal("list", {"-vx"}).message() == "unknown option -x");
    CHECK(refusal("list", {"-n"}).message() == "option --limit needs a value");
}

TEST_CASE("what follows the operand before the rest is taken as it is") {
    Arguments arguments =
        parsed("guest-exec", {"--timeout", "5", "web", "--", "ls", "--help", "--timeout=9", ""});
    CHECK(arguments.operands() == Words{"web", "--", "ls", "--help", "--timeout=9", ""});
    CHECK(arguments.integer("timeout") == 5);
    CHECK_FALSE(arguments.has("help"));
    CHECK(parsed("guest-exec", {"--", "web", "ls"}).operands() == Words{"web", "ls"});
    CHECK(refusal("guest-exec", {"web"}).message() == "operand <command...> is missing");
    CHECK(refusal("guest-exec", {}).message() == "operand <name> is missing");
}

TEST_CASE("help ends parsing, whatever else is missing or wrong behind it") {
    CHECK(parsed("create", {"--help", "--nonsense"}).has("help"));
    CHECK(parsed("create", {"-h"}).has("help"));
    CHECK(parsed("create", {"web", "--memory", "abc", "--help"}).has("help"));
}

TEST_CASE("help counts only where nothing before it is at fault") {
    CHECK(create_refusal({"--nonsense", "--help"}).message() == "unknown option --nonsense");
    CHECK(create_refusal({"--username", "--help"}).message() == "option --username needs a value");
    CHECK(create_refusal({"surplus", "--help"}).message() == "surplus operand 'surplus'");
    CHECK(create_refusal({"-hx"}).message() == "unknown option -x");
    CHECK(create_refusal({"-x", "-h"}).message() == "unknown option -x");
    CHECK(parsed("list", {"-vh", "surplus", "--user="}).has("help"));
    CHECK(parsed("list", {"--he", "--", "surplus"}).has("help"));
    CHECK_FALSE(created({"--username=--help"}).has("help"));
}

TEST_CASE("of several faults the first on the line is told") {
    CHECK(create_refusal({"--username", "--apply", "--nonsense"}).message() ==
          "option --username needs a value");
    CHECK(create_refusal({"--nonsense", "--username", "--apply"}).message() == "unknown option --nonsense");
    CHECK(create_refusal({"surplus", "--nonsense"}).message() == "surplus operand 'surplus'");
    CHECK(create_refusal({"--nonsense", "surplus"}).message() == "unknown option --nonsense");
    CHECK(create_refusal({"--apply=", "--user", "x"}).message() == "option --apply takes no value");
    CHECK(create_refusal({"--user", "x", "--apply="}).message() == "option --user is ambiguous");
    CHECK(create_refusal({"--memory=abc", "--nonsense"}).message() == "unknown option --nonsense");
    CHECK(refusal("list", {"-vxn"}).message() == "unknown option -x");
    CHECK(refusal("list", {"-vn", "--nonsense"}).message() == "option --limit needs a value");
    CHECK(refusal("create", {"--memory=abc"}).message() == "operand <name> is missing");
    CHECK(refusal("create", {"web", "--memory=abc", "--owner-wallet=x", "--offset", "9"}).message() ==
          "--memory: 'abc' is not a whole number");
}

TEST_CASE("what is required and what is refused is told in the row's order") {
    static const Row row{
        .verb = "x",
        .options = {
            {.name = "zeta", .kind = Option::Kind::integer, .presence = Option::Presence::required},
            {.name = "alpha", .kind = Option::Kind::integer, .presence = Option::Presence::required}}};
    CHECK_THROWS_WITH(parse(row, Words{}), "option --zeta is missing");
    CHECK_THROWS_WITH(parse(row, Words{"--alpha=a", "--zeta=z"}), "--zeta: 'z' is not a whole number");
}

TEST_CASE("no word that looks like an option is taken as a value, known or not") {
    for (const char* word : {"--apply", "--app", "--nonsense", "--memory=", "--memory=5", "--=", "---", "-h",
                             "-hx", "-1x", "-.", "-1.2.3", "--1", "--user", "\x2d\xff"})
        CHECK(create_refusal({"--username", word}).message() == "option --username needs a value");
    CHECK(refusal("list", {"-n", "-v"}).message() == "option --limit needs a value");
    CHECK(refusal("list", {"-n", "--"}).message() == "option --limit needs a value");
    CHECK(parsed("list", {"-n5", "-n", "7"}).integer("limit") == 7);
    CHECK(refusal("list", {"-n", "-7"}).message() == "--limit: '-7' is out of bounds (at least 1)");
    CHECK(refusal("list", {"-n=5"}).message() == "--limit: '=5' is not a whole number");
    CHECK(refusal("list", {"-nv"}).message() == "--limit: 'v' is not a whole number");
}

TEST_CASE("a value that is an operand's or an option's text stays a value") {
    Arguments arguments =
        parsed("create", {"--owner-wallet", "memory", "--username", "apply", "web", "--apply"});
    CHECK(arguments.operands() == Words{"web"});
    CHECK(arguments.text("owner-wallet") == "memory");
    CHECK(arguments.text("username") == "apply");
    CHECK(
        created({"--username", "a", "--username", "b", "--usern=", "--apply", "--apply"}).text("username") ==
        "");
    CHECK(created({"--username==--"}).text("username") == "=--");
    CHECK(created({"--username=="}).text("username") == "=");
}

TEST_CASE("dashes alone, or too many of them, name no option") {
    CHECK(refusal("list", {"---v"}).message() == "unknown option ---v");
    CHECK(refusal("list", {"---verbose"}).message() == "unknown option ---verbose");
    CHECK(refusal("list", {"---"}).message() == "unknown option ---");
    CHECK(refusal("list", {"--="}).message() == "unknown option --");
    CHECK(refusal("list", {"--=", "--verbose"}).message() == "unknown option --");
    CHECK(refusal("list", {"-v-"}).message() == "unknown option --");
    CHECK(refusal("list", {"-v-n5"}).message() == "unknown option --");
    CHECK(refusal("list", {"-v\xff"}).message() == "unknown option -\\xff");
    CHECK(refusal("list", {"--/verbose"}).message() == "unknown option --/verbose");
    CHECK(refusal("list", {"--VERBOSE"}).message() == "unknown option --VERBOSE");
    CHECK(refusal("list", {"-V"}).message() == "unknown option -V");
}

TEST_CASE("a prefix is refused, and refuses, as the whole name does") {
    CHECK(create_refusal({"--mem="}).message() == "--memory: '' is not a whole number");
    CHECK(create_refusal({"--mem"}).message() == "option --memory needs a value");
    CHECK(create_refusal({"--app=x"}).message() == "option --apply takes no value");
    CHECK(create_refusal({"--user="}).message() == "option --user is ambiguous");
    CHECK(create_refusal({"--user=x"}).hint() == "it could be --user-signature, --username");
    CHECK(create_refusal({"--memory-"}).message() == "unknown option --memory-");
}

TEST_CASE("behind two dashes operands are counted too") {
    CHECK(refusal("destroy", {"--", "a", "b", "c"}).message() == "surplus operand 'b'");
    CHECK(refusal("destroy", {"a", "--", "--help"}).message() == "surplus operand '--help'");
    CHECK(refusal("list", {"--", "--"}).message() == "surplus operand '--'");
    CHECK(refusal("destroy", {"--"}).message() == "operand <name> is missing");
    CHECK(parsed("destroy", {"a", "--"}).operands() == Words{"a"});
    CHECK(parsed("destroy", {""}).operands() == Words{""});
}

TEST_CASE("options come between operands until the rest begins") {
    static const Row row{
        .verb = "x",
        .operands = {{.name = "A"}, {.name = "B"}, {.name = "C", .count = Operand::Count::rest}},
        .options = {{.name = "flag"}, {.name = "text", .kind = Option::Kind::text}}};
    Arguments arguments = parse(row, Words{"a", "--text", "t", "b", "--flag", "--", "--text", "--help"});
    CHECK(arguments.operands() == Words{"a", "b", "--flag", "--", "--text", "--help"});
    CHECK(arguments.text("text") == "t");
    CHECK_FALSE(arguments.has("flag"));
    CHECK(parse(row, Words{"a", "--", "b", "--flag"}).operands() == Words{"a", "b", "--flag"});

    static const Row alone{.verb = "x", .operands = {{.name = "C", .count = Operand::Count::rest}}};
    CHECK(parse(alone, Words{"a", "--help"}).operands() == Words{"a", "--help"});
    CHECK(parse(alone, Words{"--", "--help"}).operands() == Words{"--help"});
}

TEST_CASE("options come among several operands, of which there may be none") {
    static const Row row{.verb = "x",
                         .operands = {{.name = "A", .count = Operand::Count::optional},
                                      {.name = "B", .count = Operand::Count::several}},
                         .options = {{.name = "flag"}, {.name = "text", .kind = Option::Kind::text}}};
    const Arguments arguments = parse(row, Words{"a", "--text", "t", "b", "c", "--flag", "d", "--", "--e"});
    CHECK(arguments.operands() == Words{"a", "b", "c", "d", "--e"});
    CHECK(arguments.text("text") == "t");
    CHECK(arguments.has("flag"));
    CHECK(parse(row, Words{"--flag"}).operands().empty());
    CHECK(parse(row, Words{"a"}).operands() == Words{"a"});
}

TEST_CASE("a line may be long") {
    for (std::size_t count = 0; count < 200; ++count) {
        Words words(count, "--verbose");
        const auto with = [&](const Words& more) {
            Words all = words;
            all.insert(all.end(), more.begin(), more.end());
            return all;
        };
        CAPTURE(count);
        CHECK(parsed("list", with({"-n", "5"})).integer("limit") == 5);
        CHECK(parsed("list", with({"--limit=", "-n", "5", "--mock"})).has("mock"));
        CHECK(refusal("list", with({"--limit="})).message() == "--limit: '' is not a whole number");
        CHECK(refusal("list", with({"-n"})).message() == "option --limit needs a value");
        CHECK(refusal("list", with({"--nonsense", "-h"})).message() == "unknown option --nonsense");
        CHECK(refusal("list", with({"surplus", "-x"})).message() == "surplus operand 'surplus'");
        CHECK(refusal("list", with({"--", "--verbose"})).message() == "surplus operand '--verbose'");
        words.assign(count, "--mock");
        CHECK(parsed("destroy", with({"web"})).operands() == Words{"web"});
        CHECK(refusal("destroy", with({"web", "b", "--mock"})).message() == "surplus operand 'b'");
        CHECK(parsed("guest-exec", with({"--timeout=7", "web", "--", "a"})).operands() ==
              Words{"web", "--", "a"});
        words.assign(count, "a");
        CHECK(parsed("guest-exec", with({"b", "--timeout"})).operands() == with({"b", "--timeout"}));
    }
}

TEST_CASE("an option is asked for in each spelling, whatever else is wrong") {
    const auto asked = [](std::string_view verb, const Words& words) {
        return asks_for(*row_of_verb(verb), words, "json");
    };
    CHECK(asked("list", {"--json"}));
    CHECK(asked("list", {"--nonsense", "-x", "--v", "surplus", "--form", "--js"}));
    CHECK(asked("list", {"--verbose=1", "--limit", "--json"}));
    CHECK(asked("list", {"--json", "surplus", "--nonsense"}));
    CHECK(asked("list", {"--help", "--json"}));
    CHECK(asked("fail", {"a", "b", "c", "--json"}));
    CHECK_FALSE(asked("list", {}));
    CHECK_FALSE(asked("list", {"--json=yes"}));
    CHECK_FALSE(asked("list", {"--format", "json", "-x"}));
    CHECK_FALSE(asked("list", {"--", "--json"}));
    CHECK_FALSE(asked("fail", {"a", "--nonsense", "--", "b", "--json"}));
    CHECK_FALSE(asked("guest-exec", {"--nonsense", "web", "--json"}));
}

TEST_CASE("every verb knows mock and help") {
    CHECK(parsed("destroy", {"web", "--mock"}).has("mock"));
    CHECK(parsed("list", {"--mock"}).has("mock"));
}

TEST_CASE("rows are found by verb and by contract name") {
    CHECK(row_of_verb("create") == row_of_contract_name("blockhost-vm-create"));
    CHECK(row_of_verb("creat") == nullptr);
    CHECK(row_of_verb("destroy") == row_of_contract_name("another-destroy"));
    CHECK(row_of_contract_name("") == nullptr);
    CHECK(row_of_contract_name("create") == nullptr);
}
