// SPDX-License-Identifier: MIT
// Calls ssh-keygen -Y. Its files are copies in memory, so that all of its calls see the same bytes.
#include "authority/ssh_keygen.hpp"

#include "authority/sshsig.hpp"
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace blockhost::authority {

namespace {

constexpr const char* program = "/usr/bin/ssh-keygen";
constexpr std::size_t largest_file = 1u << 20;

/// A file that only lives as long as this.
class MemoryFile {
  public:
    MemoryFile(const char* name, std::string_view content) : fd_(memfd_create(name, MFD_CLOEXEC)) {
        if (!fd_) throw errno_error("cannot make", "a file in memory", errno);
        files::write_all(fd_.get(), content, "a file in memory");
    }
    /// As another process of this user opens it.
    std::string path() const { return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get()); }

  private:
    Fd fd_;
};

ProcessResult run_keygen(std::vector<std::string> arguments, std::string_view input) {
    ProcessSpec spec{.program = program, .arguments = std::move(arguments)};
    spec.input = input;
    spec.deadline = std::chrono::seconds(30);
    spec.output_cap = 64u << 10;
    try {
        ProcessResult result = run(spec);
        if (result.timed_out) throw Error(Code::program, "ssh-keygen does not end within 30 s");
        return result;
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw Error(Code::program, error.message(), "install openssh-client");
    }
}

/// ssh-keygen's reason, in a parenthesis; empty when it gave none.
std::string words_of(const ProcessResult& result) {
    const auto lines = text::last_lines(result.err, 1);
    return lines.empty() ? "" : " (ssh-keygen: " + lines.front() + ")";
}

/// Key type and fingerprint of `Good "…" signature … with TYPE key SHA256:…`.
std::pair<std::string, std::string> key_of(const ProcessResult& result) {
    const auto lines = text::last_lines(result.out, 1, 4096);
    const std::string line = lines.empty() ? "" : lines.front();
    constexpr std::string_view with = " with ", key = " key ";
    const auto fingerprint = line.rfind(key), type = line.rfind(with, fingerprint);
    if (!line.starts_with("Good ") || fingerprint == line.npos || type == line.npos ||
        !line.substr(fingerprint + key.size()).starts_with("SHA256:"))
        throw Error(Code::program, "ssh-keygen answers otherwise than expected: " + text::printable(line));
    return {line.substr(type + with.size(), fingerprint - type - with.size()),
            line.substr(fingerprint + key.size())};
}

std::string option_for(Instant at) {
    return fmt::format("-Overify-time={:%Y%m%d%H%M%S}Z", std::chrono::floor<std::chrono::seconds>(at));
}

/// The principals of ssh-keygen's answer. A pattern is nobody's name.
std::vector<std::string> principals_in(const std::string& answer) {
    std::vector<std::string> all;
    for (const std::string& line : text::split(answer, '\n')) {
        const std::string name(text::trim(line));
        if (!name.empty() && name.find_first_of("*?!,") == name.npos) all.push_back(name);
    }
    return all;
}

std::string read_trusted(const std::filesystem::path& path, std::string_view what) {
    const auto refuse = [&](std::string_view why, std::string hint) {
        throw Error(Code::config, fmt::format("{} {} {}", what, path.string(), why), std::move(hint));
    };
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENOENT) refuse("is missing", "make it, or name another one in agent.json");
    if (!fd) {
        const Error reason = errno_error("cannot open", path.string(), errno);
        throw Error(Code::config, reason.message(), reason.hint());
    }
    struct stat found {};
    if (fstat(fd.get(), &found) != 0) throw errno_error("cannot look at", path.string(), errno);
    if (!S_ISREG(found.st_mode)) refuse("is no regular file", "put a file there");
    if ((found.st_uid != 0 && found.st_uid != geteuid()) || (found.st_mode & 022) != 0)
        refuse("may be written by others", "chown root " + path.string() + " && chmod go-w " + path.string());
    try {
        return files::read_fd(fd.get(), path.string(), largest_file);
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
}

} // namespace

TrustFiles read_trust_files(const std::filesystem::path& allowed_signers,
                            const std::filesystem::path& revoked) {
    TrustFiles trust{read_trusted(allowed_signers, "the file of allowed signers"), {}};
    if (!revoked.empty()) trust.revoked = read_trusted(revoked, "the list of revoked keys");
    return trust;
}

