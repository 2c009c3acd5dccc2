// SPDX-License-Identifier: MIT
#pragma once
/// Names that are validated on construction: a VmName is always valid (docs/contract.md, "Names").

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// The whole string is `[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}`.
class VmName {
  public:
    /// Throws Error{invalid} "Invalid VM name: X", with X made printable and cut, and the rule as the hint.
    explicit VmName(std::string_view text);
    static std::optional<VmName> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    auto operator<=>(const VmName&) const = default;

  private:
    VmName() = default;
    std::string text_;
};

/// A guest login: `[a-z_][a-z0-9_-]{0,31}`.
class Username {
  public:
    explicit Username(std::string_view text); ///< throws Error{invalid}
    const std::string& str() const { return text_; }
    auto operator<=>(const Username&) const = default;

  private:
    std::string text_;
};

/// A wallet address: always `[A-Za-z0-9_-]{1,200}` (it goes into YAML and GECOS), and in addition whatever
/// pattern the engine manifest declares, matched like Python's re.match (anchored at the start only).
class Wallet {
  public:
    /// `pattern`: the engine's regular expression, or empty for none. Throws Error{config} when it is not a
    /// regular expression or too complex.
    Wallet(std::string_view text, const std::string& pattern); ///< throws Error{invalid}
    /// A wallet from this program's own metadata or journal: the engine's pattern does not apply.
    static std::optional<Wallet> trusted(std::string_view text);
    const std::string& str() const { return text_; }

  private:
    Wallet() = default;
    std::string text_;
};

/// RFC 4122 text form, lower case.
class Uuid {
  public:
    static Uuid random();
    static std::optional<Uuid> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    auto operator<=>(const Uuid&) const = default;

  private:
    Uuid() = default;
    std::string text_;
};

/// The identity of this installation: 32 hex digits, made once, kept in <state>/instance-id.
class InstanceId {
  public:
    static InstanceId random();
    static std::optional<InstanceId> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    /// The first eight digits, for pool names, filter names and operation ids.
    std::string tag() const { return text_.substr(0, 8); }
    auto operator<=>(const InstanceId&) const = default;

  private:
    InstanceId() = default;
    std::string text_;
};

/// The identity of one operation: the instance's tag and eight random hex digits. Whatever carries it is
/// recognisable as this instance's.
class OperationId {
  public:
    static OperationId make(const InstanceId& instance);
    static std::optional<OperationId> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    bool of(const InstanceId& instance) const { return text_.compare(0, 8, instance.tag()) == 0; }
    auto operator<=>(const OperationId&) const = default;

  private:
    OperationId() = default;
    std::string text_;
};

/// The file name of the volume that operation `op` makes for `name`: "<name>.<operation>.qcow2". The id tells
/// later whose volume it is, even when libvirt made it after the operation's process had died.
std::string volume_name(const VmName& name, const OperationId& op);
/// The operation in such a file name, if it is a volume of `name`.
std::optional<OperationId> operation_of_volume(const VmName& name, std::string_view file_name);

} // namespace blockhost
