// Straight line segments in a picture: EDLines.
#pragma once

#include <weft/executable.h>
#include <weft/ndarray.h>
#include <weft/primitives/pixel_rectangle.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace weft {

class CommandBuffer;

/// The parameters of Apple's MPSImageEDLines with its defaults, and a few of ours. Where its documentation gives no unit one is chosen here.
struct EDLinesOptions {
  /// Standard deviation of the Gaussian that smooths the picture, in pixels, at most 64; 0: none. Weights below 1 % of the middle one are left out.
  double gaussian_sigma = 2.0;
  /// Shorter lines are left out: length in pixels between the ends. Chords of curves are looked for where so many pixels of an edge are nearly
  /// straight, so that of tighter curves there are none. 0: the fewest pixels that validation could accept, 2 log(W H) / log(8) / 2, and no fewer
  /// than 9.
  std::int64_t min_line_length = 32;
  /// The strongest so many lines are kept.
  std::int64_t max_lines = 256;
  /// Edges are looked for where they cross rows and columns whose number is a multiple of this.
  std::int64_t detail_ratio = 32;
  /// The least gradient of an edge. Gradients are sqrt(gx^2 + gy^2) of the Sobel operator, weights 1 2 1 and -1 0 1, on a picture of 0..1, so that a
  /// step as high as h that is smoothed by s has a gradient of 8 h / (s sqrt(2 pi)): with the defaults steps from about 1/8 on are edges.
  double gradient_threshold = 0.2;
  /// How far from the line the pixels of its edge may be, as a fraction of 20 pixels: the default is the one pixel of the paper. Half a pixel is
  /// always allowed for, which a straight edge needs that is drawn in pixels.
  double line_error_threshold = 0.05;
  /// How far apart the ends of two lines may be that continue each other, as a fraction of the picture's diagonal, for the two to become one. Two
  /// pixels are always near enough.
  double merge_locality_threshold = 0.0025;
  /// Only this part of the picture is read, as if it were the whole; what lies outside of the picture is left out. Coordinates stay the picture's.
  std::optional<PixelRectangle> clip = {};
  /// Leave out lines that may well be chance: those of which as long ones, with as many pixels whose gradient (of the picture before it is smoothed)
  /// is within 22.5 degrees of the line's normal, are expected in a picture of noise at least once.
  bool validate = true;
  /// Give the edges, too.
  bool edges = false;
};

/// A line from (x0, y0) to (x1, y1), which have their origin in the middle of the upper left pixel and y downwards. Going from the first to the
/// second end the brighter side is the right one.
struct LineSegment {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  /// Length times mean gradient.
  double strength = 0;

  struct Pixels {
    std::int32_t x0, y0, x1, y1;
    friend bool operator==(const Pixels&, const Pixels&) = default;
  };
  /// The pixels in which the ends lie.
  Pixels pixels() const;
  double length() const;
};

struct EDLinesResult {
  /// The strongest first.
  std::vector<LineSegment> lines;
  /// When asked for: u8 [height, width], 255 for the pixels of edges that are long enough to be looked at for lines, 0 for others.
  NDArray edges;

  /// The ends as pixels, i32 [lines, 4]: x0, y0, x1, y1.
  NDArray endpoints() const;
};

/// Finds straight line segments by following edges (C. Topal and C. Akinlar, "Edge Drawing: A combined real-time edge and segment detector", J.
/// Visual Communication and Image Representation 23(6), 2012) and fitting lines to them (C. Akinlar and C. Topal, "EDLines: A real-time line segment
/// detector with a false detection control", Pattern Recognition Letters 32(13), 2011).
///
/// 1. The picture is smoothed by a Gaussian; pixels at its edges continue beyond them.
/// 2. Gradients by the Sobel operator. Where |gx| >= |gy| an edge runs up and down, otherwise from side to side.
/// 3. Anchors: pixels of the rows and columns of detail_ratio whose gradient is no less than that of both neighbours across the edge.
/// 4. From the strongest anchor on (of equals, the first in reading order) edges are followed both ways: always to the neighbour of the largest
///    gradient among the three that lie ahead, straight on when equal; both ways across where the edge turns; up to pixels below the threshold, of
///    another edge or beside one, or at the picture's border. The longest way through what was found is an edge, and so are the longest of what is
///    left.
/// 5. Lines are fitted by least squares. From the end of an edge on a window of min_line_length pixels, but no fewer than validation could accept,
/// slides
///    until their root mean square distance from its line is at most half of the error allowed; the line is extended, and fitted again, until five
///    pixels in a row are too far away, and what follows is the next window's. Between such lines there may be straight edges of fewer pixels,
///    slanted or to be joined: they begin with as few as validation could accept, no farther away in the mean than rounding makes them. What belongs
///    to a line is decided by whole pixels, as in the paper; the line then goes through the peaks of the gradient across the edge, by parabolas,
///    without those at the ends that smoothing moves, unless it is the chord of a curve.
/// 6. Lines that continue each other and together still fit their edges become one.
/// 7. Validation by the Helmholtz principle (EDLines, section 2.3): a pixel is aligned by chance with p = 1/8, and a line with k of n pixels aligned
///    stays if N B(n, k, p) <= 1, with B the tail of the binomial distribution. Smoothing moves edges that are near to others, so the best k is taken
///    of the line itself and of those one pixel to its left and right; N = 3 (W H)^2 lines are possible then.
///
/// The same picture gives the same lines whatever the number of threads. Made once, it may be called from several threads at a time.
class EDLines {
 public:
  /// `run` says where smoothing and gradients are computed; those of a picture on a GPU are there. The rest is the processor's. Throws GraphError for
  /// options that make no sense.
  explicit EDLines(EDLinesOptions options = {}, RunOptions run = {});
  ~EDLines();
  EDLines(EDLines&&) noexcept;
  EDLines& operator=(EDLines&&) noexcept;

  /// A picture is [height, width] or [height, width, 1..4] on any device: grey, grey and alpha, RGB or RGBA; alpha is not looked at, and colours
  /// become grey by 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). u8 and u16 stand for 0..1 as v/255 and v/65535; f16 and f32 are cut off at 0 and 1,
  /// NaN counts as 0. Throws RunError for another type or shape and for more than 2^31 - 1 pixels; one without pixels has no lines.
  EDLinesResult operator()(const NDArray& picture) const;
  /// When the buffer's turn comes; what is returned has its content when the buffer is done. The picture is read then, and this object must be kept
  /// until then.
  std::shared_ptr<const EDLinesResult> encode(CommandBuffer& buffer, const NDArray& picture) const;

  const EDLinesOptions& options() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
