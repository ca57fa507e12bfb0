// The Euclidean distance transform of arrays, without a graph.
#pragma once

#include <weft/distance_transform.h>
#include <weft/executable.h>
#include <weft/ndarray.h>

#include <memory>

namespace weft {

class CommandBuffer;

/// What the operation `distance_transform` computes. Made once and used for images of any types and sizes, also by several threads at once. Images on
/// a GPU are transformed there, and so is what the options send there. Results lie where the images do. Calls throw RunError for images that the
/// operation doesn't take.
class DistanceTransform {
 public:
  /// Throws GraphError for options that the operation doesn't take.
  explicit DistanceTransform(const DistanceTransformOptions& options = {}, RunOptions run = {});
  ~DistanceTransform();
  DistanceTransform(DistanceTransform&&) noexcept;
  DistanceTransform& operator=(DistanceTransform&&) noexcept;

  NDArray operator()(const NDArray& images) const;
  /// Into an f32 array of the images' shape.
  void operator()(const NDArray& images, NDArray& distances) const;
  /// When the buffer's turn comes; the transform must be kept until then.
  NDArray encode(CommandBuffer& buffer, const NDArray& images) const;
  void encode(CommandBuffer& buffer, const NDArray& images, NDArray& distances) const;

  /// As `nearest_sites` has them.
  struct Nearest {
    NDArray distances, indices;
  };
  Nearest nearest(const NDArray& images) const;
  Nearest encode_nearest(CommandBuffer& buffer, const NDArray& images) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
