// SPDX-License-Identifier: MIT
#pragma once
/// Keys and signatures by ssh-keygen, in a folder of the test's own.

#include "authority/ssh_keygen.hpp"
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/process.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <fstream>
#include <functional>

/// Runs ssh-keygen in the folder; what it prints.
inline std::string keygen(const TemporaryFolder& in, std::vector<std::string> arguments,
                          std::string input = {}) {
    blockhost::ProcessSpec spec{.program = "/usr/bin/ssh-keygen", .arguments = std::move(arguments)};
    spec.input = std::move(input);
    spec.folder = in.path.string();
    spec.deadline = std::chrono::minutes(2);
    const auto result = run(spec);
    INFO(result.err);
    REQUIRE(result.ok());
    return result.out;
}

struct Keys {
    TemporaryFolder folder;

    /// Makes a key pair of that name; its public line without the comment.
    std::string make(const std::string& name, std::vector<std::string> type = {"-t", "ed25519"}) const {
        std::vector<std::string> arguments{"-q", "-N", "", "-C", "", "-f", name};
        arguments.insert(arguments.end(), type.begin(), type.end());
        keygen(folder, arguments);
        return line(name);
    }
    std::string line(const std::string& name) const {
        std::ifstream file(folder.path / (name + ".pub"));
        std::string text;
        REQUIRE(std::getline(file, text));
        return text.substr(0, text.find_last_not_of(" \n") + 1);
    }
    std::string sign(const std::string& name, const std::string& bytes,
                     const std::string& in_namespace = std::string(blockhost::authority::name_space)) const {
        return keygen(folder, {"-Y", "sign", "-q", "-n", in_namespace, "-f", name}, bytes);
    }
};

/// What a call is refused with: code and sentence. Every refusal says what to do.
inline std::pair<blockhost::Code, std::string> refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const blockhost::Error& error) {
        return {error.code(), error.message()};
    }
    return {blockhost::Code::internal, "nothing was refused"};
}
