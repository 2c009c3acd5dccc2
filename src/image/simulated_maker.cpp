// SPDX-License-Identifier: MIT
/// A build in the simulated world: everything but the image is real.

#include "image/maker.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/text/digest.hpp"
#include "hypervisor/simulated/image.hpp"

namespace blockhost::image {

namespace {

constexpr std::uint64_t virtual_bytes = 2ull << 30; ///< as the simulated world's own template has

class SimulatedMaker final : public Maker {
  public:
    explicit SimulatedMaker(const Order& order) : order_(order) {}

    Inputs inputs(const Folder&) override {
        if (order_.source.kind != Source::Kind::file)
            return {{{"simulated", order_.source.where}}, "the simulated world"};
        const auto content = files::read(std::filesystem::path(order_.source.where));
        if (!content)
            throw Error(Code::not_found, "There is no image " + order_.source.where,
                        "give --source file: the path of a file that tells one simulated image from another");
        return {{{"simulated", sha256(*content)}}, order_.source.where};
    }

    Made make(const Folder& bench) override {
        simulated::make_qcow2(bench.path() / "image.qcow2", virtual_bytes, "");
        return {"image.qcow2", {}};
    }

    void boot(const Folder&, const std::filesystem::path&) override {}

  private:
    Order order_;
};

} // namespace

std::unique_ptr<Maker> make_simulated(const Order& order) {
    fault::arm_from_environment();
    return std::make_unique<SimulatedMaker>(order);
}

} // namespace blockhost::image
