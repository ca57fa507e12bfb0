// The GELU of the talk: built from primitives over a placeholder without a shape, so that one graph takes any tensor.
#include <weft/weft.h>

#include <cmath>
#include <cstdio>

using namespace weft;

Tensor gelu_by_hand(Tensor x) { return 0.5f * x * (1.0f + erf(x * std::sqrt(0.5f))); }

int main() {
  Graph g;
  Tensor x = g.placeholder(Shape::unranked(), f32, "x");
  Tensor y = gelu_by_hand(x);

  NDArray vector = NDArray::of<float>({5}, {-2, -1, 0, 1, 2});
  NDArray matrix = NDArray::of<float>({2, 2}, {0.5f, 1.5f, 2.5f, 3.5f});
  for (const NDArray& fed : {vector, matrix}) std::printf("gelu %s = %s\n", fed.str().c_str(), g.run({{x, fed}}, {y})[y].str().c_str());
}
