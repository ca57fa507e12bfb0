#include <weft/primitives/distance_transform.h>

#include "primitives/run_beside.h"

#include <weft/error.h>
#include <weft/graph.h>

#include <map>

namespace weft {

struct DistanceTransform::State {
  /// Of images of one element type.
  struct Transform {
    Tensor images, distances;
    NearestSites nearest;
  };

  Graph graph;
  std::map<DType, Transform> transforms;
  DType index_dtype;
  RunOptions run;

  State(const DistanceTransformOptions& options, RunOptions run) : index_dtype(options.index_dtype), run(std::move(run)) {
    for (const DType dtype : {DType::boolean, u8, u16, u32, u64, i8, i16, i32, i64, f16, bf16, f32, f64}) {
      const Tensor images = graph.placeholder(Shape::unranked(), dtype, "images");
      transforms[dtype] = {images, distance_transform(images, options), nearest_sites(images, options)};
    }
  }

  const Transform& transform(const NDArray& images) const {
    const auto found = transforms.find(images.dtype());
    if (found == transforms.end()) throw RunError("distance_transform: the images are " + images.type().str() + ", expects real numbers or bool");
    return found->second;
  }

  void distances(CommandBuffer* buffer, const NDArray& images, NDArray& distances) {
    const Transform& t = transform(images);
    const Tensor targets[] = {t.distances};
    TensorData results[] = {distances};
    run_beside(buffer, graph, t.images, images, targets, results, run);
  }

  Nearest nearest(CommandBuffer* buffer, const NDArray& images) {
    const Transform& t = transform(images);
    Nearest n{NDArray(f32, images.shape(), images.device()), NDArray(index_dtype, images.shape(), images.device())};
    const Tensor targets[] = {t.nearest.distances, t.nearest.indices};
    TensorData results[] = {n.distances, n.indices};
    run_beside(buffer, graph, t.images, images, targets, results, run);
    return n;
  }
};

DistanceTransform::DistanceTransform(const DistanceTransformOptions& options, RunOptions run)
    : state_(std::make_unique<State>(options, std::move(run))) {}
DistanceTransform::~DistanceTransform() = default;
DistanceTransform::DistanceTransform(DistanceTransform&&) noexcept = default;
DistanceTransform& DistanceTransform::operator=(DistanceTransform&&) noexcept = default;

NDArray DistanceTransform::operator()(const NDArray& images) const {
  NDArray result(f32, images.shape(), images.device());
  state_->distances(nullptr, images, result);
  return result;
}

void DistanceTransform::operator()(const NDArray& images, NDArray& distances) const { state_->distances(nullptr, images, distances); }

NDArray DistanceTransform::encode(CommandBuffer& buffer, const NDArray& images) const {
  NDArray result(f32, images.shape(), images.device());
  state_->distances(&buffer, images, result);
  return result;
}

void DistanceTransform::encode(CommandBuffer& buffer, const NDArray& images, NDArray& distances) const {
  state_->distances(&buffer, images, distances);
}

DistanceTransform::Nearest DistanceTransform::nearest(const NDArray& images) const { return state_->nearest(nullptr, images); }
DistanceTransform::Nearest DistanceTransform::encode_nearest(CommandBuffer& buffer, const NDArray& images) const {
  return state_->nearest(&buffer, images);
}

}  // namespace weft
