// SPDX-License-Identifier: MIT
#pragma once
/// What the tests of this floor share: a folder that goes away, a spec with every field set, golden files.

#include "hypervisor/xml/domain.hpp"

#include <filesystem>
#include <string>

namespace hypervisor_test {

class TemporaryFolder {
  public:
    TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder();
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// A KVM guest with IPv4 alone.
blockhost::DomainSpec example_spec();

/// Compares with golden/<file>; writes it there instead when BLOCKHOST_ACCEPT=1 is set.
void check_golden(const std::string& file, const std::string& text);

/// Has virt-xml-validate judge `xml`; prints SKIP where it isn't installed.
void check_valid(const std::string& xml, const std::string& schema);

} // namespace hypervisor_test
