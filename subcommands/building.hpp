// SPDX-License-Identifier: MIT
#pragma once
/// Builds a template, for the two verbs that do.

#include "image/build.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/object.hpp>

namespace blockhost::subcommands {

/// What a build left behind.
struct Built {
    std::filesystem::path link;  ///< what names the current version: the link, or its stand-in
    std::filesystem::path named; ///< the link's own path, as the contract's last line has it
    std::string version = {};
    bool changed = false; ///< another version is current than before

    boost::json::object document() const;
};

/// Builds as ordered, and tells the progress. Throws Error{denied} for anybody but root.
Built build_template(cli::Call& call, const image::Order& order);

} // namespace blockhost::subcommands
