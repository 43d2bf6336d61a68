#include "apps/report/page.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "apps/common/text.h"
#include "apps/plot/drawing.h"
#include "data/sha256.h"

namespace rb::apps {
namespace {

// As a Content-Security-Policy names it.
std::string Digest(std::string_view text) {
  return absl::StrCat("'sha256-", absl::Base64Escape(absl::HexStringToBytes(Sha256Hex(text))), "'");
}

}  // namespace

std::string Html(std::string_view text) {
  return absl::StrReplaceAll(plot::CleanText(text),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string HtmlNumber(double value, int decimals) {
  if (!std::isfinite(value)) return "\u2013";
  const std::string text = Fixed(value, decimals);
  if (text.find_first_not_of("-0.") == std::string::npos) return Fixed(0, decimals);  // no minus zero
  return text[0] == '-' ? absl::StrCat("\u2212", text.substr(1)) : text;
}

std::string HtmlPage(std::string_view title, std::string_view body) {
  const std::string policy = absl::StrCat("default-src 'none'; style-src ", Digest(kReportStyle), "; script-src ",
                                          Digest(kReportScript), "; base-uri 'none'; form-action 'none'");
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  absl::StrAppend(&page, "<meta http-equiv=\"Content-Security-Policy\" content=\"", policy, "\">\n",
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                  "<meta name=\"color-scheme\" content=\"light dark\">\n",
                  "<meta name=\"generator\" content=\"residualbind ", RB_VERSION, "\">\n<title>", Html(title),
                  "</title>\n");
  absl::StrAppend(&page, "<style>", kReportStyle, "</style>\n</head>\n<body>\n", std::string(body), "<script>",
                  kReportScript, "</script>\n</body>\n</html>\n");
  return page;
}

}  // namespace rb::apps
