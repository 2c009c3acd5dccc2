#pragma once
/// The VMs' names alone, for completion: a pass over the file that keeps nothing else.

#include "model/vm.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace blockhost {

/// Name and status of each record, in file order. Nothing where a plain JSON parser does not read the file as
/// a VM database: then Registry has the last word, which reads more and waits for a writer.
std::optional<std::vector<std::pair<std::string, RecordStatus>>>
names_at_a_glance(const std::filesystem::path& file);

} // namespace blockhost
