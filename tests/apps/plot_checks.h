// What every picture must be, whatever its data.
#ifndef RB_TESTS_APPS_PLOT_CHECKS_H_
#define RB_TESTS_APPS_PLOT_CHECKS_H_

#include <algorithm>
#include <string>
#include <vector>

#include "apps/plot/drawing.h"
#include "apps/plot/render.h"
#include "tests/support/comparisons.h"

namespace rb::plot {

inline int64_t CountRole(const Drawing& drawing, Role role) {
  return std::count_if(drawing.items().begin(), drawing.items().end(), [&](const Item& i) { return i.role == role; });
}

template <class T>
std::vector<const Item*> ItemsOf(const Drawing& drawing) {
  std::vector<const Item*> items;
  for (const Item& item : drawing.items()) {
    if (std::holds_alternative<T>(item.what)) items.push_back(&item);
  }
  return items;
}

inline bool Overlap(const Box& a, const Box& b) {
  constexpr double kTouch = 0.01;
  return std::min(a.right, b.right) - std::max(a.left, b.left) > kTouch &&
         std::min(a.bottom, b.bottom) - std::max(a.top, b.top) > kTouch;
}

// Everything on the page, no text over another one, no text thinner than can be read.
inline void ExpectSound(const Drawing& drawing, const std::string& what) {
  for (const Item& item : drawing.items()) {
    const bool inside = item.box.left >= -1e-6 && item.box.top >= -1e-6 && item.box.right <= drawing.width() + 1e-6 &&
                        item.box.bottom <= drawing.height() + 1e-6;
    const auto* text = std::get_if<Text>(&item.what);
    test::ExpectEqual(inside, true,
                      what + ": off the page at " + std::to_string(item.box.left) + " " + std::to_string(item.box.top) +
                          " " + std::to_string(item.box.right) + " " + std::to_string(item.box.bottom) + " " +
                          (text ? text->text : ""));
  }
  const std::vector<const Item*> texts = ItemsOf<Text>(drawing);
  for (size_t i = 0; i < texts.size(); ++i) {
    const Text& one = std::get<Text>(texts[i]->what);
    test::ExpectEqual(one.style.size >= 7, true, what + ": small text " + one.text);
    for (size_t j = 0; j < i; ++j) {
      test::ExpectEqual(Overlap(texts[i]->box, texts[j]->box), false,
                        what + ": '" + one.text + "' lies over '" + std::get<Text>(texts[j]->what).text + "'");
    }
  }
}

// The three formats, each with its first and last bytes, and the same bytes again.
inline void ExpectRenders(const Drawing& drawing, const std::string& what) {
  for (const auto& [format, head, tail] : {std::tuple(Format::kSvg, "<?xml version=\"1.0\"", "</svg>\n"),
                                           std::tuple(Format::kPng, "\x89PNG\r\n", "IEND\xAE\x42\x60\x82"),
                                           std::tuple(Format::kPdf, "%PDF-1.", "%%EOF\n")}) {
    const auto bytes = Render(drawing, format, {0.5});
    ASSERT_TRUE(bytes.ok()) << what << ": " << bytes.status();
    test::ExpectEqual(bytes->starts_with(head), true, what + ": first bytes");
    test::ExpectEqual(bytes->ends_with(tail), true, what + ": last bytes");
    test::ExpectEqual(*Render(drawing, format, {0.5}) == *bytes, true, what + ": the same bytes again");
  }
}

}  // namespace rb::plot

#endif  // RB_TESTS_APPS_PLOT_CHECKS_H_
