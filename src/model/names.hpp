#pragma once
/// Names validated on construction: inside the program a VmName is a good name (docs/contract.md, "Names").

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// `[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}`, the whole string.
class VmName {
  public:
    /// Throws Error{invalid} "Invalid VM name: X", X made printable and cut, with the rule as the hint.
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

/// A wallet address: always `[A-Za-z0-9_-]{1,200}` (it goes into YAML and GECOS), and additionally whatever
/// pattern the engine manifest declares, matched as Python's re.match does (anchored at the start only).
class Wallet {
  public:
    /// `pattern`: the engine's regular expression, or empty for none; one that does not compile counts as
    /// none.
    Wallet(std::string_view text, const std::string& pattern); ///< throws Error{invalid}
    /// One read back from our own metadata or journal: only the always-rule applies.
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

/// This installation's identity: 32 hex digits, made once, kept in <state>/instance-id.
class InstanceId {
  public:
    static InstanceId random();
    static std::optional<InstanceId> try_parse(std::string_view text);
    const std::string& str() const { return text_; }
    /// The first eight digits: in pool names, filter names and operation ids.
    std::string tag() const { return text_.substr(0, 8); }
    auto operator<=>(const InstanceId&) const = default;

  private:
    InstanceId() = default;
    std::string text_;
};

/// One operation's identity: the instance's tag and eight random hex digits, so that whatever carries it is
/// recognisably this instance's.
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

/// The file name of the volume that operation `op` makes for `name`: "<name>.<operation>.qcow2". The id in it
/// proves later whose it is, even when libvirt made the volume after its operation's process had died.
std::string volume_name(const VmName& name, const OperationId& op);
/// The operation in such a file name, when it is one for `name`.
std::optional<OperationId> operation_of_volume(const VmName& name, std::string_view file_name);

} // namespace blockhost
