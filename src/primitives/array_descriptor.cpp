#include <weft/primitives/array_descriptor.h>

#include <string>
#include <type_traits>

namespace weft {

ArrayDescriptor& ArrayDescriptor::slice(int axis, std::int64_t start, std::int64_t end, std::int64_t step) {
  steps_.emplace_back(Slice{axis, start, end, step});
  return *this;
}

ArrayDescriptor& ArrayDescriptor::transpose(int a, int b) {
  steps_.emplace_back(Transpose{a, b});
  return *this;
}

ArrayDescriptor& ArrayDescriptor::permute(std::span<const int> order) {
  steps_.emplace_back(std::vector<int>(order.begin(), order.end()));
  return *this;
}

ArrayDescriptor& ArrayDescriptor::reshape(Shape shape) {
  steps_.emplace_back(std::move(shape));
  return *this;
}

NDArray ArrayDescriptor::apply(const NDArray& array, Aliasing aliasing) const {
  if (array.dtype() != type_.dtype || !accepts(type_.shape, array.shape()))
    throw RunError("array descriptor: expects " + type_.str() + ", the array is " + array.type().str());
  NDArray view = array;
  bool shares = true;
  for (const Step& step : steps_)
    view = std::visit(
        [&](const auto& s) {
          using S = std::decay_t<decltype(s)>;
          if constexpr (std::is_same_v<S, Slice>) return view.slice(s.axis, s.start, s.end, s.step);
          else if constexpr (std::is_same_v<S, Transpose>) return view.transpose(s.a, s.b);
          else if constexpr (std::is_same_v<S, Shape>) {
            NDArray reshaped = view.reshape(s);
            const bool is_view = reshaped.data() == view.data();
            if (!is_view && aliasing == Aliasing::required)
              throw RunError("array descriptor: strides don't allow a view of " + view.type().str() + " as " + s.str() + ", only a copy");
            shares = shares && is_view;
            return reshaped;
          } else return view.transpose(s);
        },
        step);
  return aliasing == Aliasing::forbidden && shares ? view.copy() : view;
}

}  // namespace weft
