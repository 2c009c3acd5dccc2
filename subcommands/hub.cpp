// SPDX-License-Identifier: MIT
/// hub init-etcd: users and roles of an etcd cluster that is to be a hub, for an operator's own machine.

#include "base/files/files.hpp"
#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "hub/etcd/places.hpp"
#include "hub/etcd/roles.hpp"
#include "subcommands/verbs.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

namespace etcd = hub::etcd;

void stop_if_asked() {
    Interruption().check();
}

std::filesystem::path absolute(const cli::Arguments& given, std::string_view option) {
    const auto path = given.text(option);
    return path ? std::filesystem::absolute(*path).lexically_normal() : std::filesystem::path();
}

etcd::Access access_of(const cli::Arguments& given) {
    etcd::Access access{.urls = given.texts("url"),
                        .user = given.text("user").value_or("root"),
                        .password_file = absolute(given, "password-file"),
                        .trust = {.pins = {},
                                  .ca_file = absolute(given, "ca-file"),
                                  .certificate_file = absolute(given, "certificate-file"),
                                  .key_file = absolute(given, "key-file")}};
    for (const std::string& url : access.urls)
        if (const std::string objection = http::objection_to(url); !objection.empty() || url.ends_with('/'))
            throw Error(Code::usage,
                        text::printable(url) + " " + (objection.empty() ? "ends with a slash" : objection),
                        "--url is one of the cluster's members, as https://HOST:2379");
    if (given.has("certificate-file") != given.has("key-file"))
        throw Error(Code::usage, "--certificate-file and --key-file go together", "give both, or neither");
    return access;
}

/// A name that can stand in a key and in a file's name.
std::string require_name(const std::string& name) {
    const bool is_plain = !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
                          name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                 "0123456789._-") == name.npos;
    if (!is_plain || name == "root")
        throw Error(Code::invalid, text::printable(name) + " cannot be a user's name",
                    "a host's is the name that it reports: letters, digits, '.', '_' and '-'");
    return name;
}

std::vector<etcd::Wish> wishes_of(const cli::Arguments& given) {
    const std::string prefix = given.text("prefix").value_or(std::string(etcd::usual_prefix));
    if (!prefix.starts_with('/') || prefix.ends_with('/'))
        throw Error(Code::usage, "--prefix does not begin with a slash, or ends with one", "as /blockhost");
    std::vector<etcd::Wish> all;
    for (const std::string& name : given.texts("host"))
        all.push_back({require_name(name), false, prefix, given.has("renew")});
    for (const std::string& name : given.texts("operator"))
        all.push_back({require_name(name), true, prefix, given.has("renew")});
    if (all.empty())
        throw Error(Code::usage, "hub init-etcd needs --host or --operator",
                    "name each host that is to have this hub");
    return all;
}

/// Of a new user; an old file of that name is another cluster's, or of before a renewal that failed.
void keep_password(const Folder& folder, const std::string& user, const std::string& password) {
    const std::string name = user + ".password";
    if (folder.kind(name) != Folder::Kind::absent)
        throw Error(Code::exists, "there is a " + (folder.path() / name).string() + " already",
                    "move it out of the way, or name another folder by --to");
    files::make_at(folder.fd(), name, (folder.path() / name).string(), password + "\n",
                   {.mode = 0600, .uid = geteuid(), .gid = getegid()});
}