Signer signer_of(std::string_view bytes, const std::string& signature, const TrustFiles& trust, Instant at) {
    const SignatureForm form = parse_signature(signature);
    if (form.name_space != name_space)
        throw Error(
            Code::denied,
            fmt::format("a signature is for \"{}\", and not for operations of this program", form.name_space),
            fmt::format("sign with -n {}", name_space));
    const MemoryFile signed_by("signature", signature), allowed("allowed_signers", trust.allowed_signers);
    const std::string with_signature = signed_by.path(), with_allowed = allowed.path();
    const auto call = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"-s", with_signature});
        return run_keygen(std::move(arguments), bytes);
    };

    const auto any = call({"-Y", "check-novalidate", "-n", std::string(name_space)});
    if (!any.ok())
        throw Error(Code::denied, "a signature is not one of these bytes" + words_of(any),
                    "sign the envelope as it was printed, to the byte");
    if (form.untouched) // ssh-keygen does not look at it
        throw Error(Code::denied, "a signature is by a security key that nobody touched",
                    "use a key that was made without no-touch-required, and touch it");
    Signer signer;
    std::tie(signer.key_type, signer.key) = key_of(any);
    const std::string key = fmt::format("{} key {}", signer.key_type, signer.key);

    const auto found = call({"-Y", "find-principals", option_for(at), "-f", with_allowed});
    if (!found.ok()) {
        const bool of_time =
            found.err.find("expired") != found.err.npos || found.err.find("not yet valid") != found.err.npos;
        if (of_time)
            throw Error(Code::denied, key + " is not allowed to sign at this time" + words_of(found),
                        "have its line in the file of allowed signers, or its certificate, renewed");
        throw Error(Code::denied, key + " is none of an allowed signer",
                    "add it to the file of allowed signers, if it is an operator's");
    }
    signer.principals = principals_in(found.out);
    if (signer.principals.empty())
        throw Error(Code::denied, key + " is allowed for a pattern of names, so that nobody knows who signed",
                    "write a plain name in the file of allowed signers");

    const auto verify = [&](const std::string& principal, const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"-Y",           "verify", "-n",      std::string(name_space),
                                           option_for(at), "-I",     principal, "-f",
                                           with_allowed};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return call(std::move(arguments));
    };
    for (const std::string& principal : signer.principals) {
        const auto plain = verify(principal, {});
        if (!plain.ok())
            throw Error(Code::denied,
                        fmt::format("{} of {} is not allowed for operations of this program{}", key,
                                    principal, words_of(plain)),
                        fmt::format("let namespaces in the file of allowed signers have {}", name_space));
        if (key_of(plain).second != signer.key)
            throw Error(Code::program, "ssh-keygen names two keys for one signature");
        if (trust.revoked.empty()) continue;
        const MemoryFile revoked("revoked", trust.revoked);
        if (const auto still = verify(principal, {"-r", revoked.path()}); !still.ok())
            throw Error(Code::denied, fmt::format("{} of {} is revoked", key, principal),
                        "sign with another key");
    }
    return signer;
}

std::string sign(std::string_view bytes, const std::filesystem::path& key,
                 const std::function<void(std::string_view)>& told, const std::function<void()>& check) {
    ProcessSpec spec{.program = program,
                     .arguments = {"-Y", "sign", "-n", std::string(name_space), "-f", key.string()}};
    spec.input = bytes;
    spec.deadline = std::chrono::minutes(2);
    spec.check = check;
    // The signature's lines are no news.
    bool is_signature = false;
    spec.on_line = [&](std::string_view line) {
        is_signature = is_signature || line.starts_with("-----BEGIN SSH SIGNATURE");
        if (!is_signature && !line.empty() && told) told(line);
    };
    bool can_ask = false;
    for (const char* name : {"SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_SK_PROVIDER", "DISPLAY", "WAYLAND_DISPLAY",
                             "XAUTHORITY", "XDG_RUNTIME_DIR", "HOME"}) {
        const char* value = std::getenv(name);
        if (!value) continue;
        spec.environment.push_back(std::string(name) + "=" + value);
        can_ask = can_ask || std::string_view(name) == "SSH_ASKPASS";
    }
    // It runs outside of the terminal's foreground: a question there would stop it for good.
    spec.environment.emplace_back("SSH_ASKPASS_REQUIRE=force");
    if (!can_ask) spec.environment.emplace_back("SSH_ASKPASS=/bin/false");
    ProcessResult result;
    try {
        result = run(spec);
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw Error(Code::program, error.message(), "install openssh-client");
    }
    if (result.timed_out)
        throw Error(Code::program, "ssh-keygen did not sign within 2 minutes",
                    "touch the key when it blinks");
    if (!result.ok())
        throw Error(Code::program,
                    fmt::format("ssh-keygen does not sign by {}{}", key.string(), words_of(result)),
                    "for a key with a passphrase: ssh-add it and name its public key, or set SSH_ASKPASS");
    return result.out;
}

} // namespace blockhost::authority
