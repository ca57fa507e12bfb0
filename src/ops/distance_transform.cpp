#include "ops/distance_transform.h"

#include "graph/build.h"
#include "ops/families.h"
#include "ops/reference_array.h"

#include <weft/distance_transform.h>
#include <weft/error.h>

#include <cmath>
#include <limits>

namespace weft {
namespace ops {
namespace {

using reference::wide;

/// The dimension of an image's rows; that of its columns is the next.
int row_dimension(const Shape& shape, const Attributes& attributes) {
  return shape.rank() - (shape.rank() > 2 && attributes.text("layout") == "NHWC" ? 3 : 2);
}

/// floor(radius^2), but not more than a squared distance can be.
std::int64_t squared_limit(double radius) {
  constexpr double most = 0x1p62;
  const double square = radius * radius;
  if (!(square < most)) return std::numeric_limits<std::int64_t>::max();
  const double whole = std::floor(square);
  // The product was rounded: the whole number may be above what it was.
  return static_cast<std::int64_t>(whole) - (std::fma(radius, radius, -whole) < 0);
}

// Inference -----------------------------------------------------------------------------------------------------------

void infer_distance_transform(Inference& c) {
  c.require([](DType t) { return t != c64; }, 0, "a real number or bool");
  const std::string& layout = c.attributes.text("layout");
  if (layout != "NHWC" && layout != "NCHW") c.fail("layout " + layout + " is neither NHWC nor NCHW");
  const double radius = c.attributes.real("search_limit_radius");
  if (!(radius > 0)) c.fail("search_limit_radius is " + std::to_string(radius) + ", expects more than 0");
  const Shape& shape = c.shape(0);
  std::int64_t pixels = dynamic;
  if (shape.ranked()) {
    if (shape.rank() < 2) c.fail("operand 0 is " + c[0].str() + ", expects images: at least height and width");
    const int rows = row_dimension(shape, c.attributes);
    for (int d : {rows, rows + 1})
      if (shape[d] > std::numeric_limits<std::int32_t>::max()) c.fail("operand 0 is " + c[0].str() + ", expects less than 2^31 rows and columns");
    if (shape[rows] != dynamic && shape[rows + 1] != dynamic) pixels = shape[rows] * shape[rows + 1];
  }
  c.result(f32, shape);
  if (!c.attributes.has("dtype")) return;
  const DType dtype = c.attributes.dtype("dtype");
  if (dtype != i32 && dtype != i64) c.fail("a place is i32 or i64, not " + std::string(name_of(dtype)));
  if (dtype == i32 && pixels > std::numeric_limits<std::int32_t>::max()) c.fail("places in operand " + c[0].str() + " don't fit i32; ask for i64");
  c.result(dtype, shape);
}

// Evaluation ----------------------------------------------------------------------------------------------------------

/// One channel of one image, whose pixel i is element first + i * step.
struct Plane {
  std::int64_t height, width, first, step;
  std::size_t operator()(std::int64_t y, std::int64_t x) const { return static_cast<std::size_t>(first + (y * width + x) * step); }
};

/// The row of the site of column x that is closest to row y, the upper one of two; -1 if there is none.
template <class Elements> std::int64_t closest_row(const Elements& pixels, const Plane& plane, std::int64_t y, std::int64_t x) {
  for (std::int64_t d = 0; d < plane.height; ++d) {
    if (d <= y && pixels[plane(y - d, x)] != 0) return y - d;
    if (y + d < plane.height && pixels[plane(y + d, x)] != 0) return y + d;
  }
  return -1;
}

template <class Elements> void evaluate_plane(const Elements& pixels, const Plane& plane, std::int64_t most_squared, Evaluation& e) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(plane.width));
  for (std::int64_t y = 0; y < plane.height; ++y) {
    for (std::int64_t x = 0; x < plane.width; ++x) rows[static_cast<std::size_t>(x)] = closest_row(pixels, plane, y, x);
    for (std::int64_t x = 0; x < plane.width; ++x) {
      std::int64_t least = -1, place = -1;
      for (std::int64_t column = 0; column < plane.width; ++column) {
        const std::int64_t row = rows[static_cast<std::size_t>(column)];
        if (row < 0) continue;
        const std::int64_t squared = (x - column) * (x - column) + (y - row) * (y - row);
        if (squared <= most_squared && (place < 0 || squared < least)) least = squared, place = row * plane.width + column;
      }
      e.results[0]->as<double>()[plane(y, x)] =
          place < 0 ? std::numeric_limits<double>::infinity() : static_cast<double>(static_cast<float>(std::sqrt(static_cast<double>(least))));
      if (e.results.size() > 1) e.results[1]->as<wide>()[plane(y, x)] = place;
    }
  }
}

void evaluate_distance_transform(Evaluation& e) {
  const DistanceProblem t = distance_problem_of(e.operands[0]->type, e.node.attributes);
  std::visit(
      [&](const auto& pixels) {
        using Element = typename std::decay_t<decltype(pixels)>::value_type;
        if constexpr (!std::is_same_v<Element, reference::complex>) {
          const std::int64_t size = t.height * t.width * t.channels;
          for (std::int64_t image = 0; image < t.images; ++image)
            for (std::int64_t channel = 0; channel < t.channels; ++channel)
              evaluate_plane(pixels, {t.height, t.width, image * size + channel, t.channels}, t.most_squared, e);
        }
      },
      e.operands[0]->elements);
}

// Attributes: layout; search_limit_radius, infinity for none; dtype of the places, if there is a result with them.
const Primitive table[] = {
    {.name = "distance_transform", .min_operands = 1, .max_operands = 1, .infer = infer_distance_transform, .evaluate = evaluate_distance_transform},
};

Attributes attributes_of(double radius, const std::string& layout) {
  return {{"search_limit_radius", radius}, {"layout", layout.empty() ? std::string("NHWC") : layout}};
}

}  // namespace

DistanceProblem distance_problem_of(const TensorType& images, const Attributes& attributes) {
  const Shape& shape = images.shape;
  const int rows = row_dimension(shape, attributes);
  DistanceProblem t{.height = shape[rows], .width = shape[rows + 1]};
  for (int d = 0; d < rows; ++d) t.images *= shape[d];
  for (int d = rows + 2; d < shape.rank(); ++d) t.channels *= shape[d];
  t.most_squared = squared_limit(attributes.real("search_limit_radius"));
  t.has_indices = attributes.has("dtype");
  return t;
}

std::span<const Primitive> distances() { return table; }

}  // namespace ops

Tensor distance_transform(Operand images, const DistanceTransformOptions& options) {
  return apply("distance_transform", {images}, ops::attributes_of(options.search_limit_radius, options.layout));
}

NearestSites nearest_sites(Operand images, const DistanceTransformOptions& options) {
  Attributes attributes = ops::attributes_of(options.search_limit_radius, options.layout);
  attributes.set("dtype", options.index_dtype);
  const Operand operands[] = {images};
  const auto results = apply_all("distance_transform", operands, attributes);
  return {results[0], results[1]};
}

}  // namespace weft