int init_etcd(cli::Call& call) {
    const cli::Arguments& given = call.arguments;
    const auto wishes = wishes_of(given);
    const etcd::Access access = access_of(given);
    const std::filesystem::path to = absolute(given, "to");
    const auto folder = Folder::open(to);
    if (!folder) throw Error(Code::not_found, "there is no folder " + to.string(), "make it, mode 0700");
    if (etcd::require_authentication(access, stop_if_asked))
        call.printer.say("from now on the cluster does nothing without a user and a password");
    etcd::Gateway root(access, stop_if_asked);
    for (const etcd::Wish& wish : wishes) {
        const std::string file = (to / (wish.user + ".password")).string();
        bool is_kept = false;
        const auto keep = [&](const std::string& password) {
            keep_password(*folder, wish.user, password);
            is_kept = true;
        };
        try {
            const etcd::Given end = etcd::give(root, wish, keep);
            call.printer.answer(end == etcd::Given::was_there
                                    ? wish.user + " was there, and keeps its password"
                                    : fmt::format("{} has {} password, in {}", wish.user,
                                                  end == etcd::Given::made ? "a" : "a new", file));
        } catch (const etcd::Refused&) {
            if (is_kept) folder->remove(wish.user + ".password"); // the cluster does not have it
            throw;
        } catch (const Error&) {
            if (is_kept)
                call.printer.warn(wish.user + " may have the password in " + file +
                                  " by now: --renew, with that file out of the way, makes sure");
            throw;
        }
    }
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "init-etcd makes an etcd cluster (3.4 or later) the hub of hosts: for each --host a user of that name "
    "with "
    "a password of its own, who may read what is wanted of that host and write what it tells, and nothing "
    "else; for each --operator one who may read and write what there is of all hosts. Where the cluster "
    "lets everybody do everything, it makes the user root with the password in --password-file, and "
    "requires a user from then on. A repeat makes what is missing and leaves passwords as they are; --renew "
    "gives new ones, and the old ones end at once.\n\n"
    "A host's password is written into a file of --to, mode 0600: carry it to the host, and remove it here. "
    "It needs neither libvirt nor configuration: it is for an operator's own machine.";

} // namespace

cli::Row hub_row() {
    using Kind = cli::Option::Kind;
    using Presence = cli::Option::Presence;
    return {
        .verb = "hub",
        .summary = "make an etcd cluster the hub of hosts",
        .details = details,
        .operands = {{.name = "WHAT", .help = "what to do", .choices = {"init-etcd"}}},
        .options =
            {{.name = "url",
              .kind = Kind::text,
              .value = "URL",
              .help = "a member of the cluster, https://HOST:2379; may be given several times",
              .presence = Presence::required},
             {.name = "host",
              .kind = Kind::text,
              .value = "NAME",
              .help = "a host, by the name that it reports; may be given several times"},
             {.name = "operator",
              .kind = Kind::text,
              .value = "NAME",
              .help = "who sees to all hosts; may be given several times"},
             {.name = "to",
              .kind = Kind::text,
              .value = "FOLDER",
              .help = "the folder for the passwords of new users",
              .presence = Presence::required},
             {.name = "password-file",
              .kind = Kind::text,
              .value = "FILE",
              .help = "the file that holds root's password",
              .presence = Presence::required},
             {.name = "user",
              .kind = Kind::text,
              .value = "NAME",
              .default_text = "root",
              .help = "who makes users and roles"},
             {.name = "prefix",
              .kind = Kind::text,
              .value = "PREFIX",
              .default_text = "/blockhost",
              .help = "of all keys"},
             {.name = "ca-file",
              .kind = Kind::text,
              .value = "FILE",
              .help = "the authority of the members' certificates; without it the system's"},
             {.name = "certificate-file",
              .kind = Kind::text,
              .value = "FILE",
              .help = "the certificate that the cluster knows its clients by"},
             {.name = "key-file", .kind = Kind::text, .value = "FILE", .help = "that certificate's key"},
             {.name = "renew", .help = "give new passwords to users that are there"}},
        .output = {.text = "a line for each user: that it has a password and where, or that it was there",
                   .unheard = "users and roles are made all the same; a repeat finds them there"},
        .examples = {{"init-etcd --url https://etcd-1:2379 --password-file root.password --host host-a --to "
                      "passwords",
                      "the first host"},
                     {"init-etcd --url https://etcd-1:2379 --password-file root.password --host host-a --to "
                      "passwords --renew",
                      "a new password, as for a host that was lost"}},
        .effect = cli::Effect::changes,
        .run = init_etcd,
    };
}

} // namespace blockhost::subcommands
